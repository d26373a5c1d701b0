//! A packet of a connection: its state, its counters, and its way by the forwarding method.

use abi::{Carry, Globals, Reason, Tick, method};
use cell::blurred;
use conntable::{Direction, End, Entry as _, Found, Handle, Kind, Slot as _};

use crate::connection::{self, Chosen};
use crate::counters;
use crate::cut;
use crate::family::{self, Family};
use crate::fragment;
use crate::fullnat;
use crate::handshake;
use crate::host::{Host, connections};
use crate::lookup::Role;
use crate::nat;
use crate::packet::{Fragment, Packet, Ports};
use crate::route::{self, Way};
use crate::tunnel;
use crate::verdict::{Step, Verdict};

/// What is known of a packet when its connection is found.
pub(crate) struct Passage<'p, F: Family> {
    pub packet: &'p Packet<F>,
    pub ports: &'p Ports,
    pub role: Role,
    pub now: Tick,
    /// Whether its connection was just made for it, in the state that follows from it.
    pub is_first: bool,
}

/// Marks the handle of a connection that was just made, which other processors may have made too:
/// it is to be settled. Not at once, as BPF's stack is too small for both.
pub(crate) const UNSETTLED: u64 = 1 << 63;

/// Leaves a packet to the stage that sends it on, with its connection's handle's number.
#[inline(always)]
pub(crate) fn hand_over<'t, F: Family, H: Host<'t>>(
    host: &H,
    handle: u64,
    role: Role,
) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    carry.connection.store(handle);
    carry.direction.store(role.direction as u32);
    carry.end.store(role.end as u32);
    Ok(Verdict::go_on(F::ONWARD))
}

/// The connection that an earlier stage left; of several that were just made for one, that which
/// stays.
#[inline(always)]
pub(crate) fn left<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    carry: &Carry,
    now: Tick,
) -> Step<Found<'t, F::Slot>> {
    let mut handle = carry.connection.load();
    if handle & UNSETTLED != 0 {
        let own = Handle(handle & !UNSETTLED);
        handle = F::settle(host.tables(), own, now, host.processor());
    }
    connections::<F, _>(host.tables(), globals)
        .at(Handle(handle), now)
        .ok_or(Reason::NoConnection)
}

/// The stage: a packet whose connection is found.
#[inline(always)]
pub(crate) fn found<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let ports = packet.ports(host)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let found = left::<F, H>(host, globals, carry, now)?;
    let passage = Passage {
        packet: &packet,
        ports: &ports,
        role: Role::carried(carry),
        now,
        is_first: false,
    };
    through::<F, H>(host, globals, &passage, &found)
}

/// Sends a packet on, which may be a handshake's, or its connection's only one.
#[inline(always)]
pub(crate) fn through<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    found: &Found<'t, F::Slot>,
) -> Step<Verdict> {
    let result = onward::<F, H, true>(host, globals, passage, found);
    end_if_only::<F, H>(host, globals, passage, found);
    result
}

/// Sends on the packet that its connection was just made for, to the real server that was chosen.
#[inline(always)]
pub(crate) fn first<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    (found, chosen): (&Found<'t, F::Slot>, &Chosen<'t>),
) -> Step<Verdict> {
    let result = to_server::<F, H, true>(host, globals, passage, found, chosen);
    end_if_only::<F, H>(host, globals, passage, found);
    result
}

/// Ends a connection whose only packet this was.
#[inline(always)]
fn end_if_only<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    found: &Found<'t, F::Slot>,
) {
    // Later fragments of a datagram still need it, for as long as it would last otherwise.
    let is_whole = passage.packet.fragment == Fragment::NONE;
    if found.entry.load().kind == Kind::OnePacket as u8 && is_whole {
        connection::end::<F, H>(host, globals, found);
    }
}

/// Sends a packet on. Where it may be a handshake's, says so by `HANDSHAKES`.
#[inline(always)]
pub(crate) fn onward<'t, F: Family, H: Host<'t>, const HANDSHAKES: bool>(
    host: &mut H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    found: &Found<'t, F::Slot>,
) -> Step<Verdict> {
    let chosen = Chosen::by_number(host.tables(), found.entry.destination())?;
    match passage.role.direction {
        Direction::ToServer => {
            to_server::<F, H, HANDSHAKES>(host, globals, passage, found, &chosen)
        }
        Direction::ToClient => {
            to_client::<F, H, HANDSHAKES>(host, globals, passage, found, &chosen)
        }
    }
}

#[inline(always)]
fn to_server<'t, F: Family, H: Host<'t>, const HANDSHAKES: bool>(
    host: &mut H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    found: &Found<'t, F::Slot>,
    chosen: &Chosen<'t>,
) -> Step<Verdict> {
    if !chosen.is_available() {
        return Err(Reason::DestinationUnavailable);
    }
    let method = found.entry.method();
    if method == method::FULLNAT {
        return fullnat::hand_over::<F, H>(host, found.handle());
    }
    if chosen.is_local() {
        return deliver(host, globals, passage, found, chosen);
    }
    let packet = passage.packet;
    let way = route::by_index(host.tables(), chosen.cell.next_hop.load());
    let overhead = if method == method::TUNNEL {
        tunnel::overhead(chosen)
    } else {
        0
    };
    let obstacle = note(host, globals, passage, found, chosen, (&way, overhead))?;
    if obstacle != CLEAR {
        return stopped::<F, H>(host, obstacle, found, Direction::ToServer);
    }
    if HANDSHAKES {
        let ends = (chosen, method);
        handshake::clamp(host, packet, passage.ports, ends, Direction::ToServer)?;
    }
    match method {
        method::MASQUERADE => {
            let ends = (found.entry, chosen);
            nat::rewrite(
                host,
                packet,
                passage.ports,
                ends,
                (Direction::ToServer, true),
            )?;
        }
        method::DIRECT_ROUTE => nat::count_down(host, packet)?,
        // At once, where BPF's stack and the verifier's patience allow it.
        method::TUNNEL if !H::COMPLETE && (passage.is_first || !HANDSHAKES) => {
            return tunnel::send(host, globals, (packet, passage.ports), (chosen, &way));
        }
        method::TUNNEL => return tunnel::hand_over(host, packet, passage.ports, chosen),
        _ => return Err(Reason::MethodNotBuilt),
    }
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::send(Reason::Forwarded))
}

#[inline(always)]
fn to_client<'t, F: Family, H: Host<'t>, const HANDSHAKES: bool>(
    host: &mut H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    found: &Found<'t, F::Slot>,
    chosen: &Chosen<'t>,
) -> Step<Verdict> {
    let is_translated = matches!(passage.role.end, End::Server);
    // Nobody but the director has a translated connection's virtual address.
    if is_translated != (found.entry.method() == method::MASQUERADE) {
        return Err(Reason::NoConnection);
    }
    let packet = passage.packet;
    let way = route::to_client::<F, H>(host, globals, found.entry);
    let obstacle = note(host, globals, passage, found, chosen, (&way, 0))?;
    if obstacle != CLEAR {
        return stopped::<F, H>(host, obstacle, found, Direction::ToClient);
    }
    if HANDSHAKES {
        let ends = (chosen, found.entry.method());
        handshake::clamp(host, packet, passage.ports, ends, Direction::ToClient)?;
    }
    let reason = if is_translated {
        let ends = (found.entry, chosen);
        nat::rewrite(
            host,
            packet,
            passage.ports,
            ends,
            (Direction::ToClient, true),
        )?;
        Reason::Replied
    } else {
        nat::count_down(host, packet)?;
        Reason::PassedThrough
    };
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::send(reason))
}

/// Gives a packet to the director's own stack, where a local real server waits for it.
#[inline(always)]
fn deliver<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    found: &Found<'t, F::Slot>,
    chosen: &Chosen<'t>,
) -> Step<Verdict> {
    if !H::COMPLETE {
        return Err(Reason::ToStack);
    }
    let is_translated = found.entry.method() == method::MASQUERADE;
    if is_translated && F::is_loopback(chosen.address::<F>()) {
        return Err(Reason::LocalNat);
    }
    count(host, globals, passage, found, chosen);
    if is_translated {
        let ends = (found.entry, chosen);
        let way = (Direction::ToServer, false);
        nat::rewrite(host, passage.packet, passage.ports, ends, way)?;
    }
    Ok(Verdict::stay(Reason::DeliveredHere))
}

/// Moves the connection and counts the packet; says what is in the packet's way, if anything is: a
/// reason's number, else [`CLEAR`].
#[inline(always)]
pub(crate) fn note<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    found: &Found<'t, F::Slot>,
    chosen: &Chosen<'t>,
    (way, overhead): (&Way<'t>, u32),
) -> Step<u32> {
    let obstacle = route::obstacle(
        host,
        passage.packet,
        way,
        (passage.role.direction, overhead),
    );
    let mut number = CLEAR;
    if H::COMPLETE {
        // The kernel's verifier need not follow the counting for every reason.
        let unknown = found.word.expiry();
        number = blurred(obstacle.map_or(CLEAR, |reason| reason as u32), unknown);
    } else if obstacle.is_some() {
        return Err(Reason::ToStack);
    }
    count(host, globals, passage, found, chosen);
    Ok(number)
}

/// A packet with something in its way. One that is only too large goes on in fragments.
#[inline(always)]
fn stopped<'t, F: Family, H: Host<'t>>(
    host: &H,
    obstacle: u32,
    found: &Found<'t, F::Slot>,
    direction: Direction,
) -> Step<Verdict> {
    if H::COMPLETE && !F::IS_V6 && obstacle == Reason::CannotFragment as u32 {
        return cut::hand_over(host, found.handle(), direction);
    }
    Ok(Verdict::stay_for(obstacle))
}

/// No reason's number.
pub(crate) const CLEAR: u32 = u32::MAX;

#[inline(always)]
fn count<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    passage: &Passage<'_, F>,
    found: &Found<'t, F::Slot>,
    chosen: &Chosen<'t>,
) {
    let (packet, direction) = (passage.packet, passage.role.direction);
    let event = (direction, packet.protocol, passage.ports.flags);
    if !passage.is_first {
        connection::advance::<F, H>(host, globals, found, event, passage.now);
    }
    counters::packet(host, globals, chosen, packet, direction);
    if packet.fragment != Fragment::NONE {
        fragment::remember(host, packet, found, direction, passage.now);
    }
}
