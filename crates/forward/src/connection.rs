//! Connections: found, moved from state to state, ended.

use abi::{DestinationCell, Globals, Reason, Tick, destination_flags};
use conntable::{Direction, Entry as _, Found, Kind, Query, Word};
use wire::ipv4;

use crate::counters;
use crate::family::{Family, Header as _, V4, V6};
use crate::host::{Host, Tables, connections};
use crate::lookup::Role;
use crate::packet::{Packet, Ports};
use crate::state::{after_packet, is_active, is_past_handshake};
use crate::verdict::Step;

/// The question for the connection of a TCP or UDP packet.
#[inline(always)]
pub(crate) fn query_of<F: Family>(
    packet: &Packet<F>,
    ports: &Ports,
    role: Role,
) -> Query<F::Address> {
    let (source, destination) = (packet.ip.source(), packet.ip.destination());
    let (client, client_port, address, port) = match role.direction {
        Direction::ToServer => (source, ports.source, destination, ports.destination),
        Direction::ToClient => (destination, ports.destination, source, ports.source),
    };
    Query {
        client,
        client_port,
        protocol: packet.protocol,
        kind: Kind::Connection,
        end: role.end,
        address,
        port,
    }
}

/// Finds a living connection.
#[inline(always)]
pub(crate) fn find<'t, F: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    query: &Query<F::Address>,
    now: Tick,
) -> Option<Found<'t, F::Slot>> {
    let hash = F::hash(globals, query.client, query.client_port, query.protocol);
    connections::<F, T>(tables, globals).find(hash, query, now)
}

/// A destination with its number.
#[derive(Clone, Copy)]
pub(crate) struct Chosen<'t> {
    pub number: u32,
    pub cell: &'t DestinationCell,
}

impl<'t> Chosen<'t> {
    /// By number.
    #[inline(always)]
    pub fn by_number<T: Tables<'t>>(tables: T, number: u32) -> Step<Self> {
        let cell = tables.destination(number).ok_or(Reason::TableMissing)?;
        Ok(Self { number, cell })
    }

    /// Whether it is in its service now.
    #[inline(always)]
    pub fn is_available(&self) -> bool {
        self.cell.flags.load() & destination_flags::AVAILABLE != 0
    }

    /// Whether its address is one of the director's own.
    #[inline(always)]
    pub fn is_local(&self) -> bool {
        self.cell.flags.load() & destination_flags::LOCAL != 0
    }

    /// Whether its address is an IPv6 one.
    #[inline(always)]
    pub fn is_v6(&self) -> bool {
        self.cell.flags.load() & destination_flags::IPV6 != 0
    }

    /// The real server's address.
    #[inline(always)]
    pub fn address<F: Family>(&self) -> F::Address {
        F::of_cells(&self.cell.address)
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
#[inline(always)]
pub(crate) fn end<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    found: &Found<'t, F::Slot>,
) {
    let tables = host.tables();
    if let Some(died) = connections::<F, _>(tables, globals).end(found) {
        counters::settle_death::<F, _>(tables, globals, died);
    }
}

/// State of a template of which a connection got past its handshake (`IP_VS_CTPL_S_ASSURED`).
const ASSURED: u8 = 1;

/// Notes that a connection which goes by this template got past its handshake.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::assure`].
#[inline(always)]
pub fn assure<'t, T: Tables<'t>>(tables: T, template: u32, is_v6: bool) {
    let Some(globals) = tables.globals() else {
        return;
    };
    if is_v6 {
        connections::<V6, T>(tables, globals).set_state(template, ASSURED);
    } else {
        connections::<V4, T>(tables, globals).set_state(template, ASSURED);
    }
}

/// A packet of the connection's protocol moves its state and puts its death off.
#[inline(always)]
pub(crate) fn advance<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    found: &Found<'t, F::Slot>,
    (direction, protocol, flags): (Direction, u8, u8),
    now: Tick,
) {
    let next = |word: Word| after_packet(globals, protocol, flags, direction, word, now);
    let tables = host.tables();
    let Some((old, new)) = connections::<F, _>(tables, globals).update(found, next) else {
        return;
    };
    // Most packets change nothing.
    if old.is_in_state_of(new) && protocol == ipv4::TCP {
        return;
    }
    let was = is_active(protocol, old.state());
    let is = is_active(protocol, new.state());
    if was != is
        && let Some(load) = tables.load(found.entry.load().destination)
    {
        counters::state_changed(load, is);
    }
    let control = found.entry.control().load();
    if control != 0 && is_past_handshake(protocol, direction, (old, new)) {
        tables.assure(control, F::IS_V6);
    }
}
