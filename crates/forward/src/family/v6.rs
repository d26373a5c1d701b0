//! IPv6.

use abi::{
    Address, FragmentKeyV6, FragmentValue, Globals, MAX_PROBES, Reason, Stage, Tick,
    hash_address_v6, hash_connection_v6,
};
use cell::{Cell32, blurred};
use conntable::{Bucket, Handle, SlotV6};
use wire::checksum::fold;
use wire::{Delta, ethernet, icmpv6, ipv6};

use super::{Change, Family, Header};
use crate::host::{Host, Tables};
use crate::packet::{Fragment, Link, Packet};
use crate::verdict::Step;

/// IPv6 (RFC 8200).
#[derive(Clone, Copy)]
pub(crate) struct V6;

/// Extension headers that are looked through for the transport's. What has more is left to the
/// stack, as a protocol that is not balanced.
const MAX_EXTENSIONS: u32 = 6;
/// Where the last of them may begin.
const FARTHEST: u32 = 256;
const ICMP_HOP_LIMIT: u8 = 64;

impl Header for ipv6::Header {
    type Address = Address;

    #[inline(always)]
    fn source(&self) -> Address {
        Self::source(self)
    }
    #[inline(always)]
    fn destination(&self) -> Address {
        Self::destination(self)
    }
    #[inline(always)]
    fn version(&self) -> u8 {
        Self::version(self)
    }
    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.hop_limit()
    }
    #[inline(always)]
    fn tos(&self) -> u8 {
        self.traffic_class()
    }
    #[inline(always)]
    fn dont_fragment(&self) -> bool {
        // Nobody but the sender may (RFC 8200, section 5).
        true
    }
}

impl Family for V6 {
    const IS_V6: bool = true;
    const ETHERTYPE: u16 = ethernet::IPV6;
    const ICMP: u8 = ipv6::ICMPV6;
    const HEADER: u32 = ipv6::HEADER;
    const OPEN: Stage = Stage::OpenV6;
    const FRAGMENT: Stage = Stage::FragmentV6;
    const RELAY: Stage = Stage::RelayV6;
    const PERSIST: Stage = Stage::PersistV6;
    const MAKE: Stage = Stage::MakeV6;
    const ONWARD: Stage = Stage::OnwardV6;
    const TRANSLATE: Stage = Stage::TranslateV6;
    const TUNNEL: Stage = Stage::TunnelV6;
    const FULLNAT: Stage = Stage::FullnatV6;
    const LEND: Stage = Stage::LendV6;
    const RETURN: Stage = Stage::ReturnV6;
    const FULLNAT_ERROR: Stage = Stage::FullnatErrorV6;
    const LEND_OTHER: Stage = Stage::LendOtherV6;
    const CROSS: Stage = Stage::CrossV6;
    const CROSS_BACK: Stage = Stage::CrossBackV6;
    const CROSS_ERROR: Stage = Stage::CrossErrorV6;
    const TELL: Stage = Stage::TellV6;
    const SACKS: Stage = Stage::SacksV6;
    const ANSWER: Stage = Stage::AnswerV6;
    const MAX_ERROR: u32 = icmpv6::MAX_ERROR;
    const ICMP_HAS_PSEUDO_HEADER: bool = true;
    type Address = Address;
    type Header = ipv6::Header;
    type Slot = SlotV6;

    #[inline(always)]
    fn read<'t, H: Host<'t>>(host: &mut H, link: Link) -> Step<Packet<Self>> {
        let ip = ipv6::Header::from_words(host.words(link.l3).ok_or(Reason::TruncatedHeader)?);
        let mut packet = Packet {
            link,
            l4: link.l3 + ipv6::HEADER,
            ip,
            protocol: ip.next_header(),
            fragment: Fragment::NONE,
            identification: 0,
            length: ipv6::HEADER + ip.payload_length(),
        };
        for _ in 0..MAX_EXTENSIONS {
            if !ipv6::is_extension(packet.protocol)
                || packet.fragment == Fragment::LATER
                || packet.l4 > FARTHEST
            {
                break;
            }
            let Some(head) = host.bytes::<8>(packet.l4) else {
                break;
            };
            if packet.protocol == ipv6::FRAGMENT {
                let header = ipv6::Fragment(head);
                packet.identification = header.identification();
                // An "atomic" fragment is whole (RFC 6946).
                if header.is_later() {
                    packet.fragment = Fragment::LATER;
                } else if header.more() {
                    packet.fragment = Fragment::FIRST;
                }
            }
            packet.l4 += ipv6::extension_length(packet.protocol, head[1]);
            packet.protocol = head[0];
        }
        // The kernel's verifier need not follow what comes for every number of extensions.
        let unknown = ip.source()[3];
        packet.l4 = blurred(packet.l4, unknown);
        packet.protocol = blurred(packet.protocol as u32, unknown) as u8;
        packet.fragment = packet.fragment.blurred(unknown);
        Ok(packet)
    }

    #[inline(always)]
    fn header<'t, H: Host<'t>>(host: &mut H, l3: u32) -> Option<ipv6::Header> {
        Some(ipv6::Header::from_words(host.words(l3)?))
    }

    #[inline(always)]
    fn count_down<'t, H: Host<'t>>(host: &mut H, l3: u32, ip: &ipv6::Header) -> Option<()> {
        host.set_bytes(
            l3 + ipv6::HOP_LIMIT_OFFSET,
            &[ip.hop_limit().wrapping_sub(1)],
        )
    }

    #[inline(always)]
    fn readdress<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        ip: &ipv6::Header,
        change: Change<Address>,
    ) -> Option<Delta> {
        let (old, offset) = if change.is_source {
            (ip.source(), ipv6::SOURCE_OFFSET)
        } else {
            (ip.destination(), ipv6::DESTINATION_OFFSET)
        };
        if change.goes_through {
            Self::count_down(host, l3, ip)?;
        }
        host.set_words(l3 + offset, &change.address)?;
        Some(Delta::of_address(old, change.address))
    }

    #[inline(always)]
    fn readdress_both<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        ip: &ipv6::Header,
        (source, destination): (Address, Address),
        goes_through: bool,
    ) -> Option<Delta> {
        if goes_through {
            Self::count_down(host, l3, ip)?;
        }
        host.set_words(l3 + ipv6::SOURCE_OFFSET, &source)?;
        host.set_words(l3 + ipv6::DESTINATION_OFFSET, &destination)?;
        Some(
            Delta::of_address(ip.source(), source)
                .and(Delta::of_address(ip.destination(), destination)),
        )
    }

    #[inline(always)]
    fn write_header<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        (protocol, length): (u8, u32),
        (tos, ttl): (u8, u8),
        (from, to): (Address, Address),
    ) -> Option<u32> {
        let header = ipv6::Header::new(tos, 0, length as u16, protocol, ttl, from, to);
        host.set_words(l3, &header.words())?;
        Some(Self::pseudo_header(&header, length, protocol))
    }

    #[inline(always)]
    fn set_length<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        _: &ipv6::Header,
        length: u32,
    ) -> Option<()> {
        let payload = length.wrapping_sub(ipv6::HEADER) as u16;
        host.set_bytes(l3 + ipv6::LENGTH_OFFSET, &payload.to_be_bytes())
    }

    #[inline(always)]
    fn hash_address(address: Address) -> u32 {
        hash_address_v6(address)
    }

    #[inline(always)]
    fn found_flags<'t, T: Tables<'t>>(
        tables: T,
        globals: &Globals,
        address: Address,
        (side, hash): (u32, u32),
    ) -> u32 {
        let mask = globals.address_mask_v6.load();
        let side = side * (mask + 1);
        for probe in 0..MAX_PROBES {
            let Some(cell) = tables.address_v6(side + (hash.wrapping_add(probe) & mask)) else {
                return 0;
            };
            let found = Self::of_cells(&cell.address);
            if difference(found, address) == 0 {
                return cell.flags.load();
            }
            if difference(found, [0; 4]) == 0 {
                return 0;
            }
        }
        0
    }

    #[inline(always)]
    fn words(address: Address) -> Address {
        address
    }

    #[inline(always)]
    fn of_cells(cells: &[Cell32; 4]) -> Address {
        [
            cells[0].load(),
            cells[1].load(),
            cells[2].load(),
            cells[3].load(),
        ]
    }

    #[inline(always)]
    fn bucket<'t, T: Tables<'t>>(tables: T, index: u32) -> Option<&'t Bucket<SlotV6>> {
        tables.bucket_v6(index)
    }

    #[inline(always)]
    fn buckets(globals: &Globals) -> u32 {
        globals.buckets_v6.load()
    }

    #[inline(always)]
    fn settle<'t, T: Tables<'t>>(tables: T, own: Handle, now: Tick, processor: u32) -> u64 {
        tables.settle_v6(own, now, processor)
    }

    #[inline(always)]
    fn find_far<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u64 {
        tables.find_far_v6(hash, now)
    }

    #[inline(always)]
    fn roomiest<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u32 {
        tables.roomiest_v6(hash, now)
    }

    #[inline(always)]
    fn claim_from<'t, T: Tables<'t>>(tables: T, hash: u32, times: (Tick, Tick), first: u32) -> u64 {
        tables.claim_from_v6(hash, times, first)
    }

    #[inline(always)]
    fn hash(globals: &Globals, client: Address, port: u16, protocol: u8) -> u32 {
        hash_connection_v6(client, port, protocol, globals.hash_seed.load())
    }

    #[inline(always)]
    fn fragment<'t, T: Tables<'t>>(tables: T, packet: &Packet<Self>) -> Option<FragmentValue> {
        tables.fragment_v6(&key(packet))
    }

    #[inline(always)]
    fn remember_fragment<'t, T: Tables<'t>>(
        tables: T,
        packet: &Packet<Self>,
        value: &FragmentValue,
    ) {
        tables.remember_fragment_v6(&key(packet), value);
    }

    #[inline(always)]
    fn own_address<'t, H: Host<'t>>(host: &H) -> Address {
        host.own_address_v6()
    }

    #[inline(always)]
    fn is_unicast(address: Address) -> bool {
        address[0].to_ne_bytes()[0] != 0xff && difference(address, [0; 4]) != 0
    }

    #[inline(always)]
    fn is_loopback(address: Address) -> bool {
        difference(address, [0, 0, 0, 1u32.to_be()]) == 0
    }

    #[inline(always)]
    fn is_icmp_error(kind: u8) -> bool {
        icmpv6::is_error(kind)
    }

    #[inline(always)]
    fn is_too_big(kind: u8, _code: u8) -> bool {
        kind == icmpv6::PACKET_TOO_BIG
    }

    #[inline(always)]
    fn icmp_error_for(reason: u32) -> (u8, u8) {
        const NO_DESTINATION: u32 = Reason::NoDestination as u32;
        const NOT_CONNECTED: u32 = Reason::NotConnected as u32;
        const TOO_BIG: u32 = Reason::TooBig as u32;
        const TIME_TO_LIVE: u32 = Reason::TimeToLive as u32;
        match reason {
            NO_DESTINATION | NOT_CONNECTED => (icmpv6::DESTINATION_UNREACHABLE, icmpv6::PORT),
            TOO_BIG => (icmpv6::PACKET_TOO_BIG, 0),
            TIME_TO_LIVE => (icmpv6::TIME_EXCEEDED, icmpv6::HOP_LIMIT),
            _ => (icmpv6::DESTINATION_UNREACHABLE, icmpv6::ADDRESS),
        }
    }

    #[inline(always)]
    fn write_icmp_header<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        (length, _): (u32, u8),
        (from, to): (Address, Address),
    ) -> Option<()> {
        let length = length as u16;
        let header = ipv6::Header::new(0, 0, length, ipv6::ICMPV6, ICMP_HOP_LIMIT, from, to);
        host.set_words(l3, &header.words())
    }

    #[inline(always)]
    fn icmp_pseudo_header(length: u32, from: Address, to: Address) -> u32 {
        ipv6::pseudo_header_sum(from, to, length, ipv6::ICMPV6)
    }

    #[inline(always)]
    fn embedded<'t, H: Host<'t>>(host: &mut H, l3: u32) -> Option<(ipv6::Header, u32, u8)> {
        let ip = Self::header(host, l3)?;
        if ip.version() != 6 {
            return None;
        }
        if ip.next_header() != ipv6::FRAGMENT {
            return Some((ip, ipv6::HEADER, ip.next_header()));
        }
        let fragment = ipv6::Fragment(host.bytes(l3 + ipv6::HEADER)?);
        let protocol = if fragment.is_later() {
            0
        } else {
            fragment.next_header()
        };
        Some((ip, ipv6::HEADER + ipv6::Fragment::LENGTH, protocol))
    }

    #[inline(always)]
    fn pseudo_header(ip: &ipv6::Header, length: u32, protocol: u8) -> u32 {
        ipv6::pseudo_header_sum(ip.source(), ip.destination(), length, protocol)
    }

    #[inline(always)]
    fn header_sum<'t, H: Host<'t>>(_host: &mut H, packet: &Packet<Self>) -> Option<u16> {
        // Extensions would have to be summed up, too.
        (packet.header_length() == ipv6::HEADER).then(|| fold(packet.ip.sum()))
    }

    #[inline(always)]
    fn flow_hash(globals: &Globals, packet: &Packet<Self>, ports: u32) -> u32 {
        let seed = globals.hash_seed.load() ^ hash_address_v6(packet.ip.destination()) ^ ports;
        hash_connection_v6(packet.ip.source(), ports as u16, packet.protocol, seed)
    }
}

/// 0 where both are the same, without a branch.
#[inline(always)]
const fn difference(a: Address, b: Address) -> u32 {
    (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])
}

#[inline(always)]
fn key(packet: &Packet<V6>) -> FragmentKeyV6 {
    FragmentKeyV6 {
        source: packet.ip.source(),
        destination: packet.ip.destination(),
        identification: packet.identification,
    }
}
