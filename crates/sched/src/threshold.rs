//! Connection thresholds (`ipvsadm -x` and `-y`): when a destination counts as overloaded.

/// Whether a destination is overloaded: `ip_vs_dest_update_overload`.
///
/// `total` counts its active and inactive connections, and `was` is what this said last. From
/// `upper` on it is overloaded, below `lower` it is not, and in between it stays what it was. An
/// `upper` of 0 is no limit; a `lower` of 0 means three quarters of `upper`, rounded up.
///
/// To be asked again after a connection was made, after one ended, and where the thresholds were
/// edited. (Kernels before 2026 looked at the upper limit on the next connection only, and an edit
/// to a higher one cleared the mark.)
#[inline(always)]
pub const fn overloaded(total: u64, upper: u32, lower: u32, was: bool) -> bool {
    if upper == 0 {
        return false;
    }
    let lower = if lower == 0 {
        upper - (upper >> 2)
    } else {
        lower
    };
    total >= upper as u64 || (was && total >= lower as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_that_reaches_the_upper_limit_sets_the_mark() {
        assert!(!overloaded(9, 10, 5, false));
        assert!(overloaded(10, 10, 5, false));
        assert!(overloaded(11, 10, 5, false));
    }

    #[test]
    fn the_mark_stays_until_the_lower_limit_is_undercut() {
        assert!(overloaded(5, 10, 5, true));
        assert!(!overloaded(4, 10, 5, true));
    }

    #[test]
    fn without_a_lower_limit_the_mark_goes_below_three_quarters() {
        for (upper, last_overloaded) in [(1, 1), (2, 2), (4, 3), (5, 4), (10, 8)] {
            assert!(overloaded(last_overloaded, upper, 0, true), "{upper}");
            assert!(!overloaded(last_overloaded - 1, upper, 0, true), "{upper}");
        }
    }

    #[test]
    fn without_an_upper_limit_nothing_is_overloaded() {
        assert!(!overloaded(u64::MAX, 0, 0, true));
        assert!(!overloaded(u64::MAX, 0, 7, true));
    }
}
