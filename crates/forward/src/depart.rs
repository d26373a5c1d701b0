//! What this machine itself sends: replies of a real server that runs on the director.

use abi::{Globals, Reason, Stage, address_flags, method};
use conntable::{Direction, End, Slot as _};
use wire::{ethernet, ipv4};

use crate::connection::{self, Chosen, find, query_of};
use crate::counters;
use crate::family::{self, Family, Header as _};
use crate::host::Host;
use crate::lookup::Role;
use crate::nat;
use crate::packet::{Fragment, Link, Packet};
use crate::verdict::{Step, Verdict};

/// The stage. The packet always goes on to where the stack sends it.
#[inline(always)]
pub(crate) fn depart<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let link = Link::read(host)?;
    if link.kind != F::ETHERTYPE {
        if !F::IS_V6 && link.kind == ethernet::IPV6 {
            return Ok(Verdict::go_on(Stage::DepartV6));
        }
        return Err(Reason::NotIp);
    }
    let (globals, _) = family::globals(host)?;
    let mut packet = F::read(host, link)?;
    let flags = F::address_flags(host.tables(), globals, packet.ip.source());
    if flags & (address_flags::VIRTUAL | address_flags::REAL) == 0
        || packet.fragment != Fragment::NONE
        || !matches!(packet.protocol, ipv4::TCP | ipv4::UDP)
        || packet.check(host).is_err()
    {
        return Err(Reason::NotOurs);
    }
    reply(host, globals, &packet, flags)
}

#[inline(always)]
fn reply<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    globals: &Globals,
    packet: &Packet<F>,
    flags: u32,
) -> Step<Verdict> {
    let now = host.now(globals);
    let is_translated = flags & address_flags::REAL != 0;
    let role = Role {
        direction: Direction::ToClient,
        end: if is_translated {
            End::Server
        } else {
            End::Virtual
        },
        is_lent: false,
    };
    let ports = packet.ports(host)?;
    let query = query_of(packet, &ports, role);
    let tables = host.tables();
    let found = find::<F, _>(tables, globals, &query, now).ok_or(Reason::NotOurs)?;
    let chosen = Chosen::by_number(tables, conntable::Entry::load(found.entry).destination)?;
    let method = found.entry.method();
    if !chosen.is_local() || is_translated != (method == method::MASQUERADE) {
        return Err(Reason::NotOurs);
    }
    let event = (role.direction, packet.protocol, ports.flags);
    connection::advance::<F, H>(host, globals, &found, event, now);
    counters::packet(host, globals, &chosen, packet, role.direction);
    if is_translated {
        let ends = (found.entry, &chosen);
        nat::rewrite(host, packet, &ports, ends, (role.direction, false))?;
    }
    Ok(Verdict::stay(Reason::ReplyFromHere))
}
