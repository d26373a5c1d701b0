//! ICMP errors about connections, from either side, translated like the packets they complain of.

use abi::Reason;
use conntable::{Direction, Handle, Query};
use wire::{Delta, icmp, ipv4};

use crate::connection::{ABSENT, Chosen, Question};
use crate::counters;
use crate::host::{Host, Tables, connections};
use crate::nat;
use crate::packet::Packet;
use crate::route;
use crate::verdict::{Step, Verdict, verdict};

/// The packet inside an error, as far as it must be there.
struct Embedded {
    /// Offset of its IP header.
    l3: u32,
    ip: ipv4::Header,
    /// Offset of its ports.
    l4: u32,
    source_port: u16,
    destination_port: u16,
}

/// Reads the embedded packet of an error about TCP or UDP.
#[inline(always)]
fn embedded<'t, H: Host<'t>>(host: &mut H, packet: &Packet) -> Step<Embedded> {
    let [kind] = host.bytes::<1>(packet.l4).ok_or(Reason::TruncatedHeader)?;
    if !icmp::is_error(kind) {
        return Err(Reason::IcmpOther);
    }
    let l3 = packet.l4 + icmp::HEADER;
    let ip = ipv4::Header(host.bytes(l3).ok_or(Reason::BadIcmp)?);
    if ip.version() != 4 || ip.header_length() < ipv4::HEADER {
        return Err(Reason::BadIcmp);
    }
    if !matches!(ip.protocol(), ipv4::TCP | ipv4::UDP) || ip.is_later_fragment() {
        return Err(Reason::IcmpOther);
    }
    let l4 = l3 + ip.header_length();
    if l4 + 4 > packet.l3 + packet.length {
        return Err(Reason::BadIcmp);
    }
    let ports: [u8; 4] = host.bytes(l4).ok_or(Reason::BadIcmp)?;
    Ok(Embedded {
        l3,
        ip,
        l4,
        source_port: u16::from_ne_bytes([ports[0], ports[1]]),
        destination_port: u16::from_ne_bytes([ports[2], ports[3]]),
    })
}

impl Embedded {
    /// The connection that the error is about. An error on its way to the server is about a
    /// packet on its way to the client, and the other way round.
    #[inline(always)]
    fn question(&self, direction: Direction) -> Question {
        let (source, destination) = (self.ip.source(), self.ip.destination());
        let (client, client_port, address, port) = match direction {
            Direction::ToServer => (destination, self.destination_port, source, self.source_port),
            Direction::ToClient => (source, self.source_port, destination, self.destination_port),
        };
        let protocol = self.ip.protocol();
        Question::of(&Query {
            client,
            client_port,
            protocol,
            direction,
            address,
            port,
        })
    }
}

/// An ICMP message to a virtual address, or from a real server.
#[inline(always)]
pub(crate) fn relay<'t, H: Host<'t>>(
    host: &mut H,
    packet: &Packet,
    direction: Direction,
) -> Step<Verdict> {
    if !H::COMPLETE {
        return Err(Reason::ToStack);
    }
    if packet.ip.is_fragment() {
        return Err(Reason::IcmpOther);
    }
    match subject(host, packet, direction) {
        NOTHING => Err(Reason::IcmpOther),
        CUT_OFF => Err(Reason::BadIcmp),
        handle => Ok(translate(host, packet, Handle(handle), direction)),
    }
}

/// An ICMP message between two hosts that are neither: a router on a real server's side
/// complains of a packet that the director sent there.
#[inline(never)]
pub(crate) fn about_unknown_source<'t, H: Host<'t>>(
    host: &mut H,
    packet: &mut Packet,
) -> Step<Verdict> {
    if packet.check(host).is_err() || packet.ip.is_fragment() {
        return Err(Reason::NotOurs);
    }
    match subject(host, packet, Direction::ToClient) {
        NOTHING | CUT_OFF => Err(Reason::NotOurs),
        handle => Ok(translate(host, packet, Handle(handle), Direction::ToClient)),
    }
}

/// What [`subject`] returns for a message that is about no connection.
const NOTHING: u64 = ABSENT;
/// What it returns for an error whose embedded packet is cut off.
const CUT_OFF: u64 = ABSENT - 1;

/// The connection that an ICMP message is about: its [`Handle`]'s number.
#[inline(never)]
fn subject<'t, H: Host<'t>>(host: &mut H, packet: &Packet, direction: Direction) -> u64 {
    let inner = match embedded(host, packet) {
        Ok(inner) => inner,
        Err(Reason::BadIcmp) => return CUT_OFF,
        Err(_) => return NOTHING,
    };
    let Some(globals) = host.tables().globals() else {
        return NOTHING;
    };
    let now = host.now(globals);
    host.tables().find(inner.question(direction), now)
}

/// Rewrites an error and the packet in it, and sends it on.
#[inline(never)]
fn translate<'t, H: Host<'t>>(
    host: &mut H,
    packet: &Packet,
    handle: Handle,
    direction: Direction,
) -> Verdict {
    verdict(try_translate(host, packet, handle, direction))
}

#[inline(always)]
fn try_translate<'t, H: Host<'t>>(
    host: &mut H,
    packet: &Packet,
    handle: Handle,
    direction: Direction,
) -> Step<Verdict> {
    let tables = host.tables();
    let globals = tables.globals().ok_or(Reason::TableMissing)?;
    let found = connections(tables, globals)
        .at(handle, host.now(globals))
        .ok_or(Reason::NoConnection)?;
    let slot = found.entry;
    let chosen = Chosen::by_number(tables, slot.destination())?;
    let way = match direction {
        Direction::ToServer => route::by_index(tables, chosen.cell.next_hop.load()),
        Direction::ToClient => route::to_client(tables, globals, slot),
    };
    if let Some(reason) = route::obstacle(host, packet, &way) {
        return Err(reason);
    }
    counters::packet(host, chosen.cell, chosen.number, packet, direction);

    let mut inner = embedded(host, packet)?;
    let (offset, old, new) = match direction {
        Direction::ToServer => {
            inner.ip.set_source(slot.destination_address());
            (0, inner.source_port, slot.destination_port())
        }
        Direction::ToClient => {
            inner.ip.set_destination(slot.virtual_address());
            (2, inner.destination_port, slot.virtual_port())
        }
    };
    host.set_bytes(inner.l3, &inner.ip.0)
        .ok_or(Reason::RewriteFailed)?;
    host.set_bytes(inner.l4 + offset, &new.to_ne_bytes())
        .ok_or(Reason::RewriteFailed)?;
    // The embedded IP header's sum stays the same: its checksum made up for its address.
    let checksum = packet.l4 + icmp::CHECKSUM_OFFSET;
    host.change_checksum(checksum, Delta::ZERO, Delta::of_u16(old, new), false)
        .ok_or(Reason::RewriteFailed)?;
    nat::rewrite_header(host, packet, slot, direction)?;
    route::leave(host, packet, &way).ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::send(Reason::IcmpRelayed))
}
