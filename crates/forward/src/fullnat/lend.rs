//! Which local address and port stand for a client.

use abi::{Globals, Reason, ServiceCell, Tick};
use cell::blurred;
use conntable::{End, Found, Handle, Kind, NO_DESTINATION, Name, NewConnection, Query, Slot as _};

use crate::connection::{self, Chosen};
use crate::family::{self, Family, V4, V6};
use crate::fullnat::{holds, tell};
use crate::further;
use crate::host::{Host, Tables, connections};
use crate::onward::UNSETTLED;
use crate::verdict::{Step, Verdict};

/// Addresses and ports that are tried for one connection. With half of all ports in use towards one
/// real server, one connection in four billion finds none; with nine tenths, one in thirty.
const TRIES: u32 = 32;
/// How far apart the tries are: odd, and far from any small fraction of 2^32.
const STRIDE: u32 = 0x9e37_79b1;
/// The first local port, and how many there are: all but the system ports (RFC 6335, section 6).
const FIRST_PORT: u32 = 1024;
const PORTS: u32 = 65536 - FIRST_PORT;

/// The stage after a connection was made: lends it a local address and port of the service that was
/// left, of family `A`, and goes on with the packet. Where nothing is left to lend, the connection ends.
#[inline(always)]
pub(crate) fn lend<'t, F: Family, A: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let own = Handle(carry.connection.load() & !UNSETTLED);
    let kept = F::settle(host.tables(), own, now, host.processor());
    carry.connection.store(kept);
    let table = connections::<F, _>(host.tables(), globals);
    let main = table.at(Handle(kept), now).ok_or(Reason::NoConnection)?;
    let service = host
        .tables()
        .service(carry.service.load())
        .ok_or(Reason::TableMissing)?;
    let Some(alias) = alias_for::<F, A, H>(host, globals, (&main, service), now) else {
        connection::end::<F, H>(host, globals, &main);
        return Err(Reason::NoLocalPort);
    };
    // Another processor that made the same connection may have lent to it, too.
    let hop = main.entry.client_hop();
    let aliases = connections::<A, _>(host.tables(), globals);
    let name = Name::of(alias.position(), F::IS_V6 != A::IS_V6);
    if !hop.compare_and_swap(Name::AWAITED.0, name.0)
        && let Some(surplus) = aliases.at(alias, now)
    {
        let _nobody_counts_it = aliases.end(&surplus);
    }
    Ok(Verdict::go_on(F::FULLNAT))
}

/// A family's part in a service's local addresses: the first's index, and how many there are.
#[inline(always)]
fn pool<F: Family>(service: &ServiceCell) -> (u32, u32) {
    let (first, v4) = (service.local_first.load(), service.locals.load());
    if F::IS_V6 {
        (first.wrapping_add(v4), service.locals_v6.load())
    } else {
        (first, v4)
    }
}

/// Makes an alias for a connection.
#[inline(always)]
fn alias_for<'t, F: Family, A: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    (main, service): (&Found<'t, F::Slot>, &ServiceCell),
    now: Tick,
) -> Option<Handle> {
    let (tables, slot) = (host.tables(), main.entry);
    let (protocol, destination) = (slot.protocol(), slot.destination());
    let (first, count) = pool::<A>(service);
    if count == 0 {
        return None;
    }
    let port = Chosen::by_number(tables, destination).ok()?.port();
    let to_port = (slot.destination_port(port) as u32) << 16;
    let mut number = F::hash(globals, slot.client(), slot.client_port(), protocol);
    for _ in 0..TRIES {
        number = blurred(number.wrapping_add(STRIDE), now);
        let local = first.wrapping_add(number % count);
        let port = ((FIRST_PORT + number / count % PORTS) as u16).to_be();
        let ports = port as u32 | to_port;
        if !tables.is_lent(local, ports, destination, protocol, now) {
            return take::<F, A, H>(host, globals, (main, local, ports), now);
        }
    }
    None
}

/// Whether a local port is in use towards a destination, `local` being the index of the local
/// address, and `ports` the local port (low half) and the real server's, in network order. That of
/// a connection that is gone is not, from now on.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::is_lent`].
#[inline(always)]
pub fn is_lent<'t, T: Tables<'t>>(
    tables: T,
    local: u32,
    ports: u32,
    destination: u32,
    protocol: u8,
    now: Tick,
) -> bool {
    let Ok(chosen) = Chosen::by_number(tables, destination) else {
        return true;
    };
    let is_lent = if chosen.is_v6() {
        is_lent_of::<V6, T>(tables, &chosen, (local, ports), protocol, now)
    } else {
        is_lent_of::<V4, T>(tables, &chosen, (local, ports), protocol, now)
    };
    is_lent.unwrap_or(true)
}

#[inline(always)]
fn is_lent_of<'t, F: Family, T: Tables<'t>>(
    tables: T,
    chosen: &Chosen<'t>,
    (local, ports): (u32, u32),
    protocol: u8,
    now: Tick,
) -> Option<bool> {
    let globals = tables.globals()?;
    let query = query_for::<F, T>(tables, chosen, (local, ports), protocol)?;
    let hash = F::hash(globals, query.client, query.client_port, protocol);
    let table = connections::<F, T>(tables, globals);
    let Some(found) = table.find(hash, &query, now) else {
        return Some(false);
    };
    let main = (Name(found.entry.client_hop().load()), found.position);
    let is_held = holds::<F, T>(tables, globals, main, now);
    // Whoever else ends it takes the port.
    Some(is_held || table.end(&found).is_none())
}

/// The question for the alias of a local port towards a destination.
#[inline(always)]
fn query_for<'t, F: Family, T: Tables<'t>>(
    tables: T,
    chosen: &Chosen<'t>,
    (local, ports): (u32, u32),
    protocol: u8,
) -> Option<Query<F::Address>> {
    Some(Query {
        client: F::of_cells(&tables.local(local)?.address),
        client_port: ports as u16,
        protocol,
        kind: Kind::Alias,
        end: End::Virtual,
        address: chosen.address::<F>(),
        port: (ports >> 16) as u16,
    })
}

/// Takes a local port: makes the alias.
#[inline(always)]
fn take<'t, F: Family, A: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    (main, local, ports): (&Found<'t, F::Slot>, u32, u32),
    now: Tick,
) -> Option<Handle> {
    let tables = host.tables();
    let chosen = Chosen::by_number(tables, main.entry.destination()).ok()?;
    let protocol = main.entry.protocol();
    let query = query_for::<A, _>(tables, &chosen, (local, ports), protocol)?;
    let hash = A::hash(globals, query.client, query.client_port, protocol);
    let table = connections::<A, _>(tables, globals);
    let claimed = further::claim::<A, H>(host, globals, hash, now)?;
    claimed.entry.write(&NewConnection {
        client: query.client,
        client_port: query.client_port,
        virtual_address: query.address,
        virtual_port: query.port,
        keeps_port: true,
        protocol,
        method: abi::method::FULLNAT,
        kind: Kind::Alias,
        // It counts for nobody: its connection does.
        destination: NO_DESTINATION,
        control: 0,
        client_hop: Name::of(main.position, F::IS_V6 != A::IS_V6).0,
    });
    let flags = host.carry()?.flags.load();
    let state = tell::state_for(&chosen, protocol, flags);
    let word = table.publish(&claimed, state, false, table.alias_expiry(now))?;
    let own = Handle::new(claimed.position, word.epoch());
    // Two processors may have found the same port free: the one that loses lends nothing.
    let kept = A::settle(tables, own, now, host.processor());
    (kept == own.0).then_some(own)
}
