//! The filter before the address tables: small enough for the caches where those are not.
//!
//! A Bloom filter of 64-bit words: an address sets two bits of one word. Which word and which bits
//! says its hash, in either family. Where a bit is missing, the address is in no table, and its
//! cell, which is nowhere near, need not be waited for. A word stands for sixteen neighbouring cells
//! of each table, and so can be made anew from those.

use cell::Cell64;

/// Address cells of a side, in either family, that share a word of the filter.
pub const CELLS_TO_A_WORD: u32 = 16;

/// Bits of addresses whose hashes lead to the same cells. Two sides, as the cells have.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct FilterWord(pub Cell64);

/// How an address shows in the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// Index of the word on its side.
    pub word: u32,
    /// The bits of it that are set.
    pub bits: u64,
}

impl Filtered {
    /// By the address's hash and [`crate::Globals::address_mask`].
    #[inline(always)]
    pub const fn of(hash: u32, address_mask: u32) -> Self {
        // The bits that choose among a word's cells come to those that say which bits, the others to
        // those that say which word.
        let hash = hash.rotate_right(CELLS_TO_A_WORD.ilog2());
        Self {
            word: hash & (filter_words(address_mask) - 1),
            bits: 1 << (hash >> 26) | 1 << (hash >> 20 & 63),
        }
    }

    /// Whether a word has the bits.
    #[inline(always)]
    pub const fn is_in(self, word: u64) -> bool {
        word & self.bits == self.bits
    }
}

/// Words of one side's filter.
#[inline(always)]
pub const fn filter_words(address_mask: u32) -> u32 {
    address_mask / CELLS_TO_A_WORD + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash_address;

    #[test]
    fn a_word_stands_for_the_cells_that_hashes_lead_to() {
        for mask in [7, 15, 31, (1 << 20) - 1, (1 << 23) - 1] {
            for address in 1..10_000 {
                let hash = hash_address(address);
                let word = Filtered::of(hash, mask).word;
                assert_eq!(word, (hash & mask) / CELLS_TO_A_WORD);
                assert!(word < filter_words(mask));
            }
        }
    }

    /// A million addresses in the four million cells that are made for them.
    #[test]
    fn of_addresses_that_are_in_no_table_one_in_fifty_passes() {
        extern crate std;
        const MASK: u32 = (1 << 22) - 1;
        const FIRST: u32 = u32::from_be_bytes([10, 0, 0, 0]);
        let mut words = std::vec![0u64; filter_words(MASK) as usize];
        let of = |number: u32| Filtered::of(hash_address((FIRST + number).to_be()), MASK);
        for number in 0..1 << 20 {
            words[of(number).word as usize] |= of(number).bits;
        }
        let passes = |number: &u32| of(*number).is_in(words[of(*number).word as usize]);
        assert!((0..1 << 20).all(|number| passes(&number)));
        let strangers = (1 << 20..1 << 21).filter(passes).count();
        assert!(strangers < (1 << 20) / 50, "{strangers}");
    }
}
