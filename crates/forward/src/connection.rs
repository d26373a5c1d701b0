//! Connections: found, made, ended.

use abi::{DestinationCell, Globals, LoadCell, NONE, Reason, Scheduling, Tick, hash_connection, method};
use conntable::{Claim, Direction, Found, NewConnection, Query, SlotV4, Word};

use crate::counters;
use crate::host::{Host, Tables, connections};
use crate::packet::{Packet, Ports};
use crate::state::{after_packet, is_active};
use crate::verdict::Step;

/// Ticks for which a claimed slot that nobody publishes stays taken.
const CLAIM_TICKS: Tick = 1000;

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

    #[inline(always)]
    fn address(&self) -> u32 {
        self.cell.address.load()
    }

    #[inline(always)]
    fn port(&self) -> u16 {
        self.cell.port_method.load() as u16
    }

    #[inline(always)]
    fn method(&self) -> u8 {
        (self.cell.port_method.load() >> 16) as u8
    }
}

/// Asks the scheduler of a service (by its cell's index) for a destination's number. Asks once more
/// where the reply's way would be ambiguous: another virtual service already maps this client port
/// to the same real server's port.
#[inline(always)]
pub(crate) fn choose<'t, H: Host<'t>>(host: &H, asked: &Asked, service: u32) -> Step<u32> {
    let tables = host.tables();
    let cell = tables.service(service).ok_or(Reason::TableMissing)?;
    if cell.scheduling.load() == Scheduling::NotBuilt as u32 {
        return Err(Reason::SchedulerNotBuilt);
    }
    let number = tables.pick(service);
    if number == NONE {
        return Err(Reason::NoDestination);
    }
    let chosen = Chosen::by_number(tables, number)?;
    if chosen.method() != method::MASQUERADE {
        return Err(Reason::MethodNotBuilt);
    }
    if !is_ambiguous(host, asked, chosen.address(), chosen.port()) {
        return Ok(number);
    }
    host.count(Reason::AmbiguousReply);
    match tables.pick(service) {
        NONE => Ok(number),
        other => Ok(other),
    }
}

/// Whether a reply of this real server's port to the client would be taken for another
/// connection's.
#[inline(never)]
fn is_ambiguous<'t, H: Host<'t>>(host: &H, asked: &Asked, address: u32, port: u16) -> bool {
    let tables = host.tables();
    let Some(globals) = tables.globals() else {
        return false;
    };
    let reply = Query { direction: Direction::ToClient, address, port, ..asked.query };
    connections(tables, globals).find(asked.hash, &reply, host.now(globals)).is_some()
}

/// Makes a connection to the destination of a number, in the state that its first packet gives it.
#[inline(always)]
pub(crate) fn make<'t, H: Host<'t>>(
    host: &H,
    asked: &Asked,
    service: u32,
    number: u32,
    flags: u8,
) -> Step<()> {
    match make_or_why(host, asked, service, number, flags) {
        MADE => Ok(()),
        FULL => Err(Reason::TableFull),
        _ => Err(Reason::TableMissing),
    }
}

const MADE: u32 = 0;
const FULL: u32 = 1;
const MISSING: u32 = 2;

/// [`make`], in the form that a BPF function can return.
#[inline(never)]
fn make_or_why<'t, H: Host<'t>>(
    host: &H,
    asked: &Asked,
    service: u32,
    number: u32,
    flags: u8,
) -> u32 {
    match try_make(host, asked, service, number, flags) {
        Ok(()) => MADE,
        Err(Reason::TableFull) => FULL,
        Err(_) => MISSING,
    }
}

#[inline(always)]
fn try_make<'t, H: Host<'t>>(
    host: &H,
    asked: &Asked,
    service: u32,
    number: u32,
    flags: u8,
) -> Step<()> {
    let tables = host.tables();
    let globals = tables.globals().ok_or(Reason::TableMissing)?;
    let service = tables.service(service).ok_or(Reason::TableMissing)?;
    let chosen = Chosen::by_number(tables, number)?;
    let now = host.now(globals);
    let table = connections(tables, globals);
    let Claim::Slot(claimed, died) = table.claim(asked.hash, now, now.wrapping_add(CLAIM_TICKS))
    else {
        return Err(Reason::TableFull);
    };
    if let Some(died) = died {
        host.count(Reason::Expired);
        counters::settle_death(tables, died);
    }
    if claimed.second {
        host.count(Reason::SecondBucket);
    }
    let query = asked.query;
    claimed.entry.write(&NewConnection {
        client: query.client,
        client_port: query.client_port,
        virtual_address: query.address,
        virtual_port: query.port,
        destination_address: chosen.address(),
        destination_port: chosen.port(),
        protocol: query.protocol,
        method: chosen.method(),
        service: service.number.load(),
        destination: chosen.number,
    });
    let one_way = chosen.method() != method::MASQUERADE;
    let born = Word::default().moved(0, one_way, 0);
    let first = after_packet(globals, query.protocol, flags, Direction::ToServer, born, now);
    let word = table
        .publish(&claimed, first.state(), first.one_way(), first.expiry())
        .ok_or(Reason::TableFull)?;
    let active = is_active(query.protocol, first.state());
    counters::connection_made(chosen.cell, chosen.load, active);
    counters::scheduled(host, globals, chosen.cell, chosen.number);

    let own = Found { entry: claimed.entry, word, position: claimed.position };
    table.settle(asked.hash, &query, own, now, |lost| {
        host.count(Reason::LostRace);
        counters::settle_death(tables, lost);
    });
    Ok(())
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
    asked: &Asked,
    flags: u8,
) {
    let now = host.now(globals);
    let (protocol, direction) = (asked.query.protocol, asked.query.direction);
    let next = |word: Word| after_packet(globals, protocol, flags, direction, word, now);
    if let Some((old, new)) = connections(host.tables(), globals).update(found, next) {
        let was = is_active(protocol, old.state());
        counters::state_changed(load, was, is_active(protocol, new.state()));
    }
}
