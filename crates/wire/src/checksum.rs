//! The Internet checksum, changed in place (RFC 1071, RFC 1624).
//!
//! Sums are of 16-bit words as they stand in memory: the checksum does not depend on the byte
//! order in which it is computed (RFC 1071, section 2B).

/// By how much a checksum's sum grows: the sum of new words less the sum of old ones. Carries wait
/// until the end, as 32 bits have room for 2^16 words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delta(u32);

impl Delta {
    /// No change.
    pub const ZERO: Self = Self(0);

    /// A 16-bit word changed from `old` to `new`.
    #[inline(always)]
    pub const fn of_u16(old: u16, new: u16) -> Self {
        Self(!old as u32 + new as u32)
    }

    /// A 32-bit word (at an even offset) changed from `old` to `new`.
    #[inline(always)]
    pub const fn of_u32(old: u32, new: u32) -> Self {
        let old = !old;
        Self((old & 0xffff) + (old >> 16) + (new & 0xffff) + (new >> 16))
    }

    /// An IPv6 address changed from `old` to `new`; both as words in network order.
    #[inline(always)]
    pub const fn of_address(old: [u32; 4], new: [u32; 4]) -> Self {
        let high = Self::of_u32(old[0], new[0]).0 + Self::of_u32(old[1], new[1]).0;
        let low = Self::of_u32(old[2], new[2]).0 + Self::of_u32(old[3], new[3]).0;
        Self(high + low)
    }

    /// Both changes.
    #[inline(always)]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The checksum field's new value.
    #[inline(always)]
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold(!checksum as u32 + self.0)
    }

    /// The change as the kernel's checksum helpers take it (a `__wsum` difference).
    #[inline(always)]
    pub const fn to_wsum(self) -> u32 {
        fold(self.0) as u32
    }

    /// Whether nothing changes.
    #[inline(always)]
    pub const fn is_zero(self) -> bool {
        let folded = fold(self.0);
        folded == 0 || folded == 0xffff
    }
}

/// Adds the carries of a sum of 16-bit words back in.
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// What a transport header and its payload sum up to if their checksum is right, whatever they are,
/// or will be once the network device has filled it in: `pseudo` is their pseudo-header's sum. So a
/// checksum around them (of a tunnel) needs no look at the payload. Not for a UDP datagram without
/// checksum or a fragment.
#[inline(always)]
pub const fn of_valid_transport(pseudo: u32) -> u16 {
    !fold(pseudo)
}

/// The checksum of `bytes`, of which a last odd one counts as if a zero followed.
pub fn of(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for word in bytes.chunks(2) {
        let second = if word.len() == 2 { word[1] } else { 0 };
        sum += u32::from(u16::from_ne_bytes([word[0], second]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !fold(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071, section 3: its sum is ddf2.
    #[test]
    fn the_example_of_rfc_1071_sums_up() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!((!of(&bytes)).to_ne_bytes(), [0xdd, 0xf2]);
    }

    /// The example of RFC 1624, section 4: checksum dd2f, word 5555 becomes 3285, result 0000.
    #[test]
    fn the_example_of_rfc_1624_comes_out_as_zero() {
        let word = |a: u8, b: u8| u16::from_ne_bytes([a, b]);
        let delta = Delta::of_u16(word(0x55, 0x55), word(0x32, 0x85));
        assert_eq!(delta.apply(word(0xdd, 0x2f)), word(0x00, 0x00));
    }

    /// However many words are summed up.
    #[test]
    fn no_carry_is_lost() {
        let word = 0xffff_fffe_u32;
        let mut delta = Delta::ZERO;
        for _ in 0..1_000 {
            delta = delta.and(Delta::of_u32(!word, word));
        }
        // Each adds 0xffff fffe twice, which is -1 modulo 2^16 - 1.
        assert_eq!(delta.to_wsum(), 0xffff - 2_000);
        assert_eq!(delta.apply(!0), 2_000);
    }

    #[test]
    fn a_changed_address_gives_the_checksum_of_the_changed_bytes() {
        let mut bytes = [
            0x45, 0, 0, 60, 0x1c, 0x46, 0x40, 0, 64, 6, 0, 0, 172, 16, 10, 99, 172, 16, 10, 12,
        ];
        let before = of(&bytes);
        let old = u32::from_ne_bytes([172, 16, 10, 12]);
        let new = u32::from_ne_bytes([192, 168, 100, 39]);
        bytes[16..20].copy_from_slice(&new.to_ne_bytes());
        assert_eq!(Delta::of_u32(old, new).apply(before), of(&bytes));
    }
}
