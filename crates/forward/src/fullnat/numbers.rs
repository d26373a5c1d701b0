//! Sequence numbers under the PROXY protocol: the director's header makes the client's stream longer,
//! so the real server counts from further on than the client.

use abi::Reason;
use cell::blurred;
use wire::{Delta, tcp};

use crate::family::Family;
use crate::host::Host;
use crate::packet::{Packet, Ports};
use crate::route::Way;
use crate::verdict::{Step, Verdict};

/// A number in a TCP header that becomes another, both in host order.
#[derive(Clone, Copy)]
pub(crate) struct Renumbered {
    offset: u32,
    old: u32,
    new: u32,
}

impl Renumbered {
    /// None does.
    pub const NOT: Self = Self::sequence(0, 0);

    /// The sequence number.
    #[inline(always)]
    pub const fn sequence(old: u32, new: u32) -> Self {
        Self {
            offset: tcp::SEQUENCE_OFFSET,
            old,
            new,
        }
    }

    /// The acknowledgement number.
    #[inline(always)]
    pub const fn acknowledgement(old: u32, new: u32) -> Self {
        Self {
            offset: tcp::ACKNOWLEDGEMENT_OFFSET,
            old,
            new,
        }
    }

    /// See [`cell::blurred`].
    #[inline(always)]
    pub fn blurred(self, unknown: u32) -> Self {
        Self {
            offset: blurred(self.offset, unknown),
            old: blurred(self.old, unknown),
            new: blurred(self.new, unknown),
        }
    }

    /// Writes it into the TCP header at `l4`; returns by how much the header's sum changes.
    #[inline(always)]
    pub fn write<'t, H: Host<'t>>(&self, host: &mut H, l4: u32) -> Step<Delta> {
        if self.old == self.new {
            return Ok(Delta::ZERO);
        }
        host.set_bytes(l4 + self.offset, &self.new.to_be_bytes())
            .ok_or(Reason::RewriteFailed)?;
        Ok(Delta::of_u32(self.old.to_be(), self.new.to_be()))
    }
}

/// Bytes of timestamps with their filling.
const TIMESTAMPS: u32 = 12;
/// How they begin, in practice (RFC 7323, appendix A).
const TIMESTAMPS_HEAD: [u8; 4] = [tcp::NOTHING, tcp::NOTHING, tcp::TIMESTAMPS, 10];

/// Whether a segment may acknowledge selectively: it has options other than timestamps.
#[inline(always)]
pub(crate) fn may_have_sacks<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    ports: &Ports,
) -> bool {
    let Some([length]) = host.bytes::<1>(packet.l4 + tcp::LENGTH_OFFSET) else {
        return false;
    };
    let options = ((length >> 4) as u32 * 4).wrapping_sub(tcp::HEADER);
    if options == 0 || ports.flags & tcp::SYN != 0 {
        return false;
    }
    options != TIMESTAMPS || host.bytes::<4>(packet.l4 + tcp::HEADER) != Some(TIMESTAMPS_HEAD)
}

/// Options, and edges of what is acknowledged, that are looked through.
const STEPS: u32 = 24;
/// The mark of an odd place.
const ODD: u32 = 1;

/// Leaves a rewritten answer to the stage that takes `shift` from what it acknowledges selectively.
#[inline(always)]
pub(crate) fn hand_over<'t, F: Family, H: Host<'t>>(
    host: &H,
    shift: u32,
    way: &Way<'t>,
) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    carry.shift.store(shift);
    carry.exit.store(way.ifindex());
    Ok(Verdict::go_on(F::SACKS))
}

/// The stage: a real server's answer, rewritten but for what it acknowledges selectively.
#[inline(always)]
pub(crate) fn sacks<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let packet = Packet::<F>::read(host)?;
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let [length] = host
        .bytes::<1>(packet.l4 + tcp::LENGTH_OFFSET)
        .ok_or(Reason::TruncatedHeader)?;
    let header = (length >> 4) as u32 * 4;
    let shift = carry.shift.load();
    let mut offset = tcp::HEADER;
    let mut edges = 0;
    let mut change = Delta::ZERO;
    for _ in 0..STEPS {
        if offset + 2 > header {
            break;
        }
        if edges > 0 {
            let moved = shifted(host, packet.l4, offset, shift).ok_or(Reason::RewriteFailed)?;
            change = change.and(moved);
            edges -= 1;
            offset = cell::masked::<64>(offset + 4) as u32;
            continue;
        }
        let [kind, length] = host
            .bytes(packet.l4 + offset)
            .ok_or(Reason::TruncatedHeader)?;
        let step = match kind {
            tcp::END => break,
            tcp::NOTHING => 1,
            tcp::SACK => {
                edges = ((length as u32).wrapping_sub(2) / 4) & 15;
                2
            }
            _ => length as u32,
        };
        offset = cell::masked::<64>(offset + step) as u32;
    }
    host.change_checksum(packet.l4 + tcp::CHECKSUM_OFFSET, Delta::ZERO, change, false)
        .ok_or(Reason::RewriteFailed)?;
    match carry.exit.load() {
        0 => host.leave_by_neighbour(),
        ifindex => host.leave_by(ifindex),
    }
    Ok(Verdict::send(Reason::Replied))
}

/// Takes `shift` from the number at an offset from the TCP header on; returns by how much the
/// header's sum changes.
#[inline(always)]
fn shifted<'t, H: Host<'t>>(host: &mut H, l4: u32, offset: u32, shift: u32) -> Option<Delta> {
    let old: [u8; 4] = host.bytes(l4 + offset)?;
    let new = u32::from_be_bytes(old).wrapping_sub(shift).to_be_bytes();
    host.set_bytes(l4 + offset, &new)?;
    // The checksum is of words: at an odd place, bytes count the other way round.
    let word = |[a, b, c, d]: [u8; 4]| match offset & ODD {
        0 => u32::from_ne_bytes([a, b, c, d]),
        _ => u32::from_ne_bytes([b, a, d, c]),
    };
    Some(Delta::of_u32(word(old), word(new)))
}
