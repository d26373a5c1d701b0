//! The IPv4 header (RFC 791, section 3.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+---------------+-------------------------------+
//! |version|  IHL  |      TOS      |          total length         |
//! +-------+-------+---------------+-----+-------------------------+
//! |         identification        |0|D|M|     fragment offset     |
//! +---------------+---------------+-----+-------------------------+
//! |      TTL      |   protocol    |            checksum           |
//! +---------------+---------------+-------------------------------+
//! |                            source                             |
//! |                         destination                           |
//! +---------------------------------------------------------------+
//! ```

use crate::checksum::{self, Delta};

/// Bytes of the header without options.
pub const HEADER: u32 = 20;
/// Protocol: ICMP.
pub const ICMP: u8 = 1;
/// Protocol: an IPv4 packet (RFC 2003).
pub const IPIP: u8 = 4;
/// Protocol: TCP.
pub const TCP: u8 = 6;
/// Protocol: UDP.
pub const UDP: u8 = 17;

/// Where the time to live stands; behind it the protocol, the checksum, and both addresses.
pub const TTL_OFFSET: u32 = 8;
/// Where the packet's length stands.
pub const LENGTH_OFFSET: u32 = 2;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// The fixed part of an IPv4 header, in words as they stand in memory: bytes that are taken from
/// memory, or put together there, cost several times as much.
#[derive(Clone, Copy, Debug)]
pub struct Header([u32; 5]);

/// What a header without options says, but for its checksum.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Bytes of the packet with this header.
    pub total_length: u16,
    /// What its fragments would have in common.
    pub identification: u16,
    /// Whether no router may fragment it.
    pub dont_fragment: bool,
    /// Time to live.
    pub ttl: u8,
    /// Protocol number of what follows.
    pub protocol: u8,
    /// Source address, network order.
    pub source: u32,
    /// Destination address, network order.
    pub destination: u32,
}

impl Header {
    /// A header without options and with its checksum.
    #[inline(always)]
    pub const fn new(fields: &Fields) -> Self {
        let flags = if fields.dont_fragment {
            DONT_FRAGMENT
        } else {
            0
        };
        let first = 0x45 << 24 | (fields.tos as u32) << 16 | fields.total_length as u32;
        let second = (fields.identification as u32) << 16 | flags as u32;
        let third = (fields.ttl as u32) << 24 | (fields.protocol as u32) << 16;
        let words = [
            first.to_be(),
            second.to_be(),
            third.to_be(),
            fields.source,
            fields.destination,
        ];
        let mut sum = 0;
        let mut word = 0;
        while word < words.len() {
            sum += (words[word] & 0xffff) + (words[word] >> 16);
            word += 1;
        }
        let checksum = u16::from_be(!checksum::fold(sum)) as u32;
        let third = (third | checksum).to_be();
        Self([words[0], words[1], third, words[3], words[4]])
    }

    /// The header that these words are, as they stand in memory.
    #[inline(always)]
    pub const fn from_words(words: [u32; 5]) -> Self {
        Self(words)
    }

    /// Its words, as they stand in memory.
    #[inline(always)]
    pub const fn words(&self) -> [u32; 5] {
        self.0
    }

    /// The header that these bytes are.
    #[inline(always)]
    pub const fn from_bytes(b: [u8; HEADER as usize]) -> Self {
        Self([
            u32::from_ne_bytes([b[0], b[1], b[2], b[3]]),
            u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
            u32::from_ne_bytes([b[8], b[9], b[10], b[11]]),
            u32::from_ne_bytes([b[12], b[13], b[14], b[15]]),
            u32::from_ne_bytes([b[16], b[17], b[18], b[19]]),
        ])
    }

    /// The byte at an offset.
    #[inline(always)]
    const fn byte(&self, offset: usize) -> u8 {
        self.0[offset / 4].to_ne_bytes()[offset % 4]
    }

    /// The 16 bits at an even offset, in network order.
    #[inline(always)]
    const fn half(&self, offset: usize) -> u16 {
        (u32::from_be(self.0[offset / 4]) >> (16 - offset % 4 * 8)) as u16
    }

    /// IP version; 4.
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        self.byte(0) >> 4
    }

    /// Bytes of the header with its options: 0 to 60, valid from 20.
    #[inline(always)]
    pub const fn header_length(&self) -> u32 {
        ((self.byte(0) & 15) as u32) * 4
    }

    /// Bytes of the packet.
    #[inline(always)]
    pub const fn total_length(&self) -> u32 {
        self.half(2) as u32
    }

    /// Identification, as it stands in the packet.
    #[inline(always)]
    pub const fn identification(&self) -> u16 {
        self.half(4).to_be()
    }

    #[inline(always)]
    const fn fragment_word(&self) -> u16 {
        self.half(6)
    }

    /// Whether no router may fragment it.
    #[inline(always)]
    pub const fn dont_fragment(&self) -> bool {
        self.fragment_word() & DONT_FRAGMENT != 0
    }

    /// Whether it is a part of a larger datagram.
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        self.fragment_word() & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Whether it is a part that does not begin with the transport header.
    #[inline(always)]
    pub const fn is_later_fragment(&self) -> bool {
        self.fragment_word() & FRAGMENT_OFFSET != 0
    }

    /// Where in a larger datagram's payload it belongs, in bytes; 0 unless it is a part of one.
    #[inline(always)]
    pub const fn fragment_offset(&self) -> u32 {
        (self.fragment_word() & FRAGMENT_OFFSET) as u32 * 8
    }

    /// The header of the fragment (RFC 791, section 3.2) that has `length` bytes of this packet's
    /// payload from `offset` on, a multiple of 8. The packet may be a fragment itself; it must have
    /// no options and not be too long to be numbered.
    #[inline(always)]
    pub fn fragment(&self, offset: u32, length: u32) -> Self {
        let is_last = HEADER + offset + length == self.total_length();
        let more = if is_last {
            self.fragment_word() & MORE_FRAGMENTS
        } else {
            MORE_FRAGMENTS
        };
        let place = (self.fragment_word() & FRAGMENT_OFFSET).wrapping_add((offset / 8) as u16);
        let mut header = *self;
        header.0[0] = header.with_half(0, (HEADER + length) as u16);
        header.0[1] = header.with_half(1, more | place & FRAGMENT_OFFSET);
        let lengths = Delta::of_u32(self.0[0], header.0[0]);
        let delta = lengths.and(Delta::of_u32(self.0[1], header.0[1]));
        header.0[2] = self.with_checksum_changed(delta);
        header
    }

    /// A word with other 16 bits, given in host order, in its second half.
    #[inline(always)]
    const fn with_half(&self, word: usize, half: u16) -> u32 {
        (u32::from_be(self.0[word]) & 0xffff_0000 | half as u32).to_be()
    }

    /// Type of service: DSCP and ECN.
    #[inline(always)]
    pub const fn tos(&self) -> u8 {
        self.byte(1)
    }

    /// Time to live.
    #[inline(always)]
    pub const fn ttl(&self) -> u8 {
        self.byte(8)
    }

    /// Protocol number.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        self.byte(9)
    }

    /// Source address, network order.
    #[inline(always)]
    pub const fn source(&self) -> u32 {
        self.0[3]
    }

    /// Destination address, network order.
    #[inline(always)]
    pub const fn destination(&self) -> u32 {
        self.0[4]
    }

    /// The checksum and what stands before it, each as it stands in memory.
    #[inline(always)]
    const fn third(&self) -> (u16, u16) {
        let [a, b, c, d] = self.0[2].to_ne_bytes();
        (u16::from_ne_bytes([c, d]), u16::from_ne_bytes([a, b]))
    }

    /// The word at [`TTL_OFFSET`], as it stands in memory, when other fields of the header have changed
    /// by `delta`.
    #[inline(always)]
    pub const fn with_checksum_changed(&self, delta: Delta) -> u32 {
        let (checksum, before) = self.third();
        joined(before, delta.apply(checksum))
    }

    /// As [`Self::with_checksum_changed`], with the time to live, which must not be 0, counted down.
    #[inline(always)]
    pub const fn counted_down(&self, delta: Delta) -> u32 {
        // The time to live is the upper half of the 16 bits that it stands in (RFC 1141).
        const ONE: u16 = 0x0100u16.to_be();
        let (checksum, before) = self.third();
        let after = before.wrapping_sub(ONE);
        let sum = delta.and(Delta::of_u16(ONE, 0)).apply(checksum);
        joined(after, sum)
    }
}

/// The word of two halves; all as they stand in memory.
#[inline(always)]
const fn joined(first: u16, second: u16) -> u32 {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

/// The pseudo-header's sum (RFC 793, section 3.1; RFC 768), unfolded: 6 words of 16 bits as they
/// stand in memory. `length` counts the bytes from the transport header on.
#[inline(always)]
pub const fn pseudo_header_sum(from: u32, to: u32, length: u16, protocol: u8) -> u32 {
    let addresses = (from & 0xffff) + (from >> 16) + (to & 0xffff) + (to >> 16);
    addresses + length.to_be() as u32 + (protocol as u16).to_be() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = Fields {
        tos: 0,
        total_length: 88,
        identification: 0,
        dont_fragment: false,
        ttl: 64,
        protocol: TCP,
        source: 0x0100_007f,
        destination: 0x0200_007f,
    };

    /// A header from a capture of the kernel's director: SYN from 172.16.10.40 to .21.
    const CAPTURED: [u8; 20] = [
        0x45, 0x00, 0x00, 0x3c, 0x03, 0x7a, 0x40, 0x00, 0x40, 0x06, 0xca, 0xe4, 0xac, 0x10, 0x0a,
        0x28, 0xac, 0x10, 0x0a, 0x15,
    ];

    fn sum_of(header: &Header) -> u16 {
        checksum::of(header.words().map(u32::to_ne_bytes).as_flattened())
    }

    #[test]
    fn fields_stand_where_rfc_791_has_them() {
        let header = Header::from_bytes(CAPTURED);
        assert_eq!(
            (
                header.version(),
                header.header_length(),
                header.total_length()
            ),
            (4, 20, 60)
        );
        assert!(header.dont_fragment() && !header.is_fragment());
        assert_eq!((header.ttl(), header.protocol()), (64, TCP));
        assert_eq!(header.source().to_ne_bytes(), [172, 16, 10, 40]);
        assert_eq!(header.destination().to_ne_bytes(), [172, 16, 10, 21]);
    }

    #[test]
    fn every_change_leaves_a_checksum_that_verifies() {
        let header = Header::from_bytes(CAPTURED);
        let address = u32::from_ne_bytes([192, 168, 100, 39]);
        let delta = Delta::of_u32(header.destination(), address);
        for (word, ttl) in [
            (header.with_checksum_changed(delta), 64),
            (header.counted_down(delta), 63),
        ] {
            let mut bytes = CAPTURED;
            bytes[8..12].copy_from_slice(&word.to_ne_bytes());
            bytes[16..20].copy_from_slice(&address.to_ne_bytes());
            let changed = Header::from_bytes(bytes);
            assert_eq!((changed.ttl(), changed.protocol()), (ttl, TCP));
            assert_eq!(checksum::of(&bytes), 0);
        }
    }

    #[test]
    fn a_new_header_verifies() {
        let header = Header::new(&Fields {
            tos: 0xc0,
            identification: 7,
            protocol: ICMP,
            ..FIELDS
        });
        assert_eq!(sum_of(&header), 0);
        assert_eq!(header.total_length(), 88);
    }

    /// RFC 791, appendix A, example 2: a datagram with 452 bytes of data becomes one with 256 and
    /// one with 196 bytes, the second at fragment offset 32.
    #[test]
    fn a_datagram_becomes_the_fragments_of_rfc_791() {
        let whole = Header::new(&Fields {
            total_length: 472,
            identification: 111,
            ttl: 123,
            ..FIELDS
        });
        let first = whole.fragment(0, 256);
        let second = whole.fragment(256, 196);
        for (fragment, total, word) in [(first, 276, 0x2000), (second, 216, 32)] {
            assert_eq!(fragment.total_length(), total);
            assert_eq!(fragment.fragment_word(), word);
            assert_eq!(sum_of(&fragment), 0);
        }
        assert_eq!(
            (first.fragment_offset(), second.fragment_offset()),
            (0, 256)
        );
        // The last of a fragment's fragments has more behind it, as that has.
        let again = first.fragment(64, 192);
        assert_eq!((again.fragment_word(), sum_of(&again)), (0x2008, 0));
    }

    #[test]
    fn a_header_that_forbids_fragments_verifies() {
        assert!(!Header::new(&FIELDS).dont_fragment());
        let header = Header::new(&Fields {
            dont_fragment: true,
            protocol: IPIP,
            ..FIELDS
        });
        assert!(header.dont_fragment() && !header.is_fragment());
        assert_eq!(sum_of(&header), 0);
    }
}
