//! The hash functions of the hashing schedulers.

/// The kernel's `hash_32` (`linux/hash.h`) to 8 bits.
#[inline(always)]
pub(crate) const fn to_8_bits(value: u32) -> u32 {
    value.wrapping_mul(0x61c8_8647) >> 24
}

/// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"), 64 bits at a time.
#[derive(Clone, Copy)]
pub(crate) struct SipHash {
    v: [u64; 4],
}

impl SipHash {
    #[inline(always)]
    pub(crate) const fn new(key: [u64; 2]) -> Self {
        Self {
            v: [
                key[0] ^ 0x736f_6d65_7073_6575,
                key[1] ^ 0x646f_7261_6e64_6f6d,
                key[0] ^ 0x6c79_6765_6e65_7261,
                key[1] ^ 0x7465_6462_7974_6573,
            ],
        }
    }

    /// Takes the next eight bytes in, as a little-endian number.
    #[inline(always)]
    pub(crate) const fn block(self, block: u64) -> Self {
        let [v0, v1, v2, v3] = self.v;
        let [v0, v1, v2, v3] = round([v0, v1, v2, v3 ^ block]);
        Self {
            v: [v0 ^ block, v1, v2, v3],
        }
    }

    /// The hash, after the last bytes of the message: the `length % 8` that are left, as a
    /// little-endian number. `length` is the whole message's, in bytes.
    #[inline(always)]
    pub(crate) const fn finish(self, left: u64, length: u8) -> u64 {
        let [v0, v1, v2, v3] = self.block(((length as u64) << 56) | left).v;
        let [v0, v1, v2, v3] = round(round(round([v0, v1, v2 ^ 0xff, v3])));
        v0 ^ v1 ^ v2 ^ v3
    }
}

#[inline(always)]
const fn round([v0, v1, v2, v3]: [u64; 4]) -> [u64; 4] {
    let v0 = v0.wrapping_add(v1);
    let v1 = v1.rotate_left(13) ^ v0;
    let v2 = v2.wrapping_add(v3);
    let v3 = v3.rotate_left(16) ^ v2;
    let v0 = v0.rotate_left(32).wrapping_add(v3);
    let v3 = v3.rotate_left(21) ^ v0;
    let v2 = v2.wrapping_add(v1);
    let v1 = v1.rotate_left(17) ^ v2;
    [v0, v1, v2.rotate_left(32), v3]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use core::hash::Hasher;
    use std::hash::DefaultHasher;

    #[test]
    fn siphash_agrees_with_the_standard_librarys_at_key_0() {
        let (first, left) = (0x0123_4567_89ab_cdefu64, 0xfedc_ba98u32);
        let mut theirs = DefaultHasher::new();
        theirs.write(&first.to_le_bytes());
        theirs.write(&left.to_le_bytes());
        let ours = SipHash::new([0, 0]).block(first).finish(left.into(), 12);
        assert_eq!(ours, theirs.finish());
        assert_eq!(
            SipHash::new([0, 0]).finish(0, 0),
            DefaultHasher::new().finish()
        );
    }
}
