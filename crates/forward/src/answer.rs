//! ICMP errors of the director's own (RFC 792, RFC 1812 section 4.3, RFC 4443).
//!
//! The packet itself becomes the answer: what it was moves behind a new IP and ICMP header.

use abi::{Globals, Reason, Runtime, Tick};
use cell::{blurred, masked};
use wire::checksum::fold;
use wire::icmp;

use crate::family::{self, Family, Header as _};
use crate::host::{Host, Tables};
use crate::packet::{Fragment, Packet};
use crate::route;
use crate::verdict::{Action, Step, Verdict};

/// One bit for every reason that the sender is told of.
const ANSWERED: u64 = 1 << Reason::NoDestination as u32
    | 1 << Reason::HostUnreachable as u32
    | 1 << Reason::NoRoute as u32
    | 1 << Reason::TooBig as u32
    | 1 << Reason::TimeToLive as u32
    | 1 << Reason::NotConnected as u32;

/// The verdict, or, where the sender must be told of it, the stage that tells. A hook that has none
/// passes the packet up.
#[inline(always)]
pub(crate) fn instead<'t, F: Family, H: Host<'t>>(host: &H, verdict: Verdict) -> Verdict {
    // To the kernel's verifier just a number, so that it follows what comes once, not for every
    // reason.
    let reason = masked::<{ abi::REASONS }>(verdict.reason_number()) as u32;
    if verdict.action() != Action::Drop || ANSWERED >> reason & 1 == 0 {
        return verdict;
    }
    if !H::COMPLETE {
        return Verdict::stay(Reason::ToStack);
    }
    let Some(carry) = host.carry() else {
        return verdict;
    };
    carry.reason.store(reason);
    carry.icmp.store(0);
    Verdict::go_on(F::ANSWER)
}

/// Turns a packet into the error that tells its sender of the reason that was left, unless the
/// rate limit holds it back or there is nobody to tell.
#[inline(always)]
pub(crate) fn answer<'t, F: Family, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let reason = carry.reason.load() & (abi::REASONS as u32 - 1);
    let (kind, code) = match carry.icmp.load() {
        0 => F::icmp_error_for(reason),
        icmp => ((icmp >> 8) as u8, icmp as u8),
    };
    let (mtu, counted_down) = if F::is_too_big(kind, code) {
        (carry.mtu.load(), carry.counted_down.load())
    } else {
        (0, (reason == Reason::NotConnected as u32) as u32)
    };
    // The kernel's verifier need not follow what comes for each.
    let unknown = carry.mtu.load();
    let size = (blurred(mtu, unknown), blurred(counted_down, unknown) != 0);
    Ok(match error::<F, H>(host, (kind, code), size) {
        Some(()) => Verdict::send_for(reason),
        None => Verdict::stay_for(reason),
    })
}

#[inline(always)]
fn error<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    (kind, code): (u8, u8),
    (mtu, counted_down): (u32, bool),
) -> Option<()> {
    let mut packet = Packet::<F>::read(host).ok()?;
    // What a router complains of may be cut off.
    let available = host.frame_length().wrapping_sub(packet.l3());
    if packet.length > available {
        packet.length = available;
    }
    packet.check(host).ok()?;
    let tables = host.tables();
    let (globals, now) = family::globals(host).ok()?;
    let to = packet.ip.source();
    let from = source_address(host, globals, &packet);
    if !F::is_unicast(from) || !F::is_unicast(to) || packet.fragment == Fragment::LATER {
        return None;
    }
    if packet.protocol == F::ICMP {
        return None;
    }
    let way = route::to_address::<F, H>(host, to);
    if way.is_none() {
        return None;
    }
    if !may_send(globals, tables.runtime()?, now) {
        host.count(Reason::IcmpRateLimited);
        return None;
    }
    let room = F::HEADER + icmp::HEADER;
    let most = F::MAX_ERROR - room;
    let kept = if packet.length < most {
        packet.length
    } else {
        most
    };
    let l3 = packet.l3();
    if counted_down {
        F::count_down(host, l3, &packet.ip)?;
    }
    host.embed(l3, room, kept)?;
    let size = (icmp::HEADER + kept, packet.ip.tos());
    F::write_icmp_header(host, l3, size, (from, to))?;
    // Unused in all errors but those about size (RFC 792, RFC 1191, RFC 4443).
    let mtu = mtu.to_be_bytes();
    let message = [kind, code, 0, 0, mtu[0], mtu[1], mtu[2], mtu[3]];
    let offset = l3 + F::HEADER;
    host.set_bytes(offset, &message)?;
    let pseudo_header = F::icmp_pseudo_header(icmp::HEADER + kept, from, to);
    let sum = checksum::<F, H>(host, offset, icmp::HEADER + kept, pseudo_header)?;
    host.set_bytes(offset + icmp::CHECKSUM_OFFSET, &sum.to_ne_bytes())?;
    route::leave(host, packet.link, &way)
}

/// The director's address that the sender of a packet knows: the virtual one, or the one on the
/// interface that the packet came in by.
#[inline(always)]
fn source_address<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    packet: &Packet<F>,
) -> F::Address {
    let to = packet.ip.destination();
    let flags = F::address_flags(host.tables(), globals, to);
    if flags & abi::address_flags::LOCAL != 0 {
        to
    } else {
        F::own_address(host)
    }
}

/// Takes one from the allowance, which grows by the second's rate up to the burst.
#[inline(always)]
fn may_send(globals: &Globals, runtime: &Runtime, now: Tick) -> bool {
    let hz = globals.ticks_per_second.load().max(1) as u64;
    let rate = globals.icmp_per_second.load() as u64;
    let burst = globals.icmp_burst.load() as u64;
    for _ in 0..4 {
        let before = runtime.icmp_bucket.load();
        let (last, tokens) = ((before >> 32) as u32, before & 0xffff_ffff);
        let grown = now.wrapping_sub(last) as u64 * rate / hz;
        let (last, tokens) = if grown > 0 {
            (now, tokens + grown)
        } else {
            (last, tokens)
        };
        let tokens = if tokens > burst { burst } else { tokens };
        if tokens == 0 {
            return false;
        }
        let after = (last as u64) << 32 | (tokens - 1);
        if runtime.icmp_bucket.compare_and_swap(before, after) {
            return true;
        }
    }
    false
}

/// Bytes that are summed up at once.
const BLOCK: u32 = 32;

/// The Internet checksum over bytes of the frame, at most those of the largest error, and a
/// pseudo-header's sum.
#[inline(always)]
fn checksum<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    offset: u32,
    length: u32,
    pseudo_header: u32,
) -> Option<u16> {
    let mut sum = pseudo_header as u64;
    // Else the compiler would end the loop by the length alone, of which kernels before 6.3 forget
    // how large it may be: they give a program up that jumps too often.
    let length = blurred(length, pseudo_header);
    for block in 0..F::MAX_ERROR / BLOCK {
        if (block + 1) * BLOCK > length {
            break;
        }
        let bytes: [u8; BLOCK as usize] = host.bytes(offset + block * BLOCK)?;
        for b in bytes.as_chunks::<4>().0 {
            sum += u32::from_ne_bytes(*b) as u64;
        }
    }
    let whole = length & !(BLOCK - 1);
    // Counted from 0: kernels before 6.3 see no end of a loop that begins anywhere.
    for word in 0..BLOCK / 4 - 1 {
        let start = whole + word * 4;
        if start + 4 > length {
            break;
        }
        sum += u32::from_ne_bytes(host.bytes(offset + start)?) as u64;
    }
    let rest = length & !3;
    let mut last = [0u8; 4];
    if length & 2 != 0 {
        let two: [u8; 2] = host.bytes(offset + rest)?;
        last[0] = two[0];
        last[1] = two[1];
        if length & 1 != 0 {
            let [odd] = host.bytes::<1>(offset + rest + 2)?;
            last[2] = odd;
        }
    } else if length & 1 != 0 {
        let [odd] = host.bytes::<1>(offset + rest)?;
        last[0] = odd;
    }
    sum += u32::from_ne_bytes(last) as u64;
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    Some(!fold(sum as u32))
}
