//! FULLNAT between the address families.

use std::net::{IpAddr, SocketAddr};

use abi::Reason;
use etherparse::{IpHeaders, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder};
use forward::Action;
use model::{ConnectionProtocol, Forwarding, TraceDirection, TracedConnection};

use crate::bed::Bed;
use crate::frames::{ACK, FIN, SYN};
use crate::lan::{
    CLIENT, CLIENT_MAC, CLIENT_V6, CROSSED, CROSSED_DNS, CROSSED_PROXY, DNS, LOCAL, LOCAL_V6,
    OWN_MAC, SERVER, SERVER_PORT, SERVER_V6, VIRTUAL, VIRTUAL_V6, mac_of, mac_of_v6,
};

const SEND: Action = Action::Send;
/// Type of service, or traffic class.
const TOS: u8 = 0x28;

/// The ends of a connection: the client's side, and the real server's.
#[derive(Clone, Copy)]
struct Ends {
    client: IpAddr,
    virtual_address: IpAddr,
    local: IpAddr,
    server: IpAddr,
}

fn v4_to_v6() -> Ends {
    Ends {
        client: CLIENT.into(),
        virtual_address: VIRTUAL.into(),
        local: LOCAL_V6.into(),
        server: SERVER_V6.into(),
    }
}

fn v6_to_v4() -> Ends {
    Ends {
        client: CLIENT_V6.into(),
        virtual_address: VIRTUAL_V6.into(),
        local: LOCAL.into(),
        server: SERVER.into(),
    }
}

fn mac(address: IpAddr) -> [u8; 6] {
    match address {
        IpAddr::V4(address) => mac_of(address.octets()),
        IpAddr::V6(address) => mac_of_v6(address),
    }
}

/// A segment, or without flags a datagram, of either family.
#[derive(Clone)]
struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    ttl: u8,
    flags: Option<u8>,
    /// Sequence and acknowledgement.
    numbers: (u32, u32),
    payload: Vec<u8>,
    /// From and to.
    macs: ([u8; 6], [u8; 6]),
}

impl Packet {
    fn new(from: (IpAddr, u16), to: (IpAddr, u16), flags: Option<u8>, length: usize) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            ttl: 64,
            flags,
            numbers: (1000, 77),
            payload: (0..length).map(|byte| byte as u8).collect(),
            macs: (CLIENT_MAC, OWN_MAC),
        }
    }

    /// As it leaves.
    fn left(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            ttl: self.ttl - 1,
            macs: (OWN_MAC, mac(to.0)),
            ..self.clone()
        }
    }

    fn headers(&self) -> IpHeaders {
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let (from, to) = (from.octets(), to.octets());
                let mut header = Ipv4Header::new(0, self.ttl, 6.into(), from, to).unwrap();
                header.dont_fragment = true;
                header.dscp = (TOS >> 2).try_into().unwrap();
                IpHeaders::Ipv4(header, Default::default())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let header = Ipv6Header {
                    traffic_class: TOS,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: 6.into(),
                    hop_limit: self.ttl,
                    source: from.octets(),
                    destination: to.octets(),
                };
                IpHeaders::Ipv6(header, Default::default())
            }
            ends => panic!("{ends:?} are of two families"),
        }
    }

    fn frame(&self) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(self.macs.0, self.macs.1).ip(self.headers());
        let (from, to) = (self.from.port(), self.to.port());
        let mut frame = Vec::new();
        let Some(flags) = self.flags else {
            let builder = builder.udp(from, to);
            builder.write(&mut frame, &self.payload).unwrap();
            return frame;
        };
        let (sequence, acknowledgement) = self.numbers;
        let mut tcp = builder.tcp(from, to, sequence, 4096);
        for (flag, set) in [
            (SYN, etherparse::PacketBuilderStep::syn as fn(_) -> _),
            (FIN, etherparse::PacketBuilderStep::fin),
        ] {
            if flags & flag != 0 {
                tcp = set(tcp);
            }
        }
        if flags & ACK != 0 {
            tcp = tcp.ack(acknowledgement);
        }
        tcp.write(&mut frame, &self.payload).unwrap();
        frame
    }
}

/// The source port of a frame to a real server.
fn local_port(ends: Ends, left: &[u8]) -> u16 {
    let offset = if ends.server.is_ipv6() { 54 } else { 34 };
    u16::from_be_bytes([left[offset], left[offset + 1]])
}

/// A packet from the client that must leave; the local port.
fn must_reach_server(bed: &Bed, ends: Ends, packet: &Packet, port: u16) -> u16 {
    let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let local_port = local_port(ends, &left);
    let expected = packet.left((ends.local, local_port), (ends.server, port));
    assert_eq!(left, expected.frame());
    local_port
}

#[test]
fn a_conversation_is_translated_both_ways() {
    let bed = Bed::shared();
    for (ends, client_port) in [(v4_to_v6(), 44001), (v6_to_v4(), 44002)] {
        let client = (ends.client, client_port);
        let service = (ends.virtual_address, CROSSED);
        let syn = Packet::new(client, service, Some(SYN), 0);
        let local_port = must_reach_server(&bed, ends, &syn, SERVER_PORT);
        let conversation = [
            (SYN | ACK, 0),
            (ACK, 0),
            (ACK, 100),
            (ACK, 101),
            (FIN | ACK, 0),
        ];
        for (flags, length) in conversation {
            let local = (ends.local, local_port);
            let answer = Packet::new((ends.server, SERVER_PORT), local, Some(flags), length);
            let left = bed.must(&answer.frame(), SEND, Reason::Replied);
            assert_eq!(left, answer.left(service, client).frame());

            let packet = Packet::new(client, service, Some(flags & !SYN), length);
            let again = must_reach_server(&bed, ends, &packet, SERVER_PORT);
            assert_eq!(again, local_port);
        }
    }
}

#[test]
fn a_trace_tells_the_connection_of_packets_of_either_family() {
    let bed = Bed::shared();
    for (ends, client_port) in [(v4_to_v6(), 44011), (v6_to_v4(), 44012)] {
        let client = (ends.client, client_port);
        let service = (ends.virtual_address, CROSSED);
        let of = |direction, before: Option<&str>, after: &str| TracedConnection {
            protocol: ConnectionProtocol::Tcp,
            client: client.into(),
            virtual_address: service.into(),
            destination: (ends.server, SERVER_PORT).into(),
            forwarding: Forwarding::FullNat,
            direction,
            before: before.map(str::to_owned),
            after: Some(after.to_owned()),
        };
        let (to_server, to_client) = (TraceDirection::ToServer, TraceDirection::ToClient);
        let syn = Packet::new(client, service, Some(SYN), 0);
        let expected = of(to_server, None, "SYN_RECV");
        assert_eq!(bed.traced(&syn.frame()), Some(expected));
        let local_port = must_reach_server(&bed, ends, &syn, SERVER_PORT);
        let ack = Packet::new(client, service, Some(ACK), 0);
        let expected = of(to_server, Some("SYN_RECV"), "ESTABLISHED");
        assert_eq!(bed.traced(&ack.frame()), Some(expected));
        must_reach_server(&bed, ends, &ack, SERVER_PORT);

        let (server, local) = ((ends.server, SERVER_PORT), (ends.local, local_port));
        let answer = Packet::new(server, local, Some(ACK), 9);
        let expected = of(to_client, Some("ESTABLISHED"), "ESTABLISHED");
        assert_eq!(bed.traced(&answer.frame()), Some(expected));
    }
}

#[test]
fn a_datagram_and_its_answer_are_translated() {
    let bed = Bed::shared();
    for (ends, client_port) in [(v4_to_v6(), 44003), (v6_to_v4(), 44004)] {
        let client = (ends.client, client_port);
        let service = (ends.virtual_address, CROSSED_DNS);
        let packet = Packet::new(client, service, None, 33);
        let local_port = must_reach_server(&bed, ends, &packet, DNS);
        let answer = Packet::new((ends.server, DNS), (ends.local, local_port), None, 301);
        let left = bed.must(&answer.frame(), SEND, Reason::Replied);
        assert_eq!(left, answer.left(service, client).frame());
    }
}

/// RFC 8200, section 8.1: IPv6 knows no datagram without checksum.
#[test]
fn a_datagram_without_checksum_has_no_counterpart() {
    let bed = Bed::shared();
    let client = (CLIENT.into(), 44005);
    let packet = Packet::new(client, (VIRTUAL.into(), CROSSED_DNS), None, 33);
    let mut frame = packet.frame();
    frame[40..42].fill(0);
    bed.must(&frame, Action::Drop, Reason::Untranslatable);
}

#[test]
fn the_sender_is_told_how_much_fits_in_its_own_family() {
    let bed = Bed::shared();
    let (ends, client_port) = (v4_to_v6(), 44006);
    let client = (ends.client, client_port);
    let service = (ends.virtual_address, CROSSED);
    let syn = Packet::new(client, service, Some(SYN), 0);
    must_reach_server(&bed, ends, &syn, SERVER_PORT);
    // 1480 bytes become 1500.
    let fits = Packet::new(client, service, Some(ACK), 1440);
    must_reach_server(&bed, ends, &fits, SERVER_PORT);
    let large = Packet::new(client, service, Some(ACK), 1441);
    let left = bed.must(&large.frame(), SEND, Reason::TooBig);
    // RFC 1191: type 3, code 4, and the next hop's MTU.
    assert_eq!((left[34], left[35]), (3, 4));
    assert_eq!(u16::from_be_bytes([left[40], left[41]]), 1480);
}

/// Bytes of the PROXY protocol's header, which is of the client's family.
fn header(ends: Ends) -> u32 {
    if ends.client.is_ipv6() { 52 } else { 28 }
}

#[test]
fn the_proxy_protocol_tells_the_client_in_its_own_family() {
    let bed = Bed::shared();
    for (ends, client_port) in [(v4_to_v6(), 44007), (v6_to_v4(), 44008)] {
        let client = (ends.client, client_port);
        let service = (ends.virtual_address, CROSSED_PROXY);
        let syn = Packet::new(client, service, Some(SYN), 0);
        let local_port = must_reach_server(&bed, ends, &syn, SERVER_PORT);
        let (local, server) = ((ends.local, local_port), (ends.server, SERVER_PORT));
        let ack = Packet {
            numbers: (1001, 77),
            ..Packet::new(client, service, Some(ACK), 0)
        };
        let left = bed.must(&ack.frame(), SEND, Reason::Forwarded);
        let told = &left[left.len() - header(ends) as usize..];
        assert_eq!(told[..12], *b"\r\n\r\n\0\r\nQUIT\n");
        let expected = Packet {
            payload: told.to_vec(),
            ..ack.left(local, server)
        };
        assert_eq!(left, expected.frame());

        let answer = Packet {
            numbers: (77, 1001 + header(ends)),
            ..Packet::new(server, local, Some(ACK), 9)
        };
        let left = bed.must(&answer.frame(), SEND, Reason::Replied);
        let expected = Packet {
            numbers: (77, 1001),
            ..answer.left(service, client)
        };
        assert_eq!(left, expected.frame());
    }
}

/// An error of a router's, about the first bytes of a packet.
fn error(to: IpAddr, macs: ([u8; 6], [u8; 6]), kind: (u8, u8), mtu: u16, quoted: &[u8]) -> Vec<u8> {
    let [high, low] = mtu.to_be_bytes();
    let builder = PacketBuilder::ethernet2(macs.0, macs.1);
    let mut frame = Vec::new();
    match to {
        IpAddr::V4(to) => builder
            .ipv4(CLIENT, to.octets(), 64)
            .icmpv4_raw(kind.0, kind.1, [0, 0, high, low])
            .write(&mut frame, quoted),
        IpAddr::V6(to) => builder
            .ipv6(SERVER_V6.octets(), to.octets(), 64)
            .icmpv6_raw(kind.0, kind.1, [0, 0, high, low])
            .write(&mut frame, quoted),
    }
    .unwrap();
    frame
}

/// RFC 7915, section 5.2: what fits a router is 20 bytes less for IPv4, and the error quotes what the
/// client sent.
#[test]
fn a_client_is_told_of_an_error_on_the_real_servers_side_in_its_own_family() {
    let bed = Bed::shared();
    let ends = v4_to_v6();
    let client = (ends.client, 44009);
    let service = (ends.virtual_address, CROSSED);
    let syn = Packet::new(client, service, Some(SYN), 0);
    must_reach_server(&bed, ends, &syn, SERVER_PORT);
    let data = Packet::new(client, service, Some(ACK), 1440);
    let sent = bed.must(&data.frame(), SEND, Reason::Forwarded);
    for (theirs, mtu, ours, fits) in [
        // Packet too big, and fragmentation needed.
        ((2, 0), 1400, (3, 4), 1380),
        // Port unreachable.
        ((1, 4), 0, (3, 3), 0),
        // Hop limit, and time to live.
        ((3, 0), 0, (11, 0), 0),
        // Address, and host unreachable.
        ((1, 3), 0, (3, 1), 0),
    ] {
        let quoted = &sent[14..14 + 100];
        let error = error(ends.local, (CLIENT_MAC, OWN_MAC), theirs, mtu, quoted);
        let traced = bed.traced(&error).unwrap();
        let expected = (client.into(), TraceDirection::ToClient);
        assert_eq!((traced.client, traced.direction), expected);
        let left = bed.must(&error, SEND, Reason::IcmpRelayed);
        let told = etherparse::SlicedPacket::from_ethernet(&left).unwrap();
        let Some(etherparse::NetSlice::Ipv4(ip)) = told.net else {
            panic!("no IPv4 in {left:02x?}");
        };
        let header = ip.header();
        assert_eq!((header.source(), header.destination()), (VIRTUAL, CLIENT));
        assert_eq!((left[34], left[35]), ours);
        assert_eq!(u16::from_be_bytes([left[40], left[41]]), fits);
        crate::frames::assert_checksums(&left);
        let (theirs, quoted) = (&data.frame()[14..42], &left[42..]);
        // Identification, time to live and checksum apart: they are of the way.
        assert_eq!(quoted[..4], theirs[..4]);
        assert_eq!(quoted[12..28], theirs[12..28]);
    }
}

#[test]
fn a_real_server_is_told_of_a_clients_error_in_its_own_family() {
    let bed = Bed::shared();
    let ends = v4_to_v6();
    let client = (ends.client, 44010);
    let service = (ends.virtual_address, CROSSED_DNS);
    let asked = Packet::new(client, service, None, 33);
    let local_port = must_reach_server(&bed, ends, &asked, DNS);
    let answer = Packet::new((ends.server, DNS), (ends.local, local_port), None, 100);
    let sent = bed.must(&answer.frame(), SEND, Reason::Replied);
    let unreachable = (3, 3);
    let macs = (CLIENT_MAC, OWN_MAC);
    let error = error(ends.virtual_address, macs, unreachable, 0, &sent[14..42]);
    let traced = bed.traced(&error).unwrap();
    let expected = (client.into(), TraceDirection::ToServer);
    assert_eq!((traced.client, traced.direction), expected);
    let left = bed.must(&error, SEND, Reason::IcmpRelayed);
    let told = etherparse::SlicedPacket::from_ethernet(&left).unwrap();
    let Some(etherparse::NetSlice::Ipv6(ip)) = told.net else {
        panic!("no IPv6 in {left:02x?}");
    };
    let header = ip.header();
    assert_eq!(
        (header.source_addr(), header.destination_addr()),
        (LOCAL_V6, SERVER_V6)
    );
    // RFC 4443, section 3.1: port unreachable; then the addresses and ports of the answer.
    assert_eq!((left[54], left[55]), (1, 4));
    assert_eq!(left[62 + 8..62 + 44], answer.frame()[14 + 8..14 + 44]);
}
