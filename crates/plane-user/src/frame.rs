//! A frame in a buffer, as the forwarding function's host.

use abi::{
    AddressCell, Block, DestinationCell, FragmentKey, FragmentValue, Globals, LoadCell,
    NeighbourKey, NextHopCell, ReasonCounters, RouteValue, Runtime, ServiceCell, ServiceRuntime,
    StatsCell, Tick,
};
use cell::Cell32;
use conntable::{Bucket, SlotV4};
use control::Plane;
use forward::{Host, Tables, Verdict};
use wire::{Delta, ethernet};

use crate::Memory;

/// A frame that came in, as the TC hook sees it (`COMPLETE`) or as the XDP hook does.
pub struct Frame<'t, const COMPLETE: bool> {
    /// The tables.
    pub memory: &'t Memory,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Interface that it came in by.
    pub ifindex: u32,
    /// A VLAN identifier beside the frame, 0 for none.
    pub vlan_beside: u16,
    /// For a frame that the device will cut: payload bytes in each segment, else 0.
    pub segment_size: u32,
    exit: Exit,
}

/// Where a frame leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Interface.
    pub ifindex: u32,
    /// Neighbour whose MAC the kernel would find, network order; 0 where the MACs are in place.
    pub neighbour: u32,
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
    /// A VLAN identifier beside it, 0 for none.
    pub vlan_beside: u16,
}

impl<'t, const COMPLETE: bool> Frame<'t, COMPLETE> {
    /// An untagged frame, whole.
    pub fn new(memory: &'t Memory, ifindex: u32, bytes: &[u8]) -> Self {
        Self {
            memory,
            bytes: bytes.to_vec(),
            ifindex,
            vlan_beside: 0,
            segment_size: 0,
            exit: Exit::default(),
        }
    }

    /// Runs the forwarding function on it.
    pub fn process(mut self) -> Outcome {
        let verdict = forward::process(&mut self);
        Outcome {
            verdict,
            exit: self.exit,
            bytes: self.bytes,
            vlan_beside: self.vlan_beside,
        }
    }

    fn range<const N: usize>(&self, offset: u32) -> Option<std::ops::Range<usize>> {
        let start = offset as usize;
        (start + N <= self.bytes.len()).then(|| start..start + N)
    }
}

impl<'t, const COMPLETE: bool> Host<'t> for Frame<'t, COMPLETE> {
    const COMPLETE: bool = COMPLETE;
    type Tables = &'t Memory;

    fn tables(&self) -> &'t Memory {
        self.memory
    }

    fn tick(&self) -> Tick {
        self.memory.tick()
    }

    fn processor(&self) -> u32 {
        0
    }

    fn ifindex(&self) -> u32 {
        self.ifindex
    }

    fn is_own_mac(&self, mac: [u8; 6]) -> bool {
        let first = u32::from_ne_bytes([mac[0], mac[1], mac[2], mac[3]]);
        let last = u32::from_ne_bytes([mac[4], mac[5], 0, 0]);
        self.memory.view().interfaces.iter().any(|interface| {
            interface.ifindex.load() == self.ifindex
                && interface.mac[0].load() == first
                && interface.mac[1].load() == last
        })
    }

    fn own_address(&self) -> u32 {
        let interfaces = self.memory.view().interfaces;
        interfaces
            .iter()
            .find(|interface| interface.ifindex.load() == self.ifindex)
            .map_or(0, |interface| interface.address.load())
    }

    fn vlan_beside(&self) -> u16 {
        self.vlan_beside
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
        self.bytes[self.range::<N>(offset)?].try_into().ok()
    }

    fn set_bytes<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()> {
        let range = self.range::<N>(offset)?;
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

    fn set_vlan(&mut self, in_frame: bool, vlan: u16) -> Option<()> {
        let tag = ethernet::TYPE_OFFSET as usize;
        let end = tag + ethernet::TAG as usize;
        if in_frame {
            self.bytes
                .drain(self.bytes.get(tag..end).map(|_| tag..end)?);
        }
        self.vlan_beside = 0;
        if vlan != 0 {
            let header = [ethernet::VLAN.to_be_bytes(), vlan.to_be_bytes()].concat();
            self.bytes.splice(tag..tag, header);
        }
        Some(())
    }

    fn leave_by(&mut self, ifindex: u32, neighbour: u32) {
        self.exit = Exit { ifindex, neighbour };
    }

    fn embed(&mut self, offset: u32, room: u32, keep: u32) -> Option<()> {
        let offset = offset as usize;
        self.bytes.truncate(offset + keep as usize);
        self.bytes
            .splice(offset..offset, std::iter::repeat_n(0, room as usize));
        Some(())
    }
}

impl<'t> Tables<'t> for &'t Memory {
    fn globals(self) -> Option<&'t Globals> {
        Some(self.view().globals)
    }

    fn runtime(self) -> Option<&'t Runtime> {
        Some(self.view().runtime)
    }

    fn address(self, index: u32) -> Option<&'t AddressCell> {
        self.view().addresses.get(index as usize)
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

    fn block(self, index: u32) -> Option<&'t Block> {
        self.view().blocks.get(index as usize)
    }

    fn destination(self, number: u32) -> Option<&'t DestinationCell> {
        self.view().destinations.get(number as usize)
    }

    fn load(self, number: u32) -> Option<&'t LoadCell> {
        self.view().loads.get(number as usize)
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

    fn bucket(self, index: u32) -> Option<&'t Bucket<SlotV4>> {
        self.connections().get(index as usize)
    }

    fn route(self, address: u32) -> Option<RouteValue> {
        Memory::route(self, address)
    }

    fn neighbour(self, key: NeighbourKey) -> Option<u32> {
        Memory::neighbour(self, key)
    }

    fn fragment(self, key: &FragmentKey) -> Option<FragmentValue> {
        Memory::fragment(self, key)
    }

    fn remember_fragment(self, key: &FragmentKey, value: &FragmentValue) {
        Memory::remember_fragment(self, key, value);
    }
}
