//! A data plane that is looked at, and left as it is: what a packet would change is changed in copies.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use abi::{
    Address, AddressCell, AddressCellV6, Block, Carry, DestinationCell, FilterWord, FragmentKey,
    FragmentKeyV6, FragmentValue, Globals, InterfaceCell, LoadCell, LocalCell, LocalityKey,
    LookupLine, MarkRule, NeighbourKey, NextHopCell, RealServerKey, ReasonCounters, RouteValue,
    Runtime, ServiceCell, ServiceRuntime, StatsCell, Tick, View,
};
use cell::Cell32;
use conntable::{Bucket, SlotV4, SlotV6};
use control::Peek;
use forward::Tables;
use sched::lblcr;

use crate::frame::Ground;

/// The tables of a data plane at work, under a layer that takes the changes.
#[derive(Debug)]
pub struct Overlay<'a, P> {
    plane: &'a P,
    view: View<'a>,
    tick: Tick,
    runtime: Runtime,
    service_runtime: Copies<'a, ServiceRuntime>,
    loads: Copies<'a, LoadCell>,
    connections: Copies<'a, Bucket<SlotV4>>,
    connections_v6: Copies<'a, Bucket<SlotV6>>,
    localities: Mutex<BTreeMap<LocalityKey, u32>>,
    locality_sets: Mutex<BTreeMap<LocalityKey, lblcr::Set>>,
    fragments: Mutex<BTreeMap<FragmentKey, FragmentValue>>,
    fragments_v6: Mutex<BTreeMap<FragmentKeyV6, FragmentValue>>,
    random: AtomicU32,
    // What nobody asks for afterwards.
    stats: StatsCell,
    reasons: ReasonCounters,
    carry: Carry,
}

impl<'a, P: Peek> Overlay<'a, P> {
    /// A layer over a data plane as it is now. Where packets draw lots, they are drawn by `seed`.
    pub fn new(plane: &'a P, seed: u32) -> Self {
        let view = plane.view();
        Self {
            plane,
            view,
            tick: plane.tick(),
            runtime: copied(view.runtime),
            service_runtime: Copies::of(view.service_runtime),
            loads: Copies::of(view.loads),
            connections: Copies::of(plane.connections()),
            connections_v6: Copies::of(plane.connections_v6()),
            localities: Mutex::default(),
            locality_sets: Mutex::default(),
            fragments: Mutex::default(),
            fragments_v6: Mutex::default(),
            random: AtomicU32::new(seed | 1),
            stats: StatsCell::default(),
            reasons: ReasonCounters::default(),
            carry: Carry::default(),
        }
    }
}

/// Elements that are copied when they are first looked at.
#[derive(Debug)]
struct Copies<'a, T> {
    originals: &'a [T],
    copies: Vec<OnceLock<Box<T>>>,
}

impl<'a, T: Cells> Copies<'a, T> {
    fn of(originals: &'a [T]) -> Self {
        let copies = std::iter::repeat_with(OnceLock::new).take(originals.len());
        Self {
            originals,
            copies: copies.collect(),
        }
    }

    fn get(&self, index: u32) -> Option<&T> {
        let original = self.originals.get(index as usize)?;
        let copy = self.copies.get(index as usize)?;
        Some(copy.get_or_init(|| Box::new(copied(original))))
    }
}

/// Structures that consist of cells, or unused cells, and nothing else.
///
/// # Safety
/// So it is: every bit pattern is a value, and every four bytes may be read by an atomic access.
unsafe trait Cells {}

// SAFETY: its fields are cells.
unsafe impl Cells for Runtime {}
// SAFETY: as above.
unsafe impl Cells for ServiceRuntime {}
// SAFETY: as above.
unsafe impl Cells for LoadCell {}
// SAFETY: as above.
unsafe impl Cells for Bucket<SlotV4> {}
// SAFETY: as above.
unsafe impl Cells for Bucket<SlotV6> {}

/// What a structure holds now; what others write meanwhile is there, or is not, cell by cell.
fn copied<T: Cells>(original: &T) -> T {
    const { assert!(size_of::<T>().is_multiple_of(4) && align_of::<T>().is_multiple_of(4)) };
    let mut copy = MaybeUninit::<T>::uninit();
    let from = std::ptr::from_ref(original).cast::<AtomicU32>();
    let to = copy.as_mut_ptr().cast::<u32>();
    for word in 0..size_of::<T>() / 4 {
        // SAFETY: as many words lie in both, aligned as `T` is; the original consists of cells, which
        // are read by single accesses, and nobody else has the copy.
        unsafe {
            to.add(word)
                .write((*from.add(word)).load(Ordering::Relaxed))
        };
    }
    // SAFETY: every byte was written, and every bit pattern is a value of cells.
    unsafe { copy.assume_init() }
}

impl<P: Peek> Ground for Overlay<'_, P> {
    fn tick(&self) -> Tick {
        self.tick
    }

    fn interfaces(&self) -> &[InterfaceCell] {
        self.view.interfaces
    }
}

/// Every change is one insertion, so a panic elsewhere leaves nothing half done.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'t, P: Peek> Tables<'t> for &'t Overlay<'_, P> {
    fn processor(self) -> u32 {
        0
    }

    fn globals(self) -> Option<&'t Globals> {
        Some(self.view.globals)
    }

    fn runtime(self) -> Option<&'t Runtime> {
        Some(&self.runtime)
    }

    fn address(self, index: u32) -> Option<&'t AddressCell> {
        self.view.addresses.get(index as usize)
    }

    fn address_v6(self, index: u32) -> Option<&'t AddressCellV6> {
        self.view.addresses_v6.get(index as usize)
    }

    fn address_filter(self, index: u32) -> Option<&'t FilterWord> {
        self.view.address_filter.get(index as usize)
    }

    fn service(self, index: u32) -> Option<&'t ServiceCell> {
        self.view.services.get(index as usize)
    }

    fn service_runtime(self, number: u32) -> Option<&'t ServiceRuntime> {
        self.service_runtime.get(number)
    }

    fn member(self, index: u32) -> Option<&'t Cell32> {
        Some(&self.view.members.get(index as usize)?.number)
    }

    fn lookup(self, index: u32) -> Option<&'t LookupLine> {
        self.view.lookups.get(index as usize)
    }

    fn mark_rule(self, index: u32) -> Option<&'t MarkRule> {
        self.view.mark_rules.get(index as usize)
    }

    fn locality(self, key: &LocalityKey) -> u32 {
        let changed = guard(&self.localities).get(key).copied();
        changed
            .or_else(|| self.plane.locality(key))
            .unwrap_or(abi::NONE)
    }

    fn set_locality(self, key: &LocalityKey, destination: u32, _now: Tick) {
        guard(&self.localities).insert(*key, destination);
    }

    fn change_locality_set(
        self,
        key: &LocalityKey,
        change: impl FnOnce(&mut lblcr::Set) -> u32,
    ) -> Option<u32> {
        let mut sets = guard(&self.locality_sets);
        if !sets.contains_key(key) {
            sets.insert(*key, self.plane.locality_set(key)?);
        }
        sets.get_mut(key).map(change)
    }

    fn add_locality_set(self, key: &LocalityKey, destination: u32, now: Tick) {
        guard(&self.locality_sets).insert(*key, lblcr::Set::new(destination, now));
    }

    fn random(self) -> u32 {
        // Knuth's multiplier: any sequence does.
        self.random.fetch_add(0x9e37_79b1, Ordering::Relaxed)
    }

    fn block(self, index: u32) -> Option<&'t Block> {
        self.view.blocks.get(index as usize)
    }

    fn destination(self, number: u32) -> Option<&'t DestinationCell> {
        self.view.destinations.get(number as usize)
    }

    fn load(self, number: u32) -> Option<&'t LoadCell> {
        self.loads.get(number)
    }

    fn local(self, index: u32) -> Option<&'t LocalCell> {
        self.view.locals.get(index as usize)
    }

    fn next_hop(self, index: u32) -> Option<&'t NextHopCell> {
        self.view.next_hops.get(index as usize)
    }

    fn stats(self, _index: u32) -> Option<&'t StatsCell> {
        Some(&self.stats)
    }

    fn reasons(self, _processor: u32) -> Option<&'t ReasonCounters> {
        Some(&self.reasons)
    }

    fn carry(self, _processor: u32) -> Option<&'t Carry> {
        Some(&self.carry)
    }

    fn bucket(self, index: u32) -> Option<&'t Bucket<SlotV4>> {
        self.connections.get(index)
    }

    fn bucket_v6(self, index: u32) -> Option<&'t Bucket<SlotV6>> {
        self.connections_v6.get(index)
    }

    fn route(self, address: u32) -> Option<RouteValue> {
        self.plane.route(false, [address, 0, 0, 0])
    }

    fn route_v6(self, address: Address) -> Option<RouteValue> {
        self.plane.route(true, address)
    }

    fn neighbour(self, key: &NeighbourKey) -> Option<u32> {
        self.plane.neighbour(key)
    }

    fn is_real_server(self, key: &RealServerKey) -> bool {
        self.plane.is_real_server(key)
    }

    fn fragment(self, key: &FragmentKey) -> Option<FragmentValue> {
        let changed = guard(&self.fragments).get(key).copied();
        changed.or_else(|| self.plane.fragment(key))
    }

    fn remember_fragment(self, key: &FragmentKey, value: &FragmentValue) {
        guard(&self.fragments).insert(*key, *value);
    }

    fn fragment_v6(self, key: &FragmentKeyV6) -> Option<FragmentValue> {
        let changed = guard(&self.fragments_v6).get(key).copied();
        changed.or_else(|| self.plane.fragment_v6(key))
    }

    fn remember_fragment_v6(self, key: &FragmentKeyV6, value: &FragmentValue) {
        guard(&self.fragments_v6).insert(*key, *value);
    }
}
