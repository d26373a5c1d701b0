//! The maps, and the tables that the forwarding function sees in them.
//!
//! The sizes here are the smallest; the daemon sets the ones it wants when it loads the object.

use abi::{
    Address, AddressCell, AddressCellV6, Block, Carry, DestinationCell, FilterWord, FragmentKey,
    FragmentKeyV6, FragmentValue, Globals, INTERFACES as INTERFACE_CELLS, InterfaceCell, LoadCell,
    LocalCell, Locality, LocalityKey, LookupLine, MarkRule, Member, NeighbourKey, NextHopCell,
    RealServerKey, ReasonCounters, RouteValue, Runtime, ServiceCell, ServiceRuntime, StatsCell,
};
use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use aya_ebpf::helpers::{bpf_get_prandom_u32, bpf_get_smp_processor_id};
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap};
use cell::Cell32;
use conntable::{Bucket, Handle, SlotV4, SlotV6};
use sched::{lblcr, locality};

use crate::direct::Direct;

#[unsafe(link_section = ".bss.globals")]
static GLOBALS: Direct<Globals> =
    // SAFETY: it consists of shared cells.
    unsafe { Direct::new() };
#[unsafe(link_section = ".bss.runtime")]
static RUNTIME: Direct<Runtime> =
    // SAFETY: it consists of shared cells.
    unsafe { Direct::new() };
#[unsafe(link_section = ".bss.interfaces")]
static INTERFACES: Direct<InterfaceCell, { INTERFACE_CELLS as usize }> =
    // SAFETY: it consists of shared cells.
    unsafe { Direct::new() };
/// By processor, as [`CARRIES`].
#[unsafe(link_section = ".bss.reasons")]
static REASONS: Direct<ReasonCounters> =
    // SAFETY: it consists of shared cells.
    unsafe { Direct::new() };
#[unsafe(link_section = ".bss.carries")]
static CARRIES: Direct<Carry> =
    // SAFETY: it consists of shared cells.
    unsafe { Direct::new() };

/// The bits that processors' numbers have: set when the programs are loaded.
#[unsafe(no_mangle)]
static PROCESSOR_MASK: u32 = 0;

/// The kernel takes it for the constant that it is.
#[inline(always)]
fn processor_mask() -> u32 {
    // SAFETY: a read of a static, of which the compiler shall not know the value.
    unsafe { core::ptr::read_volatile(&raw const PROCESSOR_MASK) }
}

#[map]
static ADDRESSES: Array<AddressCell> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static ADDRESSES_V6: Array<AddressCellV6> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static ADDRESS_FILTER: Array<FilterWord> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static SERVICES: Array<ServiceCell> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static SERVICE_RUNTIME: Array<ServiceRuntime> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static MEMBERS: Array<Member> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static BLOCKS: Array<Block> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static LOOKUPS: Array<LookupLine> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static MARK_RULES: Array<MarkRule> = Array::with_max_entries(2 * abi::MARK_RULES, BPF_F_MMAPABLE);
#[map]
static LOCALITIES: LruHashMap<LocalityKey, Locality> =
    LruHashMap::with_max_entries(locality::MAX_ENTRIES, 0);
#[map]
static LOCALITY_SETS: LruHashMap<LocalityKey, lblcr::Set> =
    LruHashMap::with_max_entries(locality::MAX_ENTRIES, 0);
#[map]
static LOCALS: Array<LocalCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static DESTINATIONS: Array<DestinationCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static LOADS: Array<LoadCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static NEXT_HOPS: Array<NextHopCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static STATS: Array<StatsCell> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static CONNECTIONS: Array<Bucket<SlotV4>> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static CONNECTIONS_V6: Array<Bucket<SlotV6>> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static ROUTES: LpmTrie<u32, RouteValue> = LpmTrie::with_max_entries(65_536, BPF_F_NO_PREALLOC);
#[map]
static ROUTES_V6: LpmTrie<Address, RouteValue> =
    LpmTrie::with_max_entries(65_536, BPF_F_NO_PREALLOC);
#[map]
static NEIGHBOURS: HashMap<NeighbourKey, u32> =
    HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);
#[map]
static REAL_SERVERS: HashMap<RealServerKey, u32> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
static FRAGMENTS: LruHashMap<FragmentKey, FragmentValue> = LruHashMap::with_max_entries(16_384, 0);
#[map]
static FRAGMENTS_V6: LruHashMap<FragmentKeyV6, FragmentValue> =
    LruHashMap::with_max_entries(16_384, 0);

/// How far a lookup in the interface table searches.
const INTERFACE_PROBES: u32 = 8;

/// The maps as tables.
#[derive(Clone, Copy)]
pub struct Maps;

impl Maps {
    /// The interface that a packet came in by, if it is one of ours.
    #[inline(always)]
    pub fn interface(self, ifindex: u32) -> Option<&'static InterfaceCell> {
        for probe in 0..INTERFACE_PROBES {
            let cell = INTERFACES.at(ifindex.wrapping_add(probe), INTERFACE_CELLS - 1);
            if cell.ifindex.load() == ifindex {
                return Some(cell);
            }
        }
        None
    }
}

impl forward::Tables<'static> for Maps {
    #[inline(always)]
    fn processor(self) -> u32 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_get_smp_processor_id() }
    }
    #[inline(always)]
    fn globals(self) -> Option<&'static Globals> {
        Some(GLOBALS.first())
    }
    #[inline(always)]
    fn runtime(self) -> Option<&'static Runtime> {
        Some(RUNTIME.first())
    }
    #[inline(always)]
    fn address(self, index: u32) -> Option<&'static AddressCell> {
        ADDRESSES.get(index)
    }
    #[inline(always)]
    fn address_v6(self, index: u32) -> Option<&'static AddressCellV6> {
        ADDRESSES_V6.get(index)
    }
    #[inline(always)]
    fn address_filter(self, index: u32) -> Option<&'static FilterWord> {
        ADDRESS_FILTER.get(index)
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
    fn local(self, index: u32) -> Option<&'static LocalCell> {
        LOCALS.get(index)
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
        Some(REASONS.at(processor, processor_mask()))
    }
    #[inline(always)]
    fn bucket(self, index: u32) -> Option<&'static Bucket<SlotV4>> {
        CONNECTIONS.get(index)
    }
    #[inline(always)]
    fn bucket_v6(self, index: u32) -> Option<&'static Bucket<SlotV6>> {
        CONNECTIONS_V6.get(index)
    }
    #[inline(always)]
    fn carry(self, processor: u32) -> Option<&'static Carry> {
        Some(CARRIES.at(processor, processor_mask()))
    }
    #[inline(always)]
    fn route(self, address: u32) -> Option<RouteValue> {
        ROUTES.get(Key::new(32, address)).copied()
    }
    #[inline(always)]
    fn route_v6(self, address: Address) -> Option<RouteValue> {
        ROUTES_V6.get(Key::new(128, address)).copied()
    }
    #[inline(always)]
    fn neighbour(self, key: &NeighbourKey) -> Option<u32> {
        // SAFETY: the value is copied at once.
        unsafe { NEIGHBOURS.get(key) }.copied()
    }
    #[inline(always)]
    fn is_real_server(self, key: &RealServerKey) -> bool {
        // SAFETY: only whether there is a value is asked.
        unsafe { REAL_SERVERS.get(key) }.is_some()
    }
    #[inline(always)]
    fn fragment(self, key: &FragmentKey) -> Option<FragmentValue> {
        // SAFETY: as above.
        unsafe { FRAGMENTS.get(key) }.copied()
    }
    #[inline(always)]
    fn remember_fragment(self, key: &FragmentKey, value: &FragmentValue) {
        // An LRU map makes room by itself.
        let _ = FRAGMENTS.insert(key, value, 0);
    }
    #[inline(always)]
    fn fragment_v6(self, key: &FragmentKeyV6) -> Option<FragmentValue> {
        // SAFETY: as above.
        unsafe { FRAGMENTS_V6.get(key) }.copied()
    }
    #[inline(always)]
    fn remember_fragment_v6(self, key: &FragmentKeyV6, value: &FragmentValue) {
        let _ = FRAGMENTS_V6.insert(key, value, 0);
    }
    #[inline(always)]
    fn sweep(self, first: u32, now: u32, processor: u32) {
        xvs_sweep(first, now, processor);
    }
    #[inline(always)]
    fn settle(self, own: Handle, now: u32, processor: u32) -> u64 {
        xvs_settle(own.0, now, processor)
    }
    #[inline(always)]
    fn settle_v6(self, own: Handle, now: u32, processor: u32) -> u64 {
        xvs_settle_v6(own.0, now, processor)
    }
    #[inline(always)]
    fn find_far(self, hash: u32, now: u32) -> u64 {
        xvs_find_far(hash, now)
    }
    #[inline(always)]
    fn find_far_v6(self, hash: u32, now: u32) -> u64 {
        xvs_find_far_v6(hash, now)
    }
    #[inline(always)]
    fn roomiest(self, hash: u32, now: u32) -> u32 {
        xvs_roomiest(hash, now)
    }
    #[inline(always)]
    fn claim_from(self, hash: u32, (now, claim_ends): (u32, u32), first: u32) -> u64 {
        xvs_claim_from(hash, now, claim_ends, first)
    }
    #[inline(always)]
    fn roomiest_v6(self, hash: u32, now: u32) -> u32 {
        xvs_roomiest_v6(hash, now)
    }
    #[inline(always)]
    fn claim_from_v6(self, hash: u32, (now, claim_ends): (u32, u32), first: u32) -> u64 {
        xvs_claim_from_v6(hash, now, claim_ends, first)
    }
    #[inline(always)]
    fn assure(self, template: u32, is_v6: bool) {
        xvs_assure(template, is_v6 as u32);
    }
    #[inline(always)]
    fn is_lent(self, local: u32, ports: u32, destination: u32, protocol: u8, now: u32) -> bool {
        xvs_is_lent(local, ports, destination, protocol as u32, now) != 0
    }
    #[inline(always)]
    fn seek(self, address: Address, is_v6: bool, processor: u32) -> u64 {
        let [a, b, c, d] = address.map(u64::from);
        xvs_seek(a | b << 32, c | d << 32, is_v6 as u32, processor)
    }
    #[inline(always)]
    fn lookup(self, index: u32) -> Option<&'static LookupLine> {
        LOOKUPS.get(index)
    }
    #[inline(always)]
    fn mark_rule(self, index: u32) -> Option<&'static MarkRule> {
        MARK_RULES.get(index)
    }
    #[inline(always)]
    fn classify(self, ifindex: u32, processor: u32) -> u32 {
        xvs_classify(ifindex, processor)
    }
    #[inline(always)]
    fn locality(self, key: &LocalityKey) -> u32 {
        // SAFETY: the value is read at once.
        unsafe { LOCALITIES.get(key) }.map_or(abi::NONE, |locality| locality.destination)
    }
    #[inline(always)]
    fn set_locality(self, key: &LocalityKey, destination: u32, now: u32) {
        let locality = Locality {
            destination,
            used: now,
        };
        let _ = LOCALITIES.insert(key, locality, 0);
    }
    #[inline(always)]
    fn change_locality_set(
        self,
        key: &LocalityKey,
        change: impl FnOnce(&mut lblcr::Set) -> u32,
    ) -> Option<u32> {
        let set = LOCALITY_SETS.get_ptr_mut(key)?;
        // SAFETY: the value stays where it is while this program runs. Other processors may change
        // it at the same time, word by word, and each word is a number that any set may have: a
        // change may be lost, which the next connection makes up for.
        Some(change(unsafe { &mut *set }))
    }
    #[inline(always)]
    fn add_locality_set(self, key: &LocalityKey, destination: u32, now: u32) {
        let _ = LOCALITY_SETS.insert(key, lblcr::Set::new(destination, now), 0);
    }
    #[inline(always)]
    fn random(self) -> u32 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_get_prandom_u32() }
    }
    #[inline(always)]
    fn next_in_turn(self, service: u32) -> u32 {
        xvs_next_in_turn(service)
    }
    #[inline(always)]
    fn pick_hashed(self, service: u32, scheduling: u32, processor: u32) -> u32 {
        xvs_pick_hashed(service, scheduling, processor)
    }
    #[inline(always)]
    fn least_loaded(self, first: u32, members: u32, rule: u32, best: u32) -> u32 {
        xvs_least_loaded(first, members, rule, best)
    }
    #[inline(always)]
    fn somebody_has_room(self, first: u32, members: u32) -> bool {
        xvs_somebody_has_room(first, members) != 0
    }
}

/// A global function: the verifier looks at it once, not once for every way to it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_sweep(first: u32, now: u32, processor: u32) -> u32 {
    forward::sweep(Maps, first, now, processor);
    0
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_settle(own: u64, now: u32, processor: u32) -> u64 {
    forward::settle(Maps, Handle(own), now, processor)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_settle_v6(own: u64, now: u32, processor: u32) -> u64 {
    forward::settle_v6(Maps, Handle(own), now, processor)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_find_far(hash: u32, now: u32) -> u64 {
    forward::find_far(Maps, hash, now)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_find_far_v6(hash: u32, now: u32) -> u64 {
    forward::find_far_v6(Maps, hash, now)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_roomiest(hash: u32, now: u32) -> u32 {
    forward::roomiest(Maps, hash, now)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_claim_from(hash: u32, now: u32, claim_ends: u32, first: u32) -> u64 {
    forward::claim_from(Maps, hash, (now, claim_ends), first)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_roomiest_v6(hash: u32, now: u32) -> u32 {
    forward::roomiest_v6(Maps, hash, now)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_claim_from_v6(hash: u32, now: u32, claim_ends: u32, first: u32) -> u64 {
    forward::claim_from_v6(Maps, hash, (now, claim_ends), first)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_assure(template: u32, is_v6: u32) -> u32 {
    forward::assure(Maps, template, is_v6 != 0);
    0
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_classify(ifindex: u32, processor: u32) -> u32 {
    forward::classify(Maps, ifindex, processor)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_is_lent(
    local: u32,
    ports: u32,
    destination: u32,
    protocol: u32,
    now: u32,
) -> u32 {
    forward::is_lent(Maps, local, ports, destination, protocol as u8, now) as u32
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_seek(first: u64, second: u64, is_v6: u32, processor: u32) -> u64 {
    let words = [first, first >> 32, second, second >> 32];
    let address = words.map(|word| word as u32);
    forward::seek(Maps, address, is_v6 != 0, processor)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_next_in_turn(service: u32) -> u32 {
    forward::next_in_turn(Maps, service)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_pick_hashed(service: u32, scheduling: u32, processor: u32) -> u32 {
    forward::pick_hashed(Maps, service, scheduling, processor)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_least_loaded(first: u32, members: u32, rule: u32, best: u32) -> u32 {
    forward::least_loaded(Maps, first, members, rule, best)
}

/// As [`xvs_sweep`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_somebody_has_room(first: u32, members: u32) -> u32 {
    forward::somebody_has_room(Maps, first, members) as u32
}
