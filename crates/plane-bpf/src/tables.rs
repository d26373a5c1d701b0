//! All tables that are mapped into memory.

use abi::{
    AddressCell, AddressCellV6, Block, Carry, DestinationCell, FilterWord, Globals, InterfaceCell,
    LoadCell, LocalCell, LookupLine, MarkRule, Member, NextHopCell, ReasonCounters, Runtime,
    ServiceCell, ServiceRuntime, StatsCell, View,
};
use conntable::{BUCKET_SLOTS, Bucket, SlotV4, SlotV6};
use control::Sizes;

use crate::error::Error;
use crate::pins::Pins;
use crate::table::Table;

/// The tables that packets and the daemon share.
#[derive(Debug)]
pub struct Tables {
    globals: Table<Globals>,
    runtime: Table<Runtime>,
    addresses: Table<AddressCell>,
    addresses_v6: Table<AddressCellV6>,
    address_filter: Table<FilterWord>,
    services: Table<ServiceCell>,
    service_runtime: Table<ServiceRuntime>,
    members: Table<Member>,
    blocks: Table<Block>,
    lookups: Table<LookupLine>,
    mark_rules: Table<MarkRule>,
    locals: Table<LocalCell>,
    destinations: Table<DestinationCell>,
    loads: Table<LoadCell>,
    next_hops: Table<NextHopCell>,
    interfaces: Table<InterfaceCell>,
    stats: Table<StatsCell>,
    reasons: Table<ReasonCounters>,
    carries: Table<Carry>,
    connections: Table<Bucket<SlotV4>>,
    connections_v6: Table<Bucket<SlotV6>>,
}

impl Tables {
    /// Maps them from their pins.
    pub fn open(pins: &Pins) -> Result<Self, Error> {
        Ok(Self {
            globals: Table::open_direct(pins, "GLOBALS")?,
            runtime: Table::open_direct(pins, "RUNTIME")?,
            addresses: Table::open(pins, "ADDRESSES")?,
            addresses_v6: Table::open(pins, "ADDRESSES_V6")?,
            address_filter: Table::open(pins, "ADDRESS_FILTER")?,
            services: Table::open(pins, "SERVICES")?,
            service_runtime: Table::open(pins, "SERVICE_RUNTIME")?,
            members: Table::open(pins, "MEMBERS")?,
            blocks: Table::open(pins, "BLOCKS")?,
            lookups: Table::open(pins, "LOOKUPS")?,
            mark_rules: Table::open(pins, "MARK_RULES")?,
            locals: Table::open(pins, "LOCALS")?,
            destinations: Table::open(pins, "DESTINATIONS")?,
            loads: Table::open(pins, "LOADS")?,
            next_hops: Table::open(pins, "NEXT_HOPS")?,
            interfaces: Table::open_direct(pins, "INTERFACES")?,
            stats: Table::open(pins, "STATS")?,
            reasons: Table::open_direct(pins, "REASONS")?,
            carries: Table::open_direct(pins, "CARRIES")?,
            connections: Table::open(pins, "CONNECTIONS")?,
            connections_v6: Table::open(pins, "CONNECTIONS_V6")?,
        })
    }

    /// All but the connections, as slices.
    pub fn view(&self) -> View<'_> {
        View {
            globals: self.globals.one(),
            runtime: self.runtime.one(),
            addresses: self.addresses.all(),
            addresses_v6: self.addresses_v6.all(),
            address_filter: self.address_filter.all(),
            services: self.services.all(),
            service_runtime: self.service_runtime.all(),
            members: self.members.all(),
            blocks: self.blocks.all(),
            lookups: self.lookups.all(),
            mark_rules: self.mark_rules.all(),
            locals: self.locals.all(),
            destinations: self.destinations.all(),
            loads: self.loads.all(),
            next_hops: self.next_hops.all(),
            interfaces: self.interfaces.all(),
            stats: self.stats.all(),
            reasons: self.reasons.all(),
            carries: self.carries.all(),
        }
    }

    /// The connections.
    pub fn connections(&self) -> &[Bucket<SlotV4>] {
        self.connections.all()
    }

    /// The connections over IPv6.
    pub fn connections_v6(&self) -> &[Bucket<SlotV6>] {
        self.connections_v6.all()
    }

    /// The sizes that they were made with.
    pub fn sizes(&self) -> Sizes {
        let view = self.view();
        Sizes {
            connections: (self.connections().len() * BUCKET_SLOTS) as u32,
            connections_v6: (self.connections_v6().len() * BUCKET_SLOTS) as u32,
            services: view.service_runtime.len() as u32,
            destinations: view.destinations.len() as u32,
            members: view.members.len() as u32,
            blocks: view.blocks.len() as u32,
            lookups: view.lookups.len() as u32,
            next_hops: view.next_hops.len() as u32,
            processors: (view.stats.len() / view.destinations.len()) as u32,
        }
    }
}

/// The version of the layouts that pinned tables have; 0 where their making was interrupted.
pub fn version(pins: &Pins) -> Result<u32, Error> {
    let globals: Table<Globals> = Table::open_direct(pins, "GLOBALS")?;
    Ok(globals.one().abi_version.load())
}
