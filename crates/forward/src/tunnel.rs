//! VS/TUN: the packet goes to its real server inside another one.
//!
//! What the outer headers say follows the kernel's director: see [`wire::gue`].

use abi::{Carry, DestinationCell, Globals, Reason, tunnel};
use wire::checksum::{fold, of_valid_transport};
use wire::{ecn, ethernet, gre, gue, ipv4, ipv6, udp};

use crate::connection::Chosen;
use crate::family::{self, Family, Header as _, V4, V6};
use crate::host::{Host, Tables};
use crate::nat;
use crate::packet::{Fragment, Link, Packet, Ports};
use crate::route::{self, Way};
use crate::verdict::{Step, Verdict};

/// What is put before a packet, as far as a host must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Bytes.
    pub room: u32,
    /// Whether the outer IP header is an IPv6 one.
    pub is_v6: bool,
    /// One of [`abi::tunnel`]'s kinds.
    pub kind: u32,
}

/// Whether a destination's tunnel has a checksum around the inner packet.
#[inline(always)]
const fn has_checksum(word: u32) -> bool {
    tunnel::kind(word) != tunnel::IPIP && tunnel::flags(word) != 0
}

/// Bytes that a destination's tunnel puts before a packet.
#[inline(always)]
pub(crate) fn overhead(chosen: &Chosen<'_>) -> u32 {
    let word = chosen.cell.tunnel.load();
    let ip = if chosen.is_v6() {
        ipv6::HEADER
    } else {
        ipv4::HEADER
    };
    ip + match tunnel::kind(word) {
        tunnel::GUE => udp::HEADER + gue::HEADER,
        tunnel::GRE if has_checksum(word) => gre::HEADER_WITH_CHECKSUM,
        tunnel::GRE => gre::HEADER,
        _ => 0,
    }
}

/// Counts the time to live down and leaves the packet to the stage that encapsulates.
#[inline(always)]
pub(crate) fn hand_over<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    ports: &Ports,
    chosen: &Chosen<'t>,
) -> Step<Verdict> {
    nat::count_down(host, packet)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    carry.destination.store(chosen.number);
    carry.ports.store(ports.word());
    Ok(Verdict::go_on(F::TUNNEL))
}

/// As [`hand_over`], but without the stage where the tunnel has no checksum.
#[inline(always)]
pub(crate) fn send<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    (packet, ports): (&Packet<F>, &Ports),
    (chosen, way): (&Chosen<'t>, &Way<'t>),
) -> Step<Verdict> {
    let word = chosen.cell.tunnel.load();
    if has_checksum(word) {
        return hand_over(host, packet, ports, chosen);
    }
    nat::count_down(host, packet)?;
    let ttl = packet.ip.ttl().wrapping_sub(1);
    let envelope = Envelope::of(globals, (packet, ports.word()), (word, 0), ttl);
    envelope.send(host, packet.link, (chosen, way))
}

/// The stage: encapsulates the packet for the destination that was left, and sends it.
#[inline(always)]
pub(crate) fn encapsulate<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, _) = family::globals(host)?;
    let tables = host.tables();
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let chosen = Chosen::by_number(tables, carry.destination.load())?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let word = chosen.cell.tunnel.load();
    let inner_sum = if has_checksum(word) {
        if host.segment_size() != 0 {
            return cut(host, globals, carry);
        }
        sum_of(host, &packet).ok_or(Reason::TunnelChecksum)?
    } else {
        0
    };
    let way = route::by_index(tables, chosen.cell.next_hop.load());
    // It was there a moment ago; the network may have changed since.
    if !way.is_resolved() {
        return Err(Reason::NextHopUnresolved);
    }
    let ports = carry.ports.load();
    let envelope = Envelope::of(
        globals,
        (&packet, ports),
        (word, inner_sum),
        packet.ip.ttl(),
    );
    envelope.send(host, packet.link, (&chosen, &way))
}

/// Has a packet cut that the device would cut behind its tunnel, so that each piece gets a checksum:
/// the kernel does so to what leaves by [`Globals::cut_into`], and [`piece`] goes on.
#[inline(always)]
fn cut<'t, H: Host<'t>>(host: &mut H, globals: &Globals, carry: &Carry) -> Step<Verdict> {
    let interface = globals.cut_into.load();
    if interface == 0 {
        return Err(Reason::TunnelChecksum);
    }
    for (offset, word) in [(0, &carry.ports), (6, &carry.destination)] {
        let failed = Reason::RewriteFailed;
        host.set_bytes(offset, &abi::PIECE).ok_or(failed)?;
        host.set_bytes(offset + 2, &word.load().to_ne_bytes())
            .ok_or(failed)?;
    }
    host.leave_by(interface);
    Ok(Verdict::send(Reason::CutUp))
}

/// A frame that is not for this machine's MAC: somebody else's, or a piece that comes back from
/// having been cut.
#[inline(always)]
pub(crate) fn piece<'t, F: Family, H: Host<'t>>(host: &mut H, to: [u8; 6]) -> Step<Verdict> {
    let globals = host.tables().globals().ok_or(Reason::TableMissing)?;
    let interface = globals.cut_from.load();
    if !H::COMPLETE || interface == 0 || host.ifindex() != interface {
        return Err(Reason::NotForThisHost);
    }
    let from: [u8; 6] = host.bytes(6).ok_or(Reason::TruncatedHeader)?;
    let ([a, b, ports @ ..], [c, d, destination @ ..]) = (to, from);
    if [a, b] != abi::PIECE || [c, d] != abi::PIECE {
        return Err(Reason::NotForThisHost);
    }
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    carry.ports.store(u32::from_ne_bytes(ports));
    carry.destination.store(u32::from_ne_bytes(destination));
    Ok(Verdict::go_on(F::TUNNEL))
}

/// The folded sum of a packet whose checksums are right, or will be when it has left; `None` where
/// that would take a look at every byte.
#[inline(always)]
fn sum_of<'t, F: Family, H: Host<'t>>(host: &mut H, packet: &Packet<F>) -> Option<u16> {
    if packet.fragment != Fragment::NONE {
        return None;
    }
    let has_pseudo_header = match packet.protocol {
        ipv4::TCP => true,
        ipv4::UDP => {
            let sum: [u8; 2] = host.bytes(packet.l4 + udp::CHECKSUM_OFFSET)?;
            if sum == [0, 0] {
                return None;
            }
            true
        }
        protocol if protocol == F::ICMP => F::ICMP_HAS_PSEUDO_HEADER,
        _ => return None,
    };
    let pseudo_header = if has_pseudo_header {
        let length = packet.length.wrapping_sub(packet.header_length());
        F::pseudo_header(&packet.ip, length, packet.protocol)
    } else {
        0
    };
    let header = F::header_sum(host, packet)?;
    Some(fold(
        header as u32 + of_valid_transport(pseudo_header) as u32,
    ))
}

/// What the outer headers are made of.
struct Envelope {
    /// Bytes of the inner packet.
    length: u32,
    tos: u8,
    ttl: u8,
    dont_fragment: bool,
    /// Whether the inner packet is an IPv6 one.
    is_v6: bool,
    /// The destination's tunnel: [`abi::tunnel`].
    word: u32,
    /// Folded sum of the inner packet, where the tunnel has a checksum.
    inner_sum: u16,
    /// GUE's source port, host order.
    source_port: u16,
}

impl Envelope {
    /// For a packet of these ports, with the time to live that it goes on with. `word`: the
    /// destination's tunnel.
    #[inline(always)]
    fn of<F: Family>(
        globals: &Globals,
        (packet, ports): (&Packet<F>, u32),
        (word, inner_sum): (u32, u16),
        ttl: u8,
    ) -> Self {
        let discovers = globals.pmtu_disc.load() != 0;
        let source_port = if tunnel::kind(word) == tunnel::GUE {
            let flow = F::flow_hash(globals, packet, ports);
            gue::source_port(flow, gue::LOWEST_PORT, gue::END_OF_PORTS)
        } else {
            0
        };
        Self {
            length: packet.length,
            tos: ecn::encapsulated_tos(packet.ip.tos()),
            ttl,
            dont_fragment: !F::IS_V6 && packet.ip.dont_fragment() && discovers,
            is_v6: F::IS_V6,
            word,
            inner_sum,
            source_port,
        }
    }

    /// Makes room before the packet, writes the outer headers there, and sends it.
    #[inline(always)]
    fn send<'t, H: Host<'t>>(
        &self,
        host: &mut H,
        link: Link,
        (chosen, way): (&Chosen<'t>, &Way<'t>),
    ) -> Step<Verdict> {
        let failed = Reason::RewriteFailed;
        let outer = Outer {
            room: overhead(chosen),
            is_v6: chosen.is_v6(),
            kind: tunnel::kind(self.word),
        };
        host.encapsulate(link.l3, outer).ok_or(failed)?;
        let written = if outer.is_v6 {
            self.write_v6(host, link.l3, chosen.cell)
        } else {
            self.write_v4(host, link.l3, chosen.cell)
        };
        written.ok_or(failed)?;
        route::leave(host, link, way).ok_or(failed)?;
        Ok(Verdict::send(Reason::Tunnelled))
    }

    /// Protocol number of what follows the outer IP header.
    #[inline(always)]
    const fn protocol(&self) -> u8 {
        match tunnel::kind(self.word) {
            tunnel::GUE => ipv4::UDP,
            tunnel::GRE => gre::PROTOCOL,
            _ => self.inner(),
        }
    }

    /// Protocol number of the inner packet.
    #[inline(always)]
    const fn inner(&self) -> u8 {
        if self.is_v6 { gue::IPV6 } else { gue::IPV4 }
    }

    /// Bytes from the end of the outer IP header on.
    #[inline(always)]
    const fn payload(&self) -> u32 {
        self.length
            + match tunnel::kind(self.word) {
                tunnel::GUE => udp::HEADER + gue::HEADER,
                tunnel::GRE if has_checksum(self.word) => gre::HEADER_WITH_CHECKSUM,
                tunnel::GRE => gre::HEADER,
                _ => 0,
            }
    }

    #[inline(always)]
    fn write_v4<'t, H: Host<'t>>(
        &self,
        host: &mut H,
        l3: u32,
        destination: &DestinationCell,
    ) -> Option<()> {
        let identification = if self.dont_fragment {
            0
        } else {
            host.identification()?
        };
        let header = ipv4::Header::new(&ipv4::Fields {
            tos: self.tos,
            total_length: (ipv4::HEADER + self.payload()) as u16,
            identification,
            dont_fragment: self.dont_fragment,
            ttl: self.ttl,
            protocol: self.protocol(),
            source: V4::of_cells(&destination.tunnel_source),
            destination: V4::of_cells(&destination.address),
        });
        let kind = ethernet::IPV4.to_be_bytes();
        host.set_bytes(l3 - 2, &kind)?;
        host.set_words(l3, &header.words())?;
        let pseudo_header = V4::pseudo_header(&header, self.payload(), ipv4::UDP);
        self.write_inside(host, l3 + ipv4::HEADER, pseudo_header)
    }

    #[inline(always)]
    fn write_v6<'t, H: Host<'t>>(
        &self,
        host: &mut H,
        l3: u32,
        destination: &DestinationCell,
    ) -> Option<()> {
        let from = V6::of_cells(&destination.tunnel_source);
        let to = V6::of_cells(&destination.address);
        let payload = self.payload();
        let header = ipv6::Header::new(
            self.tos,
            0,
            payload as u16,
            self.protocol(),
            self.ttl,
            from,
            to,
        );
        let kind = ethernet::IPV6.to_be_bytes();
        host.set_bytes(l3 - 2, &kind)?;
        host.set_words(l3, &header.words())?;
        let pseudo_header = V6::pseudo_header(&header, payload, ipv4::UDP);
        self.write_inside(host, l3 + ipv6::HEADER, pseudo_header)
    }

    /// What stands between the two IP headers.
    #[inline(always)]
    fn write_inside<'t, H: Host<'t>>(
        &self,
        host: &mut H,
        offset: u32,
        pseudo_header: u32,
    ) -> Option<()> {
        let ethertype = if self.is_v6 {
            ethernet::IPV6
        } else {
            ethernet::IPV4
        };
        match tunnel::kind(self.word) {
            tunnel::GUE => {
                let (from, to) = (self.source_port.to_be(), tunnel::port(self.word));
                let length = self.payload() as u16;
                let header = gue::header(self.inner());
                let checksum = if has_checksum(self.word) {
                    let first = u16::from_ne_bytes([header[0], header[1]]) as u32;
                    let payload = fold(first + self.inner_sum as u32);
                    udp::checksum(pseudo_header, from, to, length, payload)
                } else {
                    0
                };
                host.set_bytes(offset, &udp::header(from, to, length, checksum))?;
                host.set_bytes(offset + udp::HEADER, &header)
            }
            tunnel::GRE if has_checksum(self.word) => host.set_bytes(
                offset,
                &gre::header_with_checksum(ethertype, self.inner_sum),
            ),
            tunnel::GRE => host.set_bytes(offset, &gre::header(ethertype)),
            _ => Some(()),
        }
    }
}
