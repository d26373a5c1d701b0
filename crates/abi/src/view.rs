//! All tables but the connections, as slices.

use crate::{
    AddressCell, AddressCellV6, Block, Carry, DestinationCell, FilterWord, Globals, InterfaceCell,
    LoadCell, LocalCell, LookupLine, MarkRule, Member, NextHopCell, ReasonCounters, Runtime,
    ServiceCell, ServiceRuntime, StatsCell,
};

/// The tables as user space sees them: mapped from the kernel, or on the heap for the native host.
///
/// Sizes: `addresses`, `addresses_v6`, `address_filter` and `services` hold two sides, each of a
/// power of two cells; `stats` holds [`Globals::destinations`] cells for every processor; `reasons`
/// one element for every processor.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Settings and facts.
    pub globals: &'a Globals,
    /// What packets change for all.
    pub runtime: &'a Runtime,
    /// What addresses are to the director; two sides.
    pub addresses: &'a [AddressCell],
    /// What IPv6 addresses are to the director; two sides.
    pub addresses_v6: &'a [AddressCellV6],
    /// What tells that an address of either family is in none of those; two sides.
    pub address_filter: &'a [FilterWord],
    /// Virtual services; two sides.
    pub services: &'a [ServiceCell],
    /// By service number.
    pub service_runtime: &'a [ServiceRuntime],
    /// Destination numbers, in runs that services and blocks point to.
    pub members: &'a [Member],
    /// Blocks of sequences, in runs that services point to.
    pub blocks: &'a [Block],
    /// Tables of hashing schedulers, in runs that services point to.
    pub lookups: &'a [LookupLine],
    /// Both sides, one after the other.
    pub mark_rules: &'a [MarkRule],
    /// Local addresses of FULLNAT, in runs that services point to.
    pub locals: &'a [LocalCell],
    /// By destination number.
    pub destinations: &'a [DestinationCell],
    /// By destination number.
    pub loads: &'a [LoadCell],
    /// By next hop's index.
    pub next_hops: &'a [NextHopCell],
    /// Hashed by interface index.
    pub interfaces: &'a [InterfaceCell],
    /// By processor, then destination number.
    pub stats: &'a [StatsCell],
    /// By processor.
    pub reasons: &'a [ReasonCounters],
    /// By processor.
    pub carries: &'a [Carry],
}

impl<'a> View<'a> {
    /// The address cells of one side.
    pub fn addresses_of(&self, side: u32) -> &'a [AddressCell] {
        half(self.addresses, side)
    }

    /// The IPv6 address cells of one side.
    pub fn addresses_v6_of(&self, side: u32) -> &'a [AddressCellV6] {
        half(self.addresses_v6, side)
    }

    /// The words of one side's filter.
    pub fn address_filter_of(&self, side: u32) -> &'a [FilterWord] {
        half(self.address_filter, side)
    }

    /// The service cells of one side.
    pub fn services_of(&self, side: u32) -> &'a [ServiceCell] {
        half(self.services, side)
    }
}

fn half<T>(cells: &[T], side: u32) -> &[T] {
    let (first, second) = cells.split_at(cells.len() / 2);
    if side == 0 { first } else { second }
}
