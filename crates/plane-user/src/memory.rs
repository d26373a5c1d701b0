//! The tables on the heap.

use std::collections::BTreeMap;
use std::iter::repeat_with;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use abi::{
    AddressCell, Block, DestinationCell, FragmentKey, FragmentValue, Globals, InterfaceCell,
    LoadCell, NeighbourKey, NextHopCell, ReasonCounters, RouteValue, Runtime, ServiceCell,
    ServiceRuntime, StatsCell, Tick, View,
};
use conntable::{Bucket, SlotV4};
use control::{Plane, PlaneError, Sizes};

/// Every table of a data plane, and a tick that stands still until it is moved.
#[derive(Debug)]
pub struct Memory {
    globals: Globals,
    runtime: Runtime,
    addresses: Vec<AddressCell>,
    services: Vec<ServiceCell>,
    service_runtime: Vec<ServiceRuntime>,
    members: Vec<abi::Member>,
    blocks: Vec<Block>,
    destinations: Vec<DestinationCell>,
    loads: Vec<LoadCell>,
    next_hops: Vec<NextHopCell>,
    interfaces: Vec<InterfaceCell>,
    stats: Vec<StatsCell>,
    reasons: Vec<ReasonCounters>,
    connections: Vec<Bucket<SlotV4>>,
    /// By prefix length, then prefix in network order.
    routes: Mutex<BTreeMap<(u8, u32), RouteValue>>,
    neighbours: Mutex<BTreeMap<NeighbourKey, u32>>,
    fragments: Mutex<BTreeMap<FragmentKey, FragmentValue>>,
    tick: AtomicU32,
    waits: AtomicU64,
}

impl Memory {
    /// Ticks in a second, the kernel's smallest usual HZ.
    pub const TICKS_PER_SECOND: u32 = 100;

    /// Empty tables of these sizes. The connections hash by `seed`.
    pub fn new(sizes: &Sizes, seed: u32) -> Self {
        let memory = Self {
            globals: Globals::default(),
            runtime: Runtime::default(),
            addresses: cells(2 * sizes.address_cells()),
            services: cells(2 * sizes.service_cells()),
            service_runtime: cells(sizes.services),
            members: cells(sizes.members),
            blocks: cells(sizes.blocks),
            destinations: cells(sizes.destinations),
            loads: cells(sizes.destinations),
            next_hops: cells(sizes.next_hops),
            interfaces: cells(abi::INTERFACES),
            stats: cells(sizes.stats_cells()),
            reasons: cells(sizes.processors),
            connections: cells(sizes.buckets()),
            routes: Mutex::default(),
            neighbours: Mutex::default(),
            fragments: Mutex::default(),
            tick: AtomicU32::new(0),
            waits: AtomicU64::new(0),
        };
        control::initialise(&memory.view(), sizes, Self::TICKS_PER_SECOND, seed);
        memory
    }

    /// Moves time to `tick`.
    pub fn set_tick(&self, tick: Tick) {
        self.tick.store(tick, Ordering::SeqCst);
    }

    /// Lets `ticks` pass.
    pub fn advance(&self, ticks: Tick) {
        self.tick.fetch_add(ticks, Ordering::SeqCst);
    }

    /// The way to an address (network order): the longest prefix that holds it.
    pub fn route(&self, address: u32) -> Option<RouteValue> {
        let routes = guard(&self.routes);
        (0..=32u8).rev().find_map(|length| {
            let prefix =
                u32::from_be(address) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            routes.get(&(length, prefix.to_be())).copied()
        })
    }

    /// The next hop's index of a neighbour.
    pub fn neighbour(&self, key: NeighbourKey) -> Option<u32> {
        guard(&self.neighbours).get(&key).copied()
    }

    pub(crate) fn fragment(&self, key: &FragmentKey) -> Option<FragmentValue> {
        guard(&self.fragments).get(key).copied()
    }

    pub(crate) fn remember_fragment(&self, key: &FragmentKey, value: &FragmentValue) {
        guard(&self.fragments).insert(*key, *value);
    }

    pub(crate) fn tick(&self) -> Tick {
        self.tick.load(Ordering::SeqCst)
    }

    /// How often somebody waited for readers. No reader ever keeps them waiting.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::SeqCst)
    }
}

impl Plane for Memory {
    fn view(&self) -> View<'_> {
        View {
            globals: &self.globals,
            runtime: &self.runtime,
            addresses: &self.addresses,
            services: &self.services,
            service_runtime: &self.service_runtime,
            members: &self.members,
            blocks: &self.blocks,
            destinations: &self.destinations,
            loads: &self.loads,
            next_hops: &self.next_hops,
            interfaces: &self.interfaces,
            stats: &self.stats,
            reasons: &self.reasons,
        }
    }

    fn connections(&self) -> &[Bucket<SlotV4>] {
        &self.connections
    }

    fn now(&self) -> Tick {
        self.tick
            .load(Ordering::SeqCst)
            .wrapping_add(self.globals.clock_offset.load())
    }

    fn wait_for_readers(&self) {
        self.waits.fetch_add(1, Ordering::SeqCst);
    }

    fn set_route(
        &self,
        prefix: u32,
        length: u8,
        value: Option<RouteValue>,
    ) -> Result<(), PlaneError> {
        let mut routes = guard(&self.routes);
        match value {
            Some(value) => routes.insert((length, prefix), value),
            None => routes.remove(&(length, prefix)),
        };
        Ok(())
    }

    fn set_neighbour(&self, key: NeighbourKey, hop: Option<u32>) -> Result<(), PlaneError> {
        let mut neighbours = guard(&self.neighbours);
        match hop {
            Some(hop) => neighbours.insert(key, hop),
            None => neighbours.remove(&key),
        };
        Ok(())
    }

    fn known_routes(&self) -> Result<Vec<(u32, u8)>, PlaneError> {
        let routes = guard(&self.routes);
        Ok(routes
            .keys()
            .map(|&(length, prefix)| (prefix, length))
            .collect())
    }

    fn known_neighbours(&self) -> Result<Vec<NeighbourKey>, PlaneError> {
        Ok(guard(&self.neighbours).keys().copied().collect())
    }
}

fn cells<T: Default>(number: u32) -> Vec<T> {
    repeat_with(T::default).take(number as usize).collect()
}

/// Every change of the maps is one insertion or removal, so a panic elsewhere leaves them whole.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        Memory::new(&Sizes::chosen(1024, 4, 16, 2).unwrap(), 7)
    }

    fn address(octets: [u8; 4]) -> u32 {
        u32::from_ne_bytes(octets)
    }

    #[test]
    fn tables_have_the_sizes_that_the_globals_say() {
        let memory = memory();
        let view = memory.view();
        let mask = |cell: &cell::Cell32| cell.load() as usize + 1;
        assert_eq!(view.addresses.len(), 2 * mask(&view.globals.address_mask));
        assert_eq!(view.services.len(), 2 * mask(&view.globals.service_mask));
        assert_eq!(memory.connections().len(), mask(&view.globals.bucket_mask));
        assert_eq!(
            view.stats.len(),
            2 * view.globals.destinations.load() as usize
        );
        assert_eq!(view.globals.abi_version.load(), abi::ABI_VERSION);
    }

    #[test]
    fn the_longest_prefix_that_holds_an_address_gives_the_way() {
        let memory = memory();
        let way = |ifindex| {
            Some(RouteValue {
                ifindex,
                gateway: 0,
            })
        };
        memory.set_route(0, 0, way(1)).unwrap();
        memory
            .set_route(address([10, 1, 0, 0]), 16, way(2))
            .unwrap();
        memory
            .set_route(address([10, 1, 2, 3]), 32, way(3))
            .unwrap();
        assert_eq!(memory.route(address([192, 0, 2, 1])), way(1));
        assert_eq!(memory.route(address([10, 1, 9, 9])), way(2));
        assert_eq!(memory.route(address([10, 1, 2, 3])), way(3));
        memory.set_route(address([10, 1, 2, 3]), 32, None).unwrap();
        assert_eq!(memory.route(address([10, 1, 2, 3])), way(2));
    }

    #[test]
    fn time_moves_when_it_is_told_to() {
        let memory = memory();
        memory.set_tick(u32::MAX);
        memory.advance(2);
        assert_eq!(memory.now(), 1);
        memory.view().globals.clock_offset.store(10);
        assert_eq!(memory.now(), 11);
    }
}
