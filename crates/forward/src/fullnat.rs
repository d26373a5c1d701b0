//! FULLNAT: the real server sees an address of the director's own, and answers to it, whatever its
//! gateway.
//!
//! A connection is two entries. The *main* one is found by the client, as any connection. Its
//! *alias* is found by what the real server sees: the local address and port as if they were the
//! client's, and the real server as if it were the virtual service. Each [names](conntable::Name) the
//! other in its `client_hop`. The alias is what takes the local port: a port is in use towards a real server
//! while such an alias lives. It lives as long as the main entry does. The connection's first packet
//! makes it ([`lend()`]).

pub(crate) mod cross;
pub(crate) mod cross_error;
mod error;
mod lend;
mod numbers;
mod tell;

use abi::{Globals, Reason, Tick, method};
use cell::blurred;
use conntable::{Direction, End, Found, Handle, Hop, Kind, Name, Position, Query, Slot as _};
use wire::Delta;

use crate::connection::{Chosen, find};
use crate::family::{self, Family, Header as _, V4, V6};
use crate::fullnat::numbers::Renumbered;
use crate::handshake;
use crate::host::{Host, Tables, connections};
use crate::lookup::Role;
use crate::nat;
use crate::onward::{CLEAR, Passage, note};
use crate::packet::{Packet, Ports};
use crate::process::complete_only;
use crate::route;
use crate::verdict::{Step, Verdict};

pub(crate) use error::error;
pub use lend::is_lent;
pub(crate) use lend::lend;
pub(crate) use numbers::sacks;
pub use tell::copy_tells;
pub(crate) use tell::tell;

/// The ends that a packet gets.
struct Ends<A> {
    source: A,
    destination: A,
    ports: Ports,
}

/// The method of a new connection to a destination. A real server on the director itself answers
/// through the director anyhow, and is sent to by VS/NAT.
#[inline(always)]
pub(crate) fn method_for<F: Family>(chosen: &Chosen<'_>) -> u8 {
    let is_same = chosen.is_v6() == F::IS_V6;
    let method = match chosen.method() {
        method::FULLNAT if is_same && chosen.is_local() => method::MASQUERADE,
        method => method,
    };
    // The kernel's verifier need not follow what comes for each.
    blurred(method as u32, chosen.number) as u8
}

/// Whether the director sees only the clients' half of a connection by this method.
#[inline(always)]
pub(crate) fn is_one_way(method: u8) -> bool {
    const BOTH_WAYS: u32 = 1 << method::MASQUERADE | 1 << method::FULLNAT;
    BOTH_WAYS >> (method & 15) & 1 == 0
}

/// What the `client_hop` of a new connection by a method begins with.
#[inline(always)]
pub(crate) fn hop_for(method: u8) -> u32 {
    if method == method::FULLNAT {
        Name::AWAITED.0
    } else {
        Hop::NONE.0
    }
}

/// Whether a connection's main entry is still there, as an alias of the family, at `position`, names
/// it.
#[inline(always)]
pub(crate) fn holds<'t, F: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    (main, position): (Name, Position),
    now: Tick,
) -> bool {
    let is_v6 = F::IS_V6 != main.is_of_other_family();
    if is_v6 {
        connections::<V6, T>(tables, globals).holds(main, position, now)
    } else {
        connections::<V4, T>(tables, globals).holds(main, position, now)
    }
}

/// Leaves a client's first packet to the stage that lends its connection a local address and port.
#[inline(always)]
pub(crate) fn borrow<'t, F: Family, H: Host<'t>>(
    host: &H,
    chosen: &Chosen<'_>,
    main: u64,
) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    carry.connection.store(main);
    Ok(Verdict::go_on(if chosen.is_v6() == F::IS_V6 {
        F::LEND
    } else {
        F::LEND_OTHER
    }))
}

/// Leaves a client's packet to the stage that sends it to its real server.
#[inline(always)]
pub(crate) fn hand_over<'t, F: Family, H: Host<'t>>(host: &H, main: Handle) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    carry.connection.store(main.0);
    Ok(Verdict::go_on(F::FULLNAT))
}

/// The stage: a client's packet, whose connection was left.
#[inline(always)]
pub(crate) fn to_server<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let ports = packet.ports(host)?;
    let tables = host.tables();
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let main = connections::<F, _>(tables, globals)
        .at(Handle(carry.connection.load()), now)
        .ok_or(Reason::NoConnection)?;
    let chosen = Chosen::by_number(tables, main.entry.destination())?;
    let name = Name(main.entry.client_hop().load());
    if name == Name::AWAITED {
        // Another processor is about to lend one.
        return Err(Reason::NoLocalPort);
    }
    if name.is_of_other_family() {
        return complete_only::<H>(F::CROSS);
    }
    let alias = partner::<F, F, _>(tables, globals, &main, now)?;
    let ends = ends_to_server::<F, F>(main.entry, alias.entry, &chosen);
    let told = tell::told::<F, F, H>(host, globals, (&packet, &ports), &alias)?;
    let ports = ports.blurred(alias.word.expiry());
    let way = route::by_index(tables, chosen.cell.next_hop.load());
    let role = Role {
        direction: Direction::ToServer,
        end: End::Virtual,
        is_lent: false,
    };
    let passage = Passage {
        packet: &packet,
        ports: &ports,
        role,
        now,
        is_first: false,
    };
    let obstacle = note(host, globals, &passage, &main, &chosen, (&way, 0))?;
    if obstacle != CLEAR {
        return Ok(Verdict::stay_for(obstacle));
    }
    let settings = (&chosen, method::FULLNAT);
    handshake::clamp(host, &packet, &ports, settings, Direction::ToServer)?;
    rewrite(host, &packet, &ports, &ends, told.number)?;
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    if H::COMPLETE && told.is_telling() {
        return tell::along::<F, F, H>(host, main.entry, &told, &way);
    }
    Ok(Verdict::send(Reason::Forwarded))
}

/// The stage: a packet to a local address, perhaps a real server's answer.
#[inline(always)]
pub(crate) fn to_client<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let ports = packet.ports(host)?;
    let tables = host.tables();
    let query = alias_query(&packet, &ports);
    let alias = find::<F, _>(tables, globals, &query, now).ok_or(Reason::NoConnection)?;
    if Name(alias.entry.client_hop().load()).is_of_other_family() {
        let carry = host.carry().ok_or(Reason::TableMissing)?;
        carry.connection.store(alias.handle().0);
        return complete_only::<H>(F::CROSS_BACK);
    }
    let main = partner::<F, F, _>(tables, globals, &alias, now)?;
    let chosen = Chosen::by_number(tables, main.entry.destination())?;
    let way = route::to_address::<F, H>(host, main.entry.client());
    let role = Role {
        direction: Direction::ToClient,
        end: End::Server,
        is_lent: true,
    };
    let passage = Passage {
        packet: &packet,
        ports: &ports,
        role,
        now,
        is_first: false,
    };
    let obstacle = note(host, globals, &passage, &main, &chosen, (&way, 0))?;
    if obstacle != CLEAR {
        return Ok(Verdict::stay_for(obstacle));
    }
    let settings = (&chosen, method::FULLNAT);
    handshake::clamp(host, &packet, &ports, settings, Direction::ToClient)?;
    let (number, shift) = tell::heard::<F, F, H>(host, globals, (&packet, &ports), &alias)?;
    let ends = ends_to_client::<F>(main.entry);
    let may_have_sacks = shift != 0 && numbers::may_have_sacks(host, &packet, &ports);
    rewrite(host, &packet, &ports, &ends, number)?;
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    if may_have_sacks {
        return numbers::hand_over::<F, H>(host, shift, &way);
    }
    Ok(Verdict::send(Reason::Replied))
}

/// The question for the alias of a real server's packet.
#[inline(always)]
pub(crate) fn alias_query<F: Family>(packet: &Packet<F>, ports: &Ports) -> Query<F::Address> {
    Query {
        client: packet.ip.destination(),
        client_port: ports.destination,
        protocol: packet.protocol,
        kind: Kind::Alias,
        end: End::Virtual,
        address: packet.ip.source(),
        port: ports.source,
    }
}

/// The alias of a main entry, or the main entry of an alias: the one in `F`'s table, its partner in
/// `A`'s.
#[inline(always)]
fn partner<'t, F: Family, A: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    of: &Found<'t, F::Slot>,
    now: Tick,
) -> Step<Found<'t, A::Slot>> {
    let name = Name(of.entry.client_hop().load());
    connections::<A, T>(tables, globals)
        .partner(name, of.position, now)
        .ok_or(Reason::NoConnection)
}

/// What a packet from the client to the real server says.
#[inline(always)]
fn ends_to_server<F: Family, A: Family>(
    main: &F::Slot,
    alias: &A::Slot,
    chosen: &Chosen<'_>,
) -> Ends<A::Address> {
    Ends {
        source: alias.client(),
        destination: chosen.address::<A>(),
        ports: Ports {
            source: alias.client_port(),
            destination: main.destination_port(chosen.port()),
            flags: 0,
        },
    }
}

/// What a packet from the real server to the client says.
#[inline(always)]
fn ends_to_client<F: Family>(main: &F::Slot) -> Ends<F::Address> {
    Ends {
        source: main.virtual_address(),
        destination: main.client(),
        ports: Ports {
            source: main.virtual_port(),
            destination: main.client_port(),
            flags: 0,
        },
    }
}

/// Gives a packet with a transport header other ends, and another number.
#[inline(always)]
fn rewrite<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    old: &Ports,
    new: &Ends<F::Address>,
    number: Renumbered,
) -> Step<()> {
    let addresses = (new.source, new.destination);
    let pseudo_header = F::readdress_both(host, packet.l3(), &packet.ip, addresses, true)
        .ok_or(Reason::RewriteFailed)?;
    let place = (packet.l4, packet.protocol);
    rewrite_transport(host, place, (old, &new.ports), number, pseudo_header)
}

/// Gives the transport header of a protocol at `l4` other ports and another number; its
/// pseudo-header's sum has changed by `pseudo_header`.
#[inline(always)]
fn rewrite_transport<'t, H: Host<'t>>(
    host: &mut H,
    (l4, protocol): (u32, u8),
    (old, new): (&Ports, &Ports),
    number: Renumbered,
    pseudo_header: Delta,
) -> Step<()> {
    let (old, new) = (old.word(), new.word());
    host.set_bytes(l4, &new.to_ne_bytes())
        .ok_or(Reason::RewriteFailed)?;
    let (checksum, optional) = nat::checksum_of(protocol);
    let payload = Delta::of_u32(old, new).and(number.write(host, l4)?);
    host.change_checksum(l4 + checksum, pseudo_header, payload, optional)
        .ok_or(Reason::RewriteFailed)
}

/// Gives a fragment without transport header other addresses.
#[inline(always)]
pub(crate) fn rewrite_header<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    (globals, now): (&Globals, Tick),
    main: &Found<'t, F::Slot>,
    direction: Direction,
) -> Step<()> {
    let tables = host.tables();
    let ends = match direction {
        Direction::ToServer => {
            let chosen = Chosen::by_number(tables, main.entry.destination())?;
            let alias = partner::<F, F, _>(tables, globals, main, now)?;
            ends_to_server::<F, F>(main.entry, alias.entry, &chosen)
        }
        Direction::ToClient => ends_to_client::<F>(main.entry),
    };
    let addresses = (ends.source, ends.destination);
    F::readdress_both(host, packet.l3(), &packet.ip, addresses, true)
        .map(|_| ())
        .ok_or(Reason::RewriteFailed)
}
