//! The destination with the least load: lc and wlc.
//!
//! A caller goes through the list once and keeps the best so far:
//!
//! ```
//! use sched::least::{Candidate, overhead};
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
//!     .reduce(|best, next| next.or_better(best));
//! assert_eq!(best.map(|best| best.number), Some(1));
//! ```

/// A destination's load (`ip_vs_dest_conn_overhead`): an active connection counts 256 times. In 32
/// bits as in the kernel, so that a product with a weight fits 64.
#[inline(always)]
pub const fn overhead(active: u32, inactive: u32) -> u32 {
    (active << 8).wrapping_add(inactive)
}

/// A destination that may take the connection: its weight is above 0, and it is not overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The caller's name for it.
    pub number: u32,
    /// Its weight for wlc, not 0; 1 for lc, which does not look at weights.
    pub weight: u32,
    /// Its load: see [`overhead`].
    pub overhead: u32,
}

impl Candidate {
    /// This candidate where it is better than `best`, else `best`. Of equals, `best` stays: it
    /// comes earlier in the list.
    #[inline(always)]
    pub fn or_better(self, best: Self) -> Self {
        // overhead / weight without a division, as in `ip_vs_wlc_schedule`.
        let is_less =
            self.overhead as u64 * (best.weight as u64) < best.overhead as u64 * self.weight as u64;
        if is_less { self } else { best }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(destinations: &[(u32, u32, u32)]) -> Option<u32> {
        (0..)
            .zip(destinations)
            .map(|(number, &(active, inactive, weight))| Candidate {
                number,
                weight,
                overhead: overhead(active, inactive),
            })
            .reduce(|best, next| next.or_better(best))
            .map(|best| best.number)
    }

    #[test]
    fn an_active_connection_weighs_as_much_as_256_inactive_ones() {
        assert_eq!(pick(&[(1, 0, 1), (0, 255, 1)]), Some(1));
        assert_eq!(pick(&[(0, 257, 1), (1, 0, 1)]), Some(1));
    }

    #[test]
    fn of_equals_the_earlier_in_the_list_is_picked() {
        assert_eq!(pick(&[(1, 0, 1), (0, 256, 1)]), Some(0));
        assert_eq!(pick(&[(1, 0, 1), (2, 0, 2), (3, 0, 3)]), Some(0));
    }

    #[test]
    fn a_heavier_destination_may_have_more_connections() {
        assert_eq!(pick(&[(2, 0, 1), (3, 0, 1)]), Some(0));
        assert_eq!(pick(&[(2, 0, 1), (3, 0, 2)]), Some(1));
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let heavy = i32::MAX as u32;
        assert_eq!(pick(&[(1 << 20, 1, heavy), (1 << 20, 0, heavy)]), Some(1));
    }
}
