//! What the forwarding function asks of the place where it runs.

use core::marker::PhantomData;

use abi::{
    Address, AddressCell, AddressCellV6, Block, Carry, DestinationCell, FilterWord, FragmentKey,
    FragmentKeyV6, FragmentValue, Globals, LoadCell, LocalCell, LocalityKey, LookupLine, MarkRule,
    NeighbourKey, NextHopCell, RealServerKey, Reason, ReasonCounters, RouteValue, Runtime,
    ServiceCell, ServiceRuntime, StatsCell, Tick,
};
use cell::{Cell32, element};
use conntable::{Bucket, Buckets, Claim, Found, Handle, Query, SlotV4, SlotV6, Table};
use sched::lblcr;
use wire::Delta;

use crate::connection::Chosen;
use crate::family::Family;
use crate::further;
use crate::tunnel::Outer;

/// The tables, by index. `None` past the end, or where a map has no such key.
pub trait Tables<'t>: Copy {
    /// The processor that runs this.
    fn processor(self) -> u32;
    /// Settings and facts.
    fn globals(self) -> Option<&'t Globals>;
    /// What packets change for all.
    fn runtime(self) -> Option<&'t Runtime>;
    /// Both sides, one after the other.
    fn address(self, index: u32) -> Option<&'t AddressCell>;
    /// Both sides, one after the other.
    fn address_v6(self, index: u32) -> Option<&'t AddressCellV6>;
    /// Both sides, one after the other.
    fn address_filter(self, index: u32) -> Option<&'t FilterWord>;
    /// Both sides, one after the other.
    fn service(self, index: u32) -> Option<&'t ServiceCell>;
    /// By service number.
    fn service_runtime(self, number: u32) -> Option<&'t ServiceRuntime>;
    /// Destination numbers.
    fn member(self, index: u32) -> Option<&'t Cell32>;
    /// Tables of hashing schedulers.
    fn lookup(self, index: u32) -> Option<&'t LookupLine>;
    /// Rules that give packets marks; both sides, one after the other.
    fn mark_rule(self, index: u32) -> Option<&'t MarkRule>;
    /// The destination of a virtual address, [`abi::NONE`] where there is none.
    fn locality(self, key: &LocalityKey) -> u32;
    /// Keeps the destination of a virtual address.
    fn set_locality(self, key: &LocalityKey, destination: u32, now: Tick);
    /// Changes the destinations of a virtual address, where it has any.
    fn change_locality_set(
        self,
        key: &LocalityKey,
        change: impl FnOnce(&mut lblcr::Set) -> u32,
    ) -> Option<u32>;
    /// Keeps the first destination of a virtual address.
    fn add_locality_set(self, key: &LocalityKey, destination: u32, now: Tick);
    /// A random number.
    fn random(self) -> u32;
    /// Blocks of sequences.
    fn block(self, index: u32) -> Option<&'t Block>;
    /// By destination number.
    fn destination(self, number: u32) -> Option<&'t DestinationCell>;
    /// By destination number.
    fn load(self, number: u32) -> Option<&'t LoadCell>;
    /// Local addresses of FULLNAT.
    fn local(self, index: u32) -> Option<&'t LocalCell>;
    /// By index.
    fn next_hop(self, index: u32) -> Option<&'t NextHopCell>;
    /// By processor times destinations plus destination number.
    fn stats(self, index: u32) -> Option<&'t StatsCell>;
    /// By processor.
    fn reasons(self, processor: u32) -> Option<&'t ReasonCounters>;
    /// By processor.
    fn carry(self, processor: u32) -> Option<&'t Carry>;
    /// Buckets of the connection table.
    fn bucket(self, index: u32) -> Option<&'t Bucket<SlotV4>>;
    /// Buckets of the connection table for IPv6.
    fn bucket_v6(self, index: u32) -> Option<&'t Bucket<SlotV6>>;
    /// The most specific route to an address.
    fn route(self, address: u32) -> Option<RouteValue>;
    /// The most specific route to an IPv6 address.
    fn route_v6(self, address: Address) -> Option<RouteValue>;
    /// The next hop of a neighbour.
    fn neighbour(self, key: &NeighbourKey) -> Option<u32>;
    /// Whether a real server of VS/NAT takes connections there.
    fn is_real_server(self, key: &RealServerKey) -> bool;
    /// What a datagram's first fragment decided.
    fn fragment(self, key: &FragmentKey) -> Option<FragmentValue>;
    /// Keeps what a datagram's first fragment decided.
    fn remember_fragment(self, key: &FragmentKey, value: &FragmentValue);
    /// As [`Tables::fragment`], for IPv6.
    fn fragment_v6(self, key: &FragmentKeyV6) -> Option<FragmentValue>;
    /// As [`Tables::remember_fragment`], for IPv6.
    fn remember_fragment_v6(self, key: &FragmentKeyV6, value: &FragmentValue);
    /// Counts a reason by its number, for a packet: in a softirq, or with softirqs off, so that no
    /// other packet comes in between.
    #[inline(always)]
    fn count(self, processor: u32, reason: u32) {
        if let Some(counters) = self.reasons(processor) {
            element(&counters.0, reason).bump(1);
        }
    }
    /// [`crate::sweep`], which BPF may want as a function that is verified by itself.
    #[inline(always)]
    fn sweep(self, first: u32, now: Tick, processor: u32) {
        crate::sweep(self, first, now, processor);
    }
    /// [`crate::settle`], likewise.
    #[inline(always)]
    fn settle(self, own: Handle, now: Tick, processor: u32) -> u64 {
        crate::settle(self, own, now, processor)
    }
    /// [`crate::settle_v6`], likewise.
    #[inline(always)]
    fn settle_v6(self, own: Handle, now: Tick, processor: u32) -> u64 {
        crate::settle_v6(self, own, now, processor)
    }
    /// [`crate::find_far`], likewise.
    #[inline(always)]
    fn find_far(self, hash: u32, now: Tick) -> u64 {
        crate::find_far(self, hash, now)
    }
    /// [`crate::find_far_v6`], likewise.
    #[inline(always)]
    fn find_far_v6(self, hash: u32, now: Tick) -> u64 {
        crate::find_far_v6(self, hash, now)
    }
    /// [`crate::roomiest`], likewise.
    #[inline(always)]
    fn roomiest(self, hash: u32, now: Tick) -> u32 {
        crate::roomiest(self, hash, now)
    }
    /// [`crate::claim_from`], likewise.
    #[inline(always)]
    fn claim_from(self, hash: u32, times: (Tick, Tick), first: u32) -> u64 {
        crate::claim_from(self, hash, times, first)
    }
    /// [`crate::roomiest_v6`], likewise.
    #[inline(always)]
    fn roomiest_v6(self, hash: u32, now: Tick) -> u32 {
        crate::roomiest_v6(self, hash, now)
    }
    /// [`crate::claim_from_v6`], likewise.
    #[inline(always)]
    fn claim_from_v6(self, hash: u32, times: (Tick, Tick), first: u32) -> u64 {
        crate::claim_from_v6(self, hash, times, first)
    }
    /// [`crate::assure`], likewise.
    #[inline(always)]
    fn assure(self, template: u32, is_v6: bool) {
        crate::assure(self, template, is_v6);
    }
    /// [`crate::classify`], likewise.
    #[inline(always)]
    fn classify(self, ifindex: u32, processor: u32) -> u32 {
        crate::classify(self, ifindex, processor)
    }
    /// [`crate::is_lent`], likewise. `local` is an index.
    #[inline(always)]
    fn is_lent(self, local: u32, ports: u32, destination: u32, protocol: u8, now: Tick) -> bool {
        crate::is_lent(self, local, ports, destination, protocol, now)
    }
    /// [`crate::seek`], likewise.
    #[inline(always)]
    fn seek(self, address: Address, is_v6: bool, processor: u32) -> u64 {
        crate::seek(self, address, is_v6, processor)
    }
    /// [`crate::next_in_turn`], likewise. `service` is an index.
    #[inline(always)]
    fn next_in_turn(self, service: u32) -> u32 {
        crate::next_in_turn(self, service)
    }
    /// [`crate::pick_hashed`], likewise. `service` is an index.
    #[inline(always)]
    fn pick_hashed(self, service: u32, scheduling: u32, processor: u32) -> u32 {
        crate::pick_hashed(self, service, scheduling, processor)
    }
    /// [`crate::least_loaded`], likewise.
    #[inline(always)]
    fn least_loaded(self, first: u32, members: u32, rule: u32, best: u32) -> u32 {
        crate::least_loaded(self, first, members, rule, best)
    }
    /// [`crate::somebody_has_room`], likewise.
    #[inline(always)]
    fn somebody_has_room(self, first: u32, members: u32) -> bool {
        crate::somebody_has_room(self, first, members)
    }
}

/// A family's connection table as a view of [`Tables`].
#[derive(Clone, Copy)]
pub(crate) struct Connections<F, T>(pub T, PhantomData<F>);

impl<'t, F: Family, T: Tables<'t>> Buckets<'t> for Connections<F, T>
where
    F::Slot: 't,
{
    type Entry = F::Slot;

    #[inline(always)]
    fn bucket(&self, index: u32) -> Option<&'t Bucket<F::Slot>> {
        F::bucket(self.0, index)
    }

    #[inline(always)]
    fn server(&self, destination: u32) -> Option<(F::Address, u16)> {
        let chosen = Chosen::by_number(self.0, destination).ok()?;
        Some((chosen.address::<F>(), chosen.port()))
    }

    #[inline(always)]
    fn find_far(
        table: &Table<Self>,
        hash: u32,
        query: &Query<F::Address>,
        now: Tick,
    ) -> Option<Found<'t, F::Slot>> {
        further::found_far(table, hash, query, now)
    }

    #[inline(always)]
    fn claim_further(table: &Table<Self>, hash: u32, times: (Tick, Tick)) -> Claim<'t, F::Slot> {
        further::claimed_further(table, hash, times)
    }
}

/// A family's connection table.
#[inline(always)]
pub(crate) fn connections<'t, F: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
) -> Table<Connections<F, T>> {
    Table::new(Connections(tables, PhantomData), F::buckets(globals))
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
    /// Interface that the packet came in by.
    fn ifindex(&self) -> u32;
    /// The firewall mark that somebody gave the packet before, 0 for none.
    fn mark(&self) -> u32;
    /// Whether a frame to this MAC is for this machine.
    fn is_own_mac(&self, mac: [u8; 6]) -> bool;
    /// This machine's IPv4 address on the interface that the packet came in by, 0 for none.
    fn own_address(&self) -> u32;
    /// This machine's IPv6 address on that interface, a global one where it has one; all words 0
    /// for none.
    fn own_address_v6(&self) -> Address;
    /// A VLAN tag's priority and identifier that are beside the frame, 0 for none.
    fn tag_beside(&self) -> u16;
    /// Bytes of the frame.
    fn frame_length(&self) -> u32;
    /// For a packet that the device will cut into segments: bytes of payload in each, else 0.
    fn segment_size(&self) -> u32;
    /// Packets on the wire that this is; 1 unless the device will cut it.
    fn segments(&self) -> u32;

    /// Reads bytes of the frame.
    fn bytes<const N: usize>(&mut self, offset: u32) -> Option<[u8; N]>;
    /// Reads words of the frame, as they stand in it. In BPF, words are read and written in a third of
    /// the instructions of as many bytes.
    fn words<const N: usize>(&mut self, offset: u32) -> Option<[u32; N]>;
    /// Writes words of the frame.
    fn set_words<const N: usize>(&mut self, offset: u32, words: &[u32; N]) -> Option<()>;
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
    /// Gives the frame a VLAN tag of this priority and identifier, none where they are 0.
    /// `in_frame`: it has a tag inside. Moves everything behind the MACs.
    fn set_tag(&mut self, in_frame: bool, tag: u16) -> Option<()>;
    /// The interface that the frame leaves by if the verdict says so; its MACs are in place.
    fn leave_by(&mut self, ifindex: u32);
    /// The frame leaves, if the verdict says so, to the neighbour in [`Host::carry`], whose MAC the
    /// kernel finds.
    fn leave_by_neighbour(&mut self);
    /// Cuts the frame to `keep` bytes behind `offset` and opens `room` bytes before them.
    fn embed(&mut self, offset: u32, room: u32, keep: u32) -> Option<()>;
    /// Makes the frame `length` bytes long: cut off behind them, or with zeros before that.
    fn resize(&mut self, length: u32) -> Option<()>;
    /// Sends a copy of the frame the way that [`Host::leave_by`] was told, at once. Where it leaves
    /// it meets [`crate::piece`].
    fn send_copy(&mut self) -> Option<()>;
    /// Takes `length` bytes out of the frame at `offset`, where the IP header begins.
    fn strip(&mut self, offset: u32, length: u32) -> Option<()>;
    /// Makes the room of an IP header without options or extensions at `offset` that of one of the
    /// other family; the frame's type follows.
    fn change_family(&mut self, offset: u32, to_v6: bool) -> Option<()>;
    /// Opens room for outer headers before the IP header at `offset`, and marks the frame as
    /// encapsulated where a device may cut it. The Ethernet addresses are to be written anew.
    fn encapsulate(&mut self, offset: u32, outer: Outer) -> Option<()>;

    /// The time: the kernel's tick, moved by what tests ask for.
    #[inline(always)]
    fn now(&self, globals: &Globals) -> Tick {
        self.tick().wrapping_add(globals.clock_offset.load())
    }

    /// The processor that runs this.
    #[inline(always)]
    fn processor(&self) -> u32 {
        self.tables().processor()
    }

    /// This processor's [`Carry`].
    #[inline(always)]
    fn carry(&self) -> Option<&'t Carry> {
        self.tables().carry(self.processor())
    }

    /// The identification of the next IPv4 packet that the director makes. Processors count for
    /// themselves, so that they share no cache line, and begin far from each other.
    #[inline(always)]
    fn identification(&self) -> Option<u16> {
        const APART: u32 = 0x9e37;
        let processor = self.processor();
        let counted = &self.tables().carry(processor)?.identified;
        counted.bump(1);
        Some(counted.load().wrapping_add(processor.wrapping_mul(APART)) as u16)
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
