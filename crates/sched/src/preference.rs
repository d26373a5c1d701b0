//! A destination's order of preference among the slots of a Maglev table.
//!
//! From "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4: the
//! slots `offset`, `offset + skip`, `offset + 2 * skip` and so on, modulo the table's size. That is
//! prime, so the order names every slot.

/// A slot that nobody has claimed yet.
pub(crate) const FREE: u32 = u32::MAX;

/// Where a destination stands in its order of preference.
pub(crate) struct Preference {
    place: usize,
    skip: usize,
}

impl Preference {
    /// An order for a table of `slots` slots, from two hashes of the destination.
    pub(crate) fn new(offset_hash: u64, skip_hash: u64, slots: u32) -> Self {
        let slots = u64::from(slots);
        Self {
            place: (offset_hash % slots) as usize,
            skip: (skip_hash % (slots - 1) + 1) as usize,
        }
    }

    /// Writes `index` into the free slot that is liked best. The table's length is prime, and one
    /// slot at least is free.
    pub(crate) fn claim(&mut self, table: &mut [u32], index: u32) {
        while table[self.place] != FREE {
            self.place = (self.place + self.skip) % table.len();
        }
        table[self.place] = index;
    }
}
