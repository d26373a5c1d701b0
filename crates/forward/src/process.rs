//! The way of a packet from its arrival to its verdict.

use abi::{Globals, Reason, Tick, address_flags, destination_flags};
use conntable::{Direction, Found, Handle, SlotV4};
use wire::{ipv4, tcp};

use crate::connection::{self, ABSENT, Chosen, Question, query_of};
use crate::host::{Host, Tables, connections};
use crate::opening::{self, Opening};
use crate::packet::{Packet, Ports, parse};
use crate::route;
use crate::state::is_reusable;
use crate::verdict::{Action, Step, Verdict, verdict};
use crate::{answer, counters, fragment, lookup, nat, relay, sweep};

/// Decides over a packet and rewrites it accordingly.
#[inline(always)]
pub fn process<'t, H: Host<'t>>(host: &mut H) -> Verdict {
    let verdict = match parse(host) {
        Ok(mut packet) => {
            let verdict = verdict(decide(host, &mut packet));
            answer::instead(host, &packet, verdict)
        }
        Err(reason) => Verdict::stay(reason),
    };
    // What a hook passes up, the complete one sees again and counts.
    if H::COMPLETE || verdict.action() != Action::Pass {
        host.count_number(verdict.reason_number());
    }
    verdict
}

#[inline(always)]
fn decide<'t, H: Host<'t>>(host: &mut H, packet: &mut Packet) -> Step<Verdict> {
    let globals = host.tables().globals().ok_or(Reason::TableMissing)?;
    let Some(direction) = whose(host, packet)? else {
        return relay::about_unknown_source(host, packet);
    };
    packet.check(host)?;
    let now = host.now(globals);
    sweep::some(host, now);
    if packet.ip.is_fragment() && !H::COMPLETE {
        return Err(Reason::ToStack);
    }
    if packet.ip.is_later_fragment() {
        return Ok(fragment::follow(host, packet));
    }
    match packet.ip.protocol() {
        ipv4::TCP | ipv4::UDP => balance(host, globals, packet, direction, now),
        ipv4::ICMP => relay::relay(host, packet, direction),
        _ => Err(Reason::NoService),
    }
}

/// Whether a packet may concern the director, and which way it would go. `None` for an ICMP
/// message of a host in between, which only the packet embedded in it can tell.
#[inline(never)]
fn whose<'t, H: Host<'t>>(host: &H, packet: &Packet) -> Step<Option<Direction>> {
    let tables = host.tables();
    let globals = tables.globals().ok_or(Reason::TableMissing)?;
    let flags = lookup::address_flags(tables, globals, packet.ip.destination());
    if flags & address_flags::VIRTUAL != 0 {
        if flags & address_flags::LOCAL == 0 {
            return Err(Reason::AddressNotLocal);
        }
        return Ok(Some(Direction::ToServer));
    }
    let flags = lookup::address_flags(tables, globals, packet.ip.source());
    if flags & address_flags::REAL != 0 {
        return Ok(Some(Direction::ToClient));
    }
    if packet.ip.protocol() == ipv4::ICMP && H::COMPLETE {
        return Ok(None);
    }
    Err(Reason::NotOurs)
}

/// A TCP segment or UDP datagram to a virtual service or from a real server.
#[inline(always)]
fn balance<'t, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    packet: &mut Packet,
    direction: Direction,
    now: Tick,
) -> Step<Verdict> {
    let ports = packet.ports(host)?;
    let query = query_of(packet, &ports, direction);
    let tables = host.tables();
    let mut handle = tables.find(Question::of(&query), now);
    if direction == Direction::ToServer {
        if handle != ABSENT && is_over(host, globals, Handle(handle), &ports, now) {
            handle = ABSENT;
        }
        if handle == ABSENT {
            let opening = Opening::of(&query, &ports);
            match opening::open(tables, opening, now, host.processor()) {
                Ok(made) => handle = made.0,
                Err(reason) => return Ok(turned_away(host, packet, reason, now)),
            }
        }
    }
    if handle == ABSENT {
        return Ok(turned_away(host, packet, Reason::NoConnection as u32, now));
    }
    Ok(existing(host, packet, &ports, direction, Handle(handle)))
}

/// A packet that belongs to no connection and opens none.
#[inline(never)]
fn turned_away<'t, H: Host<'t>>(host: &H, packet: &Packet, reason: u32, now: Tick) -> Verdict {
    let verdict = Verdict::stay_for(reason);
    if packet.ip.is_fragment() && verdict.action() == Action::Pass {
        fragment::remember_pass(host, packet, now);
    }
    verdict
}

/// Ends a connection where a client's packet opens it anew, or where the destination is gone and
/// `expire_nodest_conn` says to forget it. Whether it did.
#[inline(always)]
fn is_over<'t, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    handle: Handle,
    ports: &Ports,
    now: Tick,
) -> bool {
    let opens = ports.flags & tcp::SYN != 0;
    let forgets = globals.expire_nodest_conn.load() != 0;
    if !opens && !forgets {
        return false;
    }
    let tables = host.tables();
    let Some(found) = connections(tables, globals).at(handle, now) else {
        return true;
    };
    let word = found.word;
    let opens_anew =
        opens && is_reusable(globals.conn_reuse_mode.load(), word.state(), word.one_way());
    if opens_anew {
        host.count(Reason::ConnectionReused);
    }
    let is_over = opens_anew || forgets && !is_available(tables, &found);
    if is_over {
        connection::end(host, &found);
    }
    is_over
}

#[inline(always)]
fn is_available<'t, T: Tables<'t>>(tables: T, found: &Found<'t, SlotV4>) -> bool {
    tables
        .destination(found.entry.destination())
        .is_some_and(|cell| cell.flags.load() & destination_flags::AVAILABLE != 0)
}

/// A packet of a connection that is there.
#[inline(never)]
fn existing<'t, H: Host<'t>>(
    host: &mut H,
    packet: &mut Packet,
    ports: &Ports,
    direction: Direction,
    handle: Handle,
) -> Verdict {
    verdict(try_existing(host, packet, ports, direction, handle))
}

#[inline(always)]
fn try_existing<'t, H: Host<'t>>(
    host: &mut H,
    packet: &mut Packet,
    ports: &Ports,
    direction: Direction,
    handle: Handle,
) -> Step<Verdict> {
    let tables = host.tables();
    let globals = tables.globals().ok_or(Reason::TableMissing)?;
    let now = host.now(globals);
    let found = &connections(tables, globals)
        .at(handle, now)
        .ok_or(Reason::NoConnection)?;
    let chosen = Chosen::by_number(tables, found.entry.destination())?;
    let way = match direction {
        Direction::ToServer if !is_available(tables, found) => {
            return Err(Reason::DestinationUnavailable);
        }
        Direction::ToServer => route::by_index(tables, chosen.cell.next_hop.load()),
        Direction::ToClient => route::to_client(tables, globals, found.entry),
    };
    let obstacle = route::obstacle(host, packet, &way);
    if obstacle.is_some() && !H::COMPLETE {
        return Err(Reason::ToStack);
    }
    connection::advance(host, globals, found, chosen.load, direction, ports.flags);
    counters::packet(host, chosen.cell, chosen.number, packet, direction);
    if packet.ip.is_fragment() {
        fragment::remember(host, packet, found, direction, now);
    }
    if let Some(reason) = obstacle {
        packet.mtu = way.mtu();
        return Err(reason);
    }
    nat::rewrite(host, packet, ports, found.entry, direction)?;
    let reason = match direction {
        Direction::ToServer => Reason::Forwarded,
        Direction::ToClient => Reason::Replied,
    };
    route::leave(host, packet, &way).ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::send(reason))
}
