//! ICMP errors about packets that the director encapsulated: the client is told instead, about the
//! packet that was inside.

use abi::{Globals, Reason, address_flags};
use wire::{ethernet, gre, gue, icmp, ipv4, ipv6, udp};

use crate::family::{Family, Header as _, V4, V6};
use crate::host::Host;
use crate::packet::Packet;
use crate::verdict::{Step, Verdict};

/// Takes an error of a router on the way to a real server to pieces, and leaves it to the stage
/// that answers the client.
#[inline(always)]
pub(crate) fn unwrap<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    packet: &Packet<F>,
) -> Step<Verdict> {
    let message: [u8; 8] = host.bytes(packet.l4).ok_or(Reason::BadIcmp)?;
    if !F::is_icmp_error(message[0]) {
        return Err(Reason::IcmpOther);
    }
    let outer = packet.l4 + icmp::HEADER;
    let (ip, length, protocol) = F::embedded(host, outer).ok_or(Reason::BadIcmp)?;
    if ip.source() != packet.ip.destination() {
        return Err(Reason::IcmpOther);
    }
    let (inner, is_v6) = inside(host, outer + length, protocol)?;
    let complaint = Complaint {
        kind: message[0],
        code: message[1],
        mtu: u32::from_be_bytes([message[4], message[5], message[6], message[7]])
            .wrapping_sub(inner - outer),
        is_too_big: F::is_too_big(message[0], message[1]),
        is_v6: F::IS_V6,
    };
    let cut = (packet.l3(), inner);
    if is_v6 {
        hand_over::<V6, H>(host, globals, cut, complaint)
    } else {
        hand_over::<V4, H>(host, globals, cut, complaint)
    }
}

/// What a router complains of.
#[derive(Clone, Copy)]
struct Complaint {
    kind: u8,
    code: u8,
    /// What would have fitted, without the outer headers.
    mtu: u32,
    is_too_big: bool,
    /// Whether it speaks ICMPv6.
    is_v6: bool,
}

/// Where the inner packet begins, and whether it is an IPv6 one.
#[inline(always)]
fn inside<'t, H: Host<'t>>(host: &mut H, offset: u32, protocol: u8) -> Step<(u32, bool)> {
    match protocol {
        ipv4::IPIP => Ok((offset, false)),
        ipv6::IPV6 => Ok((offset, true)),
        gre::PROTOCOL => {
            let head: [u8; 4] = host.bytes(offset).ok_or(Reason::BadIcmp)?;
            let flags = u16::from_be_bytes([head[0], head[1]]);
            let kind = u16::from_be_bytes([head[2], head[3]]);
            let inner = offset + gre::length(flags);
            match kind {
                ethernet::IPV4 => Ok((inner, false)),
                ethernet::IPV6 => Ok((inner, true)),
                _ => Err(Reason::IcmpOther),
            }
        }
        ipv4::UDP => {
            let offset = offset + udp::HEADER;
            let head: [u8; 2] = host.bytes(offset).ok_or(Reason::BadIcmp)?;
            match (gue::length(head[0]), head[1]) {
                (0, _) => Err(Reason::IcmpOther),
                (length, gue::IPV4) => Ok((offset + length, false)),
                (length, gue::IPV6) => Ok((offset + length, true)),
                _ => Err(Reason::IcmpOther),
            }
        }
        _ => Err(Reason::IcmpOther),
    }
}

/// Leaves the inner packet, which begins at the second offset, where the error was, at the first.
#[inline(always)]
fn hand_over<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    (l3, inner): (u32, u32),
    complaint: Complaint,
) -> Step<Verdict> {
    let ip = F::header(host, inner).ok_or(Reason::BadIcmp)?;
    let flags = F::address_flags(host.tables(), globals, ip.destination());
    // A client that lets routers fragment its packets need not know.
    if flags & address_flags::VIRTUAL == 0 || complaint.is_too_big && !ip.dont_fragment() {
        return Err(Reason::IcmpOther);
    }
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let is_same_family = complaint.is_v6 == F::IS_V6;
    carry.mtu.store(complaint.mtu);
    carry.counted_down.store(0);
    carry.reason.store(if complaint.is_too_big {
        Reason::TooBig as u32
    } else {
        Reason::HostUnreachable as u32
    });
    carry.icmp.store(if is_same_family {
        1 << 16 | (complaint.kind as u32) << 8 | complaint.code as u32
    } else {
        0
    });
    host.strip(l3, inner - l3).ok_or(Reason::RewriteFailed)?;
    host.set_bytes(l3 - 2, &F::ETHERTYPE.to_be_bytes())
        .ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::go_on(F::ANSWER))
}
