//! The way of a packet from its arrival to its verdict, stage by stage.

use abi::{Globals, RealServerKey, Reason, ServiceCell, Stage, Tick, destination_flags, wildcards};
use conntable::{Direction, Entry as _, Found};
use wire::{ethernet, ipv4, tcp};

use crate::connection::{find, query_of};
use crate::depart;
use crate::family::{self, Family, Header as _, V4, V6};
use crate::host::{Host, Tables};
use crate::lookup::{self, Role, TO_SERVICE};
use crate::onward::{self, Passage, onward};
use crate::packet::{Fragment, Link, Packet, Ports};
use crate::verdict::{Action, Step, Verdict};
use crate::{answer, cut, fragment, fullnat, make, open, persist, relay, schedule, sweep, tunnel};

/// Decides over a packet that came in, and rewrites it accordingly.
#[inline(always)]
pub fn process<'t, H: Host<'t>>(host: &mut H) -> Verdict {
    walk(host, Stage::Enter)
}

/// Looks at a packet that this machine sends, and rewrites it where a local real server's needs it.
#[inline(always)]
pub fn process_departing<'t, H: Host<'t>>(host: &mut H) -> Verdict {
    walk(host, Stage::Depart)
}

/// One stage after another, where they need not be programs of their own.
#[inline(always)]
fn walk<'t, H: Host<'t>>(host: &mut H, first: Stage) -> Verdict {
    let mut verdict = Verdict::go_on(first);
    while verdict.action() == Action::GoOn {
        verdict = run(host, Stage::ALL[verdict.next() as usize]);
    }
    verdict
}

/// One stage of a packet's way.
#[inline(always)]
pub fn run<'t, H: Host<'t>>(host: &mut H, stage: Stage) -> Verdict {
    let step = match stage {
        Stage::Enter => enter::<V4, H>(host),
        Stage::EnterV6 => enter::<V6, H>(host),
        Stage::Depart => depart::depart::<V4, H>(host),
        Stage::DepartV6 => depart::depart::<V6, H>(host),
        Stage::Fragment => fragment::fragment::<V4, H>(host),
        Stage::FragmentV6 => fragment::fragment::<V6, H>(host),
        Stage::Relay => relay::relay::<V4, H>(host),
        Stage::RelayV6 => relay::relay::<V6, H>(host),
        Stage::Open => open::open::<V4, H>(host),
        Stage::OpenV6 => open::open::<V6, H>(host),
        Stage::Make => make::make::<V4, H>(host),
        Stage::MakeV6 => make::make::<V6, H>(host),
        Stage::Persist => persist::persist::<V4, H>(host),
        Stage::PersistV6 => persist::persist::<V6, H>(host),
        Stage::Schedule => schedule::schedule(host),
        Stage::Cut => cut::cut(host),
        Stage::Onward => onward::found::<V4, H>(host),
        Stage::OnwardV6 => onward::found::<V6, H>(host),
        Stage::Translate => relay::translate::<V4, H>(host),
        Stage::TranslateV6 => relay::translate::<V6, H>(host),
        Stage::Tunnel => tunnel::encapsulate::<V4, H>(host),
        Stage::TunnelV6 => tunnel::encapsulate::<V6, H>(host),
        Stage::Fullnat => fullnat::to_server::<V4, H>(host),
        Stage::FullnatV6 => fullnat::to_server::<V6, H>(host),
        Stage::Lend => fullnat::lend::<V4, V4, H>(host),
        Stage::LendV6 => fullnat::lend::<V6, V6, H>(host),
        Stage::Return => fullnat::to_client::<V4, H>(host),
        Stage::ReturnV6 => fullnat::to_client::<V6, H>(host),
        Stage::FullnatError => fullnat::error::<V4, H>(host),
        Stage::FullnatErrorV6 => fullnat::error::<V6, H>(host),
        Stage::Tell => fullnat::tell::<V4, H>(host),
        Stage::TellV6 => fullnat::tell::<V6, H>(host),
        Stage::Sacks => fullnat::sacks::<V4, H>(host),
        Stage::SacksV6 => fullnat::sacks::<V6, H>(host),
        Stage::LendOther => fullnat::lend::<V4, V6, H>(host),
        Stage::LendOtherV6 => fullnat::lend::<V6, V4, H>(host),
        Stage::Cross => fullnat::cross::to_server::<V4, V6, H>(host),
        Stage::CrossV6 => fullnat::cross::to_server::<V6, V4, H>(host),
        Stage::CrossBack => fullnat::cross::to_client::<V6, V4, H>(host),
        Stage::CrossError => fullnat::cross_error::error::<V4, V6, H>(host),
        Stage::CrossErrorV6 => fullnat::cross_error::error::<V6, V4, H>(host),
        Stage::CrossBackV6 => fullnat::cross::to_client::<V4, V6, H>(host),
        Stage::Answer => answer::answer::<V4, H>(host),
        Stage::AnswerV6 => answer::answer::<V6, H>(host),
    };
    let verdict = step.unwrap_or_else(Verdict::stay);
    let verdict = match stage {
        Stage::Answer | Stage::AnswerV6 | Stage::Cut => verdict,
        // Families come together here: the packet's own is left.
        Stage::Schedule => schedule::refused(host, verdict),
        stage if stage.is_v6() => answer::instead::<V6, H>(host, verdict),
        _ => answer::instead::<V4, H>(host, verdict),
    };
    count(host, verdict);
    verdict
}

#[inline(always)]
fn count<'t, H: Host<'t>>(host: &H, verdict: Verdict) {
    let is_over = match verdict.action() {
        Action::GoOn => false,
        // What a hook passes up, the complete one sees again and counts. That passes nothing up but
        // copies, which are counted as the packets that they are of.
        Action::Pass => H::COMPLETE && verdict.reason_number() != Reason::ToStack as u32,
        Action::Drop | Action::Send | Action::Consume => true,
    };
    if is_over {
        host.count_number(verdict.reason_number());
    }
}

/// From arrival on: forwards packets of known connections, and sorts the others.
#[inline(always)]
fn enter<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (link, mac) = Link::with_destination(host)?;
    if link.kind != F::ETHERTYPE {
        return other_kind::<F>(link.kind);
    }
    if !host.is_own_mac(mac) {
        return tunnel::piece::<F, H>(host, mac);
    }
    let mut packet = F::read(host, link)?;
    let (globals, now) = family::globals(host)?;
    let role = match lookup::role(host, globals, &packet) {
        Ok(role) => role,
        // It may have a mark that a service goes by.
        Err(Reason::NotOurs) if may_be_marked(globals, &packet) => {
            return open::hand_over::<F, H>(host, false);
        }
        // A host in between may complain of a packet that went this way.
        Err(Reason::NotOurs) if packet.protocol == F::ICMP && H::COMPLETE => {
            return Ok(Verdict::go_on(F::RELAY));
        }
        Err(reason) => return Err(reason),
    };
    packet.check(host)?;
    sweep::some(host, now);
    if packet.fragment != Fragment::NONE {
        return complete_only::<H>(F::FRAGMENT);
    }
    match packet.protocol {
        ipv4::TCP | ipv4::UDP if role.is_lent => Ok(Verdict::go_on(F::RETURN)),
        ipv4::TCP | ipv4::UDP => either_way(host, globals, &packet, (role, now)),
        protocol if protocol == F::ICMP => complete_only::<H>(F::RELAY),
        _ => Err(Reason::NoService),
    }
}

/// Whether a packet to an address that is not a service's may be one's by its mark. Fragments have
/// none that all of them would share.
#[inline(always)]
fn may_be_marked<F: Family>(globals: &Globals, packet: &Packet<F>) -> bool {
    globals.wildcards.load() & wildcards::MARKS != 0
        && matches!(packet.protocol, ipv4::TCP | ipv4::UDP)
        && packet.fragment == Fragment::NONE
}

/// A stage that only the complete path has.
#[inline(always)]
pub(crate) fn complete_only<'t, H: Host<'t>>(stage: Stage) -> Step<Verdict> {
    if H::COMPLETE {
        Ok(Verdict::go_on(stage))
    } else {
        Err(Reason::ToStack)
    }
}

/// What is not of the entry's own family.
#[inline(always)]
fn other_kind<F: Family>(kind: u16) -> Step<Verdict> {
    if !F::IS_V6 && kind == ethernet::IPV6 {
        return Ok(Verdict::go_on(Stage::EnterV6));
    }
    Err(Reason::NotIp)
}

/// [`balance`], once for each direction where BPF's stack has room for that: what depends on it is
/// decided once, then.
#[inline(always)]
fn either_way<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    packet: &Packet<F>,
    (role, now): (Role, Tick),
) -> Step<Verdict> {
    if F::IS_V6 && H::COMPLETE {
        return balance(host, globals, packet, (role, now));
    }
    match role.direction {
        Direction::ToServer => balance(host, globals, packet, (TO_SERVICE, now)),
        direction @ Direction::ToClient => {
            let role = Role { direction, ..role };
            balance(host, globals, packet, (role, now))
        }
    }
}

/// A whole TCP segment or UDP datagram to a virtual service or from a real server.
#[inline(always)]
fn balance<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    packet: &Packet<F>,
    (role, now): (Role, Tick),
) -> Step<Verdict> {
    let ports = &packet.ports(host)?;
    let query = query_of(packet, ports, role);
    let is_to_server = role.direction == Direction::ToServer;
    match find::<F, _>(host.tables(), globals, &query, now) {
        // BPF's stack is too small to do the complete path for IPv6 at once. And only the stage
        // looks into handshakes.
        Some(found)
            if (F::IS_V6 && H::COMPLETE || ports.flags & tcp::SYN != 0)
                && stays::<F, H>(host, globals, &found, ports, role) =>
        {
            onward::hand_over::<F, H>(host, found.handle().0, role)
        }
        Some(found) if stays::<F, H>(host, globals, &found, ports, role) => {
            let passage = Passage {
                packet,
                ports,
                role,
                now,
                is_first: false,
            };
            onward::<F, H, false>(host, globals, &passage, &found)
        }
        Some(_) => open::hand_over::<F, H>(host, false),
        None if is_to_server => open::hand_over::<F, H>(host, true),
        None => Err(unconnected::<F, H>(host, globals, packet, ports)),
    }
}

/// What a packet is that belongs to no connection and comes from a real server's address: where
/// `nat_icmp_send` says so, and it comes from where the real server takes connections, one that it is
/// told of. A reset is not answered.
#[inline(always)]
fn unconnected<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    packet: &Packet<F>,
    ports: &Ports,
) -> Reason {
    let is_answered = H::COMPLETE && ports.flags & tcp::RST == 0 && packet.ip.ttl() > 1;
    if !is_answered || globals.nat_icmp_send.load() == 0 {
        return Reason::NoConnection;
    }
    // A firewall mark's service is of any protocol.
    let is_there = [packet.protocol, 0].into_iter().any(|protocol| {
        host.tables().is_real_server(&RealServerKey {
            address: F::words(packet.ip.source()),
            service: ServiceCell::key(ports.source, protocol, F::IS_V6),
        })
    });
    if is_there {
        Reason::NotConnected
    } else {
        Reason::NoConnection
    }
}

/// Whether a packet certainly belongs to the connection that was found for it, and does not end it
/// to open another.
#[inline(always)]
fn stays<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    found: &Found<'t, F::Slot>,
    ports: &Ports,
    role: Role,
) -> bool {
    if role.direction == Direction::ToClient {
        return true;
    }
    if ports.flags & tcp::SYN != 0 {
        return false;
    }
    globals.expire_nodest_conn.load() == 0
        || host
            .tables()
            .destination(found.entry.load().destination)
            .is_some_and(|cell| cell.flags.load() & destination_flags::AVAILABLE != 0)
}
