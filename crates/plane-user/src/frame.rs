//! A frame in a buffer, as the forwarding function's host.

use abi::{
    Address, AddressCell, AddressCellV6, Block, Carry, DestinationCell, FilterWord, FragmentKey,
    FragmentKeyV6, FragmentValue, Globals, InterfaceCell, LoadCell, LocalCell, LocalityKey,
    LookupLine, MarkRule, NeighbourKey, NextHopCell, RealServerKey, ReasonCounters, RouteValue,
    Runtime, ServiceCell, ServiceRuntime, Stage, StatsCell, Tick, TraceHook, TraceProcessor,
};
use cell::Cell32;
use conntable::{Bucket, SlotV4, SlotV6};
use control::Plane;
use forward::trace::Fate;
use forward::{Action, Host, Outer, Tables, Verdict};
use sched::lblcr;
use wire::{Delta, ethernet};

use crate::Memory;

/// A frame that came in, as the TC hook sees it (`COMPLETE`) or as the XDP hook does.
pub struct Frame<'t, const COMPLETE: bool, M = Memory> {
    /// The tables.
    pub memory: &'t M,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Interface that it came in by.
    pub ifindex: u32,
    /// A VLAN tag's priority and identifier beside the frame, 0 for none.
    pub tag_beside: u16,
    /// The firewall mark that somebody gave it before.
    pub mark: u32,
    /// For a frame that the device will cut: payload bytes in each segment, else 0.
    pub segment_size: u32,
    exit: Exit,
    copies: Vec<Vec<u8>>,
}

/// What a frame asks of a place beside its tables.
pub trait Ground {
    /// The tick that stands for the kernel's.
    fn tick(&self) -> Tick;
    /// The interfaces that packets are taken on.
    fn interfaces(&self) -> &[InterfaceCell];
}

impl Ground for Memory {
    fn tick(&self) -> Tick {
        Self::tick(self)
    }

    fn interfaces(&self) -> &[InterfaceCell] {
        self.view().interfaces
    }
}

/// Where a frame leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Interface.
    pub ifindex: u32,
    /// Neighbour whose MAC the kernel would find; its family is 0 where the MACs are in place.
    pub neighbour: Neighbour,
}

/// A neighbour on the link that a frame leaves by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neighbour {
    /// 4, 6, or 0 for none.
    pub family: u32,
    /// In network order.
    pub address: Address,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What is to be done with it, and why.
    pub verdict: Verdict,
    /// Where it leaves, if the verdict sends it.
    pub exit: Exit,
    /// Its bytes, rewritten.
    pub bytes: Vec<u8>,
    /// What left of it before: the fragments that it was cut into.
    pub copies: Vec<Vec<u8>>,
    /// A VLAN tag's priority and identifier beside it, 0 for none.
    pub tag_beside: u16,
}

impl<'t, const COMPLETE: bool, M: Ground> Frame<'t, COMPLETE, M>
where
    &'t M: Tables<'t>,
{
    /// An untagged frame, whole.
    pub fn new(memory: &'t M, ifindex: u32, bytes: &[u8]) -> Self {
        Self {
            memory,
            bytes: bytes.to_vec(),
            ifindex,
            tag_beside: 0,
            mark: 0,
            segment_size: 0,
            exit: Exit::default(),
            copies: Vec::new(),
        }
    }

    /// Runs the forwarding function on it.
    pub fn process(self) -> Outcome {
        self.run(forward::process)
    }

    /// Runs the forwarding function on it, as on a frame that this machine sends.
    pub fn process_departing(self) -> Outcome {
        self.run(forward::process_departing)
    }

    /// Runs the forwarding function on it, stage by stage, and takes down what happens.
    pub fn trace(mut self, hook: TraceHook, at: u64) -> (Outcome, TraceProcessor) {
        let processor = TraceProcessor::default();
        forward::trace::begin(&mut self, &processor, (hook, at));
        let mut stage = match hook {
            TraceHook::Egress => Stage::Depart,
            TraceHook::Xdp | TraceHook::Ingress => Stage::Enter,
        };
        let verdict = loop {
            forward::trace::pass(&processor, stage);
            let verdict = forward::run(&mut self, stage);
            if verdict.action() != Action::GoOn {
                break verdict;
            }
            stage = Stage::ALL[verdict.next() as usize];
        };
        forward::trace::leave(&processor, Fate::of(verdict, self.exit.ifindex), 0);
        forward::trace::end(&mut self, &processor);
        forward::trace::conclude(self.memory, &processor, self.memory.tick());
        let outcome = self.run(|_| verdict);
        (outcome, processor)
    }

    fn run(mut self, function: impl FnOnce(&mut Self) -> Verdict) -> Outcome {
        let verdict = function(&mut self);
        Outcome {
            verdict,
            exit: self.exit,
            bytes: self.bytes,
            copies: self.copies,
            tag_beside: self.tag_beside,
        }
    }

    fn open_room(&mut self, offset: usize, room: u32) {
        let room = std::iter::repeat_n(0, room as usize);
        self.bytes.splice(offset..offset, room);
    }

    fn interface(&self) -> Option<&'t InterfaceCell> {
        let mut interfaces = self.memory.interfaces().iter();
        interfaces.find(|interface| interface.ifindex.load() == self.ifindex)
    }

    fn range(&self, offset: u32, length: usize) -> Option<std::ops::Range<usize>> {
        let start = offset as usize;
        (start + length <= self.bytes.len()).then(|| start..start + length)
    }
}

impl<'t, const COMPLETE: bool, M: Ground> Host<'t> for Frame<'t, COMPLETE, M>
where
    &'t M: Tables<'t>,
{
    const COMPLETE: bool = COMPLETE;
    type Tables = &'t M;

    fn tables(&self) -> &'t M {
        self.memory
    }

    fn tick(&self) -> Tick {
        self.memory.tick()
    }

    fn ifindex(&self) -> u32 {
        self.ifindex
    }

    fn mark(&self) -> u32 {
        self.mark
    }

    fn is_own_mac(&self, mac: [u8; 6]) -> bool {
        let first = u32::from_ne_bytes([mac[0], mac[1], mac[2], mac[3]]);
        let last = u32::from_ne_bytes([mac[4], mac[5], 0, 0]);
        self.interface().is_some_and(|interface| {
            interface.mac[0].load() == first && interface.mac[1].load() == last
        })
    }

    fn own_address(&self) -> u32 {
        self.interface()
            .map_or(0, |interface| interface.address.load())
    }

    fn own_address_v6(&self) -> Address {
        self.interface().map_or([0; 4], |interface| {
            interface.address_v6.each_ref().map(Cell32::load)
        })
    }

    fn tag_beside(&self) -> u16 {
        self.tag_beside
    }

    fn frame_length(&self) -> u32 {
        self.bytes.len() as u32
    }

    fn segment_size(&self) -> u32 {
        self.segment_size
    }

    fn segments(&self) -> u32 {
        match self.segment_size {
            0 => 1,
            size => (self.bytes.len() as u32)
                .saturating_sub(54)
                .div_ceil(size)
                .max(1),
        }
    }

    fn bytes<const N: usize>(&mut self, offset: u32) -> Option<[u8; N]> {
        self.bytes[self.range(offset, N)?].try_into().ok()
    }

    fn words<const N: usize>(&mut self, offset: u32) -> Option<[u32; N]> {
        let (words, _) = self.bytes[self.range(offset, 4 * N)?].as_chunks();
        Some(std::array::from_fn(|word| u32::from_ne_bytes(words[word])))
    }

    fn set_words<const N: usize>(&mut self, offset: u32, words: &[u32; N]) -> Option<()> {
        let range = self.range(offset, 4 * N)?;
        let (cells, _) = self.bytes[range].as_chunks_mut();
        for (cell, word) in cells.iter_mut().zip(words) {
            *cell = word.to_ne_bytes();
        }
        Some(())
    }

    fn set_bytes<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()> {
        let range = self.range(offset, N)?;
        self.bytes[range].copy_from_slice(bytes);
        Some(())
    }

    fn change_checksum(
        &mut self,
        offset: u32,
        pseudo_header: Delta,
        payload: Delta,
        optional: bool,
    ) -> Option<()> {
        let old = u16::from_ne_bytes(Host::bytes(self, offset)?);
        if optional && old == 0 {
            return Some(());
        }
        let new = pseudo_header.and(payload).apply(old);
        let new = if optional && new == 0 { 0xffff } else { new };
        self.set_bytes(offset, &new.to_ne_bytes())
    }

    fn set_tag(&mut self, in_frame: bool, tag: u16) -> Option<()> {
        let start = ethernet::TYPE_OFFSET as usize;
        let end = start + ethernet::TAG as usize;
        if in_frame {
            self.bytes
                .drain(self.bytes.get(start..end).map(|_| start..end)?);
        }
        self.tag_beside = 0;
        if tag != 0 {
            let header = [ethernet::VLAN.to_be_bytes(), tag.to_be_bytes()].concat();
            self.bytes.splice(start..start, header);
        }
        Some(())
    }

    fn leave_by(&mut self, ifindex: u32) {
        self.exit = Exit {
            ifindex,
            neighbour: Neighbour::default(),
        };
    }

    fn leave_by_neighbour(&mut self) {
        let carry = self.carry().expect("there is one for every processor");
        self.exit = Exit {
            ifindex: carry.ifindex.load(),
            neighbour: Neighbour {
                family: carry.neighbour_family.load(),
                address: carry.neighbour.each_ref().map(Cell32::load),
            },
        };
    }

    fn embed(&mut self, offset: u32, room: u32, keep: u32) -> Option<()> {
        let offset = offset as usize;
        self.bytes.truncate(offset + keep as usize);
        self.open_room(offset, room);
        Some(())
    }

    fn resize(&mut self, length: u32) -> Option<()> {
        self.bytes.resize(length as usize, 0);
        Some(())
    }

    fn send_copy(&mut self) -> Option<()> {
        let mut copy = Self::new(self.memory, self.ifindex, &self.bytes);
        match forward::copy_tells(&mut copy) {
            Some(stage) => {
                let verdict = forward::run(&mut copy, stage);
                (verdict.action() == forward::Action::Pass).then_some(())?;
            }
            None => forward::piece(&mut copy)?,
        }
        self.copies.push(copy.bytes);
        Some(())
    }

    fn strip(&mut self, offset: u32, length: u32) -> Option<()> {
        let (first, end) = (offset as usize, (offset + length) as usize);
        self.bytes
            .drain(self.bytes.get(first..end).map(|_| first..end)?);
        Some(())
    }

    fn change_family(&mut self, offset: u32, to_v6: bool) -> Option<()> {
        let kind = if to_v6 {
            self.open_room(offset as usize, 20);
            ethernet::IPV6
        } else {
            self.strip(offset, 20)?;
            ethernet::IPV4
        };
        self.set_bytes(offset - 2, &kind.to_be_bytes())
    }

    fn encapsulate(&mut self, offset: u32, outer: Outer) -> Option<()> {
        self.open_room(offset as usize, outer.room);
        Some(())
    }
}

impl<'t> Tables<'t> for &'t Memory {
    fn processor(self) -> u32 {
        0
    }

    fn globals(self) -> Option<&'t Globals> {
        Some(self.view().globals)
    }

    fn runtime(self) -> Option<&'t Runtime> {
        Some(self.view().runtime)
    }

    fn address(self, index: u32) -> Option<&'t AddressCell> {
        self.view().addresses.get(index as usize)
    }

    fn address_v6(self, index: u32) -> Option<&'t AddressCellV6> {
        self.view().addresses_v6.get(index as usize)
    }

    fn address_filter(self, index: u32) -> Option<&'t FilterWord> {
        self.view().address_filter.get(index as usize)
    }

    fn service(self, index: u32) -> Option<&'t ServiceCell> {
        self.view().services.get(index as usize)
    }

    fn service_runtime(self, number: u32) -> Option<&'t ServiceRuntime> {
        self.view().service_runtime.get(number as usize)
    }

    fn member(self, index: u32) -> Option<&'t Cell32> {
        Some(&self.view().members.get(index as usize)?.number)
    }

    fn mark_rule(self, index: u32) -> Option<&'t MarkRule> {
        self.view().mark_rules.get(index as usize)
    }
    fn lookup(self, index: u32) -> Option<&'t LookupLine> {
        self.view().lookups.get(index as usize)
    }

    fn locality(self, key: &LocalityKey) -> u32 {
        Memory::locality(self, key).unwrap_or(abi::NONE)
    }

    fn set_locality(self, key: &LocalityKey, destination: u32, _now: Tick) {
        Memory::set_locality(self, key, destination);
    }

    fn change_locality_set(
        self,
        key: &LocalityKey,
        change: impl FnOnce(&mut lblcr::Set) -> u32,
    ) -> Option<u32> {
        Memory::change_locality_set(self, key, change)
    }

    fn add_locality_set(self, key: &LocalityKey, destination: u32, now: Tick) {
        Memory::add_locality_set(self, key, lblcr::Set::new(destination, now));
    }

    fn random(self) -> u32 {
        Memory::random(self)
    }

    fn block(self, index: u32) -> Option<&'t Block> {
        self.view().blocks.get(index as usize)
    }

    fn destination(self, number: u32) -> Option<&'t DestinationCell> {
        self.view().destinations.get(number as usize)
    }

    fn load(self, number: u32) -> Option<&'t LoadCell> {
        self.view().loads.get(number as usize)
    }

    fn local(self, index: u32) -> Option<&'t LocalCell> {
        self.view().locals.get(index as usize)
    }

    fn next_hop(self, index: u32) -> Option<&'t NextHopCell> {
        self.view().next_hops.get(index as usize)
    }

    fn stats(self, index: u32) -> Option<&'t StatsCell> {
        self.view().stats.get(index as usize)
    }

    fn reasons(self, processor: u32) -> Option<&'t ReasonCounters> {
        self.view().reasons.get(processor as usize)
    }

    fn carry(self, processor: u32) -> Option<&'t Carry> {
        self.view().carries.get(processor as usize)
    }

    fn bucket_v6(self, index: u32) -> Option<&'t Bucket<SlotV6>> {
        self.connections_v6().get(index as usize)
    }

    fn bucket(self, index: u32) -> Option<&'t Bucket<SlotV4>> {
        self.connections().get(index as usize)
    }

    fn route(self, address: u32) -> Option<RouteValue> {
        Memory::route(self, false, [address, 0, 0, 0])
    }

    fn route_v6(self, address: Address) -> Option<RouteValue> {
        Memory::route(self, true, address)
    }

    fn neighbour(self, key: &NeighbourKey) -> Option<u32> {
        Memory::neighbour(self, key)
    }

    fn is_real_server(self, key: &RealServerKey) -> bool {
        Memory::is_real_server(self, key)
    }

    fn fragment_v6(self, key: &FragmentKeyV6) -> Option<FragmentValue> {
        Memory::fragment_v6(self, key)
    }

    fn remember_fragment_v6(self, key: &FragmentKeyV6, value: &FragmentValue) {
        Memory::remember_fragment_v6(self, key, value);
    }

    fn fragment(self, key: &FragmentKey) -> Option<FragmentValue> {
        Memory::fragment(self, key)
    }

    fn remember_fragment(self, key: &FragmentKey, value: &FragmentValue) {
        Memory::remember_fragment(self, key, value);
    }
}
