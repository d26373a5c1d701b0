//! Connections, made: their entry, and which stays where several processors made one.

use abi::{Globals, Reason, Stage, Tick, method};
use conntable::{
    Direction, End, Entry as _, Found, Handle, Kind, NewConnection, Query, Slot as _, Word,
};

use crate::connection::Chosen;
use crate::counters;
use crate::family::{self, Family, V4, V6};
use crate::fullnat;
use crate::further;
use crate::host::{Host, Tables, connections};
use crate::lookup::TO_SERVICE;
use crate::onward::{UNSETTLED, hand_over};
use crate::opening::Opening;
use crate::relay;
use crate::state::{after_packet, is_active, is_past_handshake};
use crate::verdict::{Step, Verdict};

/// Seconds for which a connection lasts that an ICMP error made, unless its own packets come
/// (`ip_vs_conn_new`).
const QUOTED_SECONDS: u32 = 3;

/// The stage after the scheduler's: makes a connection to the destination that it chose.
#[inline(always)]
pub(crate) fn make<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, _) = family::globals(host)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let opening = Opening::carried::<F>(globals, carry);
    let chosen = Chosen::by_number(host.tables(), carry.destination.load())?;
    let service = host
        .tables()
        .service(carry.service.load())
        .ok_or(Reason::TableMissing)?;
    let new = opening.with::<F>(service, &chosen);
    let may_choose = opening.control == 0 && carry.asked.load() < 2;
    if may_choose && is_ambiguous::<F, H>(host, globals, (&new, &chosen), &opening) {
        return Ok(Verdict::go_on(Stage::Schedule));
    }
    let is_quoted = H::COMPLETE && opening.is_quoted;
    // Its translation goes by a local address, and there is none yet.
    if is_quoted && new.method == method::FULLNAT {
        return Err(Reason::IcmpOther);
    }
    let made = entry::<F, H>(host, globals, (&opening, &new, &chosen))?;
    if is_quoted {
        return Ok(relay::hand_over::<F>(carry, made.number(), TO_SERVICE));
    }
    leave::<F, H>(host, &chosen, (new.method, made.number()))
}

/// Leaves a packet to what goes by its new connection, of which the handle's number is given.
#[inline(always)]
pub(crate) fn leave<'t, F: Family, H: Host<'t>>(
    host: &H,
    chosen: &Chosen<'t>,
    (method, handle): (u8, u64),
) -> Step<Verdict> {
    if method == method::FULLNAT {
        return fullnat::borrow::<F, H>(host, chosen, handle);
    }
    hand_over::<F, H>(host, handle, TO_SERVICE)
}

/// A connection that was just made.
pub(crate) struct Made<'t, E> {
    pub entry: Found<'t, E>,
    /// Whether others may have made the same connection.
    pub is_unsettled: bool,
}

impl<E> Made<'_, E> {
    /// Its handle's number, with [`UNSETTLED`].
    #[inline(always)]
    pub const fn number(&self) -> u64 {
        self.entry.handle().0 | (self.is_unsettled as u64) << UNSETTLED.trailing_zeros()
    }
}

/// Makes the connection's entry.
#[inline(always)]
pub(crate) fn entry<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    (opening, new, chosen): (
        &Opening<F::Address>,
        &NewConnection<F::Address>,
        &Chosen<'t>,
    ),
) -> Step<Made<'t, F::Slot>> {
    let (tables, processor) = (host.tables(), host.processor());
    let (hash, now) = (opening.hash, opening.now);
    let table = connections::<F, _>(tables, globals);
    let claimed = further::claim::<F, H>(host, globals, hash, now).ok_or(Reason::TableFull)?;
    claimed.entry.write(new);
    let born = Word::default().moved(0, fullnat::is_one_way(new.method), 0);
    let event = Direction::ToServer;
    let first = if opening.is_quoted {
        let lasts = QUOTED_SECONDS * globals.ticks_per_second.load();
        born.moved(born.state(), born.one_way(), now.wrapping_add(lasts))
    } else {
        after_packet(globals, new.protocol, opening.flags, event, born, now)
    };
    // First, as the connection may end as soon as others see it.
    if new.control != 0 {
        table.hold(new.control);
    }
    let published = table.publish(&claimed, first.state(), first.one_way(), first.expiry());
    let Some(word) = published else {
        table.release(new.control);
        return Err(Reason::TableFull);
    };
    // Sloppy TCP takes over connections that were established elsewhere.
    if new.control != 0 && is_past_handshake(new.protocol, event, (born, first)) {
        tables.assure(new.control, F::IS_V6);
    }
    counters::scheduled(tables, processor, globals, chosen);
    let entry = Found {
        entry: claimed.entry,
        word,
        position: claimed.position,
    };
    if new.kind == Kind::OnePacket {
        return Ok(Made {
            entry,
            is_unsettled: false,
        });
    }
    let active = is_active(new.protocol, first.state());
    if let Some(load) = tables.load(chosen.number) {
        counters::connection_made(chosen.cell, load, active);
    }
    let is_unsettled = !table.is_alone(hash, &entry);
    Ok(Made {
        entry,
        is_unsettled,
    })
}

/// Whether the reply's way would be ambiguous: another virtual service already maps this client port
/// to the same real server's port. Then the scheduler is asked once more.
#[inline(always)]
pub(crate) fn is_ambiguous<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    (new, chosen): (&NewConnection<F::Address>, &Chosen<'t>),
    opening: &Opening<F::Address>,
) -> bool {
    let reply = Query {
        client: new.client,
        client_port: new.client_port,
        protocol: new.protocol,
        kind: Kind::Connection,
        end: End::Server,
        address: chosen.address::<F>(),
        port: new.destination_port(chosen.port()),
    };
    let table = connections::<F, _>(host.tables(), globals);
    let is_ambiguous =
        new.method == method::MASQUERADE && table.find(opening.hash, &reply, opening.now).is_some();
    if is_ambiguous {
        host.count(Reason::AmbiguousReply);
    }
    is_ambiguous
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
        counters::settle_death::<F, T>(tables, globals, lost);
    });
    Some(kept.handle())
}
