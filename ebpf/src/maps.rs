//! The maps, and the tables that the forwarding function sees in them.
//!
//! The sizes here are the smallest; the daemon sets the ones it wants when it loads the object.

use abi::{
    AddressCell, Block, DestinationCell, FragmentKey, FragmentValue, Globals,
    INTERFACES as INTERFACE_CELLS, InterfaceCell, LoadCell, Member, NeighbourKey, NextHopCell,
    ReasonCounters, RouteValue, Runtime, ServiceCell, ServiceRuntime, StatsCell,
};
use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap};
use cell::Cell32;
use conntable::{Bucket, SlotV4};
use forward::{Opening, Question};

#[map]
pub static GLOBALS: Array<Globals> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
pub static RUNTIME: Array<Runtime> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static ADDRESSES: Array<AddressCell> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static SERVICES: Array<ServiceCell> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static SERVICE_RUNTIME: Array<ServiceRuntime> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static MEMBERS: Array<Member> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static BLOCKS: Array<Block> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static DESTINATIONS: Array<DestinationCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static LOADS: Array<LoadCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static NEXT_HOPS: Array<NextHopCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static INTERFACES: Array<InterfaceCell> = Array::with_max_entries(INTERFACE_CELLS, BPF_F_MMAPABLE);
#[map]
static STATS: Array<StatsCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static REASONS: Array<ReasonCounters> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static CONNECTIONS: Array<Bucket<SlotV4>> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static ROUTES: LpmTrie<u32, RouteValue> = LpmTrie::with_max_entries(65_536, BPF_F_NO_PREALLOC);
#[map]
static NEIGHBOURS: HashMap<NeighbourKey, u32> =
    HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);
#[map]
static FRAGMENTS: LruHashMap<FragmentKey, FragmentValue> = LruHashMap::with_max_entries(16_384, 0);

/// How far a lookup in the interface table searches.
const INTERFACE_PROBES: u32 = 8;

/// The maps as tables. `FAST` ones look connections up in place, which the verifier takes for a
/// program as small as XDP's; others by a function of its own.
#[derive(Clone, Copy)]
pub struct Maps<const FAST: bool>;

impl<const FAST: bool> Maps<FAST> {
    /// The interface that a packet came in by, if it is one of ours.
    #[inline(always)]
    pub fn interface(self, ifindex: u32) -> Option<&'static InterfaceCell> {
        for probe in 0..INTERFACE_PROBES {
            let cell = INTERFACES.get(ifindex.wrapping_add(probe) & (INTERFACE_CELLS - 1))?;
            if cell.ifindex.load() == ifindex {
                return Some(cell);
            }
        }
        None
    }
}

impl<const FAST: bool> forward::Tables<'static> for Maps<FAST> {
    #[inline(always)]
    fn globals(self) -> Option<&'static Globals> {
        GLOBALS.get(0)
    }
    #[inline(always)]
    fn runtime(self) -> Option<&'static Runtime> {
        RUNTIME.get(0)
    }
    #[inline(always)]
    fn address(self, index: u32) -> Option<&'static AddressCell> {
        ADDRESSES.get(index)
    }
    #[inline(always)]
    fn service(self, index: u32) -> Option<&'static ServiceCell> {
        SERVICES.get(index)
    }
    #[inline(always)]
    fn service_runtime(self, number: u32) -> Option<&'static ServiceRuntime> {
        SERVICE_RUNTIME.get(number)
    }
    #[inline(always)]
    fn member(self, index: u32) -> Option<&'static Cell32> {
        Some(&MEMBERS.get(index)?.number)
    }
    #[inline(always)]
    fn block(self, index: u32) -> Option<&'static Block> {
        BLOCKS.get(index)
    }
    #[inline(always)]
    fn destination(self, number: u32) -> Option<&'static DestinationCell> {
        DESTINATIONS.get(number)
    }
    #[inline(always)]
    fn load(self, number: u32) -> Option<&'static LoadCell> {
        LOADS.get(number)
    }
    #[inline(always)]
    fn next_hop(self, index: u32) -> Option<&'static NextHopCell> {
        NEXT_HOPS.get(index)
    }
    #[inline(always)]
    fn stats(self, index: u32) -> Option<&'static StatsCell> {
        STATS.get(index)
    }
    #[inline(always)]
    fn reasons(self, processor: u32) -> Option<&'static ReasonCounters> {
        REASONS.get(processor)
    }
    #[inline(always)]
    fn bucket(self, index: u32) -> Option<&'static Bucket<SlotV4>> {
        CONNECTIONS.get(index)
    }
    #[inline(always)]
    fn route(self, address: u32) -> Option<RouteValue> {
        ROUTES.get(Key::new(32, address)).copied()
    }
    #[inline(always)]
    fn neighbour(self, key: NeighbourKey) -> Option<u32> {
        // SAFETY: the value is one aligned word, which the daemon replaces as a whole; the map is
        // not preallocated, so a removed element's memory lives until no program runs on it.
        unsafe { NEIGHBOURS.get(key) }.copied()
    }
    #[inline(always)]
    fn fragment(self, key: &FragmentKey) -> Option<FragmentValue> {
        // SAFETY: an element of an LRU map may be recycled while it is read; what is read is
        // checked against the connection table's epoch before it counts.
        unsafe { FRAGMENTS.get(key) }.copied()
    }
    #[inline(always)]
    fn remember_fragment(self, key: &FragmentKey, value: &FragmentValue) {
        // A refusal (the map is busy) means that later fragments are dropped with their reason.
        let _ = FRAGMENTS.insert(key, value, 0);
    }
    #[inline(always)]
    fn find(self, question: Question, now: u32) -> u64 {
        if FAST {
            return forward::find(self, question, now);
        }
        xvs_find(question.client, question.other, now)
    }
    #[inline(always)]
    fn choose(self, opening: Opening, now: u32, processor: u32) -> u64 {
        xvs_choose(opening.client, opening.service, now, processor)
    }
    #[inline(always)]
    fn make(self, opening: Opening, chosen: u64, now: u32, processor: u32) -> u64 {
        xvs_make(opening.client, opening.service, chosen, now, processor)
    }
    #[inline(always)]
    fn sweep(self, first: u32, now: u32, processor: u32) {
        xvs_sweep(first, now, processor);
    }
    #[inline(always)]
    fn pick(self, service: u32) -> u32 {
        xvs_pick(service)
    }
    #[inline(always)]
    fn least_loaded(self, first: u32, members: u32, by_weight: bool) -> u32 {
        xvs_least_loaded(first, members, by_weight as u32)
    }
}

/// A global function: the verifier looks at it once, not once for every way to it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_find(client: u64, other: u64, now: u32) -> u64 {
    forward::find(Maps::<false>, Question { client, other }, now)
}

/// As [`xvs_find`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_choose(client: u64, service: u64, now: u32, processor: u32) -> u64 {
    forward::choose(Maps::<false>, Opening { client, service }, now, processor)
}

/// As [`xvs_find`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_make(
    client: u64,
    service: u64,
    chosen: u64,
    now: u32,
    processor: u32,
) -> u64 {
    forward::make(
        Maps::<false>,
        Opening { client, service },
        chosen,
        now,
        processor,
    )
}

/// As [`xvs_find`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_sweep(first: u32, now: u32, processor: u32) -> u32 {
    forward::sweep(Maps::<false>, first, now, processor);
    0
}

/// As [`xvs_find`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_pick(service: u32) -> u32 {
    forward::pick(Maps::<false>, service)
}

/// As [`xvs_pick`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_least_loaded(first: u32, members: u32, by_weight: u32) -> u32 {
    forward::least_loaded(Maps::<false>, first, members, by_weight != 0)
}
