//! What a trace says of a packet: taken down before the packet's first stage and after its last one,
//! beside the way that the packet takes, which it changes nothing of.

use abi::{
    Address, Globals, NONE, OTHER_FAMILY, Reason, Stage, TRACERS, Tick, TraceAddresses,
    TraceFilter, TraceFrame, TraceHook, TraceProcessor, TraceVerdict,
};
use cell::{Cell32, Cell64, element};
use conntable::{Direction, Entry as _, Found, Handle, Kind, Name, Slot as _};
use wire::ipv4;

use crate::connection::{Chosen, find, query_of};
use crate::family::{self, Family, Header as _, V4, V6};
use crate::fullnat::alias_query;
use crate::host::{Host, Tables, connections};
use crate::lookup;
use crate::onward::UNSETTLED;
use crate::packet::{Fragment, Link, Packet, Ports};
use crate::verdict::Action;

/// Values of [`abi::TraceRecord::direction`], by [`Direction`] as a number, plus one.
const TO_SERVER: u32 = Direction::ToServer as u32 + 1;
const TO_CLIENT: u32 = Direction::ToClient as u32 + 1;

/// Stages that are entered with a connection's handle in the processor's [`abi::Carry`].
const HANDED_OVER: u64 = bit(Stage::Onward)
    | bit(Stage::OnwardV6)
    | bit(Stage::Translate)
    | bit(Stage::TranslateV6)
    | bit(Stage::FullnatError)
    | bit(Stage::FullnatErrorV6)
    | HANDED_TO_SERVER;
/// Those of them that say nothing about the direction: the packet goes to the real server.
const HANDED_TO_SERVER: u64 = bit(Stage::Lend)
    | bit(Stage::LendV6)
    | bit(Stage::LendOther)
    | bit(Stage::LendOtherV6)
    | bit(Stage::Fullnat)
    | bit(Stage::FullnatV6);
/// Stages that are entered with a service's index there.
const SCHEDULED: u64 = bit(Stage::Persist) | bit(Stage::PersistV6) | bit(Stage::Schedule);

const fn bit(stage: Stage) -> u64 {
    1 << stage as u32
}

/// What became of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// What was done with it.
    pub verdict: TraceVerdict,
    /// The [`Reason`]'s number.
    pub reason: u32,
    /// Interface that it left by, if it did.
    pub left_by: u32,
}

impl Fate {
    /// As a verdict has it; of a packet that is sent by this interface.
    #[inline(always)]
    pub fn of(verdict: crate::Verdict, exit: u32) -> Self {
        let (fate, left_by) = match verdict.action() {
            Action::Pass => (TraceVerdict::Pass, 0),
            Action::Drop => (TraceVerdict::Drop, 0),
            Action::Send => (TraceVerdict::Send, exit),
            Action::Consume => (TraceVerdict::Consume, exit),
            Action::GoOn => return Self::unmet(verdict.unmet()),
        };
        Self {
            verdict: fate,
            reason: verdict.reason_number(),
            left_by,
        }
    }

    /// Of a packet that nothing took on.
    #[inline(always)]
    const fn unmet(reason: Reason) -> Self {
        let verdict = match reason {
            Reason::NotOurs => TraceVerdict::Pass,
            _ => TraceVerdict::Drop,
        };
        Self {
            verdict,
            reason: reason as u32,
            left_by: 0,
        }
    }
}

/// Takes down a packet that has come, `at` this time, before its first stage.
#[inline(always)]
pub fn begin<'t, H: Host<'t>>(
    host: &mut H,
    processor: &TraceProcessor,
    (hook, at): (TraceHook, u64),
) {
    let record = &processor.record;
    record.at.store(at);
    record.hook.store(hook as u32);
    let ifindex = host.ifindex();
    let is_own = matches!(hook, TraceHook::Egress);
    record.entered_by.store(if is_own { 0 } else { ifindex });
    record.left_by.store(if is_own { ifindex } else { 0 });
    record.mark.store(host.mark());
    record.processor.store(host.processor());
    for cell in [
        &record.method,
        &record.client_port,
        &record.virtual_port,
        &record.server_port,
        &record.direction,
        &record.family,
        &record.protocol,
        &processor.source_port,
        &processor.destination_port,
        &processor.families,
    ] {
        cell.store(0);
    }
    record.service.store(NONE);
    record.destination.store(NONE);
    for cells in [
        &record.client,
        &record.virtual_address,
        &record.server,
        &processor.source,
        &processor.destination,
    ] {
        set(cells, [0; 4]);
    }
    record.connection.store(0);
    record.word_before.store(0);
    record.word_after.store(0);
    record.stages.store(0);
    keep(host, &record.before);
    let Ok(link) = Link::read(host) else {
        return;
    };
    if link.kind == V4::ETHERTYPE {
        recognise::<V4, H>(host, processor, link);
    } else if link.kind == V6::ETHERTYPE {
        recognise::<V6, H>(host, processor, link);
    }
}

/// Notes that a packet enters a stage.
#[inline(always)]
pub fn pass(processor: &TraceProcessor, stage: Stage) {
    let stages = &processor.record.stages;
    stages.store(stages.load() | bit(stage));
}

/// Takes down what became of a packet, and the hook's return code for it.
#[inline(always)]
pub fn leave(processor: &TraceProcessor, fate: Fate, code: u32) {
    let record = &processor.record;
    record.verdict.store(fate.verdict as u32);
    record.reason.store(fate.reason);
    if fate.left_by != 0 {
        record.left_by.store(fate.left_by);
    }
    processor.code.store(code);
}

/// Takes down a packet as it is after its last stage.
#[inline(always)]
pub fn end<'t, H: Host<'t>>(host: &mut H, processor: &TraceProcessor) {
    let record = &processor.record;
    keep(host, &record.after);
    let Some(carry) = host.carry() else {
        return;
    };
    let stages = record.stages.load();
    if stages & SCHEDULED != 0 {
        record.service.store(carry.service.load());
    }
    if stages & HANDED_OVER != 0 {
        record
            .connection
            .store(carry.connection.load() & !UNSETTLED);
        record.direction.store(if stages & HANDED_TO_SERVER != 0 {
            TO_SERVER
        } else {
            carry.direction.load() + 1
        });
    }
}

/// The tracers that are to be told of the packet that was taken down, a bit for each.
#[inline(always)]
pub fn select<'t, 'f, T: Tables<'t>>(
    tables: T,
    processor: &TraceProcessor,
    tick: Tick,
    filter: impl Fn(u32) -> Option<&'f TraceFilter>,
) -> u32 {
    conclude(tables, processor, tick);
    let mut chosen = 0;
    for tracer in 0..TRACERS {
        let Some(filter) = filter(tracer) else {
            continue;
        };
        if filter.active.load() == 0 || !wants(filter, processor) {
            continue;
        }
        let tally = element(&processor.tallies, tracer);
        count(&tally.matched);
        if tally.matched.load() % filter.sample.load().max(1) as u64 != 0 {
            count(&tally.sampled_out);
            continue;
        }
        if tick.wrapping_sub(tally.window.load()) >= filter.window.load() {
            tally.window.store(tick);
            tally.spent.store(0);
        }
        if tally.spent.load() >= filter.budget.load() {
            count(&tally.withheld);
            continue;
        }
        tally.spent.store(tally.spent.load() + 1);
        chosen |= 1 << tracer;
    }
    processor.record.tracers.store(chosen);
    chosen
}

/// Counts a record for the tracers that it was for, as reported or as lost.
#[inline(always)]
pub fn told(processor: &TraceProcessor, chosen: u32, is_reported: bool) {
    for tracer in 0..TRACERS {
        if chosen >> tracer & 1 == 0 {
            continue;
        }
        let tally = element(&processor.tallies, tracer);
        if is_reported {
            count(&tally.reported);
        } else {
            count(&tally.lost);
        }
    }
}

/// Keeps the frame as it is now.
#[inline(always)]
fn keep<'t, H: Host<'t>>(host: &mut H, frame: &TraceFrame) {
    frame.length.store(host.frame_length());
    frame.tag.store(host.tag_beside() as u32);
    frame.segment_size.store(host.segment_size());
    let mut kept = 0;
    for word in &frame.bytes {
        let Some(bytes) = host.bytes::<8>(kept) else {
            let (rest, length) = rest(host, kept);
            word.store(rest);
            kept += length;
            break;
        };
        word.store(u64::from_ne_bytes(bytes));
        kept += 8;
    }
    frame.kept.store(kept);
}

/// The frame's last bytes, less than eight, and how many there are.
#[inline(always)]
fn rest<'t, H: Host<'t>>(host: &mut H, first: u32) -> (u64, u32) {
    let mut word = 0;
    for number in 0..7 {
        let Some([byte]) = host.bytes::<1>(first + number) else {
            return (u64::from_le(word), number);
        };
        word |= (byte as u64) << (8 * number);
    }
    (u64::from_le(word), 7)
}

/// Takes down what a packet is before anything is done with it, and its connection.
#[inline(always)]
fn recognise<'t, F: Family, H: Host<'t>>(host: &mut H, processor: &TraceProcessor, link: Link) {
    let Ok(packet) = F::read(host, link) else {
        return;
    };
    let record = &processor.record;
    record.family.store(number::<F>());
    processor.families.store(1 << number::<F>());
    record.protocol.store(packet.protocol as u32);
    set(&processor.source, F::words(packet.ip.source()));
    set(&processor.destination, F::words(packet.ip.destination()));
    let has_ports = matches!(packet.protocol, ipv4::TCP | ipv4::UDP);
    if packet.fragment == Fragment::LATER || !has_ports {
        return;
    }
    let Some(head) = host.bytes::<4>(packet.l4) else {
        return;
    };
    let ports = Ports {
        source: u16::from_ne_bytes([head[0], head[1]]),
        destination: u16::from_ne_bytes([head[2], head[3]]),
        flags: 0,
    };
    processor.source_port.store(ports.source as u32);
    processor.destination_port.store(ports.destination as u32);
    if let Some((handle, word, direction)) = connection::<F, H>(host, &packet, &ports) {
        record.connection.store(handle);
        record.word_before.store(word);
        record.direction.store(direction);
    }
}

/// The connection of a packet: its handle, its word, and the packet's direction in it.
#[inline(always)]
fn connection<'t, F: Family, H: Host<'t>>(
    host: &H,
    packet: &Packet<F>,
    ports: &Ports,
) -> Option<(u64, u64, u32)> {
    let (globals, now) = family::globals(host).ok()?;
    let role = lookup::role(host, globals, packet).ok()?;
    let tables = host.tables();
    let query = if role.is_lent {
        alias_query(packet, ports)
    } else {
        query_of(packet, ports, role)
    };
    let found = find::<F, _>(tables, globals, &query, now)?;
    let (handle, word) = if role.is_lent {
        main_of::<F, _>(tables, globals, &found, now)?
    } else {
        (found.handle().0, found.word.0)
    };
    let direction = match role.direction {
        Direction::ToServer => TO_SERVER,
        Direction::ToClient => TO_CLIENT,
    };
    Some((handle, word, direction))
}

/// The connection of an alias in the family's table: its handle, as a record has it, and its word.
#[inline(always)]
fn main_of<'t, F: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    alias: &Found<'t, F::Slot>,
    now: Tick,
) -> Option<(u64, u64)> {
    let (name, position) = (Name(alias.entry.client_hop().load()), alias.position);
    let (handle, word) = if F::IS_V6 != name.is_of_other_family() {
        let main = connections::<V6, T>(tables, globals).partner(name, position, now)?;
        (main.handle().0, main.word.0)
    } else {
        let main = connections::<V4, T>(tables, globals).partner(name, position, now)?;
        (main.handle().0, main.word.0)
    };
    let family = if name.is_of_other_family() {
        OTHER_FAMILY
    } else {
        0
    };
    Some((handle | family, word))
}

/// The number that a record has for a family.
#[inline(always)]
const fn number<F: Family>() -> u32 {
    if F::IS_V6 { 6 } else { 4 }
}

/// Takes down the packet's connection as it is afterwards.
#[inline(always)]
pub fn conclude<'t, T: Tables<'t>>(tables: T, processor: &TraceProcessor, tick: Tick) {
    let record = &processor.record;
    if record.connection.load() == 0 {
        return;
    }
    let Some(globals) = tables.globals() else {
        return;
    };
    let now = tick.wrapping_add(globals.clock_offset.load());
    let of_v6 = record.family.load() == 6;
    let main = if of_v6 {
        counted::<V6, T>(tables, globals, record.connection.load(), now)
    } else {
        counted::<V4, T>(tables, globals, record.connection.load(), now)
    };
    record.connection.store(main);
    let handle = Handle(main & !OTHER_FAMILY);
    if of_v6 != (main & OTHER_FAMILY != 0) {
        describe::<V6, T>(tables, globals, processor, (handle, now));
    } else {
        describe::<V4, T>(tables, globals, processor, (handle, now));
    }
}

/// The connection that a handle's alias stands for, as a packet of the family names it; of any other
/// handle, itself.
#[inline(always)]
fn counted<'t, F: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    handle: u64,
    now: Tick,
) -> u64 {
    // Those of the other family were found by their alias already.
    if handle & OTHER_FAMILY != 0 {
        return handle;
    }
    match connections::<F, T>(tables, globals).at(Handle(handle), now) {
        Some(found) if found.entry.load().kind == Kind::Alias as u8 => {
            main_of::<F, T>(tables, globals, &found, now).map_or(0, |(handle, _)| handle)
        }
        _ => handle,
    }
}

#[inline(always)]
fn describe<'t, F: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    processor: &TraceProcessor,
    (handle, now): (Handle, Tick),
) {
    let record = &processor.record;
    let Some(found) = connections::<F, T>(tables, globals).at(handle, now) else {
        return;
    };
    let (entry, destination) = (found.entry, found.entry.destination());
    record.word_after.store(found.word.0);
    record.destination.store(destination);
    record.method.store(entry.method() as u32);
    record.connection_protocol.store(entry.protocol() as u32);
    set(&record.client, F::words(entry.client()));
    set(&record.virtual_address, F::words(entry.virtual_address()));
    record.client_port.store(entry.client_port() as u32);
    record.virtual_port.store(entry.virtual_port() as u32);
    let mut families = processor.families.load() | 1 << number::<F>();
    if let Ok(chosen) = Chosen::by_number(tables, destination) {
        let words = chosen.cell.address.each_ref().map(Cell32::load);
        set(&record.server, words);
        let port = entry.destination_port(chosen.port());
        record.server_port.store(port as u32);
        families |= 1 << if chosen.is_v6() { 6 } else { 4 };
    }
    processor.families.store(families);
}

/// Counts one more. Nobody else writes there.
#[inline(always)]
fn count(cell: &Cell64) {
    cell.store(cell.load() + 1);
}

/// Whether a tracer asks for the packet.
#[inline(always)]
fn wants(filter: &TraceFilter, processor: &TraceProcessor) -> bool {
    let record = &processor.record;
    let family = filter.family.load();
    let is_for_reason = filter.reasons.load() >> (record.reason.load() & 63) & 1 != 0;
    if !is_for_reason || family != 0 && processor.families.load() >> (family & 7) & 1 == 0 {
        return false;
    }
    let port = filter.port.load();
    let has_port = port == 0
        || port == processor.source_port.load()
        || port == processor.destination_port.load()
        || port == record.virtual_port.load()
        || port == record.server_port.load();
    let is_of = |wanted: &TraceAddresses, end: &[Cell32; 4]| {
        holds(wanted, &processor.source)
            || holds(wanted, &processor.destination)
            || holds(wanted, end)
    };
    has_port
        && is_of(&filter.client, &record.client)
        && is_of(&filter.virtual_address, &record.virtual_address)
        && is_of(&filter.server, &record.server)
}

/// Whether an address begins as it should.
#[inline(always)]
fn holds(wanted: &TraceAddresses, address: &[Cell32; 4]) -> bool {
    let differs = |word: usize| {
        (wanted.address[word].load() ^ address[word].load()) & wanted.mask[word].load()
    };
    differs(0) | differs(1) | differs(2) | differs(3) == 0
}

#[inline(always)]
fn set(cells: &[Cell32; 4], words: Address) {
    for (cell, word) in cells.iter().zip(words) {
        cell.store(word);
    }
}
