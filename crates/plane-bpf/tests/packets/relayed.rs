//! ICMP errors of others about connections: translated outside and inside.

use std::sync::MutexGuard;

use abi::Reason;
use etherparse::Ipv4HeaderSlice;
use forward::Action;

use crate::bed::Bed;
use crate::frames::{ACK, Packet, SYN, assert_checksums, icmp};
use crate::lan::{CLIENT, CLIENT_MAC, OWN_MAC, SERVER, SERVER_PORT, VIRTUAL, WEB, mac_of};

const ROUTER: [u8; 4] = [192, 168, 0, 254];
const UNREACHABLE: (u8, u8) = (3, 1);

fn opened() -> MutexGuard<'static, Bed> {
    let bed = Bed::shared();
    let syn = Packet::to_service(40001, WEB, SYN).frame();
    bed.must(&syn, Action::Send, Reason::Forwarded);
    bed
}

/// The IP header that a packet starts with, and the ports behind it.
fn ends(packet: &[u8]) -> ([u8; 4], u16, [u8; 4], u16) {
    let ip = Ipv4HeaderSlice::from_slice(packet).unwrap();
    let behind = &packet[ip.slice().len()..];
    let port = |at: usize| u16::from_be_bytes([behind[at], behind[at + 1]]);
    assert_eq!(ip.header_checksum(), ip.to_header().calc_header_checksum());
    (ip.source(), port(0), ip.destination(), port(2))
}

/// Checks an error that was relayed: its own addresses, and those of the packet inside.
fn assert_relayed(
    left: &[u8],
    (from, to): ([u8; 4], [u8; 4]),
    inside: ([u8; 4], u16, [u8; 4], u16),
) {
    let ip = Ipv4HeaderSlice::from_slice(&left[14..]).unwrap();
    assert_checksums(left);
    assert_eq!((ip.source(), ip.destination(), ip.ttl()), (from, to, 63));
    assert_eq!(left[..6], mac_of(to));
    assert_eq!(left[6..12], OWN_MAC);
    assert_eq!(ends(&left[42..]), inside);
}

#[test]
fn an_error_of_the_server_reaches_the_client_as_the_services() {
    let bed = opened();
    let about = Packet::to_service(40001, WEB, ACK)
        .sent_to(SERVER, SERVER_PORT)
        .frame();
    for kept in [28, 40] {
        let error = icmp(
            mac_of(SERVER),
            SERVER,
            CLIENT,
            UNREACHABLE,
            &about[14..14 + kept],
        );
        let left = bed.must(&error, Action::Send, Reason::IcmpRelayed);
        assert_relayed(&left, (VIRTUAL, CLIENT), (CLIENT, 40001, VIRTUAL, WEB));
    }
}

#[test]
fn an_error_of_the_client_reaches_the_server() {
    let bed = opened();
    let about = Packet::from_server(40001, ACK)
        .sent_from_service(WEB)
        .payload(33)
        .frame();
    let error = icmp(CLIENT_MAC, CLIENT, VIRTUAL, UNREACHABLE, &about[14..]);
    let left = bed.must(&error, Action::Send, Reason::IcmpRelayed);
    assert_relayed(
        &left,
        (CLIENT, SERVER),
        (SERVER, SERVER_PORT, CLIENT, 40001),
    );
}

#[test]
fn an_error_of_a_router_on_the_way_to_the_server_reaches_the_client() {
    let bed = opened();
    let about = Packet::to_service(40001, WEB, ACK)
        .sent_to(SERVER, SERVER_PORT)
        .frame();
    let error = icmp(mac_of(ROUTER), ROUTER, CLIENT, UNREACHABLE, &about[14..]);
    let left = bed.must(&error, Action::Send, Reason::IcmpRelayed);
    assert_relayed(&left, (VIRTUAL, CLIENT), (CLIENT, 40001, VIRTUAL, WEB));
}

#[test]
fn an_error_that_is_cut_off_is_dropped() {
    let bed = opened();
    let about = Packet::from_server(40001, ACK)
        .sent_from_service(WEB)
        .frame();
    for kept in [0, 19, 20, 23] {
        let error = icmp(
            CLIENT_MAC,
            CLIENT,
            VIRTUAL,
            UNREACHABLE,
            &about[14..14 + kept],
        );
        bed.must(&error, Action::Drop, Reason::BadIcmp);
    }
}

/// Linux 6.1: the entry is listed as NONE, counts in InActConn, and is gone after three seconds; the
/// client's own segment makes it ESTABLISHED.
#[test]
fn an_error_about_an_unknown_connection_makes_one_for_three_seconds() {
    let mut bed = Bed::new();
    let about = Packet::from_server(40001, ACK)
        .sent_from_service(WEB)
        .frame();
    let error = icmp(CLIENT_MAC, CLIENT, VIRTUAL, UNREACHABLE, &about[14..]);
    bed.must(&error, Action::Pass, Reason::IcmpOther);
    bed.set("schedule_icmp=1");
    bed.must(&error, Action::Send, Reason::IcmpRelayed);
    assert_eq!(
        (bed.connections(), bed.state(40001)),
        ((0, 1), "NONE".into())
    );
    bed.advance(1);
    bed.sweep();
    assert_eq!(bed.connections(), (0, 1));
    bed.advance(3);
    bed.sweep();
    assert_eq!(bed.connections(), (0, 0));

    bed.must(&error, Action::Send, Reason::IcmpRelayed);
    let own = Packet::to_service(40001, WEB, ACK).frame();
    bed.must(&own, Action::Send, Reason::Forwarded);
    let established = ((1, 0), "ESTABLISHED".into());
    assert_eq!((bed.connections(), bed.state(40001)), established);
}
