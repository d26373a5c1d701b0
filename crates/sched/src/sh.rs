//! Source hashing, sh (`ip_vs_sh.c`): the client's address decides, and with the flag sh-port its
//! port too.
//!
//! The 256 slots belong to the destinations by turns, in list order, a turn as long as the weight.
//! Where a slot's destination may not take a connection, nobody does, or with the flag sh-fallback
//! the next slots are tried, from [`fallback_slot`] on.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::address::Address;
use crate::hash;

/// Slots of a table (`IP_VS_SH_TAB_SIZE`).
pub const SLOTS: u32 = 256;

/// The slot of a client's connection, below [`SLOTS`]. `port` is in network order: the client's
/// with sh-port, else 0, as it is for protocols without ports.
#[inline(always)]
pub const fn slot(client: Address, port: u16) -> u32 {
    hash::to_8_bits((u16::from_be(port) as u32).wrapping_add(client.fold()))
}

/// The slot to try next where the destination at slot `first` may not take the connection.
///
/// `attempt` counts from 0 and ends below [`SLOTS`], by when every slot was tried once.
#[inline(always)]
pub const fn fallback_slot(first: u32, attempt: u32) -> u32 {
    // The kernel adds to the hash an offset that begins at the hash itself.
    first.wrapping_mul(2).wrapping_add(attempt) % SLOTS
}

/// The table of a service whose destinations have these weights: an index into the list for each
/// slot, or nothing where there are no destinations.
///
/// A destination of weight 0 keeps a slot in every turn, as in the kernel: its clients are refused,
/// or fall back. To be laid out anew when a destination comes, goes or changes its weight.
#[cfg(feature = "alloc")]
pub fn fill(weights: &[u32]) -> Vec<u32> {
    let turns = (0..).zip(weights).flat_map(|(index, &weight)| {
        let turn = weight.clamp(1, SLOTS) as usize;
        core::iter::repeat_n(index, turn)
    });
    turns.cycle().take(SLOTS as usize).collect()
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_as_long_as_the_weight_and_never_empty() {
        let table = fill(&[2, 0, 3]);
        assert_eq!(table[..8], [0, 0, 1, 2, 2, 2, 0, 0]);
        assert_eq!(table.len(), 256);
        assert_eq!(fill(&[i32::MAX as u32, 1]), [0; 256]);
        assert_eq!(fill(&[]), []);
    }

    #[test]
    fn falling_back_tries_every_slot_once() {
        for first in [0, 1, 100, 255] {
            let mut tried: Vec<u32> = (0..SLOTS).map(|n| fallback_slot(first, n)).collect();
            assert_eq!(tried[0], 2 * first % 256);
            tried.sort_unstable();
            assert!(tried.into_iter().eq(0..SLOTS));
        }
    }
}
