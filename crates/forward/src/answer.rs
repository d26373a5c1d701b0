//! ICMP errors of the director's own (RFC 792, RFC 1812 section 4.3).
//!
//! The packet itself becomes the answer: what it was moves behind a new IP and ICMP header.

use abi::{Globals, Reason, Runtime, Tick};
use cell::masked;
use wire::checksum::fold;
use wire::{icmp, ipv4};

use crate::host::{Host, Tables};
use crate::packet::Packet;
use crate::route;
use crate::verdict::{Action, Verdict};

/// Precedence of ICMP errors: internetwork control (RFC 1812, section 4.3.2.5).
const TOS: u8 = 0xc0;
const TTL: u8 = 64;
const ROOM: u32 = ipv4::HEADER + icmp::HEADER;
const MOST_KEPT: u32 = icmp::MAX_ERROR - ROOM;

/// Tells the sender of a packet that is dropped, where an ICMP error for the reason exists. A hook
/// that cannot passes the packet up instead.
#[inline(always)]
pub(crate) fn instead<'t, H: Host<'t>>(host: &mut H, packet: &Packet, verdict: Verdict) -> Verdict {
    // To the kernel's verifier just a number, so that it follows what comes once, not for every
    // reason.
    let reason = masked(verdict.reason_number(), abi::REASONS as u32 - 1) as u32;
    if verdict.action() != Action::Drop || ANSWERED >> reason & 1 == 0 {
        return verdict;
    }
    if !H::COMPLETE {
        return Verdict::stay(Reason::ToStack);
    }
    error(host, packet, reason)
}

/// One bit for every reason that the sender is told of.
const ANSWERED: u64 = 1 << Reason::NoDestination as u32
    | 1 << Reason::HostUnreachable as u32
    | 1 << Reason::NoRoute as u32
    | 1 << Reason::TooBig as u32
    | 1 << Reason::TimeToLive as u32;

/// Which error tells of a reason.
#[inline(always)]
const fn kind_of(reason: u32) -> (u8, u8) {
    const NO_DESTINATION: u32 = Reason::NoDestination as u32;
    const TOO_BIG: u32 = Reason::TooBig as u32;
    const TIME_TO_LIVE: u32 = Reason::TimeToLive as u32;
    match reason {
        NO_DESTINATION => (icmp::UNREACHABLE, icmp::PORT),
        TOO_BIG => (icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED),
        TIME_TO_LIVE => (icmp::TIME_EXCEEDED, 0),
        _ => (icmp::UNREACHABLE, icmp::HOST),
    }
}

/// Turns a packet into the error that tells its sender of a reason, unless the rate limit holds it
/// back or there is nobody to tell.
#[inline(never)]
fn error<'t, H: Host<'t>>(host: &mut H, packet: &Packet, reason: u32) -> Verdict {
    match try_error(host, packet, reason) {
        Some(()) => Verdict::send_for(reason),
        None => Verdict::stay_for(reason),
    }
}

#[inline(always)]
fn try_error<'t, H: Host<'t>>(host: &mut H, packet: &Packet, reason: u32) -> Option<()> {
    let (kind, code) = kind_of(reason);
    let globals = host.tables().globals()?;
    let now = host.now(globals);
    let tables = host.tables();
    let runtime = tables.runtime()?;
    let to = packet.ip.source();
    let from = source_address(host, globals, packet);
    if from == 0 || !is_unicast(to) || packet.ip.is_later_fragment() {
        return None;
    }
    if packet.ip.protocol() == ipv4::ICMP {
        return None;
    }
    let (way, _) = route::to_address(tables, to);
    if way.is_none() {
        return None;
    }
    if !may_send(globals, runtime, now) {
        host.count(Reason::IcmpRateLimited);
        return None;
    }
    let kept = if packet.length < MOST_KEPT {
        packet.length
    } else {
        MOST_KEPT
    };
    host.embed(packet.l3, ROOM, kept)?;
    let identification = runtime.icmp_identification.fetch_add(1) as u16;
    let total = (ROOM + kept) as u16;
    let header = ipv4::Header::new(TOS, total, identification, TTL, ipv4::ICMP, from, to);
    host.set_bytes(packet.l3, &header.0)?;
    // Unused in all other errors (RFC 792, RFC 1191).
    let mtu = if reason == Reason::TooBig as u32 {
        packet.mtu as u16
    } else {
        0
    };
    let message = mtu.to_be_bytes();
    let message = [kind, code, 0, 0, 0, 0, message[0], message[1]];
    let icmp_offset = packet.l3 + ipv4::HEADER;
    host.set_bytes(icmp_offset, &message)?;
    let sum = checksum(host, icmp_offset, icmp::HEADER + kept)?;
    host.set_bytes(icmp_offset + icmp::CHECKSUM_OFFSET, &sum.to_ne_bytes())?;
    route::leave(host, packet, &way)
}

/// The director's address that the sender of a packet knows: the virtual one, or the one on the
/// interface that the packet came in by.
#[inline(always)]
fn source_address<'t, H: Host<'t>>(host: &H, globals: &Globals, packet: &Packet) -> u32 {
    let to = packet.ip.destination();
    let flags = crate::lookup::address_flags(host.tables(), globals, to);
    if flags & abi::address_flags::LOCAL != 0 {
        to
    } else {
        host.own_address()
    }
}

/// Whether an address (network order) can be answered: no multicast, no broadcast, not 0.
#[inline(always)]
const fn is_unicast(address: u32) -> bool {
    let first = address.to_ne_bytes()[0];
    first != 0 && first < 224
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

/// The Internet checksum over bytes of the frame; at most those of the largest error.
#[inline(always)]
fn checksum<'t, H: Host<'t>>(host: &mut H, offset: u32, length: u32) -> Option<u16> {
    const WORDS: u32 = (icmp::HEADER + MOST_KEPT) / 4;
    let mut sum = 0u64;
    for word in 0..WORDS {
        if word * 4 + 4 > length {
            break;
        }
        sum += u32::from_ne_bytes(host.bytes(offset + word * 4)?) as u64;
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
