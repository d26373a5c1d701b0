//! Making a connection: a packet to a virtual service that belongs to none.

use abi::{NONE, Reason, Scheduling, Tick, method};
use conntable::{Claim, Direction, Found, Handle, NewConnection, Query, Word};
use wire::{ipv4, tcp};

use crate::connection::{self, ABSENT, Chosen, Question};
use crate::counters;
use crate::host::{Tables, connections};
use crate::lookup;
use crate::packet::Ports;
use crate::state::{after_packet, is_active};
use crate::verdict::Step;

/// Ticks for which a claimed slot that nobody publishes stays taken.
const CLAIM_TICKS: Tick = 1000;

/// What a packet that may open a connection says, in two words: what a BPF function that is
/// verified by itself can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Client's address, port, protocol and TCP flags, from the low end.
    pub client: u64,
    /// Virtual service's address and port, from the low end.
    pub service: u64,
}

impl Opening {
    #[inline(always)]
    pub(crate) const fn of(query: &Query, ports: &Ports) -> Self {
        let client = query.client as u64
            | (query.client_port as u64) << 32
            | (query.protocol as u64) << 48
            | (ports.flags as u64) << 56;
        Self {
            client,
            service: query.address as u64 | (query.port as u64) << 32,
        }
    }

    #[inline(always)]
    const fn query(self) -> Query {
        Query {
            client: self.client as u32,
            client_port: (self.client >> 32) as u16,
            protocol: (self.client >> 48) as u8,
            direction: Direction::ToServer,
            address: self.service as u32,
            port: (self.service >> 32) as u16,
        }
    }

    #[inline(always)]
    const fn flags(self) -> u8 {
        (self.client >> 56) as u8
    }
}

/// Makes a connection for a packet, or says why not.
#[inline(always)]
pub(crate) fn open<'t, T: Tables<'t>>(
    tables: T,
    opening: Opening,
    now: Tick,
    processor: u32,
) -> Result<Handle, u32> {
    let chosen = tables.choose(opening, now, processor);
    if chosen & REFUSED != 0 {
        return Err(chosen as u32);
    }
    let made = tables.make(opening, chosen, now, processor);
    if made & REFUSED != 0 {
        Err(made as u32)
    } else {
        Ok(Handle(made))
    }
}

/// Set in what [`choose`] and [`make`] return where it is the number of a reason.
const REFUSED: u64 = 1 << 63;

/// Finds the service of a packet and chooses a destination. Returns the index of the service's cell
/// (low half) and the destination's number, or a marked reason.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::choose`].
#[inline(always)]
pub fn choose<'t, T: Tables<'t>>(tables: T, opening: Opening, now: Tick, processor: u32) -> u64 {
    match try_choose(tables, opening, now, processor) {
        Ok(chosen) => chosen,
        Err(reason) => REFUSED | reason as u64,
    }
}

/// Makes a connection of what [`choose`] chose. Returns its handle, or a marked reason.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::make`].
#[inline(always)]
pub fn make<'t, T: Tables<'t>>(
    tables: T,
    opening: Opening,
    chosen: u64,
    now: Tick,
    processor: u32,
) -> u64 {
    match try_make(tables, opening, chosen, now, processor) {
        Ok(handle) => handle.0,
        Err(reason) => REFUSED | reason as u64,
    }
}

/// Asks the scheduler, and once more where the reply's way would be ambiguous: another virtual
/// service already maps this client port to the same real server's port.
#[inline(always)]
fn try_choose<'t, T: Tables<'t>>(
    tables: T,
    opening: Opening,
    now: Tick,
    processor: u32,
) -> Step<u64> {
    let globals = tables.globals().ok_or(Reason::TableMissing)?;
    let query = opening.query();
    let (cell, index) = lookup::service(tables, globals, query.address, query.port, query.protocol)
        .ok_or(Reason::NoService)?;
    if query.protocol == ipv4::TCP && opening.flags() & (tcp::SYN | tcp::RST) != tcp::SYN {
        return Err(Reason::NotSyn);
    }
    if cell.scheduling.load() == Scheduling::NotBuilt as u32 {
        return Err(Reason::SchedulerNotBuilt);
    }
    let number = tables.pick(index);
    if number == NONE {
        return Err(Reason::NoDestination);
    }
    let chosen = Chosen::by_number(tables, number)?;
    if chosen.method() != method::MASQUERADE {
        return Err(Reason::MethodNotBuilt);
    }
    let reply = Query {
        direction: Direction::ToClient,
        address: chosen.address(),
        port: chosen.port(),
        ..query
    };
    let result = |number: u32| (number as u64) << 32 | index as u64;
    if tables.find(Question::of(&reply), now) == ABSENT {
        return Ok(result(number));
    }
    tables.count(processor, Reason::AmbiguousReply as u32);
    match tables.pick(index) {
        NONE => Ok(result(number)),
        other => Ok(result(other)),
    }
}

#[inline(always)]
fn try_make<'t, T: Tables<'t>>(
    tables: T,
    opening: Opening,
    chosen: u64,
    now: Tick,
    processor: u32,
) -> Step<Handle> {
    let globals = tables.globals().ok_or(Reason::TableMissing)?;
    let query = &opening.query();
    let hash = connection::hash(globals, query);
    let service = tables.service(chosen as u32).ok_or(Reason::TableMissing)?;
    let chosen = Chosen::by_number(tables, (chosen >> 32) as u32)?;
    let table = connections(tables, globals);
    let Claim::Slot(claimed, died) = table.claim(hash, now, now.wrapping_add(CLAIM_TICKS)) else {
        return Err(Reason::TableFull);
    };
    if let Some(died) = died {
        tables.count(processor, Reason::Expired as u32);
        counters::settle_death(tables, died);
    }
    if claimed.second {
        tables.count(processor, Reason::SecondBucket as u32);
    }
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
    let first = after_packet(
        globals,
        query.protocol,
        opening.flags(),
        Direction::ToServer,
        born,
        now,
    );
    let word = table
        .publish(&claimed, first.state(), first.one_way(), first.expiry())
        .ok_or(Reason::TableFull)?;
    let active = is_active(query.protocol, first.state());
    counters::connection_made(chosen.cell, chosen.load, active);
    counters::scheduled(tables, processor, globals, chosen.cell, chosen.number);

    let own = Found {
        entry: claimed.entry,
        word,
        position: claimed.position,
    };
    let kept = table.settle(hash, query, own, now, |lost| {
        tables.count(processor, Reason::LostRace as u32);
        counters::settle_death(tables, lost);
    });
    Ok(kept.handle())
}
