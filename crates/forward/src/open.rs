//! Packets to a virtual service that may open a connection.

use abi::{
    Carry, Globals, NONE, Reason, Scheduling, ServiceCell, Stage, Tick, address_flags, method,
    service_flags, wildcards,
};
use conntable::{
    Direction, End, Entry as _, Found, Handle, Kind, NewConnection, Query, Question as _,
    Slot as _, Word,
};
use wire::{ipv4, tcp};

use crate::connection::{self, Chosen, query_of};
use crate::counters;
use crate::family::{self, Family, Header as _, V4, V6};
use crate::fragment;
use crate::fullnat;
use crate::further;
use crate::host::{Host, Tables, connections};
use crate::lookup::{self, TO_SERVICE};
use crate::onward::{self, Passage, UNSETTLED, hand_over};
use crate::packet::{Fragment, Packet, Ports};
use crate::persist;
use crate::relay;
use crate::state::{after_packet, is_active, is_past_handshake, is_reusable};
use crate::verdict::{Step, Verdict};

/// Seconds for which a connection lasts that an ICMP error made, unless its own packets come
/// (`ip_vs_conn_new`).
const QUOTED_SECONDS: u32 = 3;
/// The port that active FTP's data connections come from, network order. They belong to the control
/// connection's real server, and are never scheduled.
const FTP_DATA: u16 = 20u16.to_be();
/// The first port that anybody may bind: passive FTP's data connections go to none below.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// The stage: a TCP segment or UDP datagram to a virtual address, with or without connection.
#[inline(always)]
pub(crate) fn open<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    let flags = F::address_flags(host.tables(), globals, packet.ip.destination());
    let is_virtual = flags & address_flags::VIRTUAL != 0;
    let ports = match (packet.check(host), is_virtual) {
        (Ok(()), _) => packet.ports(host)?,
        (Err(reason), true) => return Err(reason),
        (Err(_), false) => return Err(Reason::NotOurs),
    };
    let opening = Opening::of::<F>(globals, &packet, &ports, now);
    let (hash, query) = (opening.hash, &opening.query);
    if let Some(found) = connections::<F, _>(host.tables(), globals).find(hash, query, now)
        && !is_over::<F, H>(host, globals, &found, &ports)
    {
        return hand_over::<F, H>(host, found.handle().0, TO_SERVICE);
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
        return leave_to_scheduler::<F, H>(host, &opening, (service, index));
    }
    let chosen = Chosen::by_number(host.tables(), number)?;
    let new = opening.with::<F>(service, &chosen);
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    if is_ambiguous::<F, H>(host, globals, &new, &opening) {
        let next = leave_to_scheduler::<F, H>(host, &opening, (service, index));
        carry.asked.store(1);
        return next;
    }
    // For who traces, and for FULLNAT's stage.
    carry.service.store(index);
    carry.flags.store(opening.flags as u32);
    let made = entry::<F, H>(host, globals, (&opening, &new, &chosen))?;
    let next = leave_made::<F, H>(host, &chosen, (new.method, made.number()))?;
    if H::COMPLETE || F::IS_V6 || new.method == method::FULLNAT || made.is_unsettled {
        return Ok(next);
    }
    // At once, where BPF's stack and the verifier's patience allow it.
    let passage = Passage {
        packet: &packet,
        ports: &ports,
        role: TO_SERVICE,
        now,
        is_first: true,
    };
    onward::through::<F, H>(host, globals, &passage, &made.entry)
}

/// A packet that may open a connection.
pub(crate) struct Opening<A> {
    query: Query<A>,
    /// Of its client's side.
    hash: u32,
    /// The TCP segment's flags.
    pub flags: u8,
    now: Tick,
    /// Number of the template that the connection is to go by; 0 for none.
    control: u32,
    /// Whether it is in an ICMP error, which quotes it.
    is_quoted: bool,
}

impl<A: Copy> Opening<A> {
    #[inline(always)]
    fn of<F: Family<Address = A>>(
        globals: &Globals,
        packet: &Packet<F>,
        ports: &Ports,
        now: Tick,
    ) -> Self {
        let query = query_of(packet, ports, TO_SERVICE);
        Self {
            hash: F::hash(globals, query.client, query.client_port, query.protocol),
            query,
            flags: ports.flags,
            now,
            control: 0,
            is_quoted: false,
        }
    }

    /// A packet of which an ICMP error quotes the ports: as good as one that opens.
    #[inline(always)]
    pub fn quoted<F: Family<Address = A>>(globals: &Globals, query: &Query<A>, now: Tick) -> Self {
        Self {
            query: *query,
            hash: F::hash(globals, query.client, query.client_port, query.protocol),
            flags: tcp::SYN,
            now,
            control: 0,
            is_quoted: true,
        }
    }

    /// As [`leave_to_scheduler`] left it.
    #[inline(always)]
    fn carried<F: Family<Address = A>>(globals: &Globals, carry: &Carry) -> Self {
        let query = Query {
            client: F::of_cells(&carry.client),
            client_port: carry.client_port.load() as u16,
            protocol: carry.protocol.load() as u8,
            kind: Kind::Connection,
            end: End::Virtual,
            address: F::of_cells(&carry.virtual_address),
            port: (carry.ports.load() >> 16) as u16,
        };
        Self {
            hash: F::hash(globals, query.client, query.client_port, query.protocol),
            query,
            flags: carry.flags.load() as u8,
            now: carry.now.load(),
            control: carry.control.load(),
            is_quoted: carry.is_quoted.load() != 0,
        }
    }

    /// The connection to a destination.
    #[inline(always)]
    fn with<F: Family<Address = A>>(
        &self,
        service: &ServiceCell,
        chosen: &Chosen<'_>,
    ) -> NewConnection<A> {
        let query = &self.query;
        NewConnection {
            client: query.client,
            client_port: query.client_port,
            virtual_address: query.address,
            virtual_port: query.port,
            destination_address: chosen.address::<F>(),
            destination_port: port(service, chosen, query.port),
            protocol: query.protocol,
            method: fullnat::method_for::<F>(chosen),
            kind: kind(service, query.protocol),
            destination: chosen.number,
            control: self.control,
        }
    }
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
        describe::<F>(host.carry()?, query);
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

/// Leaves a packet to its service's scheduler, or where its client may have been before.
#[inline(always)]
pub(crate) fn leave_to_scheduler<'t, F: Family, H: Host<'t>>(
    host: &H,
    opening: &Opening<F::Address>,
    (service, index): (&ServiceCell, u32),
) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    describe::<F>(carry, &opening.query);
    carry.service.store(index);
    carry.now.store(opening.now);
    carry.asked.store(0);
    carry.compared.store(0);
    carry.control.store(opening.control);
    carry.flags.store(opening.flags as u32);
    carry.is_quoted.store(opening.is_quoted as u32);
    Ok(Verdict::go_on(if service.persistence.load() != 0 {
        F::PERSIST
    } else {
        Stage::Schedule
    }))
}

/// Leaves whose packet it is, and to whom.
#[inline(always)]
fn describe<F: Family>(carry: &Carry, query: &Query<F::Address>) {
    let (client, address) = (F::words(query.client), F::words(query.address));
    for word in 0..4 {
        carry.client[word].store(client[word]);
        carry.virtual_address[word].store(address[word]);
    }
    carry.client_port.store(query.client_port as u32);
    carry.ports.store(query.ports());
    carry.protocol.store(query.protocol as u32);
    carry.is_v6.store(F::IS_V6 as u32);
}

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
    if may_choose && is_ambiguous::<F, H>(host, globals, &new, &opening) {
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
    leave_made::<F, H>(host, &chosen, (new.method, made.number()))
}

/// Leaves a packet to what goes by its new connection, of which the handle's number is given.
#[inline(always)]
fn leave_made<'t, F: Family, H: Host<'t>>(
    host: &H,
    chosen: &Chosen<'t>,
    (method, handle): (u8, u64),
) -> Step<Verdict> {
    if method == method::FULLNAT {
        return fullnat::borrow::<F, H>(host, chosen, handle);
    }
    hand_over::<F, H>(host, handle, TO_SERVICE)
}

/// The real server's port, for a packet to the virtual `port`: the destination's own where the packet
/// is to the service's own port, or the destination has one and nothing keeps ports together.
#[inline(always)]
fn port(service: &ServiceCell, chosen: &Chosen<'_>, port: u16) -> u16 {
    let is_persistent = service.persistence.load() != 0;
    let is_own = service.key.load() as u16 == port;
    if chosen.port() == 0 || is_persistent && !is_own {
        port
    } else {
        chosen.port()
    }
}

/// What a packet makes of a service.
#[inline(always)]
fn kind(service: &ServiceCell, protocol: u8) -> Kind {
    let is_one_packet = service.flags.load() & service_flags::ONE_PACKET != 0;
    if is_one_packet && protocol == ipv4::UDP {
        Kind::OnePacket
    } else {
        Kind::Connection
    }
}

/// A connection that was just made.
struct Made<'t, E> {
    entry: Found<'t, E>,
    /// Whether others may have made the same connection.
    is_unsettled: bool,
}

impl<E> Made<'_, E> {
    /// Its handle's number, with [`UNSETTLED`].
    #[inline(always)]
    const fn number(&self) -> u64 {
        self.entry.handle().0 | (self.is_unsettled as u64) << UNSETTLED.trailing_zeros()
    }
}

/// Makes the connection's entry.
#[inline(always)]
fn entry<'t, F: Family, H: Host<'t>>(
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
    let is_unsettled = !table.is_alone(hash, entry.handle());
    Ok(Made {
        entry,
        is_unsettled,
    })
}

/// Whether the reply's way would be ambiguous: another virtual service already maps this client port
/// to the same real server's port. Then the scheduler is asked once more.
#[inline(always)]
fn is_ambiguous<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    new: &NewConnection<F::Address>,
    opening: &Opening<F::Address>,
) -> bool {
    let reply = Query {
        client: new.client,
        client_port: new.client_port,
        protocol: new.protocol,
        kind: Kind::Connection,
        end: End::Server,
        address: new.destination_address,
        port: new.destination_port,
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
