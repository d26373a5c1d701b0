//! What the forwarding function asks of the place where it runs.

use abi::{
    AddressCell, Block, DestinationCell, FragmentKey, FragmentValue, Globals, LoadCell,
    NeighbourKey, NextHopCell, Reason, ReasonCounters, RouteValue, Runtime, ServiceCell,
    ServiceRuntime, StatsCell, Tick,
};
use cell::{Cell32, element};
use conntable::{Bucket, Buckets, SlotV4, Table};
use wire::Delta;

/// The tables, by index. `None` past the end, or where a map has no such key.
pub trait Tables<'t>: Copy {
    /// Settings and facts.
    fn globals(self) -> Option<&'t Globals>;
    /// What packets change for all.
    fn runtime(self) -> Option<&'t Runtime>;
    /// Both sides, one after the other.
    fn address(self, index: u32) -> Option<&'t AddressCell>;
    /// Both sides, one after the other.
    fn service(self, index: u32) -> Option<&'t ServiceCell>;
    /// By service number.
    fn service_runtime(self, number: u32) -> Option<&'t ServiceRuntime>;
    /// Destination numbers.
    fn member(self, index: u32) -> Option<&'t Cell32>;
    /// Blocks of sequences.
    fn block(self, index: u32) -> Option<&'t Block>;
    /// By destination number.
    fn destination(self, number: u32) -> Option<&'t DestinationCell>;
    /// By destination number.
    fn load(self, number: u32) -> Option<&'t LoadCell>;
    /// By index.
    fn next_hop(self, index: u32) -> Option<&'t NextHopCell>;
    /// By processor times destinations plus destination number.
    fn stats(self, index: u32) -> Option<&'t StatsCell>;
    /// By processor.
    fn reasons(self, processor: u32) -> Option<&'t ReasonCounters>;
    /// Buckets of the connection table.
    fn bucket(self, index: u32) -> Option<&'t Bucket<SlotV4>>;
    /// The most specific route to an address.
    fn route(self, address: u32) -> Option<RouteValue>;
    /// The next hop of a neighbour.
    fn neighbour(self, key: NeighbourKey) -> Option<u32>;
    /// What a datagram's first fragment decided.
    fn fragment(self, key: &FragmentKey) -> Option<FragmentValue>;
    /// Keeps what a datagram's first fragment decided.
    fn remember_fragment(self, key: &FragmentKey, value: &FragmentValue);
    /// Counts a reason by its number.
    #[inline(always)]
    fn count(self, processor: u32, reason: u32) {
        if let Some(counters) = self.reasons(processor) {
            element(&counters.0, reason).add(1);
        }
    }
    /// [`crate::find`], which BPF may want as a function that is verified by itself.
    #[inline(always)]
    fn find(self, question: crate::Question, now: Tick) -> u64 {
        crate::find(self, question, now)
    }
    /// [`crate::choose`], likewise.
    #[inline(always)]
    fn choose(self, opening: crate::Opening, now: Tick, processor: u32) -> u64 {
        crate::choose(self, opening, now, processor)
    }
    /// [`crate::make`], likewise.
    #[inline(always)]
    fn make(self, opening: crate::Opening, chosen: u64, now: Tick, processor: u32) -> u64 {
        crate::make(self, opening, chosen, now, processor)
    }
    /// [`crate::sweep`], likewise.
    #[inline(always)]
    fn sweep(self, first: u32, now: Tick, processor: u32) {
        crate::sweep(self, first, now, processor);
    }
    /// [`crate::pick`], likewise.
    #[inline(always)]
    fn pick(self, service: u32) -> u32 {
        crate::pick(self, service)
    }
    /// [`crate::least_loaded`], likewise.
    #[inline(always)]
    fn least_loaded(self, first: u32, members: u32, by_weight: bool) -> u32 {
        crate::least_loaded(self, first, members, by_weight)
    }
}

/// The connection table's view of [`Tables`].
#[derive(Clone, Copy)]
pub(crate) struct Connections<T>(pub T);

impl<'t, T: Tables<'t>> Buckets<'t> for Connections<T> {
    type Entry = SlotV4;

    #[inline(always)]
    fn bucket(&self, index: u32) -> Option<&'t Bucket<SlotV4>> {
        self.0.bucket(index)
    }
}

/// The connection table.
#[inline(always)]
pub(crate) fn connections<'t, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
) -> Table<Connections<T>> {
    Table::new(Connections(tables), globals.bucket_mask.load())
}

/// A packet at a hook, and the tables.
///
/// Offsets count from the frame's first byte. Everything that can fail gives `None` and leaves the
/// packet as it was or, for the rewriting operations, fit for dropping only.
pub trait Host<'t> {
    /// Whether this hook can do everything: fragments, ICMP errors, waiting for neighbours. A
    /// hook that cannot passes such packets up, untouched, to the one that can.
    const COMPLETE: bool;
    /// The tables.
    type Tables: Tables<'t>;

    /// The tables.
    fn tables(&self) -> Self::Tables;
    /// The kernel's tick.
    fn tick(&self) -> Tick;
    /// The processor that runs this.
    fn processor(&self) -> u32;
    /// Interface that the packet came in by.
    fn ifindex(&self) -> u32;
    /// Whether a frame to this MAC is for this machine.
    fn is_own_mac(&self, mac: [u8; 6]) -> bool;
    /// This machine's IPv4 address on the interface that the packet came in by, 0 for none.
    fn own_address(&self) -> u32;
    /// Identifier of a VLAN tag that is beside the frame, 0 for none.
    fn vlan_beside(&self) -> u16;
    /// Bytes of the frame.
    fn frame_length(&self) -> u32;
    /// For a packet that the device will cut into segments: bytes of payload in each, else 0.
    fn segment_size(&self) -> u32;
    /// Packets on the wire that this is; 1 unless the device will cut it.
    fn segments(&self) -> u32;

    /// Reads bytes of the frame.
    fn bytes<const N: usize>(&mut self, offset: u32) -> Option<[u8; N]>;
    /// Writes bytes of the frame.
    fn set_bytes<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()>;
    /// Changes a transport checksum. A checksum that the device is to complete holds the
    /// pseudo-header's sum only, hence two deltas. `optional`: 0 means no checksum (UDP).
    fn change_checksum(
        &mut self,
        offset: u32,
        pseudo_header: Delta,
        payload: Delta,
        optional: bool,
    ) -> Option<()>;
    /// Gives the frame the VLAN identifier `vlan`, 0 for none. `in_frame`: it has a tag inside.
    /// Moves everything behind the MACs.
    fn set_vlan(&mut self, in_frame: bool, vlan: u16) -> Option<()>;
    /// Where the frame leaves if the verdict says so: by an interface, with its MACs in place or,
    /// where `neighbour` (an address in network order) is not 0, to the MAC that the kernel finds
    /// for that neighbour.
    fn leave_by(&mut self, ifindex: u32, neighbour: u32);
    /// Cuts the frame to `keep` bytes behind `offset` and opens `room` bytes before them.
    fn embed(&mut self, offset: u32, room: u32, keep: u32) -> Option<()>;

    /// The time: the kernel's tick, moved by what tests ask for.
    #[inline(always)]
    fn now(&self, globals: &Globals) -> Tick {
        self.tick().wrapping_add(globals.clock_offset.load())
    }

    /// Counts a reason.
    #[inline(always)]
    fn count(&self, reason: Reason) {
        self.count_number(reason as u32);
    }

    /// Counts a reason by its number.
    #[inline(always)]
    fn count_number(&self, reason: u32) {
        self.tables().count(self.processor(), reason);
    }
}
