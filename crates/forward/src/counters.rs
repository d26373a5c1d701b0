//! Connections and packets, counted.

use abi::{DestinationCell, Globals, LoadCell, Reason, StatsCell, destination_flags};
use conntable::{Died, Direction, Kind};

use crate::connection::Chosen;
use crate::family::Family;
use crate::host::{Host, Tables, connections};
use crate::packet::Packet;
use crate::state::is_active;

/// Takes a connection that ended out of its destination's counters, and from the template that it
/// went by. To be called exactly once for each [`Died`].
#[inline(always)]
pub(crate) fn settle_death<'t, F: Family, T: Tables<'t>>(tables: T, globals: &Globals, died: Died) {
    connections::<F, T>(tables, globals).release(died.control);
    let (Some(load), Some(destination)) = (
        tables.load(died.destination),
        tables.destination(died.destination),
    ) else {
        return;
    };
    if died.kind == Kind::Connection as u8 {
        count(load, is_active(died.protocol, died.state), -1);
        update_overload(destination, load);
    } else if died.kind == Kind::Template as u8 {
        load.persistent.add(u32::MAX);
    }
}

/// A connection was made in a state.
#[inline(always)]
pub(crate) fn connection_made(destination: &DestinationCell, load: &LoadCell, active: bool) {
    count(load, active, 1);
    update_overload(destination, load);
}

/// Marks a destination that has reached its upper threshold, and unmarks it below the lower.
#[inline(always)]
fn update_overload(destination: &DestinationCell, load: &LoadCell) {
    let upper = destination.upper_threshold.load();
    let was = load.overloaded.load();
    if upper == 0 && was == 0 {
        return;
    }
    let total = load.active.load() as u64 + load.inactive.load() as u64;
    let lower = destination.lower_threshold.load();
    let is = sched::threshold::overloaded(total, upper, lower, was != 0) as u32;
    if is != was {
        load.overloaded.store(is);
    }
}

/// A connection has become active, or inactive.
#[inline(always)]
pub(crate) fn state_changed(load: &LoadCell, is_active: bool) {
    count(load, !is_active, -1);
    count(load, is_active, 1);
}

#[inline(always)]
fn count(load: &LoadCell, active: bool, by: i32) {
    let cell = if active { &load.active } else { &load.inactive };
    cell.add(by as u32);
}

/// This processor's statistics of a destination, where it is in its service.
#[inline(always)]
fn stats<'t, T: Tables<'t>>(
    tables: T,
    processor: u32,
    globals: &Globals,
    destination: &DestinationCell,
    number: u32,
) -> Option<&'t StatsCell> {
    if destination.flags.load() & destination_flags::AVAILABLE == 0 {
        return None;
    }
    tables.stats(processor * globals.destinations.load() + number)
}

/// A connection was scheduled to a destination.
#[inline(always)]
pub(crate) fn scheduled<'t, T: Tables<'t>>(
    tables: T,
    processor: u32,
    globals: &Globals,
    chosen: &Chosen<'t>,
) {
    tables.count(processor, Reason::NewConnection as u32);
    if let Some(stats) = stats(tables, processor, globals, chosen.cell, chosen.number) {
        stats.connections.bump(1);
    }
}

/// A packet of a connection.
#[inline(always)]
pub(crate) fn packet<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    chosen: &Chosen<'t>,
    packet: &Packet<F>,
    direction: Direction,
) {
    let (tables, processor) = (host.tables(), host.processor());
    let Some(stats) = stats(tables, processor, globals, chosen.cell, chosen.number) else {
        return;
    };
    let (packets, bytes) = packet.size(host);
    let (packet_count, byte_count) = match direction {
        Direction::ToServer => (&stats.in_packets, &stats.in_bytes),
        Direction::ToClient => (&stats.out_packets, &stats.out_bytes),
    };
    packet_count.bump(packets as u64);
    byte_count.bump(bytes as u64);
}
