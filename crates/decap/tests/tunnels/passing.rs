//! What is left to the host's own network stack.

use decap::Outcome;
use etherparse::{IpFragOffset, IpNumber, Ipv4Header, PacketBuilder};

use crate::captured::from_director;
use crate::memory::Memory;

/// A SYN to 2001:db8::21, port 80.
pub fn syn_v6() -> Vec<u8> {
    let address = |last| {
        [
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]
    };
    let builder = PacketBuilder::ipv6(address(0x40), address(0x21), 63);
    let mut packet = Vec::new();
    builder
        .tcp(40001, 80, 7, 64000)
        .syn()
        .write(&mut packet, &[])
        .unwrap();
    packet
}

/// A SYN to 172.16.10.21, port 80.
pub fn syn_v4() -> Vec<u8> {
    let builder = PacketBuilder::ipv4([172, 16, 10, 40], [172, 16, 10, 21], 63);
    let mut packet = Vec::new();
    builder
        .tcp(40001, 80, 7, 64000)
        .syn()
        .write(&mut packet, &[])
        .unwrap();
    packet
}

/// A packet put in IPv4, from 172.16.10.17 to 172.16.10.39.
pub fn in_ipv4(inner: &[u8], protocol: u8, change: impl FnOnce(&mut Ipv4Header)) -> Vec<u8> {
    let length = u16::try_from(inner.len()).unwrap();
    let (from, to) = ([172, 16, 10, 17], [172, 16, 10, 39]);
    let mut header = Ipv4Header::new(length, 63, IpNumber(protocol), from, to).unwrap();
    change(&mut header);
    header.header_checksum = header.calc_header_checksum();
    let mut packet = header.to_bytes().to_vec();
    packet.extend(inner);
    packet
}

/// A packet put in IPv6, from 2001:db8::17 to 2001:db8::39, with what `between` puts before it.
pub fn in_ipv6(inner: &[u8], next: u8, between: &[u8]) -> Vec<u8> {
    let address = |last| {
        [
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]
    };
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(
        u16::try_from(between.len() + inner.len())
            .unwrap()
            .to_be_bytes(),
    );
    packet.extend([next, 63]);
    packet.extend(address(0x17));
    packet.extend(address(0x39));
    packet.extend(between);
    packet.extend(inner);
    packet
}

const V4: u8 = 4;
const V6: u8 = 41;

#[test]
fn either_family_is_carried_by_either() {
    let (v4, v6) = (syn_v4(), syn_v6());
    let cases = [
        (in_ipv4(&v4, V4, |_| {}), &v4),
        (in_ipv4(&v6, V6, |_| {}), &v6),
        (in_ipv6(&v4, V4, &[]), &v4),
        (in_ipv6(&v6, V6, &[]), &v6),
    ];
    for (packet, inner) in cases {
        let mut host = both_families(packet);
        assert_eq!(host.decapsulate(), Outcome::Ipip);
        assert_eq!(host.packet, *inner);
    }
}

/// A real server with both families' addresses.
fn both_families(packet: Vec<u8>) -> Memory {
    let mut host = Memory::new(packet, "172.16.10.39", "172.16.10.21");
    host.own.push("2001:db8::39".parse().unwrap());
    host.virtual_addresses.push("2001:db8::21".parse().unwrap());
    host
}

/// The kernel's IPv6 tunnels put a limit of encapsulations before what they carry (RFC 2473, section
/// 4.1.1): destination options of eight bytes.
#[test]
fn the_encapsulation_limit_of_the_kernel_s_tunnels_is_stepped_over() {
    let inner = syn_v6();
    let limit = [V6, 0, 4, 1, 4, 1, 1, 0];
    let mut host = both_families(in_ipv6(&inner, 60, &limit));
    assert_eq!(host.decapsulate(), Outcome::Ipip);
    assert_eq!(host.packet, inner);
}

#[test]
fn what_is_for_another_host_or_another_address_is_left() {
    let packet = from_director("ipip").remove(0);
    let cases = [
        ("172.16.10.40", "172.16.10.21", Outcome::NotOwn),
        ("172.16.10.39", "172.16.10.22", Outcome::NotVirtual),
        ("172.16.10.39", "::ffff:0:0", Outcome::NotVirtual),
    ];
    for (own, virtual_address, expected) in cases {
        let mut host = Memory::new(packet.clone(), own, virtual_address);
        assert_eq!(host.decapsulate(), expected);
        assert_eq!(host.packet, packet);
    }
}

#[test]
fn pieces_of_packets_are_left_to_be_put_together() {
    let first = |header: &mut Ipv4Header| header.more_fragments = true;
    let later = |header: &mut Ipv4Header| {
        header.fragment_offset = IpFragOffset::try_new(100).unwrap();
    };
    let server = |packet| Memory::new(packet, "172.16.10.39", "172.16.10.21");
    let inner = syn_v4();
    assert_eq!(
        server(in_ipv4(&inner, V4, first)).decapsulate(),
        Outcome::Fragment
    );
    assert_eq!(
        server(in_ipv4(&inner, V4, later)).decapsulate(),
        Outcome::Fragment
    );
    // Of later pieces in UDP nobody can tell whether they are for GUE's port.
    let udp = from_director("gue").remove(0)[20..].to_vec();
    assert_eq!(
        server(in_ipv4(&udp, 17, first)).decapsulate(),
        Outcome::Fragment
    );
    assert_eq!(
        server(in_ipv4(&udp, 17, later)).decapsulate(),
        Outcome::Other
    );
    let piece = [V6, 0, 0, 1, 0, 0, 0, 7];
    let fragment = in_ipv6(&syn_v6(), 44, &piece);
    assert_eq!(both_families(fragment).decapsulate(), Outcome::Fragment);
    // RFC 6946: a fragment header on a packet that is whole.
    let atomic = in_ipv6(&syn_v6(), 44, &[V6, 0, 0, 0, 0, 0, 0, 7]);
    assert_eq!(both_families(atomic).decapsulate(), Outcome::Ipip);
}

#[test]
fn headers_that_ask_for_more_than_is_done_here_are_left() {
    let inner = syn_v4();
    let gre = |header: &[u8]| in_ipv4(&[header, &inner[..]].concat(), 47, |_| {});
    let gue = |header: &[u8]| {
        let length = u16::try_from(8 + header.len() + inner.len()).unwrap();
        let udp = [&[0x80, 0, 0x17, 0xc0][..], &length.to_be_bytes(), &[0, 0]].concat();
        in_ipv4(&[&udp[..], header, &inner[..]].concat(), 17, |_| {})
    };
    let cases = [
        ("a key", gre(&[0x20, 0, 8, 0, 0, 0, 0, 1])),
        ("a sequence number", gre(&[0x10, 0, 8, 0, 0, 0, 0, 1])),
        ("version 1, PPTP's", gre(&[0x20, 1, 0x88, 0x0b, 0, 0, 0, 0])),
        ("Ethernet in GRE", gre(&[0, 0, 0x65, 0x58])),
        ("a control message", gue(&[0x20, 4, 0, 0])),
        ("version 1", gue(&[])),
        ("a flag unknown here", gue(&[0x01, 4, 0x80, 0, 0, 0, 0, 0])),
        ("TCP in GUE", gue(&[0, 6, 0, 0])),
    ];
    for (what, packet) in cases {
        let mut host = Memory::new(packet, "172.16.10.39", "172.16.10.21");
        assert_eq!(host.decapsulate(), Outcome::Unsupported, "{what}");
    }
}

#[test]
fn lengths_that_contradict_each_other_are_left() {
    let mut inner = syn_v4();
    inner[3] += 1;
    let too_short = in_ipv4(&inner, V4, |_| {});
    let wrong_version = in_ipv4(&syn_v4(), V6, |_| {});
    let mut udp = from_director("gue").remove(0);
    udp[25] += 1;
    let cut = in_ipv4(&syn_v4()[..19], V4, |_| {});
    for packet in [too_short, wrong_version, cut] {
        let mut host = Memory::new(packet, "172.16.10.39", "172.16.10.21");
        assert_eq!(host.decapsulate(), Outcome::Malformed);
    }
    let mut host = Memory::new(udp, "172.16.10.23", "172.16.10.21");
    assert_eq!(host.decapsulate(), Outcome::Malformed);
}
