//! Frames of the steps' packets, and frames that left as text.

use std::net::Ipv4Addr;

use etherparse::{
    IpHeaders, Ipv4Header, LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TcpHeader,
    TransportSlice,
};

use crate::case::Packet;
use crate::lan::{CLIENTS, SERVERS, is_servers, mac_of};

const TTL: u8 = 64;
/// Where TCP's flags are in a frame without IP options (RFC 9293, section 3.1).
const TCP_FLAGS: usize = 14 + 20 + 13;
const ACK: u8 = 0x10;

/// The frame that brings a packet to a director with this MAC.
pub fn build(packet: &Packet, own_mac: [u8; 6]) -> Vec<u8> {
    let (from, to) = (packet.from, packet.to);
    let payload: Vec<u8> = (0..packet.length).map(|byte| byte as u8).collect();
    let protocol = if packet.flags.is_some() { 6 } else { 17 };
    let ip = Ipv4Header {
        source: from.ip().octets(),
        destination: to.ip().octets(),
        protocol: protocol.into(),
        time_to_live: TTL,
        identification: 0x1234,
        ..Ipv4Header::default()
    };
    let builder = PacketBuilder::ethernet2(mac_of(*from.ip()), own_mac)
        .ip(IpHeaders::Ipv4(ip, Default::default()));
    let mut frame = Vec::with_capacity(TCP_FLAGS + payload.len() + 8);
    let written = match packet.flags {
        None => builder
            .udp(from.port(), to.port())
            .write(&mut frame, &payload),
        Some(flags) => builder
            .tcp_header(tcp(packet, flags.0))
            .write(&mut frame, &payload),
    };
    written.expect("a packet of a case is far shorter than IP allows");
    frame
}

fn tcp(packet: &Packet, flags: u8) -> TcpHeader {
    let mut tcp = TcpHeader::new(packet.from.port(), packet.to.port(), 1000, 4096);
    let is_set = |bit: u8| flags >> bit & 1 == 1;
    tcp.fin = is_set(0);
    tcp.syn = is_set(1);
    tcp.rst = is_set(2);
    tcp.psh = is_set(3);
    tcp.ack = is_set(4);
    tcp.urg = is_set(5);
    if flags & ACK != 0 {
        tcp.acknowledgment_number = 77;
    }
    tcp
}

/// A frame that left a director with this MAC, as text. None for what is not IPv4.
pub fn describe(frame: &[u8], own_mac: [u8; 6]) -> Option<String> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else {
        return None;
    };
    let neighbour = CLIENTS
        .into_iter()
        .chain(SERVERS)
        .find(|address| mac_of(*address) == ethernet.destination());
    let neighbour = neighbour.map_or("nobody".to_owned(), |address| address.to_string());
    let sender = if ethernet.source() == own_mac {
        ""
    } else {
        " from another MAC"
    };
    Some(format!("to {neighbour}{sender}: {}", describe_ip(&packet)?))
}

/// A packet: addresses, ports, what a director changes. The checksums stand for all the rest, which they cover; those
/// of ICMP are left out, since hosts number what they send themselves as they like.
fn describe_ip(packet: &SlicedPacket<'_>) -> Option<String> {
    let Some(NetSlice::Ipv4(ip)) = &packet.net else {
        return None;
    };
    let header = ip.header();
    let (from, to, ttl) = (
        header.source_addr(),
        header.destination_addr(),
        header.ttl(),
    );
    let ends = |source: u16, destination: u16| format!("{from}:{source} > {to}:{destination}");
    let sum = header.header_checksum();
    Some(match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let flags = crate::case::Flags(tcp.slice()[13]);
            let ends = ends(tcp.source_port(), tcp.destination_port());
            let length = tcp.payload().len();
            format!(
                "tcp {ends} {flags} {length} ttl {ttl} sums {sum:04x} {:04x}",
                tcp.checksum()
            )
        }
        Some(TransportSlice::Udp(udp)) => {
            let ends = ends(udp.source_port(), udp.destination_port());
            let length = udp.payload().len();
            format!(
                "udp {ends} {length} ttl {ttl} sums {sum:04x} {:04x}",
                udp.checksum()
            )
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            let (kind, code) = (icmp.type_u8(), icmp.code_u8());
            let quoted = describe_quoted(icmp.payload()).unwrap_or_default();
            format!("icmp {kind}/{code} {from} > {to} about {quoted}")
        }
        _ => {
            let payload = ip.payload();
            let inner = SlicedPacket::from_ip(payload.payload).ok();
            let inner = inner.as_ref().and_then(describe_ip).unwrap_or_default();
            format!(
                "protocol {} {from} > {to} ttl {ttl} with {inner}",
                payload.ip_number.0
            )
        }
    })
}

/// The beginning of a packet that an ICMP error quotes, without IP options: where it came from and where it went.
fn describe_quoted(packet: &[u8]) -> Option<String> {
    let protocol = packet.get(9)?;
    let address = |at: usize| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    let port = |at: usize| -> Option<u16> {
        let octets: [u8; 2] = packet.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_be_bytes(octets))
    };
    let (from, to) = (address(12)?, address(16)?);
    Some(format!(
        "{protocol} {from}:{} > {to}:{}",
        port(20)?,
        port(22)?
    ))
}

/// Whether a frame is a real server's packet that was only sent on, as a router does.
pub fn is_routed(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return false;
    };
    let Some(NetSlice::Ipv4(ip)) = &packet.net else {
        return false;
    };
    let to: Ipv4Addr = ip.header().destination_addr();
    is_servers(ip.header().source_addr()) && !is_servers(to)
}
