//! Generic UDP encapsulation, version 0 (draft-ietf-intarea-gue), as VS/TUN uses it.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---+-+---------+---------------+-----------------------------+-+
//! |ver|C|  Hlen   |   protocol    |            flags            |P|
//! +---+-+---------+---------------+-----------------------------+-+
//! |R|                  private flags, if P                        |
//! +-+-----------------------------+-------------------------------+
//! |    checksum start, if R       |    checksum field, if R       |
//! +-------------------------------+-------------------------------+
//! ```
//!
//! Hlen counts the four-byte words after the first. The protocol is 4 before an IPv4 packet and 41
//! before an IPv6 one. IPVS sends no flag but P, and P only with R, remote checksum offload.
//!
//! # What VS/TUN sends
//!
//! The same for every tunnel, as the kernel's director does it (captured from Linux 6.1, whose
//! `ip_vs_xmit.c` has the rest):
//!
//! - **Addresses**: from what the route to the real server prefers as source, to the real server.
//! - **TTL or hop limit**: the inner one's, after it was counted down.
//! - **TOS or traffic class**: [`ecn::encapsulated_tos`](crate::ecn::encapsulated_tos). The flow
//!   label is 0.
//! - **DF** (outer IPv4): the inner IPv4 header's if `pmtu_disc` is set, else clear; always clear
//!   around IPv6.
//! - **Identification** (outer IPv4): 0 with DF; else counted up, by one or more, for each pair of
//!   addresses and protocol.
//!
//! And of each:
//!
//! | tunnel | before the inner packet | over IPv4 | over IPv6 | checksum of the tunnel |
//! |---|---|---|---|---|
//! | ipip | nothing | 20 | 40 | none |
//! | gre | `00 00`, ethertype | 24 | 44 | none |
//! | gre csum | `80 00`, ethertype, checksum, `00 00` | 28 | 48 | GRE header and inner packet |
//! | gue | UDP, `00`, protocol, `00 00` | 32 | 52 | 0, over IPv6 too (RFC 6935) |
//! | gue csum | the same | 32 | 52 | UDP's, never 0: sent as ffff |
//! | gue remcsum, inner checksum whole | the same | 32 | 52 | UDP's |
//! | gue remcsum, inner checksum open | UDP, `02`, protocol, `00 01`, 8 bytes | 40 | 60 | UDP's |
//!
//! A packet fits if the route's MTU less those bytes holds it; that difference is the MTU that
//! fragmentation needed and packet too big tell. Those go out for IPv6 packets, and for IPv4 ones
//! with DF while `pmtu_disc` is set; GSO packets and ICMP in IPv4 are not measured. All other large
//! packets are encapsulated, and the outer packet is fragmented. If the difference is less than 68
//! (outer IPv4) or 1280 (outer IPv6), nothing is sent through that tunnel.
//!
//! **Remote checksum offload** is for packets whose transport checksum the sender left to its
//! network device: those of the director itself, of virtual machines and of containers. Their
//! checksum field holds the pseudo-header's folded sum, not inverted. It stays so; the two words
//! tell the receiver where to begin summing (the transport header) and where to put the result,
//! both in bytes from the inner IP header on. A packet that came over a wire has its whole
//! checksum, and goes as by `--tun-csum`.

/// Bytes of the header.
pub const HEADER: u32 = 4;
/// Bytes of the header with remote checksum offload.
pub const HEADER_WITH_REMOTE_CHECKSUM: u32 = 12;

/// Protocol in the header: an IPv4 packet follows.
pub const IPV4: u8 = crate::ipv4::IPIP;
/// Protocol in the header: an IPv6 packet follows.
pub const IPV6: u8 = crate::ipv6::IPV6;

const LENGTH: u8 = 0x1f;

/// The lowest source port, where the system is not told otherwise (`ip_local_port_range`).
pub const LOWEST_PORT: u16 = 32768;
/// The port above the highest source port, likewise: the kernel leaves the range's last one out.
pub const END_OF_PORTS: u16 = 60999;

/// The header before a packet of `protocol`: [`IPV4`] or [`IPV6`].
#[inline(always)]
pub const fn header(protocol: u8) -> [u8; HEADER as usize] {
    [0, protocol, 0, 0]
}

/// The header with remote checksum offload. The receiver sums the inner packet from `start` to its
/// end and puts the result at `field`; both count bytes from the inner packet's beginning: 20 and
/// 36 for TCP in IPv4 without options.
#[inline(always)]
pub const fn header_with_remote_checksum(
    protocol: u8,
    start: u16,
    field: u16,
) -> [u8; HEADER_WITH_REMOTE_CHECKSUM as usize] {
    let start = start.to_be_bytes();
    let field = field.to_be_bytes();
    [
        2, protocol, 0, 1, // two words more, of which the first is private flags
        0x80, 0, 0, 0, // remote checksum offload
        start[0], start[1], field[0], field[1],
    ]
}

/// Bytes of the header that begins with `first`, or 0 if no packet follows it: other versions
/// (of which 1 is an IP packet without header) and control messages.
#[inline(always)]
pub const fn length(first: u8) -> u32 {
    if first & !LENGTH != 0 {
        return 0;
    }
    HEADER + (first & LENGTH) as u32 * 4
}

/// The outer UDP source port for a flow of that `hash`: from `low` to below `end`, so that
/// routers spread flows and keep the packets of one on one path. In host order.
///
/// As the kernel does it (`udp_flow_src_port`); its hash is of the inner addresses and ports with a
/// key of each boot, so that ports are the same for a connection and differ between hosts.
#[inline(always)]
pub const fn source_port(hash: u32, low: u16, end: u16) -> u16 {
    let mixed = hash ^ hash << 16;
    let span = end.saturating_sub(low);
    low + ((mixed as u64 * span as u64) >> 32) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{self, fold, of_valid_transport};
    use crate::{ipv4, ipv6, udp};

    const fn address(a: u8, b: u8, c: u8, d: u8) -> u32 {
        u32::from_ne_bytes([a, b, c, d])
    }

    const fn port(number: u16) -> u16 {
        number.to_be()
    }

    const DIRECTOR: u32 = address(172, 16, 10, 17);
    const SERVER: u32 = address(172, 16, 10, 23);
    const CLIENT: u32 = address(172, 16, 10, 40);
    const SERVICE: u32 = address(172, 16, 10, 21);

    /// UDP and GUE header of a SYN that the kernel's director sent with `--tun-csum`.
    const WITH_CHECKSUM: [u8; 12] = [
        0x99, 0x5d, 0x17, 0xc0, 0x00, 0x48, 0x4e, 0x80, 0x00, 0x04, 0x00, 0x00,
    ];
    /// The same with `--tun-nocsum`.
    const WITHOUT_CHECKSUM: [u8; 12] = [
        0xdd, 0x32, 0x17, 0xc0, 0x00, 0x48, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00,
    ];

    #[test]
    fn headers_without_checksum_are_those_of_the_kernel_s_director() {
        let udp = udp::header(port(0xdd32), port(6080), 72, 0);
        assert_eq!(udp, WITHOUT_CHECKSUM[..8]);
        assert_eq!(header(IPV4), WITHOUT_CHECKSUM[8..]);
    }

    /// The inner packet is a SYN of 60 bytes. Its sequence number and options are not needed: that
    /// its checksums are right is all that counts.
    #[test]
    fn the_outer_checksum_needs_no_look_at_a_packet_whose_checksums_are_right() {
        let inner = of_valid_transport(ipv4::pseudo_header_sum(CLIENT, SERVICE, 40, ipv4::TCP));
        let gue = header(IPV4);
        let payload = fold(
            u32::from(u16::from_ne_bytes([gue[0], gue[1]]))
                + u32::from(u16::from_ne_bytes([gue[2], gue[3]]))
                + u32::from(inner),
        );
        let outer = ipv4::pseudo_header_sum(DIRECTOR, SERVER, 72, ipv4::UDP);
        let (source, destination) = (port(0x995d), port(6080));
        let sum = udp::checksum(outer, source, destination, 72, payload);
        assert_eq!(
            udp::header(source, destination, 72, sum),
            WITH_CHECKSUM[..8]
        );
    }

    /// The same over IPv6, between fd00:1::1 and fd00:1::2, of a SYN of 60 bytes from 10.0.0.1 to
    /// 10.0.0.100.
    #[test]
    fn the_outer_checksum_over_ipv6_is_that_of_the_kernel_s_director() {
        let pseudo =
            ipv4::pseudo_header_sum(address(10, 0, 0, 1), address(10, 0, 0, 100), 40, ipv4::TCP);
        let gue = u32::from(u16::from_ne_bytes([0, IPV4]));
        let payload = fold(gue + u32::from(of_valid_transport(pseudo)));
        let prefix = address(0xfd, 0, 0, 1);
        let (director, server) = ([prefix, 0, 0, 1_u32.to_be()], [prefix, 0, 0, 2_u32.to_be()]);
        let outer = ipv6::pseudo_header_sum(director, server, 72, ipv4::UDP);
        let sum = udp::checksum(outer, port(0xb8be), port(6080), 72, payload);
        assert_eq!(sum.to_ne_bytes(), [0x49, 0x68]);
    }

    /// A datagram that the kernel's director sent with `--tun-remcsum` for a client on the same
    /// host: UDP, GUE, and IPv4 from 10.0.0.1 to 10.0.0.100 with UDP inside.
    #[rustfmt::skip]
    const WITH_REMOTE_CHECKSUM: [u8; 53] = [
        0xa6, 0xe8, 0x17, 0xc0, 0x00, 0x35, 0xdc, 0xb0,
        0x02, 0x04, 0x00, 0x01, 0x80, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x1a,
        0x45, 0xbb, 0x00, 0x21, 0x00, 0x00, 0x40, 0x00, 0x3f, 0x11, 0x26, 0xad,
        0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x64,
        0x4e, 0x3e, 0x00, 0x35, 0x00, 0x0d, 0x14, 0x83, 0x78, 0x78, 0x78, 0x78, 0x78,
    ];

    #[test]
    fn remote_checksum_headers_are_those_of_the_kernel_s_director() {
        let udp_in_ipv4 = header_with_remote_checksum(IPV4, 20, 26);
        assert_eq!(udp_in_ipv4, WITH_REMOTE_CHECKSUM[8..20]);
        let tcp_in_ipv6 = [2, 0x29, 0, 1, 0x80, 0, 0, 0, 0, 0x28, 0, 0x38];
        assert_eq!(header_with_remote_checksum(IPV6, 40, 56), tcp_in_ipv6);
    }

    #[test]
    fn a_remote_checksum_starts_from_the_pseudo_header_s_sum_and_the_outer_one_is_whole() {
        let (client, service) = (address(10, 0, 0, 1), address(10, 0, 0, 100));
        let pseudo = ipv4::pseudo_header_sum(client, service, 13, ipv4::UDP);
        assert_eq!(fold(pseudo).to_ne_bytes(), WITH_REMOTE_CHECKSUM[46..48]);

        let (director, server) = (address(10, 0, 1, 1), address(10, 0, 1, 2));
        let outer = ipv4::pseudo_header_sum(director, server, 53, ipv4::UDP);
        let payload = !checksum::of(&WITH_REMOTE_CHECKSUM[8..]);
        let sum = udp::checksum(outer, port(0xa6e8), port(6080), 53, payload);
        assert_eq!(sum.to_ne_bytes(), WITH_REMOTE_CHECKSUM[6..8]);
    }

    #[test]
    fn a_header_is_as_long_as_it_says_and_only_packets_follow() {
        assert_eq!(length(header(IPV6)[0]), HEADER);
        let remote = header_with_remote_checksum(IPV4, 20, 36);
        assert_eq!(length(remote[0]), HEADER_WITH_REMOTE_CHECKSUM);
        // A control message; version 1, which is an IPv4 packet; version 1 before IPv6.
        assert_eq!((length(0x20), length(0x45), length(0x60)), (0, 0, 0));
    }

    #[test]
    fn source_ports_fill_the_range_but_its_last() {
        assert_eq!(source_port(0, LOWEST_PORT, END_OF_PORTS), LOWEST_PORT);
        let highest = source_port(0xffff_0000, LOWEST_PORT, END_OF_PORTS);
        assert_eq!(highest, END_OF_PORTS - 1);
        assert_eq!(source_port(0xffff_0000, 9, 9), 9);
        assert_eq!(source_port(0xffff_0000, 9, 1), 9);
    }

    #[test]
    fn the_low_half_of_a_hash_counts_too() {
        let ports = [0x0000_0000, 0x0000_4000, 0x0000_8000, 0x0000_c000]
            .map(|hash| source_port(hash, 1000, 2000));
        assert_eq!(ports, [1000, 1250, 1500, 1750]);
    }
}
