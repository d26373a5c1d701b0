//! The IPv6 header and its extensions (RFC 8200, sections 3 and 4).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+---------------+---------------------------------------+
//! |version| traffic class |              flow label               |
//! +-------+---------------+-------+---------------+---------------+
//! |        payload length         |  next header  |   hop limit   |
//! +-------------------------------+---------------+---------------+
//! |                       source (16 bytes)                       |
//! |                    destination (16 bytes)                     |
//! +---------------------------------------------------------------+
//! ```

/// Bytes of the header without extensions.
pub const HEADER: u32 = 40;
/// Where the hop limit stands.
pub const HOP_LIMIT_OFFSET: u32 = 7;
/// Where the payload's length stands.
pub const LENGTH_OFFSET: u32 = 4;
/// Where the source address stands.
pub const SOURCE_OFFSET: u32 = 8;
/// Where the destination address stands.
pub const DESTINATION_OFFSET: u32 = 24;
/// Every link carries packets of this size without fragmenting them (RFC 8200, section 5).
pub const MINIMUM_MTU: u32 = 1280;

/// Next header: hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// Next header: an IPv6 packet (RFC 2473).
pub const IPV6: u8 = 41;
/// Next header: routing.
pub const ROUTING: u8 = 43;
/// Next header: fragment.
pub const FRAGMENT: u8 = 44;
/// Next header: encapsulating security payload (RFC 4303). What follows is ciphertext.
pub const ENCAPSULATING_SECURITY: u8 = 50;
/// Next header: authentication (RFC 4302).
pub const AUTHENTICATION: u8 = 51;
/// Next header: ICMPv6.
pub const ICMPV6: u8 = 58;
/// Next header: nothing follows.
pub const NO_NEXT: u8 = 59;
/// Next header: destination options.
pub const DESTINATION_OPTIONS: u8 = 60;

/// The most bytes that an extension header with a length byte can have.
pub const MAX_EXTENSION: u32 = 2048;

/// An address as four words in network order: each as it stands in memory.
pub type Address = [u32; 4];

/// The fixed part of an IPv6 header, in words as they stand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version, traffic class, flow label.
    first: u32,
    /// Payload length, next header, hop limit.
    second: u32,
    source: Address,
    destination: Address,
}

impl Header {
    /// A header. Of `flow_label` the low 20 bits count; `payload_length` counts the bytes after
    /// the header.
    #[inline(always)]
    pub const fn new(
        traffic_class: u8,
        flow_label: u32,
        payload_length: u16,
        next_header: u8,
        hop_limit: u8,
        source: Address,
        destination: Address,
    ) -> Self {
        let first = 6 << 28 | (traffic_class as u32) << 20 | flow_label & 0xf_ffff;
        let second = (payload_length as u32) << 16 | (next_header as u32) << 8 | hop_limit as u32;
        Self {
            first: first.to_be(),
            second: second.to_be(),
            source,
            destination,
        }
    }

    /// The header that these words are, as they stand in memory.
    #[inline(always)]
    pub const fn from_words(words: [u32; 10]) -> Self {
        let [first, second, a, b, c, d, e, f, g, h] = words;
        Self {
            first,
            second,
            source: [a, b, c, d],
            destination: [e, f, g, h],
        }
    }

    /// Its words, as they stand in memory.
    #[inline(always)]
    pub const fn words(&self) -> [u32; 10] {
        let ([a, b, c, d], [e, f, g, h]) = (self.source, self.destination);
        [self.first, self.second, a, b, c, d, e, f, g, h]
    }

    /// The header that these bytes are.
    #[inline(always)]
    pub const fn from_bytes(b: [u8; HEADER as usize]) -> Self {
        Self {
            first: u32::from_ne_bytes([b[0], b[1], b[2], b[3]]),
            second: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
            source: [
                u32::from_ne_bytes([b[8], b[9], b[10], b[11]]),
                u32::from_ne_bytes([b[12], b[13], b[14], b[15]]),
                u32::from_ne_bytes([b[16], b[17], b[18], b[19]]),
                u32::from_ne_bytes([b[20], b[21], b[22], b[23]]),
            ],
            destination: [
                u32::from_ne_bytes([b[24], b[25], b[26], b[27]]),
                u32::from_ne_bytes([b[28], b[29], b[30], b[31]]),
                u32::from_ne_bytes([b[32], b[33], b[34], b[35]]),
                u32::from_ne_bytes([b[36], b[37], b[38], b[39]]),
            ],
        }
    }

    /// IP version; 6.
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        (u32::from_be(self.first) >> 28) as u8
    }

    /// Traffic class: DSCP and ECN, as the TOS of IPv4.
    #[inline(always)]
    pub const fn traffic_class(&self) -> u8 {
        (u32::from_be(self.first) >> 20) as u8
    }

    /// Flow label: 20 bits.
    #[inline(always)]
    pub const fn flow_label(&self) -> u32 {
        u32::from_be(self.first) & 0xf_ffff
    }

    /// Bytes that follow the header; 0 in jumbograms (RFC 2675).
    #[inline(always)]
    pub const fn payload_length(&self) -> u32 {
        u32::from_be(self.second) >> 16
    }

    /// What follows the header: an extension or a protocol.
    #[inline(always)]
    pub const fn next_header(&self) -> u8 {
        (u32::from_be(self.second) >> 8) as u8
    }

    /// Hop limit.
    #[inline(always)]
    pub const fn hop_limit(&self) -> u8 {
        u32::from_be(self.second) as u8
    }

    /// Source address.
    #[inline(always)]
    pub const fn source(&self) -> Address {
        self.source
    }

    /// Destination address.
    #[inline(always)]
    pub const fn destination(&self) -> Address {
        self.destination
    }

    /// The sum of the header's words as they stand in memory, unfolded: 20 words of 16 bits.
    #[inline(always)]
    pub const fn sum(&self) -> u32 {
        words(self.first) + words(self.second) + sum_of(self.source) + sum_of(self.destination)
    }
}

/// The pseudo-header's sum (RFC 8200, section 8.1), unfolded: 20 words of 16 bits as they stand in
/// memory, so that there is room to add more before [`fold`](crate::checksum::fold). `length`
/// counts the bytes from the transport header on; `next` is the transport's number, not an
/// extension's.
#[inline(always)]
pub const fn pseudo_header_sum(from: Address, to: Address, length: u32, next: u8) -> u32 {
    let numbers = words(length.to_be()) + words((next as u32).to_be());
    sum_of(from) + sum_of(to) + numbers
}

/// The sum of an address's eight words of 16 bits.
#[inline(always)]
const fn sum_of(address: Address) -> u32 {
    words(address[0]) + words(address[1]) + words(address[2]) + words(address[3])
}

/// The sum of a 32-bit word's two halves.
#[inline(always)]
const fn words(word: u32) -> u32 {
    (word & 0xffff) + (word >> 16)
}

/// Whether a header of this number is an extension that can be walked over: its second byte tells
/// its length, its first what follows. Of ESP neither can be read, so that it ends the walk, as
/// does [`NO_NEXT`].
#[inline(always)]
pub const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
    )
}

/// Bytes of the extension header `next` whose second byte is `length_byte`: at least 8, at most
/// [`MAX_EXTENSION`]. The authentication header counts four bytes each (RFC 4302, section 2.2), a
/// fragment header has no length and is always of 8, the others count eight bytes each.
#[inline(always)]
pub const fn extension_length(next: u8, length_byte: u8) -> u32 {
    match next {
        FRAGMENT => Fragment::LENGTH,
        AUTHENTICATION => (length_byte as u32 + 2) * 4,
        _ => (length_byte as u32 + 1) * 8,
    }
}

const FRAGMENT_OFFSET: u16 = 0xfff8;
const MORE_FRAGMENTS: u16 = 1;

/// The fragment header (RFC 8200, section 4.5).
///
/// ```text
/// | next header (1) | reserved (1) | offset (13 bits), reserved (2 bits), more (1 bit)
/// | identification (4)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(4))]
pub struct Fragment(pub [u8; Self::LENGTH as usize]);

impl Fragment {
    /// Bytes of the header.
    pub const LENGTH: u32 = 8;

    /// What the fragmented part begins with.
    #[inline(always)]
    pub const fn next_header(&self) -> u8 {
        self.0[0]
    }

    #[inline(always)]
    const fn word(&self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    /// Where in the fragmented part this piece begins, in bytes: a multiple of 8.
    #[inline(always)]
    pub const fn offset(&self) -> u32 {
        (self.word() & FRAGMENT_OFFSET) as u32
    }

    /// Whether more pieces follow.
    #[inline(always)]
    pub const fn more(&self) -> bool {
        self.word() & MORE_FRAGMENTS != 0
    }

    /// What the pieces of one packet have in common, beside its addresses; as in memory.
    #[inline(always)]
    pub const fn identification(&self) -> u32 {
        u32::from_ne_bytes([self.0[4], self.0[5], self.0[6], self.0[7]])
    }

    /// Whether this piece does not begin with the transport header.
    #[inline(always)]
    pub const fn is_later(&self) -> bool {
        self.offset() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum;

    /// A header captured from Linux: UDP from 2001:db8:1::99 to 2001:db8::1, traffic class 0x2e.
    #[rustfmt::skip]
    const CAPTURED: [u8; 40] = [
        0x62, 0xec, 0xa6, 0x39, 0x00, 0x0d, 0x11, 0x40,
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x99,
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x01,
    ];

    fn address(text: &str) -> Address {
        let bytes = text.parse::<core::net::Ipv6Addr>().unwrap().octets();
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_ne_bytes(bytes.try_into().unwrap());
        }
        words
    }

    #[test]
    fn fields_stand_where_rfc_8200_has_them() {
        let header = Header::from_bytes(CAPTURED);
        assert_eq!((header.version(), header.traffic_class()), (6, 0x2e));
        assert_eq!(
            (header.flow_label(), header.payload_length()),
            (0xca639, 13)
        );
        assert_eq!((header.next_header(), header.hop_limit()), (17, 64));
        assert_eq!(header.source(), address("2001:db8:1::99"));
        assert_eq!(header.destination(), address("2001:db8::1"));
        let bytes = header.words().map(u32::to_ne_bytes);
        assert_eq!(bytes.as_flattened(), CAPTURED);
    }

    #[test]
    fn a_new_header_is_the_one_that_linux_sends() {
        let (from, to) = (address("2001:db8:1::99"), address("2001:db8::1"));
        let header = Header::new(0x2e, 0xca639, 13, 17, 64, from, to);
        assert_eq!(header, Header::from_bytes(CAPTURED));
    }

    #[test]
    fn a_flow_label_does_not_run_into_the_traffic_class() {
        let header = Header::new(0, 0xfff0_0001, 0, NO_NEXT, 1, [0; 4], [0; 4]);
        assert_eq!((header.version(), header.traffic_class()), (6, 0));
        assert_eq!(header.flow_label(), 1);
    }

    #[test]
    fn the_pseudo_header_sums_up_to_what_linux_leaves_in_the_checksum_field() {
        let header = Header::from_bytes(CAPTURED);
        let sum = pseudo_header_sum(header.source(), header.destination(), 13, 17);
        assert_eq!(checksum::fold(sum).to_ne_bytes(), [0x5c, 0x2b]);
    }

    /// The extension that Linux puts before its multicast listener reports: a router alert and
    /// two bytes of padding.
    #[test]
    fn extensions_are_as_long_as_they_say() {
        let router_alert = [0x3a, 0x00, 0x05, 0x02, 0x00, 0x00, 0x01, 0x00];
        assert_eq!(extension_length(HOP_BY_HOP, router_alert[1]), 8);
        assert_eq!(extension_length(ROUTING, 2), 24);
        assert_eq!(extension_length(DESTINATION_OPTIONS, 255), MAX_EXTENSION);
        // RFC 4302, section 2.2: with a 96-bit check value the length byte is 4, the bytes 24.
        assert_eq!(extension_length(AUTHENTICATION, 4), 24);
        // The second byte is reserved here, and ignored on reception.
        assert_eq!(extension_length(FRAGMENT, 255), 8);
    }

    #[test]
    fn only_headers_that_can_be_walked_over_are_extensions() {
        let walked = (0..=255).filter(|next| is_extension(*next));
        assert!(walked.eq([0, 43, 44, 51, 60]));
    }

    /// Both pieces of a datagram of 2000 bytes that Linux sent over a link of MTU 1500.
    #[test]
    fn fragments_say_which_piece_of_what_they_are() {
        let first = Fragment([0x11, 0x00, 0x00, 0x01, 0x0e, 0xec, 0x17, 0xb5]);
        let last = Fragment([0x11, 0x00, 0x05, 0xa8, 0x0e, 0xec, 0x17, 0xb5]);
        assert_eq!((first.next_header(), last.next_header()), (17, 17));
        assert_eq!((first.offset(), first.more()), (0, true));
        assert_eq!((last.offset(), last.more()), (1448, false));
        assert!(!first.is_later() && last.is_later());
        assert_eq!(first.identification(), last.identification());
        assert_eq!(
            first.identification().to_ne_bytes(),
            [0x0e, 0xec, 0x17, 0xb5]
        );
    }
}
