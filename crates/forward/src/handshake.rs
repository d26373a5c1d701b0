//! TCP handshakes: the largest segment that they announce, made to fit.
//!
//! What one end announces bounds what the other sends (RFC 9293, section 3.7.1). So the real
//! server's SYN+ACK, where the director sees it, bounds what comes to the real server.

use abi::{Reason, destination_flags, method};
use cell::masked;
use conntable::Direction;
use wire::{Delta, tcp};

use crate::connection::Chosen;
use crate::family::Family;
use crate::host::{Host, Tables};
use crate::packet::{Fragment, Packet, Ports};
use crate::tunnel;
use crate::verdict::Step;

/// How many options are looked through: the maximum segment size stands first in practice.
const MAX_OPTIONS: u32 = 8;
/// Option: end of the list.
const END: u8 = 0;
/// Option: nothing.
const NOTHING: u8 = 1;
/// Option: maximum segment size, in two bytes behind kind and length.
const MAX_SEGMENT: [u8; 2] = [2, 4];

/// Lowers the segment size that a handshake's packet announces to what the destination allows.
#[inline(always)]
pub(crate) fn clamp<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    ports: &Ports,
    (chosen, method): (&Chosen<'t>, u8),
    direction: Direction,
) -> Step<()> {
    if ports.flags & tcp::SYN == 0 || packet.fragment != Fragment::NONE {
        return Ok(());
    }
    let allowed = match destination_flags::max_segment(chosen.cell.flags.load()) {
        destination_flags::SEGMENT_OFF => return Ok(()),
        destination_flags::SEGMENT_AUTO => fitting::<F, H>(host, chosen, method, direction),
        bytes => bytes as u32,
    };
    announce_at_most(host, packet, allowed)
}

/// The largest segment that fits a tunnel on the way to its real server. What a client announces
/// bounds the real server's replies, which go by no tunnel.
#[inline(always)]
fn fitting<'t, F: Family, H: Host<'t>>(
    host: &H,
    chosen: &Chosen<'t>,
    method: u8,
    direction: Direction,
) -> u32 {
    if method != method::TUNNEL || direction == Direction::ToServer {
        return u32::MAX;
    }
    let hop = host.tables().next_hop(chosen.cell.next_hop.load());
    let headers = tunnel::overhead(chosen) + F::HEADER + tcp::HEADER;
    match hop {
        Some(hop) if hop.mtu.load() > headers => hop.mtu.load() - headers,
        _ => u32::MAX,
    }
}

#[inline(always)]
fn announce_at_most<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    allowed: u32,
) -> Step<()> {
    let [length] = host
        .bytes::<1>(packet.l4 + tcp::LENGTH_OFFSET)
        .ok_or(Reason::TruncatedHeader)?;
    let header = ((length >> 4) as u32) * 4;
    let mut offset = tcp::HEADER;
    for _ in 0..MAX_OPTIONS {
        // The option that is looked for takes four bytes.
        if offset + 4 > header {
            return Ok(());
        }
        let Some([kind, length, high, low]) = host.bytes(packet.l4 + offset) else {
            return Ok(());
        };
        if [kind, length] == MAX_SEGMENT {
            return lower(host, packet.l4, offset, [high, low], allowed);
        }
        if kind == END {
            return Ok(());
        }
        let length = if kind == NOTHING { 1 } else { length as u32 };
        // No further than a TCP header reaches.
        offset = masked::<64>(offset + length) as u32;
    }
    Ok(())
}

/// Writes a lower segment size over the one of the option at `offset` from the TCP header on.
#[inline(always)]
fn lower<'t, H: Host<'t>>(
    host: &mut H,
    l4: u32,
    offset: u32,
    announced: [u8; 2],
    allowed: u32,
) -> Step<()> {
    if u16::from_be_bytes(announced) as u32 <= allowed {
        return Ok(());
    }
    let new = (allowed as u16).to_be_bytes();
    host.set_bytes(l4 + offset + 2, &new)
        .ok_or(Reason::RewriteFailed)?;
    // The checksum is of words: what begins at an odd place counts the other way round.
    let word = |bytes: [u8; 2]| {
        let word = u16::from_ne_bytes(bytes);
        if offset & 1 == 0 {
            word
        } else {
            word.swap_bytes()
        }
    };
    let change = Delta::of_u16(word(announced), word(new));
    host.change_checksum(l4 + tcp::CHECKSUM_OFFSET, Delta::ZERO, change, false)
        .ok_or(Reason::RewriteFailed)
}
