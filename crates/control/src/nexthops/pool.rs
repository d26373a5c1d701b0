//! The indices of next hops: one for each that differs, shared by all that lead there.

use std::collections::HashMap;

use abi::{NextHopCell, View, hop_state};

use crate::nexthops::{Hop, HopState};
use crate::numbers::Numbers;

#[derive(Debug)]
pub(super) struct Pool {
    numbers: Numbers,
    indices: HashMap<Hop, Shared>,
    /// Indices that nothing points to any more, but a packet may still be using.
    released: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Shared {
    index: u32,
    uses: u32,
}

impl Pool {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            numbers: Numbers::new(limit),
            indices: HashMap::new(),
            released: Vec::new(),
        }
    }

    /// All that an earlier daemon used counts as released.
    pub(super) fn adopt(view: &View<'_>, limit: u32) -> Self {
        let mut pool = Self::new(limit);
        for (index, cell) in (0..).zip(view.next_hops) {
            if cell.state.load() != hop_state::EMPTY && pool.numbers.take_this(index) {
                pool.released.push(index);
            }
        }
        pool
    }

    /// One more leads there. `None` where no index is left.
    pub(super) fn take(&mut self, view: &View<'_>, hop: Hop) -> Option<u32> {
        if let Some(shared) = self.indices.get_mut(&hop) {
            shared.uses += 1;
            return Some(shared.index);
        }
        let index = self.numbers.take()?;
        write(&hop, &view.next_hops[index as usize]);
        self.indices.insert(hop, Shared { index, uses: 1 });
        Some(index)
    }

    /// One less leads there.
    pub(super) fn release(&mut self, hop: Hop) {
        let Some(shared) = self.indices.get_mut(&hop) else {
            return;
        };
        shared.uses -= 1;
        if shared.uses == 0 {
            self.released.push(shared.index);
            self.indices.remove(&hop);
        }
    }

    pub(super) fn index(&self, hop: &Hop) -> Option<u32> {
        self.indices.get(hop).map(|shared| shared.index)
    }

    pub(super) fn limit(&self) -> u32 {
        self.numbers.limit()
    }

    /// How many are in use, and how many fit.
    pub(super) fn usage(&self) -> (u32, u32) {
        (self.numbers.used(), self.numbers.limit())
    }

    pub(super) fn free_released(&mut self, view: &View<'_>) {
        for index in self.released.drain(..) {
            view.next_hops[index as usize].state.store(hop_state::EMPTY);
            self.numbers.give_back(index);
        }
    }

    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }
}

fn write(hop: &Hop, cell: &NextHopCell) {
    let [a, b, c, d, e, f] = hop.destination_mac;
    let [g, h, i, j, k, l] = hop.source_mac;
    let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l]];
    cell.ifindex.store(hop.ifindex);
    cell.mtu.store(hop.mtu);
    cell.vlan.store(hop.vlan.into());
    for (cell, word) in cell.macs.iter().zip(words) {
        cell.store(u32::from_ne_bytes(word));
    }
    cell.state.publish(match hop.state {
        HopState::Resolved => hop_state::RESOLVED,
        HopState::Incomplete => hop_state::INCOMPLETE,
        HopState::Failed => hop_state::FAILED,
        HopState::NoRoute => hop_state::NO_ROUTE,
    });
}
