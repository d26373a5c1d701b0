//! Where connections are found, and given room, that are not where a search begins.
//!
//! Most are. The others are worth a function call, which the kernel verifies by itself.

use abi::{Carry, Globals, Reason, Tick};
use conntable::{Claim, Claimed, Crowding, Found, Handle, Query, Question, Table};

use crate::counters::settle_death;
use crate::family::{Family, V4, V6};
use crate::host::{Connections, Host, Tables, connections};

/// Ticks for which a claimed slot that nobody publishes stays taken.
const CLAIM_TICKS: Tick = 1000;

/// After so many connections in a row without a place, a processor takes the table for full, and looks
/// for room once a tick: the look at all places where a connection may be is dear, and most of the
/// packets that find a table full are somebody's flood.
const FULL_AFTER: u32 = 16;

/// No handle's number.
const NOWHERE: u64 = u64::MAX;

/// Takes a slot for a new connection.
#[inline(always)]
pub(crate) fn claim<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    hash: u32,
    now: Tick,
) -> Option<Claimed<'t, F::Slot>> {
    let tables = host.tables();
    let table = connections::<F, _>(tables, globals);
    let times = (now, now.wrapping_add(CLAIM_TICKS));
    let crowding = Crowding(&host.carry()?.crowding[F::IS_V6 as usize]);
    let Claim::Slot(claimed, died) = table.claim(hash, times, crowding) else {
        return None;
    };
    if let Some(died) = died {
        host.count(Reason::Expired);
        settle_death::<F, _>(tables, globals, died);
    }
    Some(claimed)
}

/// The handle's number of the connection that [`ask`] left the question for, behind its home
/// bucket; [`NOWHERE`] where there is none.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::find_far`].
#[inline(always)]
pub fn find_far<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u64 {
    try_find::<V4, T>(tables, hash, now).map_or(NOWHERE, |handle| handle.0)
}

/// As [`find_far`], for IPv6.
#[inline(always)]
pub fn find_far_v6<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u64 {
    try_find::<V6, T>(tables, hash, now).map_or(NOWHERE, |handle| handle.0)
}

#[inline(always)]
fn try_find<'t, F: Family, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> Option<Handle> {
    let globals = tables.globals()?;
    let question = Asked(tables.carry(tables.processor())?);
    let found = connections::<F, T>(tables, globals).find_far(hash, &question, now)?;
    Some(found.handle())
}

/// [`Table::roomiest`]; the home bucket where there is no table.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::roomiest`].
#[inline(always)]
pub fn roomiest<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u32 {
    roomiest_of::<V4, T>(tables, hash, now)
}

/// As [`roomiest`], for IPv6.
#[inline(always)]
pub fn roomiest_v6<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u32 {
    roomiest_of::<V6, T>(tables, hash, now)
}

#[inline(always)]
fn roomiest_of<'t, F: Family, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u32 {
    tables.globals().map_or(0, |globals| {
        connections::<F, T>(tables, globals).roomiest(hash, now)
    })
}

/// The handle's number of a slot for a new connection, claimed in time, where the one at which
/// searches begin is somebody's: from bucket number `first` on. [`NOWHERE`] where there is no room.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::claim_from`].
#[inline(always)]
pub fn claim_from<'t, T: Tables<'t>>(tables: T, hash: u32, times: (Tick, Tick), first: u32) -> u64 {
    try_claim::<V4, T>(tables, hash, times, first).map_or(NOWHERE, |handle| handle.0)
}

/// As [`claim_from`], for IPv6.
#[inline(always)]
pub fn claim_from_v6<'t, T: Tables<'t>>(
    tables: T,
    hash: u32,
    times: (Tick, Tick),
    first: u32,
) -> u64 {
    try_claim::<V6, T>(tables, hash, times, first).map_or(NOWHERE, |handle| handle.0)
}

#[inline(always)]
fn try_claim<'t, F: Family, T: Tables<'t>>(
    tables: T,
    hash: u32,
    times: (Tick, Tick),
    first: u32,
) -> Option<Handle> {
    let (globals, processor) = (tables.globals()?, tables.processor());
    let table = connections::<F, T>(tables, globals);
    let Claim::Slot(claimed, died) = table.claim_from(hash, times, first) else {
        return None;
    };
    if let Some(died) = died {
        tables.count(processor, Reason::Expired as u32);
        settle_death::<F, T>(tables, globals, died);
    }
    if claimed.position.bucket != table.home(hash) {
        tables.count(processor, Reason::OtherBucket as u32);
    }
    Some(claimed.handle())
}

/// Leaves the question for [`find_far`].
#[inline(always)]
fn ask<F: Family>(carry: &Carry, query: &Query<F::Address>) {
    let (client, address) = (F::words(query.client), F::words(query.address));
    let words = if F::IS_V6 { 4 } else { 1 };
    for word in 0..words {
        carry.asked_client[word].store(client[word]);
        carry.asked_address[word].store(address[word]);
    }
    carry.asked_ports.store(query.ports());
    let what = query.protocol as u32 | (query.kind as u32) << 8 | (query.end as u32) << 10;
    carry.asked_kind.store(what);
}

/// The question that [`ask`] left.
struct Asked<'c>(&'c Carry);

impl Question for Asked<'_> {
    #[inline(always)]
    fn client(&self, word: usize) -> u32 {
        self.0.asked_client[word].load()
    }

    #[inline(always)]
    fn address(&self, word: usize) -> u32 {
        self.0.asked_address[word].load()
    }

    #[inline(always)]
    fn ports(&self) -> u32 {
        self.0.asked_ports.load()
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        self.0.asked_kind.load() as u8
    }

    #[inline(always)]
    fn kind(&self) -> u32 {
        self.0.asked_kind.load() >> 8 & 3
    }

    #[inline(always)]
    fn end(&self) -> u32 {
        self.0.asked_kind.load() >> 10 & 1
    }
}

/// [`find_far`] for a family's table.
#[inline(always)]
pub(crate) fn found_far<'t, F: Family, T: Tables<'t>>(
    table: &Table<Connections<F, T>>,
    hash: u32,
    query: &Query<F::Address>,
    now: Tick,
) -> Option<Found<'t, F::Slot>> {
    let tables = table.buckets().0;
    ask::<F>(tables.carry(tables.processor())?, query);
    match F::find_far(tables, hash, now) {
        NOWHERE => None,
        number => table.held_at(Handle(number)),
    }
}

/// A slot for a new connection where the one at which searches begin is somebody's.
#[inline(always)]
pub(crate) fn claimed_further<'t, F: Family, T: Tables<'t>>(
    table: &Table<Connections<F, T>>,
    hash: u32,
    times: (Tick, Tick),
) -> Claim<'t, F::Slot> {
    let tables = table.buckets().0;
    let Some(carry) = tables.carry(tables.processor()) else {
        return Claim::Full;
    };
    let family = F::IS_V6 as usize;
    let (refused, at) = (&carry.refused[family], &carry.refused_at[family]);
    if refused.load() >= FULL_AFTER && at.load() == times.0 {
        return Claim::Full;
    }
    let first = F::roomiest(tables, hash, times.0);
    let number = F::claim_from(tables, hash, times, first);
    if number == NOWHERE {
        refused.store(refused.load() + 1);
        at.store(times.0);
    } else {
        refused.store(0);
    }
    // What died in the slot is settled already.
    match table.claimed_at(Handle(number)) {
        Some(claimed) if number != NOWHERE => Claim::Slot(claimed, None),
        _ => Claim::Full,
    }
}
