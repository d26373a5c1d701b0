//! What lblc and lblcr (`ip_vs_lblc.c`, `ip_vs_lblcr.c`) have in common: connections to one virtual
//! address stay with one destination, or a few, so that caches behind a firewall mark fill well.
//!
//! Who serves an address stands in a table by service and virtual address. A destination is left
//! when it is *overfull* while somebody *has room*. Overload by thresholds is another matter: see
//! [`crate::threshold`].

use crate::least::Load;

/// Seconds after which an entry that was not used may go (`lblc_expiration`), and after which an
/// unchanged set of lblcr loses a member (`lblcr_expiration`), unless they are set otherwise.
pub const EXPIRATION: u32 = 24 * 60 * 60;

/// Seconds between two looks at the table.
pub const CHECK_INTERVAL: u32 = 60;

/// The look at the table that removes what was not used for [`EXPIRATION`]: every 30th.
pub const FULL_CHECK: u32 = 30;

/// Entries that a service's table may have. Where it has more, the other looks remove some of
/// those that were not used for [`IDLE`]: see [`surplus`].
pub const MAX_ENTRIES: u32 = 16 * 1024;

/// Seconds after which an entry may go where the table is too large.
pub const IDLE: u32 = 6 * 60;

/// Whether a destination has more active connections than its weight.
#[inline(always)]
pub const fn is_overfull(load: Load) -> bool {
    load.active > load.weight
}

/// Whether a destination has fewer active connections than half its weight. Its weight counts as it
/// was configured, whether the destination is overloaded by thresholds or not.
#[inline(always)]
pub const fn has_room(load: Load) -> bool {
    (load.active as u64) * 2 < load.weight as u64
}

/// Whether a span of ticks has passed since `then`. Right as long as less than half of the ticks'
/// range has passed.
#[inline(always)]
pub const fn has_passed(now: u32, then: u32, span: u32) -> bool {
    now.wrapping_sub(then.wrapping_add(span)) as i32 >= 0
}

/// How many idle entries a look removes from a table with this many.
pub const fn surplus(entries: u32) -> u32 {
    let beyond = entries.saturating_sub(MAX_ENTRIES) as u64 * 4 / 3;
    let most = MAX_ENTRIES / 2;
    if beyond < most as u64 {
        beyond as u32
    } else {
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_passes_also_where_the_tick_wraps() {
        assert!(!has_passed(99, 0, 100));
        assert!(has_passed(100, 0, 100));
        assert!(!has_passed(93, u32::MAX - 5, 100));
        assert!(has_passed(94, u32::MAX - 5, 100));
    }

    #[test]
    fn a_table_is_thinned_by_a_third_more_than_it_is_too_large_up_to_half_of_its_size() {
        assert_eq!(surplus(MAX_ENTRIES), 0);
        assert_eq!(surplus(MAX_ENTRIES + 300), 400);
        assert_eq!(surplus(u32::MAX), MAX_ENTRIES / 2);
    }

    #[test]
    fn the_largest_counts_of_connections_leave_no_room() {
        let load = |active, weight| Load {
            weight,
            active,
            inactive: 0,
        };
        assert!(!has_room(load(1 << 31, 1)) && is_overfull(load(1 << 31, 1)));
        assert!(!has_room(load(1, 2)) && has_room(load(0, 1)));
        assert!(!is_overfull(load(2, 2)));
    }
}
