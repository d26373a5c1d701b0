//! The destination with the least load: lc and wlc.
//!
//! A caller goes through the list once and keeps the best so far:
//!
//! ```
//! use sched::least::{Candidate, Rule, overhead};
//!
//! // Active and inactive connections of three destinations, and their weights.
//! let destinations = [(4, 0, 1), (6, 0, 3), (2, 9, 1)];
//! let best = (0u32..)
//!     .zip(destinations)
//!     .map(|(number, (active, inactive, weight))| Candidate {
//!         number,
//!         weight,
//!         overhead: overhead(active, inactive),
//!     })
//!     .reduce(|best, next| next.or_better(best, Rule::WeightedLeastConnection));
//! assert_eq!(best.map(|best| best.number), Some(1));
//! ```

/// How loads are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// lc: the least overhead. The weight does not count.
    LeastConnection,
    /// wlc: the least overhead for the weight.
    WeightedLeastConnection,
}

/// A destination's load (`ip_vs_dest_conn_overhead`): an active connection counts 256 times.
#[inline(always)]
pub const fn overhead(active: u32, inactive: u32) -> u64 {
    active as u64 * 256 + inactive as u64
}

/// A destination that may take the connection: its weight is above 0, and it is not overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The caller's name for it.
    pub number: u32,
    /// Its weight. Not 0.
    pub weight: u32,
    /// Its load: see [`overhead`].
    pub overhead: u64,
}

impl Candidate {
    /// This candidate where it is better than `best`, else `best`. Of equals, `best` stays: it
    /// comes earlier in the list.
    #[inline(always)]
    pub fn or_better(self, best: Self, rule: Rule) -> Self {
        let is_less = match rule {
            Rule::LeastConnection => self.overhead < best.overhead,
            // overhead / weight without a division, as in `ip_vs_wlc_schedule`.
            Rule::WeightedLeastConnection => {
                product(self.overhead, best.weight) < product(best.overhead, self.weight)
            }
        };
        if is_less { self } else { best }
    }
}

/// The 96-bit product, as its high 64 and low 32 bits: an overhead of 2^40 by a weight of 2^31 does
/// not fit 64 bits, and BPF has no wider integer.
#[inline(always)]
const fn product(overhead: u64, weight: u32) -> (u64, u32) {
    let weight = weight as u64;
    let low = (overhead & 0xffff_ffff) * weight;
    ((overhead >> 32) * weight + (low >> 32), low as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(rule: Rule, destinations: &[(u32, u32, u32)]) -> Option<u32> {
        (0..)
            .zip(destinations)
            .map(|(number, &(active, inactive, weight))| Candidate {
                number,
                weight,
                overhead: overhead(active, inactive),
            })
            .reduce(|best, next| next.or_better(best, rule))
            .map(|best| best.number)
    }

    #[test]
    fn an_active_connection_weighs_as_much_as_256_inactive_ones() {
        assert_eq!(
            pick(Rule::LeastConnection, &[(1, 0, 1), (0, 255, 1)]),
            Some(1)
        );
        assert_eq!(
            pick(Rule::LeastConnection, &[(0, 257, 1), (1, 0, 1)]),
            Some(1)
        );
    }

    #[test]
    fn of_equals_the_earlier_in_the_list_is_picked() {
        assert_eq!(
            pick(Rule::LeastConnection, &[(1, 0, 1), (0, 256, 9)]),
            Some(0)
        );
        let same_for_the_weight = [(1, 0, 1), (2, 0, 2), (3, 0, 3)];
        assert_eq!(
            pick(Rule::WeightedLeastConnection, &same_for_the_weight),
            Some(0)
        );
    }

    #[test]
    fn only_wlc_looks_at_the_weight() {
        let destinations = [(2, 0, 1), (3, 0, 2)];
        assert_eq!(pick(Rule::LeastConnection, &destinations), Some(0));
        assert_eq!(pick(Rule::WeightedLeastConnection, &destinations), Some(1));
    }

    #[test]
    fn products_beyond_64_bits_are_compared_exactly() {
        let heavy = u32::MAX;
        assert_eq!(
            pick(
                Rule::WeightedLeastConnection,
                &[(heavy, 1, heavy), (heavy, 0, heavy)]
            ),
            Some(1)
        );
        for (overhead, weight) in [(u64::from(heavy) << 8, heavy), (1 << 40, 1 << 31), (7, 9)] {
            let (high, low) = product(overhead, weight);
            let exact = u128::from(overhead) * u128::from(weight);
            assert_eq!((u128::from(high) << 32) | u128::from(low), exact);
        }
    }
}
