//! The tables on the heap.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_with;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use abi::{
    Address, AddressCell, AddressCellV6, Block, Carry, DestinationCell, FilterWord, FragmentKey,
    FragmentKeyV6, FragmentValue, Globals, InterfaceCell, LoadCell, LocalCell, LocalityKey,
    LookupLine, MarkRule, Needs, NeighbourKey, NextHopCell, RealServerKey, ReasonCounters,
    RouteValue, Runtime, ServiceCell, ServiceRuntime, StatsCell, Tick, View,
};
use conntable::{Bucket, SlotV4, SlotV6};
use control::{Peek, Plane, PlaneError, Sizes, TablePrefix};
use sched::lblcr;

/// Every table of a data plane, and a tick that stands still until it is moved.
#[derive(Debug)]
pub struct Memory {
    globals: Globals,
    runtime: Runtime,
    addresses: Vec<AddressCell>,
    addresses_v6: Vec<AddressCellV6>,
    address_filter: Vec<FilterWord>,
    services: Vec<ServiceCell>,
    service_runtime: Vec<ServiceRuntime>,
    members: Vec<abi::Member>,
    blocks: Vec<Block>,
    lookups: Vec<LookupLine>,
    mark_rules: Vec<MarkRule>,
    locals: Vec<LocalCell>,
    destinations: Vec<DestinationCell>,
    loads: Vec<LoadCell>,
    next_hops: Vec<NextHopCell>,
    interfaces: Vec<InterfaceCell>,
    stats: Vec<StatsCell>,
    reasons: Vec<ReasonCounters>,
    carries: Vec<Carry>,
    connections: Vec<Bucket<SlotV4>>,
    connections_v6: Vec<Bucket<SlotV6>>,
    routes: Mutex<BTreeMap<TablePrefix, RouteValue>>,
    neighbours: Mutex<BTreeMap<NeighbourKey, u32>>,
    real_servers: Mutex<BTreeSet<RealServerKey>>,
    fragments: Mutex<BTreeMap<FragmentKey, FragmentValue>>,
    fragments_v6: Mutex<BTreeMap<FragmentKeyV6, FragmentValue>>,
    localities: Mutex<BTreeMap<LocalityKey, u32>>,
    locality_sets: Mutex<BTreeMap<LocalityKey, lblcr::Set>>,
    random: AtomicU32,
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
            addresses_v6: cells(2 * sizes.address_cells()),
            address_filter: cells(2 * sizes.filter_words()),
            services: cells(2 * sizes.service_cells()),
            service_runtime: cells(sizes.services),
            members: cells(sizes.members),
            blocks: cells(sizes.blocks),
            lookups: cells(sizes.lookups),
            mark_rules: cells(2 * abi::MARK_RULES),
            locals: cells(sizes.local_cells()),
            destinations: cells(sizes.destinations),
            loads: cells(sizes.destinations),
            next_hops: cells(sizes.next_hops),
            interfaces: cells(abi::INTERFACES),
            stats: cells(sizes.stats_cells()),
            reasons: cells(sizes.processors),
            carries: cells(sizes.processors),
            connections: cells(sizes.buckets()),
            connections_v6: cells(sizes.buckets_v6()),
            routes: Mutex::default(),
            neighbours: Mutex::default(),
            real_servers: Mutex::default(),
            fragments: Mutex::default(),
            fragments_v6: Mutex::default(),
            localities: Mutex::default(),
            locality_sets: Mutex::default(),
            random: AtomicU32::new(seed | 1),
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

    /// The way to an address: the longest prefix that holds it.
    pub fn route(&self, is_v6: bool, address: Address) -> Option<RouteValue> {
        let routes = guard(&self.routes);
        let longest = if is_v6 { 128 } else { 32 };
        (0..=longest).rev().find_map(|length| {
            let prefix = TablePrefix {
                is_v6,
                address: masked(address, length),
                length,
            };
            routes.get(&prefix).copied()
        })
    }

    /// The next hop's index of a neighbour.
    pub fn neighbour(&self, key: &NeighbourKey) -> Option<u32> {
        guard(&self.neighbours).get(key).copied()
    }

    /// Whether a real server of VS/NAT takes connections there.
    pub fn is_real_server(&self, key: &RealServerKey) -> bool {
        guard(&self.real_servers).contains(key)
    }

    pub(crate) fn fragment(&self, key: &FragmentKey) -> Option<FragmentValue> {
        guard(&self.fragments).get(key).copied()
    }

    pub(crate) fn remember_fragment(&self, key: &FragmentKey, value: &FragmentValue) {
        guard(&self.fragments).insert(*key, *value);
    }

    pub(crate) fn fragment_v6(&self, key: &FragmentKeyV6) -> Option<FragmentValue> {
        guard(&self.fragments_v6).get(key).copied()
    }

    pub(crate) fn remember_fragment_v6(&self, key: &FragmentKeyV6, value: &FragmentValue) {
        guard(&self.fragments_v6).insert(*key, *value);
    }

    pub(crate) fn locality(&self, key: &LocalityKey) -> Option<u32> {
        guard(&self.localities).get(key).copied()
    }

    pub(crate) fn set_locality(&self, key: &LocalityKey, destination: u32) {
        guard(&self.localities).insert(*key, destination);
    }

    pub(crate) fn change_locality_set(
        &self,
        key: &LocalityKey,
        change: impl FnOnce(&mut lblcr::Set) -> u32,
    ) -> Option<u32> {
        guard(&self.locality_sets).get_mut(key).map(change)
    }

    pub(crate) fn add_locality_set(&self, key: &LocalityKey, set: lblcr::Set) {
        guard(&self.locality_sets).insert(*key, set);
    }

    /// The next of a sequence that looks random and is the same for the same seed (xorshift).
    pub(crate) fn random(&self) -> u32 {
        let next = |mut x: u32| {
            x ^= x << 13;
            x ^= x >> 17;
            Some(x ^ x << 5)
        };
        let order = Ordering::SeqCst;
        self.random
            .fetch_update(order, order, next)
            .unwrap_or_else(|x| x)
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
            addresses_v6: &self.addresses_v6,
            address_filter: &self.address_filter,
            services: &self.services,
            service_runtime: &self.service_runtime,
            members: &self.members,
            blocks: &self.blocks,
            lookups: &self.lookups,
            mark_rules: &self.mark_rules,
            locals: &self.locals,
            destinations: &self.destinations,
            loads: &self.loads,
            next_hops: &self.next_hops,
            interfaces: &self.interfaces,
            stats: &self.stats,
            reasons: &self.reasons,
            carries: &self.carries,
        }
    }

    fn connections(&self) -> &[Bucket<SlotV4>] {
        &self.connections
    }

    fn connections_v6(&self) -> &[Bucket<SlotV6>] {
        &self.connections_v6
    }

    fn now(&self) -> Tick {
        self.tick
            .load(Ordering::SeqCst)
            .wrapping_add(self.globals.clock_offset.load())
    }

    fn wait_for_readers(&self) {
        self.waits.fetch_add(1, Ordering::SeqCst);
    }

    fn set_route(&self, prefix: TablePrefix, value: Option<RouteValue>) -> Result<(), PlaneError> {
        let mut routes = guard(&self.routes);
        match value {
            Some(value) => routes.insert(prefix, value),
            None => routes.remove(&prefix),
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

    fn prepare(&self, _needs: Needs) -> Result<(), PlaneError> {
        Ok(())
    }

    fn set_real_server(&self, key: RealServerKey, is_there: bool) -> Result<(), PlaneError> {
        let mut real_servers = guard(&self.real_servers);
        if is_there {
            real_servers.insert(key);
        } else {
            real_servers.remove(&key);
        }
        Ok(())
    }

    fn known_real_servers(&self) -> Result<Vec<RealServerKey>, PlaneError> {
        Ok(guard(&self.real_servers).iter().copied().collect())
    }

    fn known_routes(&self) -> Result<Vec<TablePrefix>, PlaneError> {
        Ok(guard(&self.routes).keys().copied().collect())
    }

    fn known_neighbours(&self) -> Result<Vec<NeighbourKey>, PlaneError> {
        Ok(guard(&self.neighbours).keys().copied().collect())
    }
}

impl Peek for Memory {
    fn tick(&self) -> Tick {
        Self::tick(self)
    }

    fn route(&self, is_v6: bool, address: Address) -> Option<RouteValue> {
        Self::route(self, is_v6, address)
    }

    fn neighbour(&self, key: &NeighbourKey) -> Option<u32> {
        Self::neighbour(self, key)
    }

    fn is_real_server(&self, key: &RealServerKey) -> bool {
        Self::is_real_server(self, key)
    }

    fn fragment(&self, key: &FragmentKey) -> Option<FragmentValue> {
        Self::fragment(self, key)
    }

    fn fragment_v6(&self, key: &FragmentKeyV6) -> Option<FragmentValue> {
        Self::fragment_v6(self, key)
    }

    fn locality(&self, key: &LocalityKey) -> Option<u32> {
        Self::locality(self, key)
    }

    fn locality_set(&self, key: &LocalityKey) -> Option<lblcr::Set> {
        guard(&self.locality_sets).get(key).copied()
    }
}

fn cells<T: Default>(number: u32) -> Vec<T> {
    repeat_with(T::default).take(number as usize).collect()
}

/// The first bits of an address.
fn masked(address: Address, length: u8) -> Address {
    let mut words = address;
    for (word, first) in words.iter_mut().zip([0u32, 32, 64, 96]) {
        let bits = u32::from(length).saturating_sub(first).min(32);
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        *word = (u32::from_be(*word) & mask).to_be();
    }
    words
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

    #[test]
    fn tables_have_the_sizes_that_the_globals_say() {
        let memory = memory();
        let view = memory.view();
        let count = |cell: &cell::Cell32| cell.load() as usize;
        let mask = |cell: &cell::Cell32| count(cell) + 1;
        assert_eq!(view.addresses.len(), 2 * mask(&view.globals.address_mask));
        assert_eq!(view.services.len(), 2 * mask(&view.globals.service_mask));
        assert_eq!(memory.connections().len(), count(&view.globals.buckets));
        let globals = &view.globals;
        assert_eq!(memory.connections_v6().len(), count(&globals.buckets_v6));
        assert_eq!(view.addresses_v6.len(), 2 * mask(&globals.address_mask_v6));
        let words = abi::filter_words(globals.address_mask.load()) as usize;
        assert_eq!(view.address_filter.len(), 2 * words);
        assert_eq!(
            view.stats.len(),
            2 * view.globals.destinations.load() as usize
        );
        assert_eq!(view.globals.abi_version.load(), abi::ABI_VERSION);
    }

    fn words(address: std::net::IpAddr) -> Address {
        let mut bytes = [0; 16];
        match address {
            std::net::IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
            std::net::IpAddr::V6(address) => bytes = address.octets(),
        }
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_ne_bytes(bytes.try_into().unwrap());
        }
        words
    }

    fn prefix(text: &str, length: u8) -> TablePrefix {
        let address: std::net::IpAddr = text.parse().unwrap();
        TablePrefix {
            is_v6: address.is_ipv6(),
            address: words(address),
            length,
        }
    }

    #[test]
    fn the_longest_prefix_that_holds_an_address_gives_the_way() {
        let memory = memory();
        let way = |ifindex| {
            Some(RouteValue {
                ifindex,
                ..RouteValue::default()
            })
        };
        let set = |text, length, value| memory.set_route(prefix(text, length), value).unwrap();
        let route = |text| {
            let prefix = prefix(text, 0);
            memory.route(prefix.is_v6, prefix.address)
        };
        set("0.0.0.0", 0, way(1));
        set("10.1.0.0", 16, way(2));
        set("10.1.2.3", 32, way(3));
        set("2001:db8::", 32, way(4));
        set("2001:db8:0:1::", 64, way(5));
        set("2001:db8:0:1::8000:0", 97, way(6));
        assert_eq!(route("192.0.2.1"), way(1));
        assert_eq!(route("10.1.9.9"), way(2));
        assert_eq!(route("10.1.2.3"), way(3));
        assert_eq!(route("2001:db9::1"), None);
        assert_eq!(route("2001:db8::1"), way(4));
        assert_eq!(route("2001:db8:0:1::7fff:1"), way(5));
        assert_eq!(route("2001:db8:0:1::8000:1"), way(6));
        set("10.1.2.3", 32, None);
        assert_eq!(route("10.1.2.3"), way(2));
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
