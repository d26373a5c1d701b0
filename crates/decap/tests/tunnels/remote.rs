//! Checksums that were left open: by GUE's remote checksum offload, or for a device that was not met.

use decap::Outcome;
use etherparse::{Ipv4Slice, UdpHeader};

use crate::memory::Memory;
use crate::passing::in_ipv4;

/// A datagram that the kernel's director sent with `--tun-remcsum` for a client on the same host, from
/// the outer UDP header on: GUE with private flags, and IPv4 from 10.0.0.1 to 10.0.0.100 with UDP inside.
#[rustfmt::skip]
const CAPTURED: [u8; 53] = [
    0xa6, 0xe8, 0x17, 0xc0, 0x00, 0x35, 0xdc, 0xb0,
    0x02, 0x04, 0x00, 0x01, 0x80, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x1a,
    0x45, 0xbb, 0x00, 0x21, 0x00, 0x00, 0x40, 0x00, 0x3f, 0x11, 0x26, 0xad,
    0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x64,
    0x4e, 0x3e, 0x00, 0x35, 0x00, 0x0d, 0x14, 0x83, 0x78, 0x78, 0x78, 0x78, 0x78,
];

/// That datagram with its outer IP header, from 10.0.1.1 to 10.0.1.2.
fn captured() -> Memory {
    let packet = in_ipv4(&CAPTURED, 17, |header| {
        (header.source, header.destination) = ([10, 0, 1, 1], [10, 0, 1, 2]);
    });
    Memory::new(packet, "10.0.1.2", "10.0.0.100")
}

/// Whether the UDP checksum of a packet is right, by etherparse.
fn has_right_checksum(packet: &[u8]) -> bool {
    let ip = Ipv4Slice::from_slice(packet).unwrap();
    let (udp, payload) = UdpHeader::from_slice(ip.payload().payload).unwrap();
    let (from, to) = (ip.header().source(), ip.header().destination());
    udp.checksum == udp.calc_checksum_ipv4_raw(from, to, payload).unwrap()
}

#[test]
fn the_checksum_that_was_left_to_us_is_made() {
    let mut host = captured();
    assert!(!has_right_checksum(&host.packet[40..]));
    assert_eq!(host.decapsulate(), Outcome::Gue);
    assert_eq!(host.packet[..26], CAPTURED[20..46]);
    assert!(has_right_checksum(&host.packet));
}

#[test]
fn it_must_lie_in_the_packet() {
    for (start, field) in [
        (0x22, 0x1a),
        (0x14, 0x20),
        (0xffff, 0x1a),
        (0x14, 0xffff_u16),
    ] {
        let mut host = captured();
        host.packet[36..38].copy_from_slice(&u16::to_be_bytes(start));
        host.packet[38..40].copy_from_slice(&field.to_be_bytes());
        // Without a checksum around it, there is nothing else to stop it.
        host.packet[26..28].fill(0);
        assert_eq!(host.decapsulate(), Outcome::Malformed, "{start} {field}");
    }
}

/// The sum of a pseudo-header, not inverted: what stands in a checksum's field that is left open.
fn open_sum(from: [u8; 4], to: [u8; 4], protocol: u8, length: u16) -> [u8; 2] {
    let mut pseudo = [from, to].concat();
    pseudo.extend([0, protocol]);
    pseudo.extend(length.to_be_bytes());
    let words = pseudo
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    (((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
}

/// GUE without private flags around the same datagram, whose own checksum is left open, and with the
/// outer checksum that is right once the inner one has been made.
fn open_inside() -> Memory {
    let mut inner = CAPTURED[20..].to_vec();
    let outer = |inner: &[u8]| {
        let gue = [&[0, 4, 0, 0][..], inner].concat();
        let header = UdpHeader::with_ipv4_checksum(0xa6e8, 6080, &ipv4(), &gue).unwrap();
        [&header.to_bytes()[..], &gue].concat()
    };
    assert_eq!(
        inner[26..28],
        open_sum([10, 0, 0, 1], [10, 0, 0, 100], 17, 13)
    );
    let mut packet = outer(&inner);
    let udp = UdpHeader::from_slice(&inner[20..]).unwrap().0;
    let right = udp
        .calc_checksum_ipv4_raw([10, 0, 0, 1], [10, 0, 0, 100], b"xxxxx")
        .unwrap();
    inner[26..28].copy_from_slice(&right.to_be_bytes());
    packet[6..8].copy_from_slice(&outer(&inner)[6..8]);
    let packet = in_ipv4(&packet, 17, |header| *header = ipv4());
    Memory::new(packet, "10.0.1.2", "10.0.0.100")
}

fn ipv4() -> etherparse::Ipv4Header {
    let (from, to) = ([10, 0, 1, 1], [10, 0, 1, 2]);
    etherparse::Ipv4Header::new(45, 63, etherparse::IpNumber::UDP, from, to).unwrap()
}

#[test]
fn a_checksum_around_one_that_is_open_counts_for_the_packet_as_it_will_be() {
    let mut host = open_inside();
    assert_eq!(host.decapsulate(), Outcome::Gue);
    assert_eq!(host.packet, CAPTURED[20..], "whoever left it open makes it");
    let mut host = open_inside();
    // The time to live is in a header that is covered.
    host.packet[20 + 8 + 4 + 8] -= 1;
    assert_eq!(host.decapsulate(), Outcome::Checksum);
}

#[test]
fn an_outer_checksum_that_is_open_is_not_taken_for_a_wrong_one() {
    let mut host = captured();
    let open = open_sum([10, 0, 1, 1], [10, 0, 1, 2], 17, 53);
    host.packet[26..28].copy_from_slice(&open);
    assert_eq!(host.decapsulate(), Outcome::Gue);
    assert!(has_right_checksum(&host.packet));
}

#[test]
fn packets_that_travel_as_one_are_not_summed_up() {
    let mut host = captured();
    host.is_joined = true;
    host.packet[26..28].copy_from_slice(&[0x12, 0x34]);
    assert_eq!(host.decapsulate(), Outcome::Gue);
    assert_eq!(host.packet, CAPTURED[20..]);
}
