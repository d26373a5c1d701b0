//! All tables that are mapped into memory.

use abi::{
    AddressCell, Block, DestinationCell, Globals, InterfaceCell, LoadCell, Member, NextHopCell,
    ReasonCounters, Runtime, ServiceCell, ServiceRuntime, StatsCell, View,
};
use conntable::{BUCKET_SLOTS, Bucket, SlotV4};
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
    services: Table<ServiceCell>,
    service_runtime: Table<ServiceRuntime>,
    members: Table<Member>,
    blocks: Table<Block>,
    destinations: Table<DestinationCell>,
    loads: Table<LoadCell>,
    next_hops: Table<NextHopCell>,
    interfaces: Table<InterfaceCell>,
    stats: Table<StatsCell>,
    reasons: Table<ReasonCounters>,
    connections: Table<Bucket<SlotV4>>,
}

impl Tables {
    /// Maps them from their pins.
    pub fn open(pins: &Pins) -> Result<Self, Error> {
        Ok(Self {
            globals: Table::open(pins, "GLOBALS")?,
            runtime: Table::open(pins, "RUNTIME")?,
            addresses: Table::open(pins, "ADDRESSES")?,
            services: Table::open(pins, "SERVICES")?,
            service_runtime: Table::open(pins, "SERVICE_RUNTIME")?,
            members: Table::open(pins, "MEMBERS")?,
            blocks: Table::open(pins, "BLOCKS")?,
            destinations: Table::open(pins, "DESTINATIONS")?,
            loads: Table::open(pins, "LOADS")?,
            next_hops: Table::open(pins, "NEXT_HOPS")?,
            interfaces: Table::open(pins, "INTERFACES")?,
            stats: Table::open(pins, "STATS")?,
            reasons: Table::open(pins, "REASONS")?,
            connections: Table::open(pins, "CONNECTIONS")?,
        })
    }

    /// All but the connections, as slices.
    pub fn view(&self) -> View<'_> {
        View {
            globals: self.globals.one(),
            runtime: self.runtime.one(),
            addresses: self.addresses.all(),
            services: self.services.all(),
            service_runtime: self.service_runtime.all(),
            members: self.members.all(),
            blocks: self.blocks.all(),
            destinations: self.destinations.all(),
            loads: self.loads.all(),
            next_hops: self.next_hops.all(),
            interfaces: self.interfaces.all(),
            stats: self.stats.all(),
            reasons: self.reasons.all(),
        }
    }

    /// The connections.
    pub fn connections(&self) -> &[Bucket<SlotV4>] {
        self.connections.all()
    }

    /// The sizes that they were made with.
    pub fn sizes(&self) -> Sizes {
        let view = self.view();
        Sizes {
            connections: (self.connections().len() * BUCKET_SLOTS) as u32,
            services: view.service_runtime.len() as u32,
            destinations: view.destinations.len() as u32,
            members: view.members.len() as u32,
            blocks: view.blocks.len() as u32,
            next_hops: view.next_hops.len() as u32,
            processors: view.reasons.len() as u32,
        }
    }
}

/// The version of the layouts that pinned tables have; 0 where their making was interrupted.
pub fn version(pins: &Pins) -> Result<u32, Error> {
    let globals: Table<Globals> = Table::open(pins, "GLOBALS")?;
    Ok(globals.one().abi_version.load())
}
