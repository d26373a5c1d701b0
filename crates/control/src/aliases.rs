//! Aliases and what they stand for: connections of either table.

use abi::{Tick, method};
use conntable::{Bucket, Found, Handle, Kind, OTHER_FAMILY, Slot, Table};

use crate::Plane;
use crate::connections::Listed;

/// Whether the connection that an alias of this family names is still there.
pub(crate) fn holds<S: Listed>(plane: &impl Plane, main: u64) -> bool {
    let (handle, now) = (Handle(main & !OTHER_FAMILY), plane.now());
    let is_v6 = S::IS_V6 != (main & OTHER_FAMILY != 0);
    if is_v6 {
        let buckets = plane.connections_v6();
        Table::new(buckets, buckets.len() as u32).holds(handle, now)
    } else {
        let buckets = plane.connections();
        Table::new(buckets, buckets.len() as u32).holds(handle, now)
    }
}

/// The alias of an entry, where it is a connection that has one in the same table. One in the other
/// table is left to the next sweep.
pub(crate) fn of<'t, S: Slot>(
    table: &Table<&'t [Bucket<S>]>,
    entry: &S,
    now: Tick,
) -> Option<Found<'t, S>> {
    let is_lent = entry.load().kind == Kind::Connection as u8 && entry.method() == method::FULLNAT;
    let hop = entry.client_hop().load();
    let alias = table.at(Handle(hop), now);
    alias.filter(|alias| {
        is_lent && hop & OTHER_FAMILY == 0 && alias.entry.load().kind == Kind::Alias as u8
    })
}
