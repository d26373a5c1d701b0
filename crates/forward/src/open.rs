//! Packets to a virtual service that may open a connection.

use abi::{Globals, Reason, Scheduling, Stage, Tick, method};
use conntable::{
    Claim, Direction, End, Entry as _, Found, Handle, Kind, NewConnection, Query, Slot as _, Word,
};
use wire::{ipv4, tcp};

use crate::connection::{self, Chosen, find, query_of};
use crate::counters;
use crate::family::{self, Family, V4, V6};
use crate::fragment;
use crate::host::{Host, Tables, connections};
use crate::lookup::{self, TO_SERVICE};
use crate::onward::hand_over;
use crate::packet::{Fragment, Packet, Ports};
use crate::state::{after_packet, is_active, is_reusable};
use crate::verdict::{Step, Verdict};

/// Ticks for which a claimed slot that nobody publishes stays taken.
const CLAIM_TICKS: Tick = 1000;

/// The stage: a TCP segment or UDP datagram to a virtual address, with or without connection.
#[inline(always)]
pub(crate) fn open<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let ports = packet.ports(host)?;
    let query = query_of(&packet, &ports, TO_SERVICE);
    if let Some(found) = find::<F, _>(host.tables(), globals, &query, now)
        && !is_over::<F, H>(host, globals, &found, &ports)
    {
        return hand_over::<F, H>(host, found.handle().0, TO_SERVICE);
    }
    match enquire::<F, H>(host, globals, &query, (&ports, now)) {
        Err(reason) if packet.fragment == Fragment::FIRST && reason.is_pass() => {
            fragment::remember_pass(host, &packet, now);
            Err(reason)
        }
        result => result,
    }
}

/// Ends a connection where a client's packet opens it anew, or where the destination is gone and
/// `expire_nodest_conn` says to forget it. Whether it did.
#[inline(always)]
fn is_over<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    found: &Found<'t, F::Slot>,
    ports: &Ports,
) -> bool {
    let opens = ports.flags & tcp::SYN != 0;
    let forgets = globals.expire_nodest_conn.load() != 0;
    let word = found.word;
    let opens_anew =
        opens && is_reusable(globals.conn_reuse_mode.load(), word.state(), word.one_way());
    if opens_anew {
        host.count(Reason::ConnectionReused);
    }
    let is_over = opens_anew || forgets && !is_available::<F, H>(host, found);
    if is_over {
        connection::end::<F, H>(host, globals, found);
    }
    is_over
}

#[inline(always)]
fn is_available<'t, F: Family, H: Host<'t>>(host: &H, found: &Found<'t, F::Slot>) -> bool {
    Chosen::by_number(host.tables(), found.entry.load().destination)
        .is_ok_and(|chosen| chosen.is_available())
}

/// Finds the service, and leaves to the scheduler what it may go by.
#[inline(always)]
fn enquire<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    query: &Query<F::Address>,
    (ports, now): (&Ports, Tick),
) -> Step<Verdict> {
    let key = abi::ServiceCell::key(query.port, query.protocol, F::IS_V6);
    let address = F::words(query.address);
    let (cell, index) =
        lookup::service(host.tables(), globals, address, key).ok_or(Reason::NoService)?;
    if query.protocol == ipv4::TCP && !opens(globals, ports.flags) {
        return Err(Reason::NotSyn);
    }
    if cell.scheduling.load() == Scheduling::NotBuilt as u32 {
        return Err(Reason::SchedulerNotBuilt);
    }
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let client = F::words(query.client);
    for word in 0..4 {
        carry.client[word].store(client[word]);
        carry.virtual_address[word].store(address[word]);
    }
    carry.client_port.store(query.client_port as u32);
    carry.now.store(now);
    carry.service.store(index);
    carry.asked.store(0);
    carry.is_v6.store(F::IS_V6 as u32);
    Ok(Verdict::go_on(Stage::Schedule))
}

/// Whether a segment without connection opens one.
#[inline(always)]
fn opens(globals: &Globals, flags: u8) -> bool {
    if flags & tcp::RST != 0 {
        return false;
    }
    flags & tcp::SYN != 0 || globals.sloppy_tcp.load() != 0
}

/// The stage after the scheduler's: makes a connection to the destination that it chose.
///
/// The scheduler is asked once more where the reply's way would be ambiguous: another virtual
/// service already maps this client port to the same real server's port.
#[inline(always)]
pub(crate) fn make<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let ports = packet.ports(host)?;
    let query = query_of(&packet, &ports, TO_SERVICE);
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let chosen = Chosen::by_number(host.tables(), carry.destination.load())?;
    if is_ambiguous::<F, H>(host, globals, &query, &chosen, now) && carry.asked.load() < 2 {
        host.count(Reason::AmbiguousReply);
        return Ok(Verdict::go_on(Stage::Schedule));
    }
    let handle = entry::<F, H>(host, globals, (&query, &chosen), (&ports, now))?;
    hand_over::<F, H>(host, handle, TO_SERVICE)
}

/// Makes the connection's entry and gives its handle's number.
#[inline(always)]
fn entry<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    (query, chosen): (&Query<F::Address>, &Chosen<'t>),
    (ports, now): (&Ports, Tick),
) -> Step<u64> {
    let (tables, processor) = (host.tables(), host.processor());
    let hash = F::hash(globals, query.client, query.client_port, query.protocol);
    let table = connections::<F, _>(tables, globals);
    let Claim::Slot(claimed, died) = table.claim(hash, now, now.wrapping_add(CLAIM_TICKS)) else {
        return Err(Reason::TableFull);
    };
    if let Some(died) = died {
        host.count(Reason::Expired);
        counters::settle_death(tables, died);
    }
    if claimed.second {
        host.count(Reason::SecondBucket);
    }
    let method = chosen.method();
    claimed.entry.write(&NewConnection {
        client: query.client,
        client_port: query.client_port,
        virtual_address: query.address,
        virtual_port: query.port,
        destination_address: chosen.address::<F>(),
        destination_port: chosen.port(),
        protocol: query.protocol,
        method,
        kind: Kind::Connection,
        destination: chosen.number,
    });
    let born = Word::default().moved(0, method != method::MASQUERADE, 0);
    let event = Direction::ToServer;
    let first = after_packet(globals, query.protocol, ports.flags, event, born, now);
    let word = table
        .publish(&claimed, first.state(), first.one_way(), first.expiry())
        .ok_or(Reason::TableFull)?;
    let active = is_active(query.protocol, first.state());
    counters::connection_made(chosen.cell, chosen.load, active);
    counters::scheduled(tables, processor, globals, chosen);
    let own = Handle::new(claimed.position, word.epoch());
    Ok(F::settle(tables, own, now, processor))
}

#[inline(always)]
fn is_ambiguous<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    query: &Query<F::Address>,
    chosen: &Chosen<'t>,
    now: Tick,
) -> bool {
    let reply = Query {
        end: End::Server,
        address: chosen.address::<F>(),
        port: chosen.port(),
        ..*query
    };
    chosen.method() == method::MASQUERADE
        && find::<F, _>(host.tables(), globals, &reply, now).is_some()
}

/// Leaves one of the entries that several processors made for one connection at once, of which
/// `own` is one: its handle's number.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::settle`].
#[inline(always)]
pub fn settle<'t, T: Tables<'t>>(tables: T, own: Handle, now: Tick, processor: u32) -> u64 {
    try_settle::<V4, T>(tables, own, now, processor).map_or(own.0, |kept| kept.0)
}

/// As [`settle`], for IPv6.
#[inline(always)]
pub fn settle_v6<'t, T: Tables<'t>>(tables: T, own: Handle, now: Tick, processor: u32) -> u64 {
    try_settle::<V6, T>(tables, own, now, processor).map_or(own.0, |kept| kept.0)
}

#[inline(always)]
fn try_settle<'t, F: Family, T: Tables<'t>>(
    tables: T,
    own: Handle,
    now: Tick,
    processor: u32,
) -> Option<Handle> {
    let globals = tables.globals()?;
    let table = connections::<F, T>(tables, globals);
    let own = table.at(own, now)?;
    let (client, port) = (own.entry.client(), own.entry.client_port());
    let hash = F::hash(globals, client, port, own.entry.load().protocol);
    let kept = table.settle(hash, own, now, |lost| {
        tables.count(processor, Reason::LostRace as u32);
        counters::settle_death(tables, lost);
    });
    Some(kept.handle())
}
