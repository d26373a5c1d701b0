//! Destination hashing, dh (`ip_vs_dh.c`): the address that the client asked for decides.
//!
//! Each of 256 slots belongs to one destination, in list order and whatever the weights. Where that
//! one may not take a connection (weight 0, overloaded), nobody does.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::address::Address;
use crate::hash;

/// Slots of a table (`IP_VS_DH_TAB_SIZE`).
pub const SLOTS: u32 = 256;

/// The slot of a connection to `virtual_address`, below [`SLOTS`].
#[inline(always)]
pub const fn slot(virtual_address: Address) -> u32 {
    hash::to_8_bits(virtual_address.fold())
}

/// The table of a service with this many destinations: an index into the list of destinations for
/// each slot, or nothing where there are no destinations.
///
/// To be laid out anew when a destination comes or goes.
#[cfg(feature = "alloc")]
pub fn fill(destinations: u32) -> Vec<u32> {
    (0..destinations).cycle().take(SLOTS as usize).collect()
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;

    #[test]
    fn every_destination_gets_its_share_and_none_means_no_table() {
        let table = fill(3);
        assert_eq!(table.len(), 256);
        assert_eq!(table[..4], [0, 1, 2, 0]);
        assert_eq!(fill(0), []);
        assert_eq!(fill(300).len(), 256, "the last 44 get nothing");
    }
}
