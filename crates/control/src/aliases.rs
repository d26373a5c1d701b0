//! Aliases and what they stand for: connections of either table.

use abi::{Tick, method};
use conntable::{Bucket, Found, Kind, Name, Position, Slot, Table};

use crate::Plane;
use crate::connections::{Listed, table};

/// Whether the connection that an alias of this family, at its position, names is still there.
pub(crate) fn holds<S: Listed>(plane: &impl Plane, main: Name, alias: Position) -> bool {
    if S::IS_V6 != main.is_of_other_family() {
        table(plane.connections_v6()).holds(main, alias, plane.now())
    } else {
        table(plane.connections()).holds(main, alias, plane.now())
    }
}

/// The alias of an entry, where it is a connection that has one in the same table. One in the other
/// table is left to the next sweep.
pub(crate) fn of<'t, S: Slot>(
    table: &Table<&'t [Bucket<S>]>,
    of: &Found<'t, S>,
    now: Tick,
) -> Option<Found<'t, S>> {
    let entry = of.entry;
    let is_lent = entry.load().kind == Kind::Connection as u8 && entry.method() == method::FULLNAT;
    let name = Name(entry.client_hop().load());
    if !is_lent || name.is_of_other_family() {
        return None;
    }
    table.partner(name, of.position, now)
}
