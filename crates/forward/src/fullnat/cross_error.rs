//! ICMP errors about connections between the address families, from either side.
//!
//! What an error quotes becomes the packet that its sender sent, of the sender's own family; the
//! director then tells the sender of it as of a trouble of its own (RFC 7915, sections 4.2 and 5.2).

use abi::{Reason, method};
use conntable::{Direction, Found, Handle, Slot as _};
use wire::tcp;

use crate::connection::Chosen;
use crate::family::{self, Family, Header as _};
use crate::fullnat::cross::growth;
use crate::fullnat::{Ends, ends_to_client, ends_to_server, partner, tell};
use crate::host::{Host, connections};
use crate::lookup::Role;
use crate::packet::Packet;
use crate::relay::embedded;
use crate::verdict::{Step, Verdict};

/// The stage: an error of family `P`, whose connection was left by its entry in that family's table:
/// the main one where the error goes to the real server, the alias where it goes to the client. Either
/// is of family `Q`.
#[inline(always)]
pub(crate) fn error<'t, P: Family, Q: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let (globals, now) = family::globals(host)?;
    let mut packet = Packet::<P>::read(host)?;
    packet.check(host)?;
    let tables = host.tables();
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let direction = Role::carried(carry).direction;
    let left = connections::<P, _>(tables, globals)
        .at(Handle(carry.connection.load()), now)
        .ok_or(Reason::NoConnection)?;
    let other = partner::<P, Q, _>(tables, globals, &left, now)?;
    // The ends of a packet on its way here are the reverse of those of one from here.
    let (ends, alias) = match direction {
        Direction::ToClient => (ends_to_client::<Q>(other.entry), Some(&left)),
        Direction::ToServer => {
            let main = left.entry;
            if main.method() != method::FULLNAT {
                return Err(Reason::NoConnection);
            }
            let chosen = Chosen::by_number(tables, main.destination())?;
            (ends_to_server::<P, Q>(main, other.entry, &chosen), None)
        }
    };
    let message: [u8; 8] = host.bytes(packet.l4).ok_or(Reason::BadIcmp)?;
    let inner = embedded(host, &packet)?;
    if inner.l4.wrapping_sub(inner.l3) != P::HEADER {
        return Err(Reason::IcmpOther);
    }
    let l3 = packet.l3();
    host.strip(l3, inner.l3.wrapping_sub(l3))
        .ok_or(Reason::RewriteFailed)?;
    restore::<P, Q, H>(host, &ends, alias)?;
    let mtu = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
    let (kind, code) = translated::<P, Q>((message[0], message[1]));
    carry.mtu.store(mtu.wrapping_sub(growth::<Q, P>()));
    carry.counted_down.store(0);
    carry.reason.store(Reason::IcmpRelayed as u32);
    carry.icmp.store(1 << 16 | (kind as u32) << 8 | code as u32);
    Ok(Verdict::go_on(Q::ANSWER))
}

/// What an error of family `P` is in family `Q`: type and code.
#[inline(always)]
fn translated<P: Family, Q: Family>((kind, code): (u8, u8)) -> (u8, u8) {
    let is = |reason: Reason| P::icmp_error_for(reason as u32) == (kind, code);
    let reason = if P::is_too_big(kind, code) {
        Reason::TooBig
    } else if is(Reason::NoDestination) {
        Reason::NoDestination
    } else if is(Reason::TimeToLive) {
        Reason::TimeToLive
    } else {
        Reason::HostUnreachable
    };
    Q::icmp_error_for(reason as u32)
}

/// Makes of a quoted packet, with which the frame begins now, the one that its sender sent. `ends`
/// are those of an answer to it; where it is a client's, its alias says how it was numbered.
#[inline(always)]
fn restore<'t, P: Family, Q: Family, H: Host<'t>>(
    host: &mut H,
    ends: &Ends<Q::Address>,
    alias: Option<&Found<'t, P::Slot>>,
) -> Step<()> {
    let link = crate::packet::Link::read(host)?;
    let quoted = P::read(host, link)?;
    let (l3, inside) = (quoted.l3(), quoted.length.wrapping_sub(P::HEADER));
    host.change_family(l3, Q::IS_V6)
        .ok_or(Reason::RewriteFailed)?;
    let life = (quoted.ip.tos(), quoted.ip.ttl());
    let reversed = (ends.destination, ends.source);
    Q::write_header(host, l3, (quoted.protocol, inside), life, reversed)
        .ok_or(Reason::RewriteFailed)?;
    let l4 = l3 + Q::HEADER;
    let (from, to) = (ends.ports.destination, ends.ports.source);
    let ([a, b], [c, d]) = (from.to_ne_bytes(), to.to_ne_bytes());
    host.set_bytes(l4, &[a, b, c, d])
        .ok_or(Reason::RewriteFailed)?;
    let Some(alias) = alias.filter(|alias| alias.word.state() != 0) else {
        return Ok(());
    };
    let offset = l4 + tcp::SEQUENCE_OFFSET;
    let number = u32::from_be_bytes(host.bytes(offset).ok_or(Reason::BadIcmp)?);
    let number = tell::quoted::<Q, P>((alias.entry, alias.word.state()), number);
    host.set_bytes(offset, &number.to_be_bytes())
        .ok_or(Reason::RewriteFailed)
}
