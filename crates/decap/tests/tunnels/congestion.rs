//! Marks of congestion (RFC 6040): carried over into a header that still verifies.

use decap::Outcome;
use etherparse::{IpDscp, IpEcn, Ipv4Header, Ipv4HeaderSlice};

use crate::memory::Memory;
use crate::passing::{in_ipv4, syn_v4, syn_v6};

/// A packet to 172.16.10.21 marked as `inner`, in one marked as `outer`.
fn marked(outer: u8, inner: u8) -> Memory {
    let syn = syn_v4();
    let (mut header, rest) = Ipv4Header::from_slice(&syn).unwrap();
    header.ecn = IpEcn::try_new(inner).unwrap();
    header.dscp = IpDscp::try_new(46).unwrap();
    header.header_checksum = header.calc_header_checksum();
    let packet = [&header.to_bytes()[..], rest].concat();
    let packet = in_ipv4(&packet, 4, |header| {
        header.ecn = IpEcn::try_new(outer).unwrap();
    });
    Memory::new(packet, "172.16.10.39", "172.16.10.21")
}

#[test]
fn a_mark_set_in_the_tunnel_is_carried_over() {
    for (outer, inner, expected) in [(3, 2, 3), (3, 1, 3), (1, 2, 1), (2, 0, 0), (0, 3, 3)] {
        let mut host = marked(outer, inner);
        assert_eq!(host.decapsulate(), Outcome::Ipip);
        let header = Ipv4HeaderSlice::from_slice(&host.packet)
            .unwrap()
            .to_header();
        assert_eq!((header.ecn.value(), header.dscp.value()), (expected, 46));
        assert_eq!(header.header_checksum, header.calc_header_checksum());
    }
}

#[test]
fn congestion_that_the_packet_cannot_tell_of_drops_it() {
    assert_eq!(marked(3, 0).decapsulate(), Outcome::Congestion);
}

#[test]
fn a_mark_is_carried_over_into_ipv6_and_nothing_else_changes() {
    let mut inner = syn_v6();
    // Traffic class 0xba, flow label 0x12345.
    inner[..4].copy_from_slice(&[0x6b, 0xa1, 0x23, 0x45]);
    let packet = in_ipv4(&inner, 41, |header| header.ecn = IpEcn::try_new(3).unwrap());
    let mut host = Memory::new(packet, "172.16.10.39", "2001:db8::21");
    assert_eq!(host.decapsulate(), Outcome::Ipip);
    inner[1] = 0xb1;
    assert_eq!(host.packet, inner);
}
