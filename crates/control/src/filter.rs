//! The filter before the address tables: every address of a side is in that side's filter.
//!
//! As the sides are, it is written only while it is idle, before its side counts. So packets never
//! see a side without all bits of its addresses.

use abi::{CELLS_TO_A_WORD, Filtered, MAX_PROBES, View};

use crate::side::Cell;

/// Notes that a side has an address of this hash.
pub(crate) fn put_in(view: &View<'_>, side: u32, hash: u32) {
    let filtered = filtered(view, hash);
    let word = &view.address_filter_of(side)[filtered.word as usize].0;
    word.store(word.load() | filtered.bits);
}

/// Notes that an address of this hash was taken out of a side's cells: makes its word anew from
/// those that are left, as they may share its bits.
pub(crate) fn take_out(view: &View<'_>, side: u32, hash: u32) {
    let word = filtered(view, hash).word;
    let bits = bits_of(view.addresses_of(side), word) | bits_of(view.addresses_v6_of(side), word);
    view.address_filter_of(side)[word as usize].0.store(bits);
}

/// Makes one side's filter equal to the other's.
pub(crate) fn copy_side(view: &View<'_>, from: u32, to: u32) {
    let (from, to) = (view.address_filter_of(from), view.address_filter_of(to));
    for (to, from) in to.iter().zip(from) {
        to.0.store(from.0.load());
    }
}

fn filtered(view: &View<'_>, hash: u32) -> Filtered {
    Filtered::of(hash, view.globals.address_mask.load())
}

/// The bits that the addresses in a side's cells set in a word. They are in the word's own cells,
/// or as far behind as a search goes.
fn bits_of<C: Cell>(cells: &[C], word: u32) -> u64 {
    let mask = cells.len() as u32 - 1;
    let first = word * CELLS_TO_A_WORD;
    (first..first + CELLS_TO_A_WORD + MAX_PROBES)
        .filter_map(|index| cells[(index & mask) as usize].key())
        .map(|key| Filtered::of(C::hash(key), mask))
        .filter(|filtered| filtered.word == word)
        .fold(0, |bits, filtered| bits | filtered.bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side;
    use abi::{AddressCell, hash_address};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Crowded as they are, many are in cells of the next word, from the last on in the first.
        #[test]
        fn a_word_is_made_of_all_addresses_whose_hashes_lead_to_its_cells(
            steps in prop::collection::vec((0..4u8, 1u32..128), 1..300)
        ) {
            const CELLS: u32 = 64;
            let cells: Vec<AddressCell> = (0..CELLS).map(|_| AddressCell::default()).collect();
            let mut present = BTreeSet::new();
            for (what, address) in steps {
                if what == 0 {
                    side::remove(&cells, address);
                    present.remove(&address);
                } else if let Some(cell) = side::place(&cells, address) {
                    cell.address.store(address);
                    present.insert(address);
                }
            }
            for word in 0..CELLS / CELLS_TO_A_WORD {
                let wanted = present
                    .iter()
                    .map(|&address| Filtered::of(hash_address(address), CELLS - 1))
                    .filter(|filtered| filtered.word == word)
                    .fold(0, |bits, filtered| bits | filtered.bits);
                prop_assert_eq!(bits_of(&cells, word), wanted);
            }
        }
    }
}
