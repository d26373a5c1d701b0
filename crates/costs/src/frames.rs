//! Frames, built and read by a library that knows nothing of the director.

use std::net::IpAddr;

use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, NetSlice, PacketBuilder,
    SlicedPacket, TransportSlice,
};

use crate::site::{HOST_MAC, OWN_MAC};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;
const HOPS: u8 = 64;
/// Of every packet that is neither opening nor closing a connection, and of every datagram.
const PAYLOAD: [u8; 16] = [0x55; 16];
/// RFC 792: destination unreachable, host unreachable.
const HOST_UNREACHABLE: (u8, u8) = (3, 1);
const ETHERNET: usize = 14;

/// An address and a port.
pub type End = (IpAddr, u16);

/// From whom, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub from: End,
    pub to: End,
}

impl Ends {
    /// Those of an answer.
    pub fn back(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
        }
    }

    /// Of a frame without a tunnel.
    pub fn of(frame: &[u8]) -> Self {
        let packet = SlicedPacket::from_ethernet(frame).expect("the director sends whole frames");
        let (from, to): (IpAddr, IpAddr) = match &packet.net {
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header();
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                )
            }
            Some(NetSlice::Ipv6(ip)) => {
                let header = ip.header();
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                )
            }
            _ => panic!("the director sends IP"),
        };
        let (source, destination) = match packet.transport {
            Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
            Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
            _ => panic!("the director sends TCP and UDP"),
        };
        Self {
            from: (from, source),
            to: (to, destination),
        }
    }

    /// A TCP segment to the director's interface.
    pub fn segment(self, flags: u8) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(HOST_MAC, OWN_MAC).ip(self.ip(IpNumber::TCP));
        let mut tcp = builder.tcp(self.from.1, self.to.1, 1000, 4096);
        if flags & SYN != 0 {
            tcp = tcp.syn();
        }
        if flags & FIN != 0 {
            tcp = tcp.fin();
        }
        if flags & ACK != 0 {
            tcp = tcp.ack(77);
        }
        let payload: &[u8] = if flags == ACK { &PAYLOAD } else { &[] };
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).expect("vectors grow");
        frame
    }

    /// A datagram to the director's interface.
    pub fn datagram(self) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(HOST_MAC, OWN_MAC).ip(self.ip(IpNumber::UDP));
        let mut frame = Vec::new();
        let udp = builder.udp(self.from.1, self.to.1);
        udp.write(&mut frame, &PAYLOAD).expect("vectors grow");
        frame
    }

    fn ip(self, protocol: IpNumber) -> IpHeaders {
        match (self.from.0, self.to.0) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let header = Ipv4Header::new(0, HOPS, protocol, from.octets(), to.octets());
                let header = header.expect("an empty packet is short enough");
                IpHeaders::Ipv4(header, Default::default())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: protocol,
                    hop_limit: HOPS,
                    source: from.octets(),
                    destination: to.octets(),
                };
                IpHeaders::Ipv6(header, Default::default())
            }
            _ => panic!("both ends of a packet are of one family"),
        }
    }
}

/// What the receiver of an IPv4 frame says who cannot deliver it: an ICMP error to its sender.
pub fn unreachable(frame: &[u8]) -> Vec<u8> {
    let Ends { from, to } = Ends::of(frame);
    let (IpAddr::V4(sender), IpAddr::V4(receiver)) = (from.0, to.0) else {
        panic!("the packet is an IPv4 one");
    };
    let (kind, code) = HOST_UNREACHABLE;
    let mut error = Vec::new();
    PacketBuilder::ethernet2(HOST_MAC, OWN_MAC)
        .ipv4(receiver.octets(), sender.octets(), HOPS)
        .icmpv4_raw(kind, code, [0; 4])
        .write(&mut error, &frame[ETHERNET..])
        .expect("vectors grow");
    error
}
