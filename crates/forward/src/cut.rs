//! Packets that are too large for the next link and may be fragmented (RFC 791, section 3.2).
//!
//! A host sends a copy of the whole, rewritten packet for every fragment. Each copy meets [`piece`]
//! where it leaves, which makes the fragment of it and takes the note of it away. Where the note is
//! still there, the copy left as it was, or not at all, and is the last.

use abi::{Reason, method};
use conntable::{Direction, Handle, Slot as _};
use wire::checksum::fold;
use wire::{ipv4, tcp, udp};

use crate::connection::Chosen;
use crate::family::{self, Family, V4};
use crate::host::{Host, connections};
use crate::lookup::Role;
use crate::nat;
use crate::packet::{Fragment, Link, Packet};
use crate::route;
use crate::verdict::{Step, Verdict};

/// Most bytes of a packet that is fragmented: no link's frames are larger.
const LARGEST: u32 = 16 * 1024;
/// Fragments that such a packet becomes on a link of 576 bytes (RFC 791's least to be reckoned with).
const PIECES: u32 = 32;
/// Most bytes that [`Host::strip`] takes out at once.
const STRIP: u32 = 4088;

/// Leaves a packet to the stage that fragments it.
#[inline(always)]
pub(crate) fn hand_over<'t, H: Host<'t>>(
    host: &H,
    connection: Handle,
    direction: Direction,
) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    carry.connection.store(connection.0);
    carry.direction.store(direction as u32);
    Ok(Verdict::go_on(abi::Stage::Cut))
}

/// The stage: a packet of the connection that was left, which has been counted already.
#[inline(always)]
pub(crate) fn cut<'t, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<V4>::read(host)?;
    packet.check(host)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let direction = Role::carried(carry).direction;
    let tables = host.tables();
    let found = connections::<V4, _>(tables, globals)
        .at(Handle(carry.connection.load()), now)
        .ok_or(Reason::NoConnection)?;
    let chosen = Chosen::by_number(tables, found.entry.destination())?;
    let way = match direction {
        Direction::ToServer => route::by_index(tables, chosen.cell.next_hop.load()),
        Direction::ToClient => route::to_client::<V4, H>(host, globals, found.entry),
    };
    let method = found.entry.method();
    let is_tunnelled = method == method::TUNNEL && matches!(direction, Direction::ToServer);
    if !way.is_resolved() || is_tunnelled || !is_divisible(host, &packet) {
        return Err(Reason::CannotFragment);
    }
    if method == method::MASQUERADE {
        rewrite(host, &packet, (found.entry, &chosen), direction)?;
    } else {
        nat::count_down(host, &packet)?;
    }
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    send(host, &packet, carry.mtu.load())?;
    Ok(Verdict::sent(match (packet.fragment, direction) {
        (Fragment::LATER, _) => Reason::FragmentForwarded,
        (_, Direction::ToServer) => Reason::Forwarded,
        _ if method == method::MASQUERADE => Reason::Replied,
        _ => Reason::PassedThrough,
    }))
}

#[inline(always)]
fn rewrite<'t, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<V4>,
    ends: (&<V4 as Family>::Slot, &Chosen<'t>),
    direction: Direction,
) -> Step<()> {
    let how = (direction, true);
    if packet.fragment == Fragment::LATER {
        return nat::rewrite_header(host, packet, ends, how).map(|_| ());
    }
    let ports = packet.ports(host)?;
    nat::rewrite(host, packet, &ports, ends, how)
}

/// Whether fragments can be made of a packet: it has no options, which would have to be sorted by
/// whether every fragment repeats them; its fragments can all be numbered; and its checksum is
/// there, since a device can make none that goes over several fragments.
#[inline(always)]
fn is_divisible<'t, H: Host<'t>>(host: &mut H, packet: &Packet<V4>) -> bool {
    let length = packet.length;
    packet.header_length() == ipv4::HEADER
        && host.segment_size() == 0
        && length <= LARGEST
        && packet.ip.fragment_offset() + length <= u16::MAX as u32
        && has_checksum(host, packet)
}

/// Whether a packet's transport checksum is there, or will be of no use. One that a device is to
/// make is the pseudo-header's sum so far. A few whole ones look the same.
#[inline(always)]
fn has_checksum<'t, H: Host<'t>>(host: &mut H, packet: &Packet<V4>) -> bool {
    let offset = match packet.protocol {
        _ if packet.fragment != Fragment::NONE => return true,
        ipv4::TCP => tcp::CHECKSUM_OFFSET,
        ipv4::UDP => udp::CHECKSUM_OFFSET,
        _ => return false,
    };
    let Some(sum) = host.bytes::<2>(packet.l4 + offset) else {
        return false;
    };
    let sum = u16::from_ne_bytes(sum);
    let length = packet.length.wrapping_sub(packet.header_length());
    let pseudo_header = V4::pseudo_header(&packet.ip, length, packet.protocol);
    let difference = fold(pseudo_header + !sum as u32);
    let is_without = packet.protocol == ipv4::UDP && sum == 0;
    is_without || difference != 0xffff && difference != 0
}

/// Sends a packet that is ready to leave in fragments of at most `mtu` bytes.
#[inline(always)]
fn send<'t, H: Host<'t>>(host: &mut H, packet: &Packet<V4>, mtu: u32) -> Step<()> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let payload = packet.length.wrapping_sub(ipv4::HEADER);
    // Offsets count in units of eight bytes.
    let room = mtu.wrapping_sub(ipv4::HEADER) & 0xfff8;
    if room == 0 || mtu < ipv4::HEADER {
        return Err(Reason::CannotFragment);
    }
    let mut skip = 0;
    for _ in 0..PIECES {
        let keep = room.min(payload.wrapping_sub(skip));
        carry.piece.store(skip << 16 | keep);
        host.send_copy().ok_or(Reason::RewriteFailed)?;
        if carry.piece.load() != 0 {
            carry.piece.store(0);
            return Err(Reason::CannotFragment);
        }
        skip += keep;
        if skip >= payload {
            return Ok(());
        }
    }
    Err(Reason::CannotFragment)
}

/// Makes the fragment that [`Host::carry`] tells of out of a whole packet that is leaving, if it
/// tells of any. `None` where the kernel refuses.
#[inline(always)]
pub fn piece<'t, H: Host<'t>>(host: &mut H) -> Option<()> {
    let carry = host.carry()?;
    let piece = carry.piece.load();
    if piece == 0 {
        return Some(());
    }
    let (skip, keep) = (piece >> 16, piece & 0xffff);
    let l3 = Link::read(host).ok()?.l3;
    let header = V4::header(host, l3)?.fragment(skip, keep);
    host.resize(l3 + ipv4::HEADER + skip + keep)?;
    let mut rest = skip;
    for _ in 0..LARGEST.div_ceil(STRIP) {
        if rest == 0 {
            break;
        }
        let part = rest.min(STRIP);
        host.strip(l3, part)?;
        rest -= part;
    }
    host.set_words(l3, &header.words())?;
    carry.piece.store(0);
    Some(())
}
