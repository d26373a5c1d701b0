//! The UDP header (RFC 768): source port, destination port, length, checksum; two bytes each.

use crate::checksum;

/// Bytes of the header.
pub const HEADER: u32 = 8;
/// Where the length stands.
pub const LENGTH_OFFSET: u32 = 4;
/// Where the checksum stands. 0 means that there is none.
pub const CHECKSUM_OFFSET: u32 = 6;

/// A header. Ports and checksum as they stand in the packet; `length` counts the header too.
#[inline(always)]
pub const fn header(source: u16, destination: u16, length: u16, checksum: u16) -> [u8; 8] {
    let source = source.to_ne_bytes();
    let destination = destination.to_ne_bytes();
    let length = length.to_be_bytes();
    let checksum = checksum.to_ne_bytes();
    [
        source[0],
        source[1],
        destination[0],
        destination[1],
        length[0],
        length[1],
        checksum[0],
        checksum[1],
    ]
}

/// The checksum of a datagram, as it stands in the packet and never 0: `pseudo` is its
/// pseudo-header's sum, `payload` the folded sum of what follows the header. Ports as they stand in
/// the packet; `length` counts the header too.
#[inline(always)]
pub const fn checksum(
    pseudo: u32,
    source: u16,
    destination: u16,
    length: u16,
    payload: u16,
) -> u16 {
    let ports = source as u32 + destination as u32;
    let pseudo = checksum::fold(pseudo) as u32;
    match !checksum::fold(pseudo + ports + length.to_be() as u32 + payload as u32) {
        // RFC 768: a computed zero is sent as all ones, for zero means none.
        0 => 0xffff,
        sum => sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::fold;

    #[test]
    fn a_checksum_of_zero_is_sent_as_all_ones() {
        // Everything sums up to ffff, of which the complement is 0.
        let (source, destination, length) = (0x1200_u16, 0x3400_u16, 8_u16);
        let rest = 0xffff - u32::from(fold(0x4600 + u32::from(length.to_be())));
        assert_eq!(checksum(rest, source, destination, length, 0), 0xffff);
    }
}
