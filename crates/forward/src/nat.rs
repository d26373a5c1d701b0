//! VS/NAT: other addresses and ports, and the checksums that follow.

use abi::Reason;
use conntable::{Direction, Slot as _};
use wire::{Delta, ipv4, tcp, udp};

use crate::Host;
use crate::connection::Chosen;
use crate::family::{Change, Family};
use crate::packet::{Packet, Ports};
use crate::verdict::Step;

/// Where the transport's checksum stands, and whether 0 means that there is none.
#[inline(always)]
pub(crate) const fn checksum_of(protocol: u8) -> (u32, bool) {
    if protocol == ipv4::UDP {
        (udp::CHECKSUM_OFFSET, true)
    } else {
        (tcp::CHECKSUM_OFFSET, false)
    }
}

/// Rewrites a packet that holds the transport header. `goes_through`: it neither begins nor ends
/// here.
#[inline(always)]
pub(crate) fn rewrite<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    ports: &Ports,
    (slot, chosen): (&F::Slot, &Chosen<'t>),
    (direction, goes_through): (Direction, bool),
) -> Step<()> {
    let pseudo_header = rewrite_header(host, packet, (slot, chosen), (direction, goes_through))?;
    let (offset, old, new) = match direction {
        Direction::ToServer => (2, ports.destination, slot.destination_port(chosen.port())),
        Direction::ToClient => (0, ports.source, slot.virtual_port()),
    };
    host.set_bytes(packet.l4 + offset, &new.to_ne_bytes())
        .ok_or(Reason::RewriteFailed)?;
    let (checksum, optional) = checksum_of(packet.protocol);
    let payload = Delta::of_u16(old, new);
    host.change_checksum(packet.l4 + checksum, pseudo_header, payload, optional)
        .ok_or(Reason::RewriteFailed)
}

/// Rewrites the IP header alone; returns by how much the pseudo-header's sum changes.
#[inline(always)]
pub(crate) fn rewrite_header<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    (slot, chosen): (&F::Slot, &Chosen<'t>),
    (direction, goes_through): (Direction, bool),
) -> Step<Delta> {
    let (is_source, address) = match direction {
        Direction::ToServer => (false, chosen.address::<F>()),
        Direction::ToClient => (true, slot.virtual_address()),
    };
    let change = Change {
        is_source,
        address,
        goes_through,
    };
    F::readdress(host, packet.l3(), &packet.ip, change).ok_or(Reason::RewriteFailed)
}

/// Counts the time to live down, and changes nothing else.
#[inline(always)]
pub(crate) fn count_down<'t, F: Family, H: Host<'t>>(host: &mut H, packet: &Packet<F>) -> Step<()> {
    F::count_down(host, packet.l3(), &packet.ip).ok_or(Reason::RewriteFailed)
}
