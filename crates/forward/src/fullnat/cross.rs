//! FULLNAT between the address families: the real server is of another one than its clients.
//!
//! The client's entry is in the table of its family and the alias in that of the real server's; each
//! says so by its [`Name`](conntable::Name) for the other. The IP header is made anew (RFC 7915), and the transport's checksum
//! follows it. What has no counterpart is dropped and counted: fragments, options, extension headers,
//! and datagrams without checksum, as IPv6 knows none of those.

use abi::{Reason, method};
use conntable::{Direction, Handle, Slot as _};
use wire::{Delta, checksum, ipv4};

use crate::connection::{self, Chosen};
use crate::counters;
use crate::family::{self, Family, Header as _};
use crate::fullnat::numbers::{self, Renumbered};
use crate::fullnat::{Ends, ends_to_client, ends_to_server, partner, rewrite_transport, tell};
use crate::handshake;
use crate::host::{Host, connections};
use crate::lookup::TO_SERVICE;
use crate::onward::{CLEAR, Passage, note};
use crate::packet::{Fragment, Packet, Ports};
use crate::route;
use crate::verdict::{Step, Verdict};

/// By how much packets of family `F` grow as those of `A`.
#[inline(always)]
pub(crate) const fn growth<F: Family, A: Family>() -> u32 {
    A::HEADER.wrapping_sub(F::HEADER)
}

/// The stage: a packet from a client of family `F`, whose connection was left, to a real server of
/// family `A`.
#[inline(always)]
pub(crate) fn to_server<'t, F: Family, A: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let ports = packet.ports(host)?;
    check::<F, A, H>(host, &packet)?;
    let tables = host.tables();
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let main = connections::<F, _>(tables, globals)
        .at(Handle(carry.connection.load()), now)
        .ok_or(Reason::NoConnection)?;
    let chosen = Chosen::by_number(tables, main.entry.destination())?;
    let alias = partner::<F, A, _>(tables, globals, &main, now)?;
    let told = tell::told::<F, A, H>(host, globals, (&packet, &ports), &alias)?;
    let ports = ports.blurred(alias.word.expiry());
    let way = route::by_index(tables, chosen.cell.next_hop.load());
    let passage = Passage {
        packet: &packet,
        ports: &ports,
        role: TO_SERVICE,
        now,
        is_first: false,
    };
    let size = (&way, growth::<F, A>());
    let obstacle = note(host, globals, &passage, &main, &chosen, size)?;
    if obstacle != CLEAR {
        return Ok(Verdict::stay_for(obstacle));
    }
    let settings = (&chosen, method::FULLNAT);
    handshake::clamp(host, &packet, &ports, settings, Direction::ToServer)?;
    let ends = ends_to_server::<F, A>(main.entry, alias.entry, &chosen);
    change::<F, A, H>(host, &packet, &ports, &ends, told.number)?;
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    if told.is_telling() {
        return tell::along::<F, A, H>(host, main.entry, &told, &way);
    }
    Ok(Verdict::send(Reason::Forwarded))
}

/// The stage: a packet from a real server of family `A`, whose alias was left, to a client of family
/// `F`.
#[inline(always)]
pub(crate) fn to_client<'t, F: Family, A: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<A>::read(host)?;
    packet.check(host)?;
    let ports = packet.ports(host)?;
    check::<A, F, H>(host, &packet)?;
    let tables = host.tables();
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let alias = connections::<A, _>(tables, globals)
        .at(Handle(carry.connection.load()), now)
        .ok_or(Reason::NoConnection)?;
    let main = partner::<A, F, _>(tables, globals, &alias, now)?;
    let chosen = Chosen::by_number(tables, main.entry.destination())?;
    let way = route::to_address::<F, H>(host, main.entry.client());
    let direction = Direction::ToClient;
    let size = (direction, growth::<A, F>());
    if let Some(reason) = route::obstacle(host, &packet, &way, size) {
        return Err(reason);
    }
    let event = (direction, packet.protocol, ports.flags);
    connection::advance::<F, H>(host, globals, &main, event, now);
    counters::packet(host, globals, &chosen, &packet, direction);
    let settings = (&chosen, method::FULLNAT);
    handshake::clamp(host, &packet, &ports, settings, direction)?;
    let (number, shift) = tell::heard::<F, A, H>(host, globals, (&packet, &ports), &alias)?;
    let may_have_sacks = shift != 0 && numbers::may_have_sacks(host, &packet, &ports);
    let ends = ends_to_client::<F>(main.entry);
    change::<A, F, H>(host, &packet, &ports, &ends, number)?;
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    if may_have_sacks {
        return numbers::hand_over::<F, H>(host, shift, &way);
    }
    Ok(Verdict::send(Reason::Replied))
}

/// Whether a packet of one family has a counterpart in the other.
#[inline(always)]
fn check<'t, F: Family, A: Family, H: Host<'t>>(host: &mut H, packet: &Packet<F>) -> Step<()> {
    if packet.fragment != Fragment::NONE || packet.header_length() != F::HEADER {
        return Err(Reason::Untranslatable);
    }
    if packet.protocol == ipv4::UDP && A::IS_V6 {
        let offset = packet.l4 + wire::udp::CHECKSUM_OFFSET;
        let sum: [u8; 2] = host.bytes(offset).ok_or(Reason::TruncatedHeader)?;
        if sum == [0, 0] {
            return Err(Reason::Untranslatable);
        }
    }
    Ok(())
}

/// Makes a packet of family `F` one of family `A`, with other ends and another number.
#[inline(always)]
fn change<'t, F: Family, A: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    old: &Ports,
    new: &Ends<A::Address>,
    number: Renumbered,
) -> Step<()> {
    let inside = packet.length.wrapping_sub(F::HEADER);
    let (l3, protocol) = (packet.l3(), packet.protocol);
    let l4 = l3 + A::HEADER;
    let before = checksum::fold(F::pseudo_header(&packet.ip, inside, protocol));
    host.change_family(l3, A::IS_V6)
        .ok_or(Reason::RewriteFailed)?;
    let life = (packet.ip.tos(), packet.ip.ttl().wrapping_sub(1));
    let ends = (new.source, new.destination);
    let after =
        A::write_header(host, l3, (protocol, inside), life, ends).ok_or(Reason::RewriteFailed)?;
    let pseudo_header = Delta::of_u16(before, checksum::fold(after));
    let ports = (old, &new.ports);
    rewrite_transport(host, (l4, protocol), ports, number, pseudo_header)
}
