//! Persistence: a client's connections go where its template says (`ip_vs_sched_persist`).
//!
//! A template is an entry of the connection table whose client is a network, without a port. It
//! lasts for the service's persistence time after each new connection, and longer while
//! connections that go by it live.

use abi::{Carry, Globals, HELD_SECONDS, Reason, ServiceCell, Stage, Tick};
use cell::Cell32;
use conntable::{End, Entry as _, Found, Handle, Kind, NewConnection, Query, Slot as _};

use crate::connection::Chosen;
use crate::family::{self, Family};
use crate::further;
use crate::host::{Host, Tables, connections};
use crate::verdict::{Step, Verdict};

/// FTP's port, network order. Its data connections use others, and go where it goes.
pub(crate) const FTP: u16 = 21u16.to_be();

/// State of a template until a connection got past its handshake (`IP_VS_CTPL_S_NONE`).
const NEW: u8 = 0;

/// The stage: before the scheduler's, looks for the template of the packet that is described in the
/// processor's [`Carry`]; after it, makes one for the destination that it chose.
#[inline(always)]
pub(crate) fn persist<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let tables = host.tables();
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let service = tables
        .service(carry.service.load())
        .ok_or(Reason::TableMissing)?;
    let query = query::<F>(carry, service);
    let template = if carry.asked.load() == 0 {
        renewed::<F, H>(host, globals, &query, now)
    } else {
        Some(made::<F, H>(host, globals, (&query, service), now)?)
    };
    let Some(template) = template else {
        return Ok(Verdict::go_on(Stage::Schedule));
    };
    carry.control.store(template.position.number());
    carry.destination.store(template.entry.load().destination);
    Ok(Verdict::go_on(F::MAKE))
}

/// The question for a client's template. One service's own port is in it; FTP's is not, nor are
/// those of services for all ports and for marks.
#[inline(always)]
fn query<F: Family>(carry: &Carry, service: &ServiceCell) -> Query<F::Address> {
    let key = service.key.load();
    let port = (carry.ports.load() >> 16) as u16;
    let is_mark = key & ServiceCell::MARK != 0;
    let has_port = !is_mark && key as u16 == port && port != FTP;
    let masked = |index: usize| -> Cell32 {
        Cell32::new(carry.client[index].load() & service.persistence_mask[index].load())
    };
    // A mark stands in for the address, as the kernel lists it.
    let mark = [service.address[0].load().to_be(), 0, 0, 0].map(Cell32::new);
    let address = if is_mark {
        &mark
    } else {
        &carry.virtual_address
    };
    Query {
        client: F::of_cells(&[masked(0), masked(1), masked(2), masked(3)]),
        client_port: 0,
        protocol: if is_mark {
            0
        } else {
            carry.protocol.load() as u8
        },
        kind: Kind::Template,
        end: End::Virtual,
        address: F::of_cells(address),
        port: if has_port { port } else { 0 },
    }
}

/// The living template, put off by this use of it. One whose destination may take nothing more is
/// retired (`ip_vs_check_template`).
#[inline(always)]
fn renewed<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    query: &Query<F::Address>,
    now: Tick,
) -> Option<Found<'t, F::Slot>> {
    let table = connections::<F, _>(host.tables(), globals);
    let hash = F::hash(globals, query.client, 0, query.protocol);
    let found = table.find(hash, query, now)?;
    let chosen = Chosen::by_number(host.tables(), found.entry.load().destination).ok()?;
    let is_quiescent = chosen.cell.weight.load() == 0;
    if !chosen.is_available() || is_quiescent && globals.expire_quiescent_template.load() != 0 {
        found.entry.retire();
        return None;
    }
    let longer = HELD_SECONDS * globals.ticks_per_second.load();
    table.renew(&found, (now, longer)).then_some(found)
}

/// A new template for the destination that was chosen, or the one that another processor made
/// meanwhile.
#[inline(always)]
fn made<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    (query, service): (&Query<F::Address>, &ServiceCell),
    now: Tick,
) -> Step<Found<'t, F::Slot>> {
    let (tables, carry) = (host.tables(), host.carry().ok_or(Reason::TableMissing)?);
    let chosen = Chosen::by_number(tables, carry.destination.load())?;
    let table = connections::<F, _>(tables, globals);
    let hash = F::hash(globals, query.client, 0, query.protocol);
    let claimed = further::claim::<F, H>(host, globals, hash, now).ok_or(Reason::TableFull)?;
    // `Entry::lasts`.
    let lasts = service.persistence.load();
    claimed.entry.write(&NewConnection {
        client: query.client,
        client_port: 0,
        virtual_address: query.address,
        virtual_port: query.port,
        keeps_port: query.port == 0,
        protocol: query.protocol,
        method: chosen.method(),
        kind: Kind::Template,
        destination: chosen.number,
        control: 0,
        client_hop: lasts,
    });
    let word = table
        .publish(&claimed, NEW, true, now.wrapping_add(lasts))
        .ok_or(Reason::TableFull)?;
    if let Some(load) = tables.load(chosen.number) {
        load.persistent.add(1);
    }
    let own = Handle::new(claimed.position, word.epoch());
    let kept = Handle(F::settle(tables, own, now, host.processor()));
    table.at(kept, now).ok_or(Reason::TableFull)
}
