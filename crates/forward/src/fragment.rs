//! Fragments: the first by its ports, later ones by the first's decision.

use abi::{FragmentKey, FragmentValue, Reason, Tick};
use conntable::{Direction, Found, Handle, SlotV4};

use crate::connection::Chosen;
use crate::counters;
use crate::host::{Host, Tables, connections};
use crate::nat;
use crate::packet::Packet;
use crate::route;
use crate::verdict::{Step, Verdict, verdict};

/// Seconds for which a first fragment's decision counts: the kernel's `ipfrag_time`.
const MEMORY_SECONDS: u32 = 30;
/// [`FragmentValue::direction`] of a datagram that was passed up the stack.
const PASSED: u32 = 2;

#[inline(always)]
fn key(packet: &Packet) -> FragmentKey {
    FragmentKey {
        source: packet.ip.source(),
        destination: packet.ip.destination(),
        identification: packet.ip.identification(),
        protocol: packet.ip.protocol() as u16,
    }
}

/// Keeps a first fragment's connection for the later ones.
#[inline(never)]
pub(crate) fn remember<'t, H: Host<'t>>(
    host: &H,
    packet: &Packet,
    found: &Found<'t, SlotV4>,
    direction: Direction,
    now: Tick,
) {
    let value = FragmentValue {
        connection: found.handle().0,
        direction: matches!(direction, Direction::ToClient) as u32,
        tick: now,
    };
    host.tables().remember_fragment(&key(packet), &value);
}

/// Keeps that a first fragment went up the stack, so that the later ones do.
#[inline(never)]
pub(crate) fn remember_pass<'t, H: Host<'t>>(host: &H, packet: &Packet, now: Tick) {
    let value = FragmentValue {
        direction: PASSED,
        tick: now,
        ..FragmentValue::default()
    };
    host.tables().remember_fragment(&key(packet), &value);
}

/// A fragment without ports.
#[inline(never)]
pub(crate) fn follow<'t, H: Host<'t>>(host: &mut H, packet: &Packet) -> Verdict {
    verdict(try_follow(host, packet))
}

#[inline(always)]
fn try_follow<'t, H: Host<'t>>(host: &mut H, packet: &Packet) -> Step<Verdict> {
    let tables = host.tables();
    let globals = tables.globals().ok_or(Reason::TableMissing)?;
    let now = host.now(globals);
    let memory = MEMORY_SECONDS * globals.ticks_per_second.load();
    let first = tables
        .fragment(&key(packet))
        .filter(|first| now.wrapping_sub(first.tick) <= memory)
        .ok_or(Reason::FragmentBeforeFirst)?;
    if first.direction == PASSED {
        return Err(Reason::NoConnection);
    }
    let found = connections(tables, globals)
        .at(Handle(first.connection), now)
        .ok_or(Reason::FragmentBeforeFirst)?;
    let chosen = Chosen::by_number(tables, found.entry.destination())?;
    let (direction, way) = if first.direction == 0 {
        (
            Direction::ToServer,
            route::by_index(tables, chosen.cell.next_hop.load()),
        )
    } else {
        (
            Direction::ToClient,
            route::to_client(tables, globals, found.entry),
        )
    };
    if let Some(reason) = route::obstacle(host, packet, &way) {
        return Err(reason);
    }
    counters::packet(host, chosen.cell, chosen.number, packet, direction);
    nat::rewrite_header(host, packet, found.entry, direction)?;
    route::leave(host, packet, &way).ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::send(Reason::FragmentForwarded))
}
