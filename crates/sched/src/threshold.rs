//! Connection thresholds (`ipvsadm -x` and `-y`): when a destination counts as overloaded.
//!
//! The mark is set when a connection is made and cleared when one ends; between the two limits it
//! stays as it was. An overloaded destination gets no new connections from a scheduler.

/// Whether a destination is overloaded once a connection has been made.
///
/// `total` counts its active and inactive connections, the new one included; an `upper` of 0 means
/// no limit. `was` is the mark so far.
#[inline(always)]
pub const fn after_making(total: u64, upper: u32, was: bool) -> bool {
    was || (upper != 0 && total >= upper as u64)
}

/// Whether a destination is still overloaded once a connection has ended.
///
/// `total` counts the connections that are left. The mark goes below `lower`, or, where that is 0,
/// below three quarters of `upper`; without limits it goes at once.
#[inline(always)]
pub const fn after_ending(total: u64, upper: u32, lower: u32, was: bool) -> bool {
    let relieved = if lower != 0 {
        total < lower as u64
    } else if upper != 0 {
        total * 4 < upper as u64 * 3
    } else {
        true
    };
    was && !relieved
}

/// Whether a destination is still overloaded once its upper limit was edited from `old` to `new`:
/// a limit that was lifted or taken away ends it, whatever the number of connections.
#[inline(always)]
pub const fn after_edit(old: u32, new: u32, was: bool) -> bool {
    was && new != 0 && new <= old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_that_reaches_the_upper_limit_sets_the_mark() {
        assert!(!after_making(9, 10, false));
        assert!(after_making(10, 10, false));
        assert!(after_making(11, 10, false));
        assert!(!after_making(1_000_000, 0, false));
    }

    #[test]
    fn the_mark_stays_until_the_lower_limit_is_undercut() {
        assert!(after_making(6, 10, true));
        assert!(after_ending(5, 10, 5, true));
        assert!(!after_ending(4, 10, 5, true));
        assert!(!after_ending(9, 10, 5, false));
    }

    #[test]
    fn without_a_lower_limit_the_mark_goes_below_three_quarters() {
        assert!(after_ending(8, 10, 0, true));
        assert!(!after_ending(7, 10, 0, true));
        assert!(after_ending(3, 4, 0, true));
        assert!(!after_ending(2, 4, 0, true));
    }

    #[test]
    fn without_limits_the_mark_goes_with_the_next_ending_connection() {
        assert!(!after_ending(1_000, 0, 0, true));
    }

    #[test]
    fn only_a_lifted_limit_ends_the_overload_by_an_edit() {
        assert!(!after_edit(10, 11, true));
        assert!(!after_edit(10, 0, true));
        assert!(after_edit(10, 10, true));
        assert!(after_edit(10, 5, true));
        assert!(!after_edit(10, 5, false));
    }
}
