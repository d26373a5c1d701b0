//! Generic routing encapsulation (RFC 2784, RFC 2890), as VS/TUN uses it.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+---------------+-------+-------------------------------+
//! |C|R|K|S|   reserved    |version|           ethertype           |
//! +-+-+-+-+---------------+-------+-------------------------------+
//! |      checksum, if C           |           reserved, 0         |
//! +-------------------------------+-------------------------------+
//! |                           key, if K                           |
//! |                     sequence number, if S                     |
//! +---------------------------------------------------------------+
//! ```
//!
//! IPVS sends neither key nor sequence number. The checksum, if any, covers the GRE header and
//! the whole encapsulated packet, and no pseudo-header.

use crate::checksum;

/// IP protocol number.
pub const PROTOCOL: u8 = 47;
/// Bytes of the header without options: what VS/TUN sends by `--tun-nocsum`.
pub const HEADER: u32 = 4;
/// Bytes of the header with a checksum: `--tun-csum`.
pub const HEADER_WITH_CHECKSUM: u32 = 8;
/// Where the checksum stands.
pub const CHECKSUM_OFFSET: u32 = 4;

/// Flag: a checksum follows.
pub const CHECKSUM: u16 = 0x8000;
/// Flag: a key follows.
pub const KEY: u16 = 0x2000;
/// Flag: a sequence number follows.
pub const SEQUENCE: u16 = 0x1000;

/// The header without options before a packet of `ethertype` ([`ethernet::IPV4`] or
/// [`ethernet::IPV6`]).
///
/// [`ethernet::IPV4`]: crate::ethernet::IPV4
/// [`ethernet::IPV6`]: crate::ethernet::IPV6
#[inline(always)]
pub const fn header(ethertype: u16) -> [u8; HEADER as usize] {
    let kind = ethertype.to_be_bytes();
    [0, 0, kind[0], kind[1]]
}

/// The header with a checksum before a packet of `ethertype` whose bytes sum up to `inner_sum`:
/// 16-bit words as they stand in memory, folded. Of a packet whose checksums are right, the IPv4
/// header adds nothing, and the transport [`of_valid_transport`](checksum::of_valid_transport).
#[inline(always)]
pub const fn header_with_checksum(
    ethertype: u16,
    inner_sum: u16,
) -> [u8; HEADER_WITH_CHECKSUM as usize] {
    let flags = CHECKSUM.to_be_bytes();
    let kind = ethertype.to_be_bytes();
    let words = CHECKSUM.to_be() as u32 + ethertype.to_be() as u32;
    let sum = (!checksum::fold(words + inner_sum as u32)).to_ne_bytes();
    [flags[0], flags[1], kind[0], kind[1], sum[0], sum[1], 0, 0]
}

/// Bytes of a header with these flags (host order).
#[inline(always)]
pub const fn length(flags: u16) -> u32 {
    let mut length = HEADER;
    if flags & CHECKSUM != 0 {
        length += 4;
    }
    if flags & KEY != 0 {
        length += 4;
    }
    if flags & SEQUENCE != 0 {
        length += 4;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ethernet, ipv4, ipv6};

    /// What the kernel's director put before a SYN of 60 bytes by `--tun-type gre --tun-csum`.
    const WITH_CHECKSUM: [u8; 8] = [0x80, 0x00, 0x08, 0x00, 0xe4, 0x8b, 0x00, 0x00];
    /// And by `--tun-type gre`.
    const WITHOUT_CHECKSUM: [u8; 4] = [0x00, 0x00, 0x08, 0x00];

    #[test]
    fn the_header_without_options_is_that_of_the_kernel_s_director() {
        assert_eq!(header(ethernet::IPV4), WITHOUT_CHECKSUM);
        assert_eq!(header(ethernet::IPV6), [0x00, 0x00, 0x86, 0xdd]);
    }

    /// The inner packet's sum follows from its addresses, length and protocol, for its checksums
    /// are right.
    #[test]
    fn the_checksum_is_that_of_the_kernel_s_director() {
        let client = u32::from_ne_bytes([172, 16, 10, 40]);
        let service = u32::from_ne_bytes([172, 16, 10, 21]);
        let pseudo = ipv4::pseudo_header_sum(client, service, 40, ipv4::TCP);
        let inner = checksum::of_valid_transport(pseudo);
        assert_eq!(header_with_checksum(ethernet::IPV4, inner), WITH_CHECKSUM);
    }

    /// A datagram of 13 bytes from fd00::1 to fd00::100, captured behind the kernel's director: its
    /// IPv6 header, and what stood in the GRE header before it.
    #[test]
    fn the_checksum_around_ipv6_is_that_of_the_kernel_s_director() {
        #[rustfmt::skip]
        let inner = ipv6::Header::from_bytes([
            0x6b, 0xb0, 0xbb, 0x04, 0x00, 0x0d, 0x11, 0x3f,
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x01,
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x00,
        ]);
        let pseudo = ipv6::pseudo_header_sum(inner.source(), inner.destination(), 13, ipv4::UDP);
        let transport = checksum::of_valid_transport(pseudo);
        let sum = checksum::fold(inner.sum() + u32::from(transport));
        assert_eq!(
            header_with_checksum(ethernet::IPV6, sum),
            [0x80, 0x00, 0x86, 0xdd, 0xc1, 0x3e, 0x00, 0x00]
        );
    }

    #[test]
    fn options_lengthen_the_header_by_four_bytes_each() {
        assert_eq!(length(0), HEADER);
        assert_eq!(length(CHECKSUM), HEADER_WITH_CHECKSUM);
        assert_eq!(length(KEY), 8);
        assert_eq!(length(CHECKSUM | KEY | SEQUENCE), 16);
    }
}
