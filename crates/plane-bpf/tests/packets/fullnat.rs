//! FULLNAT: packets whose both ends are translated, there and back.

use std::collections::BTreeSet;

use abi::Reason;
use forward::Action;

use crate::bed::Bed;
use crate::fragments::cut;
use crate::frames::{ACK, FIN, Packet, SYN, icmp};
use crate::lan::{
    CLIENT, CLIENT_MAC, DNS, DRY, FULLNAT, FULLNAT_DNS, LIMITED, LOCAL, SERVER, SERVER_PORT,
    VIRTUAL, mac_of,
};

const SEND: Action = Action::Send;
/// Where the ports are in an untagged frame without IP options.
const SOURCE_PORT: usize = 14 + 20;

/// As a client's packet must leave, with the local port that stands for the client.
fn to_server(packet: &Packet, server_port: u16, local_port: u16) -> Vec<u8> {
    let left = Packet {
        from: (LOCAL, local_port),
        ..packet.clone().sent_to(SERVER, server_port)
    };
    left.frame()
}

/// The real server's answer to a local port.
fn from_server(packet: &Packet, server_port: u16, local_port: u16) -> Packet {
    Packet {
        from_mac: mac_of(SERVER),
        from: (SERVER, server_port),
        to: (LOCAL, local_port),
        ..packet.clone()
    }
}

/// As a real server's answer must leave.
fn to_client(packet: &Packet, client_port: u16, port: u16) -> Vec<u8> {
    let left = Packet {
        to: (CLIENT, client_port),
        ..packet.clone().sent_from_service(port)
    };
    left.frame()
}

/// Opens a connection; its local port.
fn open(bed: &Bed, client_port: u16) -> u16 {
    let packet = Packet::to_service(client_port, FULLNAT, SYN);
    let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let local_port = local_port(&left);
    assert_eq!(left, to_server(&packet, SERVER_PORT, local_port));
    local_port
}

fn local_port(left: &[u8]) -> u16 {
    u16::from_be_bytes([left[SOURCE_PORT], left[SOURCE_PORT + 1]])
}

#[test]
fn a_conversation_is_translated_at_both_ends_both_ways() {
    let bed = Bed::shared();
    let local_port = open(&bed, 41001);
    assert!(local_port >= 1024, "{local_port} is a system port");
    for (flags, length) in [(ACK, 0), (ACK, 100), (ACK, 101), (FIN | ACK, 0)] {
        let answer = from_server(
            &Packet::from_server(0, flags).payload(length),
            SERVER_PORT,
            local_port,
        );
        let left = bed.must(&answer.frame(), SEND, Reason::Replied);
        assert_eq!(left, to_client(&answer, 41001, FULLNAT));

        let packet = Packet::to_service(41001, FULLNAT, flags).payload(length);
        let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
        assert_eq!(left, to_server(&packet, SERVER_PORT, local_port));
    }
}

#[test]
fn a_datagram_and_its_answer_are_translated_at_both_ends() {
    let bed = Bed::shared();
    let packet = Packet {
        flags: None,
        ..Packet::to_service(41002, FULLNAT_DNS, 0).payload(33)
    };
    let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let local_port = local_port(&left);
    assert_eq!(left, to_server(&packet, DNS, local_port));
    let answer = from_server(&packet, DNS, local_port);
    let left = bed.must(&answer.frame(), SEND, Reason::Replied);
    assert_eq!(left, to_client(&answer, 41002, FULLNAT_DNS));
}

/// The option that announces a segment size (RFC 9293, section 3.2).
fn announcing(size: u16) -> Vec<u8> {
    [&[2, 4], &size.to_be_bytes()[..]].concat()
}

#[test]
fn handshakes_announce_what_the_service_allows() {
    let bed = Bed::shared();
    for (client_port, announced, left) in [(41011, 1460, 1400), (41012, 1300, 1300)] {
        let syn = Packet {
            tcp_options: announcing(announced),
            ..Packet::to_service(client_port, LIMITED, SYN)
        };
        let sent = bed.must(&syn.frame(), SEND, Reason::Forwarded);
        let local_port = local_port(&sent);
        let lowered = |packet: Packet| Packet {
            tcp_options: announcing(left),
            ..packet
        };
        assert_eq!(sent, to_server(&lowered(syn), SERVER_PORT, local_port));
        let answer = Packet {
            tcp_options: announcing(announced),
            ..from_server(&Packet::from_server(0, SYN | ACK), SERVER_PORT, local_port)
        };
        let sent = bed.must(&answer.frame(), SEND, Reason::Replied);
        assert_eq!(sent, to_client(&lowered(answer), client_port, LIMITED));
    }
}

#[test]
fn fragments_of_an_answer_follow_the_first_and_leave_the_connection_alone() {
    let bed = Bed::shared();
    let packet = Packet {
        flags: None,
        ..Packet::to_service(41013, FULLNAT_DNS, 0).payload(100)
    };
    let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let local_port = local_port(&left);
    let answer = from_server(&packet, DNS, local_port);
    let expected = cut(&to_client(&answer, 41013, FULLNAT_DNS), &[24]);
    let reasons = [Reason::Replied, Reason::FragmentForwarded];
    for ((sent, expected), reason) in cut(&answer.frame(), &[24])
        .iter()
        .zip(&expected)
        .zip(reasons)
    {
        assert_eq!(&bed.must(sent, SEND, reason), expected);
    }
    let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    assert_eq!(left, to_server(&packet, DNS, local_port));
}

#[test]
fn no_two_connections_have_the_same_local_port() {
    let bed = Bed::shared();
    let ports: BTreeSet<u16> = (42000..42200).map(|client| open(&bed, client)).collect();
    assert_eq!(ports.len(), 200);
}

#[test]
fn connections_are_counted_as_under_vs_nat() {
    let bed = Bed::shared();
    let local_port = open(&bed, 41003);
    assert_eq!(bed.state(41003), "SYN_RECV");
    let answer = from_server(&Packet::from_server(0, SYN | ACK), SERVER_PORT, local_port);
    bed.must(&answer.frame(), SEND, Reason::Replied);
    let packet = Packet::to_service(41003, FULLNAT, ACK);
    bed.must(&packet.frame(), SEND, Reason::Forwarded);
    assert_eq!(bed.state(41003), "ESTABLISHED");
    assert_eq!(bed.connections(), (1, 0));
}

#[test]
fn an_answer_to_a_local_port_that_nobody_has_is_left_to_the_stack() {
    let bed = Bed::shared();
    let answer = from_server(&Packet::from_server(0, ACK), SERVER_PORT, 4711);
    bed.must(&answer.frame(), Action::Pass, Reason::NoConnection);
}

#[test]
fn the_local_port_goes_with_its_connection() {
    let bed = Bed::shared();
    let local_port = open(&bed, 41004);
    bed.clear();
    let answer = from_server(&Packet::from_server(0, ACK), SERVER_PORT, local_port);
    bed.must(&answer.frame(), Action::Pass, Reason::NoConnection);
    assert_eq!(open(&bed, 41004), local_port, "and is lent again");
}

#[test]
fn a_service_without_local_address_drops_and_says_so() {
    let bed = Bed::shared();
    let packet = Packet::to_service(41005, DRY, SYN);
    bed.must(&packet.frame(), Action::Drop, Reason::NoLocalPort);
    assert_eq!(bed.connections(), (0, 0));
}

/// RFC 792: port unreachable.
const UNREACHABLE: (u8, u8) = (3, 3);
/// IP header and the eight bytes that an error quotes at least.
const QUOTED: std::ops::Range<usize> = 14..14 + 20 + 8;

#[test]
fn an_error_from_the_real_servers_side_reaches_the_client_as_about_its_own_packet() {
    let bed = Bed::shared();
    let packet = Packet::to_service(41006, FULLNAT, SYN);
    let sent = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let error = icmp(mac_of(SERVER), SERVER, LOCAL, UNREACHABLE, &sent[QUOTED]);
    let left = bed.must(&error, SEND, Reason::IcmpRelayed);
    // The quoted time to live is the one with which the packet left.
    let quoted = Packet {
        ttl: packet.ttl - 1,
        ..packet
    };
    let mut expected = icmp(
        [0; 6],
        VIRTUAL,
        CLIENT,
        UNREACHABLE,
        &quoted.frame()[QUOTED],
    );
    count_down(&mut expected);
    assert_eq!(left[14..], expected[14..]);
}

#[test]
fn an_error_from_the_client_reaches_the_real_server_as_about_its_own_packet() {
    let bed = Bed::shared();
    let local_port = open(&bed, 41007);
    let answer = from_server(&Packet::from_server(0, SYN | ACK), SERVER_PORT, local_port);
    let sent = bed.must(&answer.frame(), SEND, Reason::Replied);
    let error = icmp(CLIENT_MAC, CLIENT, VIRTUAL, UNREACHABLE, &sent[QUOTED]);
    let left = bed.must(&error, SEND, Reason::IcmpRelayed);
    let quoted = Packet {
        ttl: answer.ttl - 1,
        ..answer
    };
    let mut expected = icmp([0; 6], LOCAL, SERVER, UNREACHABLE, &quoted.frame()[QUOTED]);
    count_down(&mut expected);
    assert_eq!(left[14..], expected[14..]);
}

/// Takes one from the time to live of an untagged frame, and makes its header's checksum anew.
fn count_down(frame: &mut [u8]) {
    let (mut header, _) = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap();
    header.time_to_live -= 1;
    header.header_checksum = header.calc_header_checksum();
    frame[14..34].copy_from_slice(&header.to_bytes());
}
