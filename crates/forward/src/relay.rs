//! ICMP errors about connections, from either side, translated like the packets they complain of.

use abi::{Carry, Globals, Reason, Tick, method};
use conntable::{Direction, End, Entry as _, Kind, Query, Slot as _};
use wire::{Delta, icmp, ipv4};

use crate::connection::{self, Chosen, find};
use crate::counters;
use crate::family::{self, Change, Family, Header as _};
use crate::host::Host;
use crate::lookup::{self, Role};
use crate::nat;
use crate::onward;
use crate::open;
use crate::opening::{self, Opening};
use crate::outer_error;
use crate::packet::{Fragment, Packet, Ports};
use crate::route;
use crate::tunnel;
use crate::verdict::{Step, Verdict};

/// The packet inside an error, as far as it must be there.
pub(crate) struct Embedded<F: Family> {
    /// Offset of its IP header.
    pub l3: u32,
    pub ip: F::Header,
    protocol: u8,
    /// Offset of its ports.
    pub l4: u32,
    pub source_port: u16,
    pub destination_port: u16,
}

/// Reads the embedded packet of an error about TCP or UDP.
#[inline(always)]
pub(crate) fn embedded<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
) -> Step<Embedded<F>> {
    let [kind] = host.bytes::<1>(packet.l4).ok_or(Reason::TruncatedHeader)?;
    if !F::is_icmp_error(kind) {
        return Err(Reason::IcmpOther);
    }
    let l3 = packet.l4 + icmp::HEADER;
    let (ip, length, protocol) = F::embedded(host, l3).ok_or(Reason::BadIcmp)?;
    if !matches!(protocol, ipv4::TCP | ipv4::UDP) {
        return Err(Reason::IcmpOther);
    }
    let l4 = l3 + length;
    if l4 + 4 > packet.l3() + packet.length {
        return Err(Reason::BadIcmp);
    }
    let ports: [u8; 4] = host.bytes(l4).ok_or(Reason::BadIcmp)?;
    Ok(Embedded {
        l3,
        ip,
        protocol,
        l4,
        source_port: u16::from_ne_bytes([ports[0], ports[1]]),
        destination_port: u16::from_ne_bytes([ports[2], ports[3]]),
    })
}

impl<F: Family> Embedded<F> {
    /// The connection that the error is about. An error on its way to the server is about a
    /// packet on its way to the client, and the other way round.
    #[inline(always)]
    fn query(&self, role: Role) -> Query<F::Address> {
        let (source, destination) = (self.ip.source(), self.ip.destination());
        let (client, client_port, address, port) = match role.direction {
            Direction::ToServer => (destination, self.destination_port, source, self.source_port),
            Direction::ToClient => (source, self.source_port, destination, self.destination_port),
        };
        Query {
            client,
            client_port,
            protocol: self.protocol,
            kind: if role.is_lent {
                Kind::Alias
            } else {
                Kind::Connection
            },
            end: role.end,
            address,
            port,
        }
    }
}

/// The stage.
#[inline(always)]
pub(crate) fn relay<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    let (role, is_known) = match lookup::role(host, globals, &packet) {
        Ok(role) => (role, true),
        // A router on a real server's side may complain of a packet that the director sent there.
        Err(Reason::NotOurs) => (TO_CLIENT, false),
        Err(reason) => return Err(reason),
    };
    match packet.check(host) {
        Ok(()) => {}
        Err(reason) if is_known => return Err(reason),
        Err(_) => return Err(Reason::NotOurs),
    }
    let result = about(host, &packet, (role, now));
    if is_known || !matches!(result, Err(Reason::IcmpOther | Reason::BadIcmp)) {
        return result;
    }
    // Or of one that it encapsulated.
    match outer_error::unwrap(host, globals, &packet) {
        Err(Reason::IcmpOther | Reason::BadIcmp) => Err(Reason::NotOurs),
        other => other,
    }
}

const TO_CLIENT: Role = Role {
    direction: Direction::ToClient,
    end: End::Server,
    is_lent: false,
};

/// A message that may be about a connection.
#[inline(always)]
fn about<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    (role, now): (Role, Tick),
) -> Step<Verdict> {
    if packet.fragment != Fragment::NONE {
        return Err(Reason::IcmpOther);
    }
    let query = embedded(host, packet)?.query(role);
    let (globals, _) = family::globals(host)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    match find::<F, _>(host.tables(), globals, &query, now) {
        Some(found) => Ok(hand_over::<F>(carry, found.handle().0, role)),
        None if role.direction == Direction::ToServer => adopt::<F, H>(host, globals, &query, now),
        None => Err(Reason::IcmpOther),
    }
}

/// Leaves an error to the stage that translates it, with its connection's handle's number.
#[inline(always)]
pub(crate) fn hand_over<F: Family>(carry: &Carry, handle: u64, role: Role) -> Verdict {
    carry.connection.store(handle);
    carry.direction.store(role.direction as u32);
    Verdict::go_on(if role.is_lent {
        F::FULLNAT_ERROR
    } else {
        F::TRANSLATE
    })
}

/// Has a connection made for a packet that no connection is known of, where `schedule_icmp` says so:
/// the error about it goes to the real server that the connection would go to. As routers send a
/// connection's packets to one director and errors about them to another, this one may know nothing
/// of it.
#[inline(always)]
fn adopt<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    query: &Query<F::Address>,
    now: Tick,
) -> Step<Verdict> {
    if globals.schedule_icmp.load() == 0 {
        return Err(Reason::IcmpOther);
    }
    // Whatever the packet was, it is as good as one that opens.
    let opening = Opening::quoted::<F>(globals, query, now);
    match open::enquire::<F, H>(host, globals, query, opening.flags) {
        Err(Reason::NoService) => Err(Reason::IcmpOther),
        service => opening::leave_to_scheduler::<F, H>(host, &opening, service?),
    }
}

/// The stage after [`relay`]: rewrites an error and the packet in it, and sends it on.
#[inline(always)]
pub(crate) fn translate<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let packet = &packet;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let found = onward::left::<F, H>(host, globals, carry, now)?;
    let direction = Role::carried(carry).direction;
    if found.entry.method() == method::FULLNAT {
        return Ok(Verdict::go_on(F::FULLNAT_ERROR));
    }
    let result = translated(host, globals, packet, (found.entry, direction));
    // An error is one packet, too.
    if found.entry.load().kind == Kind::OnePacket as u8 {
        connection::end::<F, H>(host, globals, &found);
    }
    result
}

#[inline(always)]
fn translated<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    packet: &Packet<F>,
    (slot, direction): (&'t F::Slot, Direction),
) -> Step<Verdict> {
    let tables = host.tables();
    let chosen = Chosen::by_number(tables, slot.load().destination)?;
    if direction == Direction::ToServer && chosen.is_local() {
        return Err(Reason::DeliveredHere);
    }
    let method = slot.method();
    let is_tunnelled = method == method::TUNNEL && direction == Direction::ToServer;
    let overhead = if is_tunnelled {
        tunnel::overhead(&chosen)
    } else {
        0
    };
    let way = match direction {
        Direction::ToServer => route::by_index(tables, chosen.cell.next_hop.load()),
        Direction::ToClient => route::to_client::<F, H>(host, globals, slot),
    };
    if let Some(reason) = route::obstacle(host, packet, &way, (direction, overhead)) {
        return Err(reason);
    }
    counters::packet(host, globals, &chosen, packet, direction);
    let inner = &embedded(host, packet)?;
    if is_tunnelled {
        let ports = Ports {
            source: inner.destination_port,
            destination: inner.source_port,
            flags: 0,
        };
        return tunnel::hand_over(host, packet, &ports, &chosen);
    }
    if method == method::MASQUERADE {
        rewrite(host, packet, inner, (slot, &chosen), direction)?;
    } else {
        nat::count_down(host, packet)?;
    }
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::send(Reason::IcmpRelayed))
}

#[inline(always)]
fn rewrite<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    inner: &Embedded<F>,
    ends: (&F::Slot, &Chosen<'t>),
    direction: Direction,
) -> Step<()> {
    let (slot, chosen) = ends;
    let (is_source, address, offset, old, new) = match direction {
        Direction::ToServer => (
            true,
            chosen.address::<F>(),
            0,
            inner.source_port,
            slot.destination_port(chosen.port()),
        ),
        Direction::ToClient => (
            false,
            slot.virtual_address(),
            2,
            inner.destination_port,
            slot.virtual_port(),
        ),
    };
    let change = Change {
        is_source,
        address,
        goes_through: false,
    };
    let address = F::readdress(host, inner.l3, &inner.ip, change).ok_or(Reason::RewriteFailed)?;
    host.set_bytes(inner.l4 + offset, &new.to_ne_bytes())
        .ok_or(Reason::RewriteFailed)?;
    let outer = nat::rewrite_header(host, packet, ends, (direction, true))?;
    // An embedded IPv4 header's sum stays the same: its checksum made up for its address. Not so
    // IPv6's, which has none, and whose ICMP covers the outer addresses, too.
    let (outer, address) = if F::ICMP_HAS_PSEUDO_HEADER {
        (outer, address)
    } else {
        (Delta::ZERO, Delta::ZERO)
    };
    let payload = Delta::of_u16(old, new).and(address);
    let checksum = packet.l4 + icmp::CHECKSUM_OFFSET;
    host.change_checksum(checksum, outer, payload, false)
        .ok_or(Reason::RewriteFailed)
}
