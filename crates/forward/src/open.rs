//! Packets to a virtual service that may open a connection.

use abi::{Globals, NONE, Reason, Scheduling, ServiceCell, address_flags, method, wildcards};
use cell::blurred;
use conntable::{Entry as _, Found, Query};
use wire::{ipv4, tcp};

use crate::connection::{self, Chosen};
use crate::family::{self, Family, Header as _};
use crate::fragment;
use crate::host::{Host, Tables, connections};
use crate::lookup::{self, TO_SERVICE};
use crate::make;
use crate::onward::{self, Passage};
use crate::opening::{self, Opening};
use crate::packet::{Fragment, Packet, Ports};
use crate::persist;
use crate::state::is_reusable;
use crate::verdict::{Step, Verdict};

/// The port that active FTP's data connections come from, network order. They belong to the control
/// connection's real server, and are never scheduled.
const FTP_DATA: u16 = 20u16.to_be();
/// The first port that anybody may bind: passive FTP's data connections go to none below.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// Leaves a packet to the stage. `is_unknown`: it is to a virtual address, its lengths were checked,
/// and it belongs to no connection.
#[inline(always)]
pub(crate) fn hand_over<'t, F: Family, H: Host<'t>>(host: &H, is_unknown: bool) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    carry.is_unknown.store(is_unknown as u32);
    Ok(Verdict::go_on(F::OPEN))
}

/// The stage: a TCP segment or UDP datagram to a virtual address, with or without connection.
#[inline(always)]
pub(crate) fn open<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let is_unknown = carry.is_unknown.load() != 0;
    let mut packet = Packet::<F>::read(host)?;
    let flags = if is_unknown {
        address_flags::VIRTUAL
    } else {
        F::address_flags(host.tables(), globals, packet.ip.destination())
    };
    // The kernel's verifier need not follow both ways to here any further.
    let is_virtual = blurred(flags, packet.length) & address_flags::VIRTUAL != 0;
    if let Err(reason) = packet.check(host) {
        return Err(if is_virtual { reason } else { Reason::NotOurs });
    }
    let ports = packet.ports(host)?;
    let opening = Opening::of::<F>(globals, &packet, &ports, now);
    let (hash, query) = (opening.hash, &opening.query);
    if !is_unknown
        && let Some(found) = connections::<F, _>(host.tables(), globals).find(hash, query, now)
        && !is_over::<F, H>(host, globals, &found, &ports)
    {
        return onward::hand_over::<F, H>(host, found.handle().0, TO_SERVICE);
    }
    let (service, index) = match enquire::<F, H>(host, globals, query, ports.flags) {
        Err(Reason::NoService) if !is_virtual => return Err(Reason::NotOurs),
        Err(reason) if packet.fragment == Fragment::FIRST && reason.is_pass() => {
            fragment::remember_pass(host, &packet, now);
            return Err(reason);
        }
        result => result?,
    };
    // The destination whose turn it is, where the service goes by a sequence and that one may take it.
    let number = host.tables().next_in_turn(index);
    if number == NONE {
        return opening::leave_to_scheduler::<F, H>(host, &opening, (service, index));
    }
    let what = (&packet, &ports, &opening);
    open_to::<F, H>(host, globals, what, (service, index), number)
}

/// Makes a connection to the destination of a number, and sends its first packet on.
#[inline(always)]
fn open_to<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    (packet, ports, opening): (&Packet<F>, &Ports, &Opening<F::Address>),
    (service, index): (&ServiceCell, u32),
    number: u32,
) -> Step<Verdict> {
    let chosen = Chosen::by_number(host.tables(), number)?;
    let new = opening.with::<F>(service, &chosen);
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    if make::is_ambiguous::<F, H>(host, globals, (&new, &chosen), opening) {
        let next = opening::leave_to_scheduler::<F, H>(host, opening, (service, index));
        carry.asked.store(1);
        return next;
    }
    // For who traces, and for FULLNAT's stage.
    carry.service.store(index);
    carry.flags.store(opening.flags as u32);
    let made = make::entry::<F, H>(host, globals, (opening, &new, &chosen))?;
    let next = make::leave::<F, H>(host, &chosen, (new.method, made.number()))?;
    if H::COMPLETE || F::IS_V6 || new.method == method::FULLNAT || made.is_unsettled {
        return Ok(next);
    }
    // At once, where BPF's stack and the verifier's patience allow it.
    let passage = Passage {
        packet,
        ports,
        role: TO_SERVICE,
        now: opening.now,
        is_first: true,
    };
    onward::first::<F, H>(host, globals, &passage, (&made.entry, &chosen))
}

/// Ends a connection where a client's packet opens it anew, or where the destination is gone (for a
/// packet that opens: takes nothing new) and `expire_nodest_conn` says to forget it. Whether it did.
/// One that goes by a template is not opened anew: it would come back to the same real server.
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
    let is_controlled = found.entry.control().load() != 0;
    let opens_anew = opens
        && !is_controlled
        && is_reusable(globals.conn_reuse_mode.load(), word.state(), word.one_way());
    if opens_anew {
        host.count(Reason::ConnectionReused);
    }
    let is_over = opens_anew || forgets && is_lost::<F, H>(host, found, opens);
    if is_over {
        connection::end::<F, H>(host, globals, found);
    }
    is_over
}

#[inline(always)]
fn is_lost<'t, F: Family, H: Host<'t>>(host: &H, found: &Found<'t, F::Slot>, opens: bool) -> bool {
    let number = found.entry.load().destination;
    let Ok(chosen) = Chosen::by_number(host.tables(), number) else {
        return true;
    };
    !chosen.is_available() || opens && chosen.cell.weight.load() == 0
}

/// The service that takes a packet with these TCP flags, and its cell's index.
#[inline(always)]
pub(crate) fn enquire<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    query: &Query<F::Address>,
    flags: u8,
) -> Step<(&'t ServiceCell, u32)> {
    let (cell, index) = service_of::<F, H>(host, globals, query).ok_or(Reason::NoService)?;
    if query.protocol == ipv4::TCP && !opens(globals, flags) {
        return Err(Reason::NotSyn);
    }
    if is_shed(host, globals) {
        return Err(Reason::Shed);
    }
    let is_persistent = cell.persistence.load() != 0;
    let key = cell.key.load();
    let is_own_port = key as u16 == query.port || key & ServiceCell::MARK != 0;
    if query.client_port == FTP_DATA || !is_persistent && !is_own_port {
        return Err(Reason::NoService);
    }
    if cell.scheduling.load() == Scheduling::NotBuilt as u32 {
        return Err(Reason::SchedulerNotBuilt);
    }
    Ok((cell, index))
}

/// The service of a packet that may open a connection: its mark's; else its port's; else FTP's, where the port may be
/// one of FTP's data connections; else the one for all ports (`ip_vs_service_find`).
#[inline(always)]
fn service_of<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    query: &Query<F::Address>,
) -> Option<(&'t ServiceCell, u32)> {
    let (tables, wildcards) = (host.tables(), globals.wildcards.load());
    if wildcards & wildcards::MARKS != 0 {
        let marked = mark_s::<F, H>(host, globals, query);
        if marked.is_some() {
            return marked;
        }
    }
    let address = F::words(query.address);
    let on = |port: u16| {
        let key = ServiceCell::key(port, query.protocol, F::IS_V6);
        lookup::service(tables, globals, address, key)
    };
    let own = on(query.port);
    if own.is_some() || wildcards == 0 {
        return own;
    }
    let is_data = query.port == FTP_DATA || u16::from_be(query.port) >= FIRST_UNPRIVILEGED;
    if wildcards & wildcards::FTP != 0 && query.protocol == ipv4::TCP && is_data {
        let ftp = on(persist::FTP);
        if ftp.is_some() {
            return ftp;
        }
    }
    if wildcards & wildcards::ALL_PORTS != 0 {
        on(0)
    } else {
        None
    }
}

/// The service of the packet's mark, which somebody gave it before, or a rule gives it.
#[inline(always)]
fn mark_s<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    query: &Query<F::Address>,
) -> Option<(&'t ServiceCell, u32)> {
    let (tables, given) = (host.tables(), host.mark());
    let mark = if given == 0 {
        opening::describe::<F>(host.carry()?, query);
        tables.classify(host.ifindex(), host.processor())
    } else {
        given
    };
    if mark == 0 {
        return None;
    }
    let key = ServiceCell::mark_key(F::IS_V6);
    lookup::service(tables, globals, [mark, 0, 0, 0], key)
}

/// Whether a segment without connection opens one.
#[inline(always)]
fn opens(globals: &Globals, flags: u8) -> bool {
    if flags & tcp::RST != 0 {
        return false;
    }
    flags & tcp::SYN != 0 || globals.sloppy_tcp.load() != 0
}

/// Whether this packet to a service is the one of so many that `drop_packet` drops (`ip_vs_todrop`).
#[inline(always)]
fn is_shed<'t, H: Host<'t>>(host: &H, globals: &Globals) -> bool {
    let rate = globals.drop_packet.load();
    let counter = host.tables().runtime().map(|runtime| &runtime.drop_counter);
    match counter {
        Some(counter) if rate != 0 => counter.fetch_add(1) % rate == 0,
        _ => false,
    }
}
