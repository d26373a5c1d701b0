//! IPv4.

use abi::{
    Address, FragmentKey, FragmentValue, Globals, MAX_PROBES, Reason, Stage, Tick, hash_address,
    hash_connection,
};
use cell::Cell32;
use conntable::{Bucket, Handle, SlotV4};
use wire::{Delta, ethernet, icmp, ipv4};

use super::{Change, Family, Header};
use crate::host::{Host, Tables};
use crate::packet::{Fragment, Link, Packet};
use crate::verdict::Step;

/// IPv4 (RFC 791).
#[derive(Clone, Copy)]
pub(crate) struct V4;

/// Precedence of ICMP errors: internetwork control (RFC 1812, section 4.3.2.5).
const ICMP_TOS: u8 = 0xc0;
/// What else of the type of service it takes from the packet that it is about (RFC 1349; linux/ip.h,
/// `IPTOS_TOS_MASK`).
const TOS_MASK: u8 = 0x1e;
const ICMP_TTL: u8 = 64;

impl Header for ipv4::Header {
    type Address = u32;

    #[inline(always)]
    fn source(&self) -> u32 {
        Self::source(self)
    }
    #[inline(always)]
    fn destination(&self) -> u32 {
        Self::destination(self)
    }
    #[inline(always)]
    fn version(&self) -> u8 {
        Self::version(self)
    }
    #[inline(always)]
    fn ttl(&self) -> u8 {
        Self::ttl(self)
    }
    #[inline(always)]
    fn tos(&self) -> u8 {
        Self::tos(self)
    }
    #[inline(always)]
    fn dont_fragment(&self) -> bool {
        Self::dont_fragment(self)
    }
}

impl Family for V4 {
    const IS_V6: bool = false;
    const ETHERTYPE: u16 = ethernet::IPV4;
    const ICMP: u8 = ipv4::ICMP;
    const HEADER: u32 = ipv4::HEADER;
    const OPEN: Stage = Stage::Open;
    const FRAGMENT: Stage = Stage::Fragment;
    const RELAY: Stage = Stage::Relay;
    const PERSIST: Stage = Stage::Persist;
    const MAKE: Stage = Stage::Make;
    const ONWARD: Stage = Stage::Onward;
    const TRANSLATE: Stage = Stage::Translate;
    const TUNNEL: Stage = Stage::Tunnel;
    const FULLNAT: Stage = Stage::Fullnat;
    const LEND: Stage = Stage::Lend;
    const RETURN: Stage = Stage::Return;
    const FULLNAT_ERROR: Stage = Stage::FullnatError;
    const LEND_OTHER: Stage = Stage::LendOther;
    const CROSS: Stage = Stage::Cross;
    const CROSS_BACK: Stage = Stage::CrossBack;
    const CROSS_ERROR: Stage = Stage::CrossError;
    const TELL: Stage = Stage::Tell;
    const SACKS: Stage = Stage::Sacks;
    const ANSWER: Stage = Stage::Answer;
    const MAX_ERROR: u32 = icmp::MAX_ERROR;
    const ICMP_HAS_PSEUDO_HEADER: bool = false;
    type Address = u32;
    type Header = ipv4::Header;
    type Slot = SlotV4;

    #[inline(always)]
    fn read<'t, H: Host<'t>>(host: &mut H, link: Link) -> Step<Packet<Self>> {
        let l3 = link.l3;
        let ip = ipv4::Header::from_words(host.words(l3).ok_or(Reason::TruncatedHeader)?);
        let fragment = if ip.is_later_fragment() {
            Fragment::LATER
        } else if ip.is_fragment() {
            Fragment::FIRST
        } else {
            Fragment::NONE
        };
        Ok(Packet {
            link,
            l4: l3 + ip.header_length(),
            ip,
            protocol: ip.protocol(),
            fragment,
            identification: ip.identification() as u32,
            length: ip.total_length(),
        })
    }

    #[inline(always)]
    fn header<'t, H: Host<'t>>(host: &mut H, l3: u32) -> Option<ipv4::Header> {
        Some(ipv4::Header::from_words(host.words(l3)?))
    }

    #[inline(always)]
    fn count_down<'t, H: Host<'t>>(host: &mut H, l3: u32, ip: &ipv4::Header) -> Option<()> {
        host.set_words(l3 + ipv4::TTL_OFFSET, &[ip.counted_down(Delta::ZERO)])
    }

    #[inline(always)]
    fn readdress<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        ip: &ipv4::Header,
        change: Change<u32>,
    ) -> Option<Delta> {
        let (old, ends) = if change.is_source {
            (ip.source(), (change.address, ip.destination()))
        } else {
            (ip.destination(), (ip.source(), change.address))
        };
        let delta = Delta::of_u32(old, change.address);
        write_ends(host, l3, ip, ends, (delta, change.goes_through))?;
        Some(delta)
    }

    #[inline(always)]
    fn readdress_both<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        ip: &ipv4::Header,
        ends: (u32, u32),
        goes_through: bool,
    ) -> Option<Delta> {
        let delta = Delta::of_u32(ip.source(), ends.0).and(Delta::of_u32(ip.destination(), ends.1));
        write_ends(host, l3, ip, ends, (delta, goes_through))?;
        Some(delta)
    }

    #[inline(always)]
    fn write_header<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        (protocol, length): (u8, u32),
        (tos, ttl): (u8, u8),
        (from, to): (u32, u32),
    ) -> Option<u32> {
        let total = (ipv4::HEADER + length) as u16;
        // Nobody fragments it, so it needs no number of its own (RFC 6864).
        let header = ipv4::Header::new(&ipv4::Fields {
            tos,
            total_length: total,
            identification: 0,
            dont_fragment: true,
            ttl,
            protocol,
            source: from,
            destination: to,
        });
        host.set_words(l3, &header.words())?;
        Some(Self::pseudo_header(&header, length, protocol))
    }

    #[inline(always)]
    fn set_length<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        ip: &ipv4::Header,
        length: u32,
    ) -> Option<()> {
        let (old, new) = (ip.total_length() as u16, length as u16);
        let delta = Delta::of_u16(old.to_be(), new.to_be());
        host.set_bytes(l3 + ipv4::LENGTH_OFFSET, &new.to_be_bytes())?;
        host.set_words(l3 + ipv4::TTL_OFFSET, &[ip.with_checksum_changed(delta)])
    }

    #[inline(always)]
    fn hash_address(address: u32) -> u32 {
        hash_address(address)
    }

    #[inline(always)]
    fn found_flags<'t, T: Tables<'t>>(
        tables: T,
        globals: &Globals,
        address: u32,
        (side, hash): (u32, u32),
    ) -> u32 {
        let mask = globals.address_mask.load();
        let side = side * (mask + 1);
        for probe in 0..MAX_PROBES {
            let Some(cell) = tables.address(side + (hash.wrapping_add(probe) & mask)) else {
                return 0;
            };
            let found = cell.address.load();
            if found == address {
                return cell.flags.load();
            }
            if found == 0 {
                return 0;
            }
        }
        0
    }

    #[inline(always)]
    fn words(address: u32) -> Address {
        [address, 0, 0, 0]
    }

    #[inline(always)]
    fn of_cells(cells: &[Cell32; 4]) -> u32 {
        cells[0].load()
    }

    #[inline(always)]
    fn bucket<'t, T: Tables<'t>>(tables: T, index: u32) -> Option<&'t Bucket<SlotV4>> {
        tables.bucket(index)
    }

    #[inline(always)]
    fn buckets(globals: &Globals) -> u32 {
        globals.buckets.load()
    }

    #[inline(always)]
    fn settle<'t, T: Tables<'t>>(tables: T, own: Handle, now: Tick, processor: u32) -> u64 {
        tables.settle(own, now, processor)
    }

    #[inline(always)]
    fn find_far<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u64 {
        tables.find_far(hash, now)
    }

    #[inline(always)]
    fn roomiest<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u32 {
        tables.roomiest(hash, now)
    }

    #[inline(always)]
    fn claim_from<'t, T: Tables<'t>>(tables: T, hash: u32, times: (Tick, Tick), first: u32) -> u64 {
        tables.claim_from(hash, times, first)
    }

    #[inline(always)]
    fn hash(globals: &Globals, client: u32, port: u16, protocol: u8) -> u32 {
        hash_connection(client, port, protocol, globals.hash_seed.load())
    }

    #[inline(always)]
    fn fragment<'t, T: Tables<'t>>(tables: T, packet: &Packet<Self>) -> Option<FragmentValue> {
        tables.fragment(&key(packet))
    }

    #[inline(always)]
    fn remember_fragment<'t, T: Tables<'t>>(
        tables: T,
        packet: &Packet<Self>,
        value: &FragmentValue,
    ) {
        tables.remember_fragment(&key(packet), value);
    }

    #[inline(always)]
    fn own_address<'t, H: Host<'t>>(host: &H) -> u32 {
        host.own_address()
    }

    #[inline(always)]
    fn is_unicast(address: u32) -> bool {
        let first = address.to_ne_bytes()[0];
        first != 0 && first < 224
    }

    #[inline(always)]
    fn is_loopback(address: u32) -> bool {
        address.to_ne_bytes()[0] == 127
    }

    #[inline(always)]
    fn is_icmp_error(kind: u8) -> bool {
        icmp::is_error(kind)
    }

    #[inline(always)]
    fn is_too_big(kind: u8, code: u8) -> bool {
        kind == icmp::UNREACHABLE && code == icmp::FRAGMENTATION_NEEDED
    }

    #[inline(always)]
    fn icmp_error_for(reason: u32) -> (u8, u8) {
        const NO_DESTINATION: u32 = Reason::NoDestination as u32;
        const NOT_CONNECTED: u32 = Reason::NotConnected as u32;
        const TOO_BIG: u32 = Reason::TooBig as u32;
        const TIME_TO_LIVE: u32 = Reason::TimeToLive as u32;
        match reason {
            NO_DESTINATION | NOT_CONNECTED => (icmp::UNREACHABLE, icmp::PORT),
            TOO_BIG => (icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED),
            TIME_TO_LIVE => (icmp::TIME_EXCEEDED, 0),
            _ => (icmp::UNREACHABLE, icmp::HOST),
        }
    }

    #[inline(always)]
    fn write_icmp_header<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        (length, tos): (u32, u8),
        (from, to): (u32, u32),
    ) -> Option<()> {
        let identification = host.identification()?;
        let header = ipv4::Header::new(&ipv4::Fields {
            tos: ICMP_TOS | tos & TOS_MASK,
            total_length: (ipv4::HEADER + length) as u16,
            identification,
            dont_fragment: false,
            ttl: ICMP_TTL,
            protocol: ipv4::ICMP,
            source: from,
            destination: to,
        });
        host.set_words(l3, &header.words())
    }

    #[inline(always)]
    fn icmp_pseudo_header(_length: u32, _from: u32, _to: u32) -> u32 {
        0
    }

    #[inline(always)]
    fn embedded<'t, H: Host<'t>>(host: &mut H, l3: u32) -> Option<(ipv4::Header, u32, u8)> {
        let ip = Self::header(host, l3)?;
        if ip.version() != 4 || ip.header_length() < ipv4::HEADER {
            return None;
        }
        let protocol = if ip.is_later_fragment() {
            0
        } else {
            ip.protocol()
        };
        Some((ip, ip.header_length(), protocol))
    }

    #[inline(always)]
    fn pseudo_header(ip: &ipv4::Header, length: u32, protocol: u8) -> u32 {
        ipv4::pseudo_header_sum(ip.source(), ip.destination(), length as u16, protocol)
    }

    #[inline(always)]
    fn header_sum<'t, H: Host<'t>>(_host: &mut H, _packet: &Packet<Self>) -> Option<u16> {
        // Its own checksum makes up for everything else in it.
        Some(0)
    }

    #[inline(always)]
    fn flow_hash(globals: &Globals, packet: &Packet<Self>, ports: u32) -> u32 {
        let seed = globals.hash_seed.load() ^ packet.ip.destination() ^ ports;
        hash_connection(packet.ip.source(), ports as u16, packet.protocol, seed)
    }
}

/// Writes both addresses of a header, and its time to live and checksum, which stand before them.
#[inline(always)]
fn write_ends<'t, H: Host<'t>>(
    host: &mut H,
    l3: u32,
    ip: &ipv4::Header,
    (source, destination): (u32, u32),
    (delta, goes_through): (Delta, bool),
) -> Option<()> {
    let third = if goes_through {
        ip.counted_down(delta)
    } else {
        ip.with_checksum_changed(delta)
    };
    host.set_words(l3 + ipv4::TTL_OFFSET, &[third, source, destination])
}

#[inline(always)]
fn key(packet: &Packet<V4>) -> FragmentKey {
    FragmentKey {
        source: packet.ip.source(),
        destination: packet.ip.destination(),
        identification: packet.identification as u16,
        protocol: packet.protocol as u16,
    }
}
