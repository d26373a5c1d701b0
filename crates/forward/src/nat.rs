//! VS/NAT: other addresses and ports, and the checksums that follow.

use abi::Reason;
use conntable::{Direction, SlotV4};
use wire::{Delta, ipv4, tcp, udp};

use crate::Host;
use crate::packet::{Packet, Ports};
use crate::verdict::Step;

/// Rewrites a packet that holds the transport header.
#[inline(always)]
pub(crate) fn rewrite<'t, H: Host<'t>>(
    host: &mut H,
    packet: &Packet,
    ports: &Ports,
    slot: &SlotV4,
    direction: Direction,
) -> Step<()> {
    let pseudo_header = rewrite_header(host, packet, slot, direction)?;
    let (offset, old, new) = match direction {
        Direction::ToServer => (2, ports.destination, slot.destination_port()),
        Direction::ToClient => (0, ports.source, slot.virtual_port()),
    };
    host.set_bytes(packet.l4 + offset, &new.to_ne_bytes())
        .ok_or(Reason::RewriteFailed)?;
    let is_udp = packet.ip.protocol() == ipv4::UDP;
    let checksum = if is_udp {
        udp::CHECKSUM_OFFSET
    } else {
        tcp::CHECKSUM_OFFSET
    };
    host.change_checksum(
        packet.l4 + checksum,
        pseudo_header,
        Delta::of_u16(old, new),
        is_udp,
    )
    .ok_or(Reason::RewriteFailed)
}

/// Rewrites the IP header alone; returns by how much the pseudo-header's sum changes.
#[inline(always)]
pub(crate) fn rewrite_header<'t, H: Host<'t>>(
    host: &mut H,
    packet: &Packet,
    slot: &SlotV4,
    direction: Direction,
) -> Step<Delta> {
    let mut ip = packet.ip;
    ip.decrement_ttl();
    let delta = match direction {
        Direction::ToServer => ip.set_destination(slot.destination_address()),
        Direction::ToClient => ip.set_source(slot.virtual_address()),
    };
    host.set_bytes(packet.l3, &ip.0)
        .ok_or(Reason::RewriteFailed)?;
    Ok(delta)
}
