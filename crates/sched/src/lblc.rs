//! Locality-based least-connection, lblc (`ip_vs_lblc.c`): one destination to a virtual address.
//!
//! A connection whose virtual address has an entry goes to the entry's destination while
//! [`keeps`] says so. Else wlc chooses, and its choice becomes the entry.

use crate::least::Load;
use crate::locality::is_overfull;

/// What an entry of the table holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the destination.
    pub destination: u32,
    /// Tick of the last connection.
    pub used: u32,
}

/// Whether a connection goes to the destination of its virtual address's entry.
///
/// `load` is the destination's, with its configured weight: overload by thresholds does not count
/// here. `is_available` says that it still belongs to the service. `somebody_has_room` is asked
/// only if need be: whether any destination of the service [has room](crate::locality::has_room).
#[inline(always)]
pub fn keeps(load: Load, is_available: bool, somebody_has_room: impl FnOnce() -> bool) -> bool {
    is_available && load.weight > 0 && !(is_overfull(load) && somebody_has_room())
}
