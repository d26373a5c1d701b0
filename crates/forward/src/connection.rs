//! Connections: found, moved from state to state, ended.

use abi::{DestinationCell, Globals, LoadCell, Reason, Tick, hash_connection};
use conntable::{Direction, Found, Query, SlotV4, Word};

use crate::counters;
use crate::host::{Host, Tables, connections};
use crate::packet::{Packet, Ports};
use crate::state::{after_packet, is_active};
use crate::verdict::Step;

/// A packet's question to the table, and its hash.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub query: Query,
    pub hash: u32,
}

impl Asked {
    /// For a TCP or UDP packet.
    #[inline(always)]
    pub fn of(globals: &Globals, packet: &Packet, ports: &Ports, direction: Direction) -> Self {
        let (source, destination) = (packet.ip.source(), packet.ip.destination());
        let protocol = packet.ip.protocol();
        let (client, client_port, address, port) = match direction {
            Direction::ToServer => (source, ports.source, destination, ports.destination),
            Direction::ToClient => (destination, ports.destination, source, ports.source),
        };
        Self::new(globals, Query { client, client_port, protocol, direction, address, port })
    }

    /// For any query.
    #[inline(always)]
    pub fn new(globals: &Globals, query: Query) -> Self {
        let seed = globals.hash_seed.load();
        let hash = hash_connection(query.client, query.client_port, query.protocol, seed);
        Self { query, hash }
    }

    /// The living connection.
    #[inline(always)]
    pub fn find<'t, T: Tables<'t>>(
        &self,
        tables: T,
        globals: &Globals,
        now: Tick,
    ) -> Option<Found<'t, SlotV4>> {
        connections(tables, globals).find(self.hash, &self.query, now)
    }
}

/// A destination with its number and load.
#[derive(Clone, Copy)]
pub(crate) struct Chosen<'t> {
    pub number: u32,
    pub cell: &'t DestinationCell,
    pub load: &'t LoadCell,
}

impl<'t> Chosen<'t> {
    /// By number.
    #[inline(always)]
    pub fn by_number<T: Tables<'t>>(tables: T, number: u32) -> Step<Self> {
        let cell = tables.destination(number).ok_or(Reason::TableMissing)?;
        let load = tables.load(number).ok_or(Reason::TableMissing)?;
        Ok(Self { number, cell, load })
    }

    /// The real server's address.
    #[inline(always)]
    pub fn address(&self) -> u32 {
        self.cell.address.load()
    }

    /// The real server's port.
    #[inline(always)]
    pub fn port(&self) -> u16 {
        self.cell.port_method.load() as u16
    }

    /// The forwarding method's number.
    #[inline(always)]
    pub fn method(&self) -> u8 {
        (self.cell.port_method.load() >> 16) as u8
    }
}

/// Ends a connection before its time.
#[inline(never)]
pub(crate) fn end<'t, H: Host<'t>>(host: &H, found: &Found<'t, SlotV4>) {
    let tables = host.tables();
    let Some(globals) = tables.globals() else {
        return;
    };
    if let Some(died) = connections(tables, globals).end(found) {
        counters::settle_death(tables, died);
    }
}

/// A packet moves its connection's state and puts its death off.
#[inline(always)]
pub(crate) fn advance<'t, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    found: &Found<'t, SlotV4>,
    load: &LoadCell,
    direction: Direction,
    flags: u8,
) {
    let now = host.now(globals);
    let protocol = found.entry.protocol();
    let next = |word: Word| after_packet(globals, protocol, flags, direction, word, now);
    if let Some((old, new)) = connections(host.tables(), globals).update(found, next) {
        let was = is_active(protocol, old.state());
        counters::state_changed(load, was, is_active(protocol, new.state()));
    }
}
