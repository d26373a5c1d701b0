//! Packets of connections: translated there and back, byte for byte as an independent library
//! builds them.

use abi::Reason;
use forward::Action;

use crate::bed::Bed;
use crate::frames::{ACK, FIN, Packet, SYN, assert_checksums, without_tag};
use crate::lan::{
    CLIENT, DIRECT, DNS, LOST, SERVER, SERVER_PORT, STRANGER, TAG, TAGGED, TO_TAGGED, VIRTUAL, WEB,
    mac_of,
};

const SEND: Action = Action::Send;

#[test]
fn a_conversation_is_translated_both_ways() {
    let bed = Bed::shared();
    let from_client = [(SYN, 0), (ACK, 0), (ACK, 100), (ACK, 101), (FIN | ACK, 0)];
    for (flags, length) in from_client {
        let packet = Packet::to_service(40001, WEB, flags).payload(length);
        let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
        assert_eq!(left, packet.sent_to(SERVER, SERVER_PORT).frame());

        let answer = if flags == SYN { SYN | ACK } else { flags };
        let packet = Packet::from_server(40001, answer).payload(length);
        let left = bed.must(&packet.frame(), SEND, Reason::Replied);
        assert_eq!(left, packet.sent_from_service(WEB).frame());
    }
}

#[test]
fn connections_are_counted_as_active_until_they_are_closed() {
    let bed = Bed::shared();
    let client = |flags| {
        bed.must(
            &Packet::to_service(40001, WEB, flags).frame(),
            SEND,
            Reason::Forwarded,
        );
    };
    client(SYN);
    client(ACK);
    assert_eq!(bed.connections(), (1, 0));
    client(FIN | ACK);
    assert_eq!(bed.connections(), (0, 1));
}

fn udp(client_port: u16) -> Packet {
    Packet {
        flags: None,
        ..Packet::to_service(client_port, DNS, 0).payload(33)
    }
}

#[test]
fn a_datagram_and_its_answer_are_translated() {
    let bed = Bed::shared();
    let packet = udp(40002);
    let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    assert_eq!(left, packet.sent_to(SERVER, DNS).frame());

    let packet = Packet {
        from: (SERVER, DNS),
        to: (CLIENT, 40002),
        ..udp(40002)
    };
    let left = bed.must(&packet.frame(), SEND, Reason::Replied);
    assert_eq!(left, packet.sent_from_service(DNS).frame());
}

const UDP_CHECKSUM: std::ops::Range<usize> = 14 + 20 + 6..14 + 20 + 8;

#[test]
fn a_datagram_without_checksum_keeps_none() {
    let bed = Bed::shared();
    let packet = udp(40003);
    let [mut sent, mut expected] = [packet.clone(), packet.sent_to(SERVER, DNS)].map(|p| p.frame());
    sent[UDP_CHECKSUM].fill(0);
    expected[UDP_CHECKSUM].fill(0);
    assert_eq!(bed.must(&sent, SEND, Reason::Forwarded), expected);
}

/// RFC 768: a checksum that computes to zero is sent as all ones, since zero means none.
#[test]
fn a_datagram_whose_new_checksum_would_be_zero_gets_all_ones() {
    let bed = Bed::shared();
    let zero = (0..=u16::MAX).find_map(|filler| {
        let packet = Packet {
            payload: filler.to_be_bytes().to_vec(),
            ..udp(40004)
        };
        let expected = packet.clone().sent_to(SERVER, DNS).frame();
        (expected[UDP_CHECKSUM] == [0xff, 0xff]).then_some((packet.frame(), expected))
    });
    let (sent, expected) = zero.expect("some payload sums up to zero");
    assert_eq!(bed.must(&sent, SEND, Reason::Forwarded), expected);
}

#[test]
fn ip_options_are_kept_and_the_ports_found_behind_them() {
    let bed = Bed::shared();
    for words in [1, 5, 10] {
        let options = vec![1; words * 4];
        let port = 40010 + words as u16;
        let packet = Packet {
            options,
            ..Packet::to_service(port, WEB, SYN).payload(7)
        };
        let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
        assert_eq!(left, packet.sent_to(SERVER, SERVER_PORT).frame());
    }
}

#[test]
fn a_tag_is_taken_off_where_the_way_out_has_none() {
    let bed = Bed::shared();
    let packet = Packet {
        vlan: Some(9),
        ..Packet::to_service(40020, WEB, SYN)
    };
    let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let expected = Packet {
        vlan: None,
        ..packet.sent_to(SERVER, SERVER_PORT)
    };
    assert_eq!(left, expected.frame());
}

#[test]
fn a_tag_is_kept_changed_or_added_as_the_way_out_wants() {
    let bed = Bed::shared();
    for (port, vlan) in [(40021, Some(TAG)), (40022, Some(9)), (40023, None)] {
        let packet = Packet {
            vlan,
            ..Packet::to_service(port, TO_TAGGED, SYN)
        };
        let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
        let expected = Packet {
            vlan: Some(TAG),
            ..packet.sent_to(TAGGED, SERVER_PORT)
        };
        assert_eq!(left, expected.frame(), "from {vlan:?}");
        assert_checksums(&without_tag(&left));
    }
}

/// IEEE 802.1Q: the priority is the frame's, whatever VLAN it is in.
#[test]
fn a_tag_that_changes_keeps_its_priority() {
    let bed = Bed::shared();
    for (port, vlan) in [(40024, TAG), (40025, 9)] {
        let packet = Packet {
            vlan: Some(vlan),
            priority: 5,
            ..Packet::to_service(port, TO_TAGGED, SYN)
        };
        let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
        let expected = Packet {
            vlan: Some(TAG),
            ..packet.sent_to(TAGGED, SERVER_PORT)
        };
        assert_eq!(left, expected.frame(), "from {vlan}");
    }
}

#[test]
fn padding_behind_the_packet_is_left_alone() {
    let bed = Bed::shared();
    let packet = Packet::to_service(40030, WEB, SYN);
    let padded = |packet: &Packet| [packet.frame(), vec![0xaa; 6]].concat();
    let left = bed.must(&padded(&packet), SEND, Reason::Forwarded);
    assert_eq!(left, padded(&packet.sent_to(SERVER, SERVER_PORT)));
}

#[test]
fn a_client_whose_mac_is_not_known_is_left_to_the_kernel_to_ask_for() {
    let bed = Bed::shared();
    let client = (STRANGER, 40040);
    let packet = Packet {
        from: client,
        ..Packet::to_service(0, WEB, SYN)
    };
    bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let reply = Packet {
        to: client,
        ..Packet::from_server(0, SYN | ACK)
    };
    let left = bed.must(&reply.frame(), SEND, Reason::Replied);
    let mut expected = reply.sent_from_service(WEB);
    (expected.to_mac, expected.from_mac) = ([0; 6], mac_of(SERVER));
    assert_eq!(left, expected.frame());
}

#[test]
fn the_server_is_told_that_a_client_has_no_route() {
    let bed = Bed::shared();
    let client = (LOST, 40050);
    let packet = Packet {
        from: client,
        ..Packet::to_service(0, WEB, SYN)
    };
    bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let reply = Packet {
        to: client,
        ..Packet::from_server(0, SYN | ACK)
    };
    let told = bed.must(&reply.frame(), SEND, Reason::NoRoute);
    assert_eq!(told[..6], mac_of(SERVER));
    assert_checksums(&told);
}

/// VS/DR: the packet keeps its addresses, and gets the real server's MAC (docs of LVS; a capture of
/// the kernel's director shows the time to live one less).
#[test]
fn a_packet_of_a_direct_service_gets_another_mac_only() {
    let bed = Bed::shared();
    for flags in [SYN, ACK] {
        let packet = Packet::to_service(40001, DIRECT, flags);
        let left = bed.must(&packet.frame(), SEND, Reason::Forwarded);
        let mut expected = packet.sent_to(VIRTUAL, DIRECT).frame();
        expected[..6].copy_from_slice(&mac_of(SERVER));
        assert_eq!(left, expected);
    }
}
