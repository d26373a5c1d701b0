//! The tables that exist twice: addresses and services, hashed with linear probing.
//!
//! Only the idle side is ever written, so nobody sees a half-made change, and an entry can be
//! taken out by moving its followers up. Both sides go through the same changes in the same order,
//! and so have the same layout.

use abi::{
    Address, AddressCell, AddressCellV6, MAX_PROBES, ServiceCell, View, hash_address,
    hash_address_v6, hash_service,
};

use crate::{filter, words};

/// A cell of a hashed table.
pub(crate) trait Cell {
    /// What is looked up.
    type Key: Copy + Eq;
    /// The key of what is in the cell; `None` where it is empty.
    fn key(&self) -> Option<Self::Key>;
    fn hash(key: Self::Key) -> u32;
    fn copy_from(&self, other: &Self);
    fn clear(&self);
}

impl Cell for AddressCell {
    type Key = u32;

    fn key(&self) -> Option<u32> {
        Some(self.address.load()).filter(|&address| address != 0)
    }

    fn hash(key: u32) -> u32 {
        hash_address(key)
    }

    fn copy_from(&self, other: &Self) {
        self.flags.store(other.flags.load());
        self.address.store(other.address.load());
    }

    fn clear(&self) {
        self.address.store(0);
        self.flags.store(0);
    }
}

impl Cell for AddressCellV6 {
    type Key = Address;

    fn key(&self) -> Option<Address> {
        Some(words::load(&self.address)).filter(|&address| address != Address::default())
    }

    fn hash(key: Address) -> u32 {
        hash_address_v6(key)
    }

    fn copy_from(&self, other: &Self) {
        self.flags.store(other.flags.load());
        words::store(&self.address, words::load(&other.address));
    }

    fn clear(&self) {
        words::store(&self.address, Address::default());
        self.flags.store(0);
    }
}

/// By what packets find a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceCellKey {
    pub(crate) address: Address,
    /// [`ServiceCell::key`]: never 0.
    pub(crate) key: u32,
}

impl Cell for ServiceCell {
    type Key = ServiceCellKey;

    fn key(&self) -> Option<ServiceCellKey> {
        let key = self.key.load();
        let address = words::load(&self.address);
        (key != 0).then_some(ServiceCellKey { address, key })
    }

    fn hash(ServiceCellKey { address, key }: ServiceCellKey) -> u32 {
        hash_service(address, key)
    }

    fn copy_from(&self, other: &Self) {
        ServiceCell::copy_from(self, other);
    }

    fn clear(&self) {
        self.key.store(0);
        words::store(&self.address, Address::default());
    }
}

/// The cell that holds `key`, or the empty one where it belongs. `None` where packets would not
/// search that far.
pub(crate) fn place<C: Cell>(cells: &[C], key: C::Key) -> Option<&C> {
    probe::<C>(cells.len(), key)
        .map(|index| &cells[index])
        .find(|cell| cell.key().is_none_or(|found| found == key))
}

/// The cell that holds `key`.
#[cfg(test)]
pub(crate) fn find<C: Cell>(cells: &[C], key: C::Key) -> Option<&C> {
    place(cells, key).filter(|cell| cell.key().is_some())
}

/// Empties the cell that holds `key` and moves up those that come after it, so that a search may
/// end at an empty cell.
pub(crate) fn remove<C: Cell>(cells: &[C], key: C::Key) {
    let found = probe::<C>(cells.len(), key)
        .take_while(|&index| cells[index].key().is_some())
        .find(|&index| cells[index].key() == Some(key));
    let Some(mut hole) = found else {
        return;
    };
    let mask = cells.len() - 1;
    let mut next = (hole + 1) & mask;
    while let Some(key) = cells[next].key() {
        let home = C::hash(key) as usize & mask;
        // It may move to the hole if that is no further up than its home.
        if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
            cells[hole].copy_from(&cells[next]);
            hole = next;
        }
        next = (next + 1) & mask;
        if next == hole {
            break;
        }
    }
    cells[hole].clear();
}

fn probe<C: Cell>(length: usize, key: C::Key) -> impl Iterator<Item = usize> {
    let mask = length - 1;
    let home = C::hash(key) as usize & mask;
    (0..(MAX_PROBES as usize).min(length)).map(move |step| (home + step) & mask)
}

/// Makes one side equal to the other.
pub(crate) fn copy_side(view: &View<'_>, from: u32, to: u32) {
    copy(view.addresses_of(from), view.addresses_of(to));
    copy(view.addresses_v6_of(from), view.addresses_v6_of(to));
    copy(view.services_of(from), view.services_of(to));
    filter::copy_side(view, from, to);
}

fn copy<C: Cell>(from: &[C], to: &[C]) {
    for (to, from) in to.iter().zip(from) {
        to.copy_from(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(cells: &[AddressCell], address: u32) -> bool {
        let Some(cell) = place(cells, address) else {
            return false;
        };
        cell.address.store(address);
        cell.flags.store(address ^ 0xffff);
        true
    }

    proptest! {
        #[test]
        fn a_table_holds_what_was_put_in_and_not_taken_out(
            steps in prop::collection::vec((any::<bool>(), 1u32..64), 1..300)
        ) {
            let cells: Vec<AddressCell> = (0..64).map(|_| AddressCell::default()).collect();
            let mut model = BTreeSet::new();
            for (put, address) in steps {
                if put && (model.contains(&address) || model.len() < 32) {
                    if set(&cells, address) {
                        model.insert(address);
                    }
                } else if !put {
                    remove(&cells, address);
                    model.remove(&address);
                }
                for address in 1..64 {
                    let found = find(&cells, address).map(|cell| cell.flags.load());
                    let expected = model.contains(&address).then_some(address ^ 0xffff);
                    prop_assert_eq!(found, expected);
                }
            }
            prop_assert_eq!(cells.iter().filter(|cell| cell.key().is_some()).count(), model.len());
        }
    }

    #[test]
    fn a_crowded_place_is_refused_rather_than_put_where_packets_do_not_look() {
        let cells: Vec<AddressCell> = (0..1024).map(|_| AddressCell::default()).collect();
        let crowd: Vec<u32> = (1..)
            .filter(|&address| hash_address(address) & 1023 == 5)
            .take(17)
            .collect();
        assert!(crowd[..16].iter().all(|&address| set(&cells, address)));
        assert!(!set(&cells, crowd[16]));
        remove(&cells, crowd[3]);
        assert!(set(&cells, crowd[16]) && find(&cells, crowd[16]).is_some());
    }
}
