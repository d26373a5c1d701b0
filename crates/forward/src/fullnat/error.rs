//! ICMP errors about connections under FULLNAT, from either side.

use abi::{Reason, method};
use conntable::{Direction, Handle, Name, Slot as _};
use wire::{Delta, icmp, tcp};

use crate::connection::Chosen;
use crate::counters;
use crate::family::{self, Family};
use crate::fullnat::numbers::Renumbered;
use crate::fullnat::{Ends, ends_to_client, ends_to_server, partner, tell};
use crate::host::{Host, connections};
use crate::lookup::Role;
use crate::packet::{Packet, Ports};
use crate::relay::{Embedded, embedded};
use crate::route;
use crate::verdict::{Step, Verdict};

/// The stage: an error whose connection was left, by its main entry where the error goes to the real
/// server, by its alias where it goes to the client.
#[inline(always)]
pub(crate) fn error<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<F>::read(host)?;
    packet.check(host)?;
    let tables = host.tables();
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let direction = Role::carried(carry).direction;
    let left = connections::<F, _>(tables, globals)
        .at(Handle(carry.connection.load()), now)
        .ok_or(Reason::NoConnection)?;
    if Name(left.entry.client_hop().load()).is_of_other_family() {
        return Ok(Verdict::go_on(F::CROSS_ERROR));
    }
    let (alias, state) = (left.entry, left.word.state());
    let main = match direction {
        Direction::ToServer => left,
        Direction::ToClient => partner::<F, F, _>(tables, globals, &left, now)?,
    };
    let slot = main.entry;
    if slot.method() != method::FULLNAT {
        return Err(Reason::NoConnection);
    }
    let chosen = Chosen::by_number(tables, slot.destination())?;
    let (way, ends) = match direction {
        Direction::ToServer => (
            route::by_index(tables, chosen.cell.next_hop.load()),
            ends_to_server::<F, F>(
                slot,
                partner::<F, F, _>(tables, globals, &main, now)?.entry,
                &chosen,
            ),
        ),
        Direction::ToClient => (
            route::to_address::<F, H>(host, slot.client()),
            ends_to_client::<F>(slot),
        ),
    };
    if let Some(reason) = route::obstacle(host, &packet, &way, (direction, 0)) {
        return Err(reason);
    }
    counters::packet(host, globals, &chosen, &packet, direction);
    let inner = &embedded(host, &packet)?;
    let renumbered = match direction {
        Direction::ToServer => Delta::ZERO,
        Direction::ToClient => renumber::<F, H>(host, inner, (alias, state))?,
    };
    rewrite(host, &packet, inner, &ends, renumbered)?;
    route::leave(host, packet.link, &way).ok_or(Reason::RewriteFailed)?;
    Ok(Verdict::send(Reason::IcmpRelayed))
}

/// Gives a segment that an error quotes to a client the sequence number that the client sent it with;
/// returns by how much the error's sum changes.
#[inline(always)]
fn renumber<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    inner: &Embedded<F>,
    (alias, state): (&F::Slot, u8),
) -> Step<Delta> {
    if state == 0 {
        return Ok(Delta::ZERO);
    }
    // An error quotes that much of a packet at least (RFC 792).
    let quoted = host
        .bytes(inner.l4 + tcp::SEQUENCE_OFFSET)
        .ok_or(Reason::BadIcmp)?;
    let old = u32::from_be_bytes(quoted);
    let new = tell::quoted::<F, F>((alias, state), old);
    Renumbered::sequence(old, new).write(host, inner.l4)
}

/// Gives an error new ends, and the packet in it, which went the other way, the same ones reversed.
#[inline(always)]
fn rewrite<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    inner: &Embedded<F>,
    ends: &Ends<F::Address>,
    renumbered: Delta,
) -> Step<()> {
    let reversed = (ends.destination, ends.source);
    let embedded = F::readdress_both(host, inner.l3, &inner.ip, reversed, false)
        .ok_or(Reason::RewriteFailed)?;
    let old = Ports {
        source: inner.source_port,
        destination: inner.destination_port,
        flags: 0,
    };
    let new = Ports {
        source: ends.ports.destination,
        destination: ends.ports.source,
        flags: 0,
    };
    host.set_bytes(inner.l4, &new.word().to_ne_bytes())
        .ok_or(Reason::RewriteFailed)?;
    let addresses = (ends.source, ends.destination);
    let outer = F::readdress_both(host, packet.l3(), &packet.ip, addresses, true)
        .ok_or(Reason::RewriteFailed)?;
    // An embedded IPv4 header's sum stays the same: its checksum made up for its addresses. Not so
    // IPv6's, which has none, and whose ICMP covers the outer addresses, too.
    let (outer, embedded) = if F::ICMP_HAS_PSEUDO_HEADER {
        (outer, embedded)
    } else {
        (Delta::ZERO, Delta::ZERO)
    };
    let ports = Delta::of_u32(old.word(), new.word());
    let payload = ports.and(embedded).and(renumbered);
    let checksum = packet.l4 + icmp::CHECKSUM_OFFSET;
    host.change_checksum(checksum, outer, payload, false)
        .ok_or(Reason::RewriteFailed)
}
