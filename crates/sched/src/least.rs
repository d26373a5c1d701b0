//! Comparing destinations: lc, wlc, sed, nq, fo and ovf.
//!
//! All six go through the list and keep the best so far. What differs is what they compare: each
//! gives a destination a load and a weight, and the least load for its weight wins. A caller folds
//! the list:
//!
//! ```
//! use sched::least::{Candidate, Load, Rule};
//!
//! let destinations = [
//!     Load { weight: 1, active: 4, inactive: 0 },
//!     Load { weight: 3, active: 6, inactive: 0 },
//!     Load { weight: 1, active: 2, inactive: 9 },
//! ];
//! let rule = Rule::WeightedLeastConnection;
//! let best = (0..)
//!     .zip(destinations)
//!     .map(|(number, load)| rule.candidate(number, load))
//!     .fold(Candidate::NOBODY, |best, next| next.or_better(best));
//! assert_eq!(best.number, 1);
//! ```

use crate::NOBODY;

/// What a scheduler sees of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its weight, up to 2^31 - 1. 0 takes no connections: give 0 as well for a destination that
    /// is overloaded (see [`crate::threshold`]) or gone.
    pub weight: u32,
    /// Connections in an active state.
    pub active: u32,
    /// All other connections.
    pub inactive: u32,
}

impl Load {
    /// What its connections weigh (`ip_vs_dest_conn_overhead`): an active one counts 256 times. In
    /// 32 bits as in the kernel, so that a product with a weight fits 64.
    #[inline(always)]
    pub const fn overhead(self) -> u32 {
        overhead(self.active, self.inactive)
    }
}

/// [`Load::overhead`] of plain numbers.
#[inline(always)]
pub const fn overhead(active: u32, inactive: u32) -> u32 {
    (active << 8).wrapping_add(inactive)
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// lc: the fewest connections, whatever the weights.
    LeastConnection,
    /// wlc: the fewest connections for the weight. lblc and lblcr fill their tables with it.
    WeightedLeastConnection,
    /// sed: the shortest expected delay: the fewest active connections for the weight, counting
    /// the one to come.
    ShortestExpectedDelay,
    /// nq: the first without an active connection, else as sed.
    NeverQueue,
    /// fo: the greatest weight.
    Failover,
    /// ovf: the greatest weight among those with no more active connections than their weight.
    Overflow,
}

impl Rule {
    /// A destination as this scheduler compares it. `number` is the caller's name for it.
    #[inline(always)]
    pub const fn candidate(self, number: u32, load: Load) -> Candidate {
        let (weight, overhead) = match self {
            Self::LeastConnection => ((load.weight != 0) as u32, load.overhead()),
            Self::WeightedLeastConnection => (load.weight, load.overhead()),
            Self::ShortestExpectedDelay => (load.weight, load.active.wrapping_add(1)),
            // No load at all is never more than another's, so that the first idle one stays.
            Self::NeverQueue if load.active == 0 => (load.weight, 0),
            Self::NeverQueue => (load.weight, load.active.wrapping_add(1)),
            // Of equal loads, the one with the greatest weight is the least for its weight.
            Self::Failover => (load.weight, 1),
            Self::Overflow if load.active > load.weight => (0, 1),
            Self::Overflow => (load.weight, 1),
        };
        Candidate {
            number,
            weight,
            overhead,
        }
    }
}

/// A destination in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The caller's name for it.
    pub number: u32,
    /// What its load is divided by. With 0 it is never chosen.
    pub weight: u32,
    /// Its load, as the scheduler counts it.
    pub overhead: u32,
}

impl Candidate {
    /// What a comparison begins with: worse than every destination that may take a connection, and
    /// the outcome where there is none. Its number is [`crate::NOBODY`].
    pub const NOBODY: Self = Self {
        number: NOBODY,
        weight: 0,
        overhead: 1,
    };

    /// This candidate where it has less load for its weight than `best`, else `best`. Of equals,
    /// `best` stays: it comes earlier in the list.
    #[inline(always)]
    pub const fn or_better(self, best: Self) -> Self {
        // overhead / weight without a division, as in `ip_vs_wlc_schedule`.
        let is_less = (self.overhead as u64) * (best.weight as u64)
            < best.overhead as u64 * self.weight as u64;
        if is_less { self } else { best }
    }

    /// The opposite: this candidate where it has more load for its weight than `most`. What lblcr
    /// removes from a set (`ip_vs_dest_set_max`).
    #[inline(always)]
    pub const fn or_busier(self, most: Self) -> Self {
        let is_more =
            self.overhead as u64 * most.weight as u64 > most.overhead as u64 * self.weight as u64;
        let is_first = most.weight == 0;
        if self.weight != 0 && (is_first || is_more) {
            self
        } else {
            most
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load((active, inactive, weight): (u32, u32, u32)) -> Load {
        Load {
            weight,
            active,
            inactive,
        }
    }

    /// Destinations are active and inactive connections and weight.
    fn pick(rule: Rule, destinations: &[(u32, u32, u32)]) -> Option<u32> {
        let best = (0..)
            .zip(destinations)
            .map(|(number, &destination)| rule.candidate(number, load(destination)))
            .fold(Candidate::NOBODY, |best, next| next.or_better(best));
        (best.number != NOBODY).then_some(best.number)
    }

    const RULES: [Rule; 6] = [
        Rule::LeastConnection,
        Rule::WeightedLeastConnection,
        Rule::ShortestExpectedDelay,
        Rule::NeverQueue,
        Rule::Failover,
        Rule::Overflow,
    ];

    #[test]
    fn an_active_connection_weighs_as_much_as_256_inactive_ones() {
        let rule = Rule::LeastConnection;
        assert_eq!(pick(rule, &[(1, 0, 1), (0, 255, 1)]), Some(1));
        assert_eq!(pick(rule, &[(0, 257, 1), (1, 0, 1)]), Some(1));
    }

    #[test]
    fn of_equals_the_earlier_in_the_list_is_picked() {
        for rule in RULES {
            assert_eq!(pick(rule, &[(1, 0, 1), (1, 0, 1)]), Some(0), "{rule:?}");
        }
        let wlc = Rule::WeightedLeastConnection;
        assert_eq!(pick(wlc, &[(1, 0, 1), (0, 256, 1)]), Some(0));
        assert_eq!(pick(wlc, &[(1, 0, 1), (2, 0, 2), (3, 0, 3)]), Some(0));
        let nq = Rule::NeverQueue;
        assert_eq!(pick(nq, &[(1, 0, 9), (0, 5, 1), (0, 0, 7)]), Some(1));
    }

    #[test]
    fn a_heavier_destination_may_have_more_connections() {
        let wlc = Rule::WeightedLeastConnection;
        assert_eq!(pick(wlc, &[(2, 0, 1), (3, 0, 1)]), Some(0));
        assert_eq!(pick(wlc, &[(2, 0, 1), (3, 0, 2)]), Some(1));
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let heavy = i32::MAX as u32;
        let list = [(1 << 20, 1, heavy), ((1 << 20) - 1, 0, heavy)];
        for rule in &RULES[..3] {
            assert_eq!(pick(*rule, &list), Some(1), "{rule:?}");
        }
    }

    #[test]
    fn weight_0_is_never_picked_and_may_leave_nobody() {
        for rule in RULES {
            assert_eq!(pick(rule, &[(0, 0, 0), (0, 0, 1)]), Some(1), "{rule:?}");
            assert_eq!(pick(rule, &[(0, 0, 1), (0, 0, 0)]), Some(0), "{rule:?}");
            assert_eq!(pick(rule, &[(0, 0, 0), (0, 0, 0)]), None, "{rule:?}");
            assert_eq!(pick(rule, &[]), None, "{rule:?}");
        }
    }

    #[test]
    fn the_busiest_for_its_weight_is_found_and_of_equals_the_first() {
        let busiest = |destinations: &[(u32, u32, u32)]| {
            (0..)
                .zip(destinations)
                .map(|(number, &d)| Rule::WeightedLeastConnection.candidate(number, load(d)))
                .fold(Candidate::NOBODY, |most, next| next.or_busier(most))
                .number
        };
        assert_eq!(busiest(&[(2, 0, 1), (3, 0, 1), (5, 0, 2)]), 1);
        assert_eq!(busiest(&[(2, 0, 1), (4, 0, 2)]), 0);
        assert_eq!(busiest(&[(9, 0, 0), (0, 0, 1), (0, 0, 1)]), 1);
        assert_eq!(busiest(&[(9, 0, 0)]), NOBODY);
    }
}
