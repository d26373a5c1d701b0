//! Packets, in tunnels where they go through one, and frames around them.

use std::net::IpAddr;

use config::model::Via;
use etherparse::{IpNumber, PacketBuilder};
use model::{Tunnel, TunnelKind};

use super::Way;
use crate::Failure;

/// Hops of packets that nobody forwards but tunnels.
const HOPS: u8 = 64;
/// Ethernet's types (IEEE 802).
pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;

pub(super) fn unmade(error: impl std::fmt::Display) -> Failure {
    Failure::Server(format!("the packet cannot be made: {error}"))
}

pub(super) fn ip(from: IpAddr, to: IpAddr) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (from, to) => PacketBuilder::ipv6(v6(from), v6(to), HOPS),
    }
}

pub(super) fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The frame that brings a packet to the real server: as it is under DR, in a tunnel under TUN.
pub(super) fn framed(way: &Way, via: &Via, packet: &[u8]) -> Result<Vec<u8>, Failure> {
    let packet = match via.tunnel {
        None => packet.to_vec(),
        Some(tunnel) => enclosed(way, via.real_server, tunnel, packet)?,
    };
    let kind = match via.real_server {
        IpAddr::V4(_) => IPV4,
        IpAddr::V6(_) => IPV6,
    };
    let mut frame = Vec::with_capacity(14 + packet.len());
    frame.extend(way.destination);
    frame.extend(way.source);
    frame.extend(kind.to_be_bytes());
    frame.extend(packet);
    Ok(frame)
}

fn enclosed(
    way: &Way,
    real_server: IpAddr,
    tunnel: Tunnel,
    packet: &[u8],
) -> Result<Vec<u8>, Failure> {
    let is_v4 = packet.first().is_some_and(|first| first >> 4 == 4);
    let inside = if is_v4 {
        IpNumber::IPV4
    } else {
        IpNumber::IPV6
    };
    let outer = ip(way.address, real_server);
    let mut out = Vec::new();
    match tunnel.kind {
        TunnelKind::Ipip => outer.write(&mut out, inside, packet).map_err(unmade)?,
        TunnelKind::Gre => {
            // RFC 2784: no flags, then the type of what is inside.
            let kind = if is_v4 { IPV4 } else { IPV6 };
            let payload = [&[0, 0], &kind.to_be_bytes()[..], packet].concat();
            outer
                .write(&mut out, IpNumber::GRE, &payload)
                .map_err(unmade)?;
        }
        TunnelKind::Gue => {
            // Generic UDP Encapsulation, variant 0 without options: the protocol of what is inside.
            let payload = [&[0, inside.0, 0, 0], packet].concat();
            let builder = outer.udp(tunnel.port, tunnel.port);
            builder.write(&mut out, &payload).map_err(unmade)?;
        }
    }
    Ok(out)
}
