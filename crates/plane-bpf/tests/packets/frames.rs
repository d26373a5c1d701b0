//! Frames, built and read by a library that knows nothing of the director.

use etherparse::{
    Ipv4Header, Ipv4Options, NetSlice, PacketBuilder, SingleVlanHeader, SlicedPacket,
    TransportSlice, VlanHeader, VlanId, VlanPcp, checksum::Sum16BitWords,
};

use crate::lan::{CLIENT, CLIENT_MAC, OWN_MAC, SERVER, SERVER_PORT, VIRTUAL, WEB, mac_of};

pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;
pub const FIN: u8 = 0x01;
pub const RST: u8 = 0x04;

/// Everything that the cases vary in a TCP or UDP packet.
#[derive(Clone)]
pub struct Packet {
    pub to_mac: [u8; 6],
    pub from_mac: [u8; 6],
    pub vlan: Option<u16>,
    /// Of the VLAN tag, 0 to 7.
    pub priority: u8,
    pub from: ([u8; 4], u16),
    pub to: ([u8; 4], u16),
    pub ttl: u8,
    pub dont_fragment: bool,
    pub options: Vec<u8>,
    /// None makes it UDP.
    pub flags: Option<u8>,
    /// TCP's, a multiple of four bytes.
    pub tcp_options: Vec<u8>,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub payload: Vec<u8>,
}

impl Packet {
    /// From the client to a service.
    pub fn to_service(client_port: u16, port: u16, flags: u8) -> Self {
        Self {
            to_mac: OWN_MAC,
            from_mac: CLIENT_MAC,
            vlan: None,
            priority: 0,
            from: (CLIENT, client_port),
            to: (VIRTUAL, port),
            ttl: 64,
            dont_fragment: false,
            options: Vec::new(),
            flags: Some(flags),
            tcp_options: Vec::new(),
            sequence: 1000,
            acknowledgement: 77,
            payload: Vec::new(),
        }
    }

    /// The web server's answer to the client.
    pub fn from_server(client_port: u16, flags: u8) -> Self {
        Self {
            from_mac: mac_of(SERVER),
            from: (SERVER, SERVER_PORT),
            to: (CLIENT, client_port),
            ..Self::to_service(client_port, WEB, flags)
        }
    }

    pub fn payload(mut self, length: usize) -> Self {
        self.payload = (0..length).map(|byte| byte as u8).collect();
        self
    }

    /// As it must leave towards a real server.
    pub fn sent_to(mut self, server: [u8; 4], port: u16) -> Self {
        (self.to_mac, self.from_mac) = (mac_of(server), OWN_MAC);
        self.to = (server, port);
        self.ttl -= 1;
        self
    }

    /// As it must leave towards the client.
    pub fn sent_from_service(mut self, port: u16) -> Self {
        (self.to_mac, self.from_mac) = (mac_of(CLIENT), OWN_MAC);
        self.from = (VIRTUAL, port);
        self.ttl -= 1;
        self
    }

    /// The bytes.
    pub fn frame(&self) -> Vec<u8> {
        let mut ip = Ipv4Header::new(0, self.ttl, 6.into(), self.from.0, self.to.0).unwrap();
        ip.identification = 0x1234;
        ip.dont_fragment = self.dont_fragment;
        ip.options = Ipv4Options::try_from(&self.options[..]).unwrap();
        let ethernet = PacketBuilder::ethernet2(self.from_mac, self.to_mac);
        let headers = etherparse::IpHeaders::Ipv4(ip, Default::default());
        let builder = match self.vlan {
            Some(vlan) => ethernet
                .vlan(VlanHeader::Single(SingleVlanHeader {
                    pcp: VlanPcp::try_new(self.priority).unwrap(),
                    vlan_id: VlanId::try_new(vlan).unwrap(),
                    ..Default::default()
                }))
                .ip(headers),
            None => ethernet.ip(headers),
        };
        let mut frame = Vec::new();
        let Some(flags) = self.flags else {
            let builder = builder.udp(self.from.1, self.to.1);
            builder.write(&mut frame, &self.payload).unwrap();
            return frame;
        };
        let mut tcp = builder.tcp(self.from.1, self.to.1, self.sequence, 4096);
        for (flag, set) in [
            (SYN, etherparse::PacketBuilderStep::syn as fn(_) -> _),
            (FIN, etherparse::PacketBuilderStep::fin),
            (RST, etherparse::PacketBuilderStep::rst),
        ] {
            if flags & flag != 0 {
                tcp = set(tcp);
            }
        }
        if flags & ACK != 0 {
            tcp = tcp.ack(self.acknowledgement);
        }
        let tcp = tcp.options_raw(&self.tcp_options).unwrap();
        tcp.write(&mut frame, &self.payload).unwrap();
        frame
    }
}

/// An ICMP error in a frame.
pub fn icmp(
    from_mac: [u8; 6],
    from: [u8; 4],
    to: [u8; 4],
    (kind, code): (u8, u8),
    embedded: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from_mac, OWN_MAC)
        .ipv4(from, to, 64)
        .icmpv4_raw(kind, code, [0; 4])
        .write(&mut frame, embedded)
        .unwrap();
    frame
}

/// A frame without its VLAN tag, if it has one.
pub fn without_tag(frame: &[u8]) -> Vec<u8> {
    match frame.get(12..14) {
        Some([0x81, 0]) => [&frame[..12], &frame[16..]].concat(),
        _ => frame.to_vec(),
    }
}

/// A frame that `given` became, without the identification that an IPv4 header of the director's own
/// has: processors count for themselves, so it depends on where the packet was.
pub fn unnumbered(frame: &[u8], given: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let l3 = match frame.get(12..18) {
        Some([8, 0, ..]) => 14,
        Some([0x81, 0, _, _, 8, 0]) => 18,
        _ => return frame,
    };
    if frame.len() < l3 + 20 || is_numbered(given, &frame[l3 + 4..l3 + 6]) {
        return frame;
    }
    let (mut header, _) = Ipv4Header::from_slice(&frame[l3..]).unwrap();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    header.identification = 0;
    header.header_checksum = header.calc_header_checksum();
    frame[l3..l3 + header.header_len()].copy_from_slice(&header.to_bytes());
    frame
}

/// Whether a frame has an IPv4 header with this identification.
fn is_numbered(frame: &[u8], identification: &[u8]) -> bool {
    let untagged = without_tag(frame);
    untagged.get(12..14) == Some(&[8, 0]) && untagged.get(18..20) == Some(identification)
}

/// Checks every checksum of an untagged frame.
pub fn assert_checksums(frame: &[u8]) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(NetSlice::Ipv4(ip)) = &packet.net else {
        panic!("no IPv4 in {frame:02x?}");
    };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    match packet.transport.unwrap() {
        TransportSlice::Icmpv4(icmp) => {
            let whole = ip.payload().payload;
            assert_eq!(icmp.slice(), whole);
            assert_eq!(Sum16BitWords::new().add_slice(whole).ones_complement(), 0);
        }
        TransportSlice::Tcp(tcp) => {
            let computed = tcp.calc_checksum_ipv4(header.source, header.destination);
            assert_eq!(tcp.checksum(), computed.unwrap());
        }
        TransportSlice::Udp(udp) if udp.checksum() != 0 => {
            let whole = udp.to_header();
            let computed = whole.calc_checksum_ipv4(&header, udp.payload());
            assert_eq!(udp.checksum(), computed.unwrap());
        }
        _ => {}
    }
}
