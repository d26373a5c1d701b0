//! Fragments: the first by its ports, later ones by the first's decision.

use abi::{FragmentValue, Globals, Reason, Tick, method};
use conntable::{Direction, Entry as _, Found, Handle, Slot as _};
use wire::ipv4;

use crate::connection::{Chosen, find, query_of};
use crate::counters;
use crate::cut;
use crate::family::{self, Family};
use crate::fullnat;
use crate::host::{Host, connections};
use crate::lookup::{self, Role};
use crate::nat;
use crate::onward::{Passage, onward};
use crate::open;
use crate::packet::{Fragment, Packet, Ports};
use crate::route;
use crate::tunnel;
use crate::verdict::{Step, Verdict};

/// Seconds for which a first fragment's decision counts: the kernel's `ipfrag_time`.
const MEMORY_SECONDS: u32 = 30;
/// [`FragmentValue::direction`] of a datagram that was passed up the stack.
const PASSED: u32 = 2;
/// What a fragment without ports has instead of them.
const NO_PORTS: Ports = Ports {
    source: 0,
    destination: 0,
    flags: 0,
};

/// Keeps a first fragment's decision for the later ones.
#[inline(always)]
pub(crate) fn remember<'t, F: Family, H: Host<'t>>(
    host: &H,
    packet: &Packet<F>,
    found: &Found<'t, F::Slot>,
    direction: Direction,
    now: Tick,
) {
    let value = FragmentValue {
        connection: found.handle().0,
        direction: direction as u32,
        tick: now,
    };
    F::remember_fragment(host.tables(), packet, &value);
}

/// Keeps that a first fragment was passed up the stack.
#[inline(always)]
pub(crate) fn remember_pass<'t, F: Family, H: Host<'t>>(host: &H, packet: &Packet<F>, now: Tick) {
    let value = FragmentValue {
        direction: PASSED,
        tick: now,
        ..FragmentValue::default()
    };
    F::remember_fragment(host.tables(), packet, &value);
}

/// The stage.
#[inline(always)]
pub(crate) fn fragment<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    let role = lookup::role(host, globals, &packet)?;
    packet.check(host)?;
    if packet.fragment == Fragment::LATER {
        return follow(host, globals, &packet, now);
    }
    match packet.protocol {
        ipv4::TCP | ipv4::UDP => first(host, globals, &packet, (role, now)),
        protocol if protocol == F::ICMP => Err(Reason::IcmpOther),
        _ => Err(Reason::NoService),
    }
}

/// A fragment with ports.
#[inline(always)]
fn first<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    packet: &Packet<F>,
    (role, now): (Role, Tick),
) -> Step<Verdict> {
    if role.direction == Direction::ToServer {
        return open::hand_over::<F, H>(host, false);
    }
    if role.is_lent {
        return Ok(Verdict::go_on(F::RETURN));
    }
    let ports = &packet.ports(host)?;
    let query = query_of(packet, ports, role);
    let Some(found) = find::<F, _>(host.tables(), globals, &query, now) else {
        remember_pass(host, packet, now);
        return Err(Reason::NoConnection);
    };
    let passage = Passage {
        packet,
        ports,
        role,
        now,
        is_first: false,
    };
    onward::<F, H, false>(host, globals, &passage, &found)
}

/// A fragment without ports.
#[inline(always)]
fn follow<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    packet: &Packet<F>,
    now: Tick,
) -> Step<Verdict> {
    let tables = host.tables();
    let memory = MEMORY_SECONDS * globals.ticks_per_second.load();
    let first = F::fragment(tables, packet)
        .filter(|first| now.wrapping_sub(first.tick) <= memory)
        .ok_or(Reason::FragmentBeforeFirst)?;
    if first.direction == PASSED {
        return Err(Reason::NoConnection);
    }
    let found = connections::<F, _>(tables, globals)
        .at(Handle(first.connection), now)
        .ok_or(Reason::FragmentBeforeFirst)?;
    let (slot, method) = (found.entry, found.entry.method());
    let chosen = Chosen::by_number(tables, slot.load().destination)?;
    let is_translated = method == method::MASQUERADE;
    let ends = (slot, &chosen);
    let (direction, way) = if first.direction == 0 {
        let direction = Direction::ToServer;
        if chosen.is_local() {
            counters::packet(host, globals, &chosen, packet, direction);
            if is_translated {
                nat::rewrite_header(host, packet, ends, (direction, false))?;
            }
            return Ok(Verdict::stay(Reason::DeliveredHere));
        }
        (
            direction,
            route::by_index(tables, chosen.cell.next_hop.load()),
        )
    } else {
        let way = if method == method::FULLNAT {
            // Its entry keeps something else where others keep their way.
            route::to_address::<F, H>(host, slot.client())
        } else {
            route::to_client::<F, H>(host, globals, slot)
        };
        (Direction::ToClient, way)
    };
    let is_tunnelled = method == method::TUNNEL && first.direction == 0;
    let overhead = if is_tunnelled {
        tunnel::overhead(&chosen)
    } else {
        0
    };
    let obstacle = route::obstacle(host, packet, &way, (direction, overhead));
    if let Some(reason) = obstacle
        && (F::IS_V6 || reason != Reason::CannotFragment || method == method::FULLNAT)
    {
        return Err(reason);
    }
    counters::packet(host, globals, &chosen, packet, direction);
    if obstacle.is_some() {
        return cut::hand_over(host, Handle(first.connection), direction);
    }
    if is_tunnelled {
        return tunnel::hand_over(host, packet, &NO_PORTS, &chosen);
    }
    if method == method::FULLNAT {
        fullnat::rewrite_header(host, packet, (globals, now), &found, direction)?;
    } else if is_translated {
        nat::rewrite_header(host, packet, ends, (direction, true))?;
    } else {
        nat::count_down(host, packet)?;
    }
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::send(Reason::FragmentForwarded))
}
