//! FULLNAT: real servers are told the client's address.

use abi::Reason;
use forward::Action;

use crate::bed::Bed;
use crate::frames::{ACK, FIN, Packet, RST, SYN, icmp};
use crate::lan::{CLIENT, LOCAL, PROXY, SERVER, SERVER_PORT, TOA, VIRTUAL, mac_of};

const SEND: Action = Action::Send;
/// The client's first sequence number is that of its SYN.
const FIRST: u32 = 1001;
/// Bytes of the PROXY protocol's header over IPv4 (section 2.2).
const HEADER: u32 = 28;

fn from_client(client_port: u16, port: u16, flags: u8, sequence: u32) -> Packet {
    Packet {
        sequence,
        ..Packet::to_service(client_port, port, flags)
    }
}

fn local_port(left: &[u8]) -> u16 {
    u16::from_be_bytes([left[34], left[35]])
}

/// As a client's packet must leave.
fn to_server(packet: &Packet, local_port: u16) -> Packet {
    Packet {
        from: (LOCAL, local_port),
        ..packet.clone().sent_to(SERVER, SERVER_PORT)
    }
}

fn from_server(local_port: u16, flags: u8, acknowledgement: u32) -> Packet {
    Packet {
        from_mac: mac_of(SERVER),
        from: (SERVER, SERVER_PORT),
        to: (LOCAL, local_port),
        acknowledgement,
        ..Packet::from_server(0, flags)
    }
}

/// As a real server's packet must leave.
fn to_client(packet: &Packet, client_port: u16, port: u16) -> Packet {
    Packet {
        to: (CLIENT, client_port),
        ..packet.clone().sent_from_service(port)
    }
}

/// What DPVS and the kernel module `toa` call `tcpopt_ip4_addr`: 254, 8, port, address.
fn option(client_port: u16) -> Vec<u8> {
    let [high, low] = client_port.to_be_bytes();
    let [a, b, c, d] = CLIENT;
    vec![254, 8, high, low, a, b, c, d]
}

/// The header as section 2.2 of the specification lays it out.
fn header(client_port: u16) -> Vec<u8> {
    let mut bytes = b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A\x21\x11\x00\x0C".to_vec();
    bytes.extend(CLIENT);
    bytes.extend(VIRTUAL);
    bytes.extend(client_port.to_be_bytes());
    bytes.extend(PROXY.to_be_bytes());
    bytes
}

/// A packet that must leave and tell.
fn must_tell(bed: &Bed, packet: &Packet, expected: &Packet) {
    let seen = bed.send(&packet.frame());
    assert_eq!((seen.action, seen.reason), (SEND, Reason::Forwarded));
    assert!(seen.counted.contains(&Reason::AddressTold), "{seen:?}");
    assert_eq!(seen.bytes, expected.frame());
}

fn must(bed: &Bed, packet: &Packet, reason: Reason, expected: &Packet) {
    let seen = bed.send(&packet.frame());
    assert_eq!((seen.action, seen.reason), (SEND, reason));
    assert!(!seen.counted.contains(&Reason::AddressTold), "{seen:?}");
    assert_eq!(seen.bytes, expected.frame());
}

/// Opens a connection of a service by TCP options; its local port.
fn opened_by_option(bed: &Bed, client_port: u16) -> u16 {
    let syn = from_client(client_port, TOA, SYN, FIRST - 1);
    let left = bed.must(&syn.frame(), SEND, Reason::Forwarded);
    let local = local_port(&left);
    let expected = Packet {
        tcp_options: option(client_port),
        ..to_server(&syn, local)
    };
    assert_eq!(left, expected.frame());
    local
}

/// Opens a connection of a service by the PROXY protocol; its local port.
fn opened_by_proxy(bed: &Bed, client_port: u16) -> u16 {
    let syn = from_client(client_port, PROXY, SYN, FIRST - 1);
    let left = bed.must(&syn.frame(), SEND, Reason::Forwarded);
    let local = local_port(&left);
    assert_eq!(left, to_server(&syn, local).frame());
    let answer = from_server(local, SYN | ACK, FIRST);
    must(
        bed,
        &answer,
        Reason::Replied,
        &to_client(&answer, client_port, PROXY),
    );
    local
}

/// Opens one, and tells with the last packet of the handshake.
fn told_by_proxy(bed: &Bed, client_port: u16) -> u16 {
    let local = opened_by_proxy(bed, client_port);
    let ack = from_client(client_port, PROXY, ACK, FIRST);
    let expected = Packet {
        payload: header(client_port),
        ..to_server(&ack, local)
    };
    must_tell(bed, &ack, &expected);
    local
}

#[test]
fn the_segments_of_the_handshake_tell_by_an_option() {
    let bed = Bed::shared();
    let local = opened_by_option(&bed, 43001);
    let ack = from_client(43001, TOA, ACK, FIRST);
    let expected = Packet {
        tcp_options: option(43001),
        ..to_server(&ack, local)
    };
    must_tell(&bed, &ack, &expected);

    let data = from_client(43001, TOA, ACK, FIRST).payload(100);
    must(&bed, &data, Reason::Forwarded, &to_server(&data, local));
    let answer = from_server(local, ACK, FIRST + 100);
    must(
        &bed,
        &answer,
        Reason::Replied,
        &to_client(&answer, 43001, TOA),
    );
    // The real server has it.
    let ack = from_client(43001, TOA, ACK, FIRST);
    must(&bed, &ack, Reason::Forwarded, &to_server(&ack, local));
}

#[test]
fn an_option_goes_behind_those_that_are_there() {
    let bed = Bed::shared();
    let timestamps = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
    let local = opened_by_option(&bed, 43002);
    let ack = Packet {
        tcp_options: timestamps.to_vec(),
        ..from_client(43002, TOA, ACK, FIRST)
    };
    let expected = Packet {
        tcp_options: [&timestamps[..], &option(43002)].concat(),
        ..to_server(&ack, local)
    };
    must_tell(&bed, &ack, &expected);
}

#[test]
fn what_a_client_tells_itself_is_made_nothing_of_and_so_is_the_end_of_its_list() {
    let bed = Bed::shared();
    let local = opened_by_option(&bed, 43003);
    let forged = [254, 8, 1, 2, 3, 4, 5, 6];
    let ended = [2, 4, 5, 180, 4, 2, 0, 0];
    for (theirs, ours) in [
        (forged.to_vec(), vec![1; 8]),
        (
            [ended, forged].concat(),
            [vec![2, 4, 5, 180, 4, 2], vec![1; 10]].concat(),
        ),
    ] {
        let ack = Packet {
            tcp_options: theirs,
            ..from_client(43003, TOA, ACK, FIRST)
        };
        let expected = Packet {
            tcp_options: [ours, option(43003)].concat(),
            ..to_server(&ack, local)
        };
        must_tell(&bed, &ack, &expected);
    }
}

#[test]
fn a_header_without_room_goes_as_it_is_and_is_counted() {
    let bed = Bed::shared();
    let local = opened_by_option(&bed, 43004);
    let ack = Packet {
        tcp_options: vec![1; 36],
        ..from_client(43004, TOA, ACK, FIRST)
    };
    let seen = bed.send(&ack.frame());
    assert_eq!((seen.action, seen.reason), (SEND, Reason::Forwarded));
    assert!(seen.counted.contains(&Reason::AddressUntold), "{seen:?}");
    assert_eq!(seen.bytes, to_server(&ack, local).frame());
}

#[test]
fn the_stream_begins_with_the_proxy_protocols_header_and_is_numbered_on_from_there() {
    let bed = Bed::shared();
    let local = told_by_proxy(&bed, 43011);

    let data = from_client(43011, PROXY, ACK, FIRST).payload(101);
    let shifted = Packet {
        sequence: FIRST + HEADER,
        ..to_server(&data, local)
    };
    must(&bed, &data, Reason::Forwarded, &shifted);

    // The real server acknowledges the header, then the payload, of which alone the client knows.
    for (theirs, ours) in [(FIRST + HEADER, FIRST), (FIRST + HEADER + 101, FIRST + 101)] {
        let answer = from_server(local, ACK, theirs).payload(7);
        let shifted = Packet {
            acknowledgement: ours,
            ..to_client(&answer, 43011, PROXY)
        };
        must(&bed, &answer, Reason::Replied, &shifted);
    }

    for flags in [ACK, FIN | ACK, RST | ACK, RST] {
        let packet = from_client(43011, PROXY, flags, FIRST + 101);
        let shifted = Packet {
            sequence: FIRST + 101 + HEADER,
            ..to_server(&packet, local)
        };
        must(&bed, &packet, Reason::Forwarded, &shifted);
    }
}

#[test]
fn the_header_is_told_again_until_the_real_server_acknowledges_it() {
    let bed = Bed::shared();
    let local = told_by_proxy(&bed, 43012);
    let ack = from_client(43012, PROXY, ACK, FIRST);
    let told = Packet {
        payload: header(43012),
        ..to_server(&ack, local)
    };
    must_tell(&bed, &ack, &told);
    // One that lacks it says so; the client hears of nothing that it did not send.
    let answer = from_server(local, ACK, FIRST);
    must(
        &bed,
        &answer,
        Reason::Replied,
        &to_client(&answer, 43012, PROXY),
    );
    must_tell(&bed, &ack, &told);
    let answer = from_server(local, ACK, FIRST + HEADER);
    let heard = Packet {
        acknowledgement: FIRST,
        ..to_client(&answer, 43012, PROXY)
    };
    must(&bed, &answer, Reason::Replied, &heard);
    let shifted = Packet {
        sequence: FIRST + HEADER,
        ..to_server(&ack, local)
    };
    must(&bed, &ack, Reason::Forwarded, &shifted);
}

/// Only where they really leave can the kernel send copies.
#[test]
fn a_first_segment_with_payload_follows_one_that_tells() {
    let bed = Bed::native();
    let local = opened_by_proxy(&bed, 43013);
    let data = from_client(43013, PROXY, ACK, FIRST).payload(100);
    let told = Packet {
        payload: header(43013),
        ..to_server(&data, local)
    };
    let shifted = Packet {
        sequence: FIRST + HEADER,
        ..to_server(&data, local)
    };
    for _lost in 0..3 {
        let seen = bed.send(&data.frame());
        assert_eq!((seen.action, seen.reason), (SEND, Reason::Forwarded));
        assert!(seen.counted.contains(&Reason::AddressTold));
        assert_eq!(seen.bytes, [told.frame(), shifted.frame()].concat());
    }
}

#[test]
fn what_is_acknowledged_selectively_is_numbered_as_the_client_does() {
    let bed = Bed::shared();
    let local = told_by_proxy(&bed, 43014);
    let edges = |shift: u32| {
        let edge = |number: u32| (number - shift).to_be_bytes();
        [edge(5000), edge(6000), edge(7000), edge(8000)].concat()
    };
    let timestamps = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
    for (before, after) in [
        (vec![1, 1], vec![]),
        // At an odd place.
        (vec![1], vec![1]),
        ([&[1, 1][..], &timestamps, &[1, 1]].concat(), vec![]),
    ] {
        let options = |shift| [&before[..], &[5, 18], &edges(shift), &after].concat();
        let answer = Packet {
            tcp_options: options(0),
            ..from_server(local, ACK, FIRST + HEADER)
        };
        let heard = Packet {
            acknowledgement: FIRST,
            tcp_options: options(HEADER),
            ..to_client(&answer, 43014, PROXY)
        };
        must(&bed, &answer, Reason::Replied, &heard);
    }
}

#[test]
fn an_error_quotes_the_number_that_the_client_sent() {
    let bed = Bed::shared();
    told_by_proxy(&bed, 43015);
    let data = from_client(43015, PROXY, ACK, FIRST).payload(100);
    let sent = bed.must(&data.frame(), SEND, Reason::Forwarded);
    let unreachable = (3, 3);
    let error = icmp(mac_of(SERVER), SERVER, LOCAL, unreachable, &sent[14..42]);
    let left = bed.must(&error, SEND, Reason::IcmpRelayed);
    let quoted = Packet { ttl: 63, ..data };
    let expected = icmp(
        [0; 6],
        VIRTUAL,
        CLIENT,
        unreachable,
        &quoted.frame()[14..42],
    );
    assert_eq!(left[34..], expected[34..]);
}

#[test]
fn a_connection_that_is_taken_over_in_its_middle_tells_nothing() {
    let mut bed = Bed::native();
    bed.set("sloppy_tcp=1");
    let data = from_client(43016, PROXY, ACK, 4711).payload(10);
    let seen = bed.send(&data.frame());
    let local = local_port(&seen.bytes);
    assert_eq!(seen.bytes, to_server(&data, local).frame());
}
