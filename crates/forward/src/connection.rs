//! Connections: found, moved from state to state, ended.

use abi::{DestinationCell, Globals, LoadCell, Reason, Tick, hash_connection};
use conntable::{Direction, Found, Query, SlotV4, Word};

use crate::counters;
use crate::host::{Host, Tables, connections};
use crate::packet::{Packet, Ports};
use crate::state::{after_packet, is_active};
use crate::verdict::Step;

/// The question for the connection of a TCP or UDP packet.
#[inline(always)]
pub(crate) fn query_of(packet: &Packet, ports: &Ports, direction: Direction) -> Query {
    let (source, destination) = (packet.ip.source(), packet.ip.destination());
    let protocol = packet.ip.protocol();
    let (client, client_port, address, port) = match direction {
        Direction::ToServer => (source, ports.source, destination, ports.destination),
        Direction::ToClient => (destination, ports.destination, source, ports.source),
    };
    Query {
        client,
        client_port,
        protocol,
        direction,
        address,
        port,
    }
}

/// The hash of the client that a question is about.
#[inline(always)]
pub(crate) fn hash(globals: &Globals, query: &Query) -> u32 {
    let seed = globals.hash_seed.load();
    hash_connection(query.client, query.client_port, query.protocol, seed)
}

/// A question in two words: what a BPF function that is verified by itself can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Client's address, port and protocol, from the low end.
    pub client: u64,
    /// The other side's address and port, and the direction, from the low end.
    pub other: u64,
}

impl Question {
    #[inline(always)]
    pub(crate) const fn of(query: &Query) -> Self {
        let direction = matches!(query.direction, Direction::ToClient) as u64;
        Self {
            client: query.client as u64
                | (query.client_port as u64) << 32
                | (query.protocol as u64) << 48,
            other: query.address as u64 | (query.port as u64) << 32 | direction << 48,
        }
    }

    #[inline(always)]
    const fn query(self) -> Query {
        Query {
            client: self.client as u32,
            client_port: (self.client >> 32) as u16,
            protocol: (self.client >> 48) as u8,
            direction: if self.other >> 48 == 0 {
                Direction::ToServer
            } else {
                Direction::ToClient
            },
            address: self.other as u32,
            port: (self.other >> 32) as u16,
        }
    }
}

/// What [`find`] returns where there is no such connection: the handle of none.
pub(crate) const ABSENT: u64 = u64::MAX;

/// Finds a living connection: its handle's number.
///
/// A number, not an `Option` of what was found: the kernel's verifier refuses to move what `None`
/// leaves unset. Tables whose functions the kernel verifies one by one give this as
/// [`Tables::find`].
#[inline(always)]
pub fn find<'t, T: Tables<'t>>(tables: T, question: Question, now: Tick) -> u64 {
    let Some(globals) = tables.globals() else {
        return ABSENT;
    };
    let query = question.query();
    let found = connections(tables, globals).find(hash(globals, &query), &query, now);
    found.map_or(ABSENT, |found| found.handle().0)
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
