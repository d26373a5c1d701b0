//! What differs between IPv4 and IPv6.

mod v4;
mod v6;

use abi::{Address, Filtered, FragmentValue, Globals, Reason, Stage, Tick, filter_words};
use cell::Cell32;
use conntable::{Bucket, Entry, Handle, Slot, Words};
use wire::Delta;

use crate::host::{Host, Tables};
use crate::packet::{Link, Packet};
use crate::verdict::Step;

pub(crate) use v4::V4;
pub(crate) use v6::V6;

/// An IP header without options or extensions, in registers and on the stack.
pub(crate) trait Header: Copy {
    /// An address of the family.
    type Address: Copy + PartialEq;
    /// Source address, network order.
    fn source(&self) -> Self::Address;
    /// Destination address, network order.
    fn destination(&self) -> Self::Address;
    /// IP version.
    fn version(&self) -> u8;
    /// Time to live, or hop limit.
    fn ttl(&self) -> u8;
    /// Type of service, or traffic class.
    fn tos(&self) -> u8;
    /// Whether the packet must not be fragmented on its way.
    fn dont_fragment(&self) -> bool;
}

/// Another address in an IP header.
#[derive(Clone, Copy)]
pub(crate) struct Change<A> {
    /// Whether it is the source's, or the destination's.
    pub is_source: bool,
    /// The new one.
    pub address: A,
    /// Whether the packet goes through the director, which takes one of its time to live.
    pub goes_through: bool,
}

/// An address family.
pub(crate) trait Family: Copy + 'static {
    /// Whether it is IPv6.
    const IS_V6: bool;
    /// Ethernet's number of it.
    const ETHERTYPE: u16;
    /// ICMP's protocol number.
    const ICMP: u8;
    /// Bytes of the header without options or extensions.
    const HEADER: u32;
    /// What looks for the service of a packet that has no connection.
    const OPEN: Stage;
    /// What deals with fragments.
    const FRAGMENT: Stage;
    /// What deals with ICMP.
    const RELAY: Stage;
    /// What asks a client's template.
    const PERSIST: Stage;
    /// What makes a connection to a chosen destination.
    const MAKE: Stage;
    /// What forwards a packet for which a connection was made.
    const ONWARD: Stage;
    /// What translates an ICMP error.
    const TRANSLATE: Stage;
    /// What encapsulates packets of the family.
    const TUNNEL: Stage;
    /// What forwards a client's packet under FULLNAT.
    const FULLNAT: Stage;
    /// What lends a local address and port to a client's connection.
    const LEND: Stage;
    /// What forwards a real server's packet under FULLNAT.
    const RETURN: Stage;
    /// What translates an ICMP error under FULLNAT.
    const FULLNAT_ERROR: Stage;
    /// What lends a client of the family a local address of the other one.
    const LEND_OTHER: Stage;
    /// What forwards a packet of a client of the family to a real server of the other one.
    const CROSS: Stage;
    /// What forwards a packet of a real server of the family to a client of the other one.
    const CROSS_BACK: Stage;
    /// What tells of an ICMP error of the family about a packet of the other one.
    const CROSS_ERROR: Stage;
    /// What tells a real server of the family the client's address.
    const TELL: Stage;
    /// What translates selective acknowledgements to a client of the family.
    const SACKS: Stage;
    /// What sends ICMP errors.
    const ANSWER: Stage;
    /// An address.
    type Address: Copy + PartialEq + Words;
    /// A header.
    type Header: Header<Address = Self::Address>;
    /// A connection's slot.
    type Slot: Slot + Entry<Address = Self::Address>;

    /// Reads a packet's header, and goes over its extensions to the transport's.
    fn read<'t, H: Host<'t>>(host: &mut H, link: Link) -> Step<Packet<Self>>
    where
        Self: Sized;
    /// Reads a header, and only a whole one: `None` past the end of the frame.
    fn header<'t, H: Host<'t>>(host: &mut H, l3: u32) -> Option<Self::Header>;
    /// Counts down the time to live, which must not be 0, of the header at `l3`.
    fn count_down<'t, H: Host<'t>>(host: &mut H, l3: u32, ip: &Self::Header) -> Option<()>;
    /// Changes an address of the header at `l3`, and counts down its time to live where it goes
    /// through. Returns by how much the transport's pseudo-header's sum changes.
    fn readdress<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        ip: &Self::Header,
        change: Change<Self::Address>,
    ) -> Option<Delta>;
    /// Changes both addresses of the header at `l3`, and counts its time to live down where it
    /// `goes_through`. Returns by how much the transport's pseudo-header's sum changes.
    fn readdress_both<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        ip: &Self::Header,
        ends: (Self::Address, Self::Address),
        goes_through: bool,
    ) -> Option<Delta>;
    /// Writes the header of a packet that goes through the director to `l3`: of a protocol, with so
    /// many bytes behind it, with this type of service and time to live. Returns the sum of the
    /// transport's pseudo-header.
    fn write_header<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        contents: (u8, u32),
        life: (u8, u8),
        ends: (Self::Address, Self::Address),
    ) -> Option<u32>;
    /// Gives the packet at `l3` another length, counted from its IP header on.
    fn set_length<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        ip: &Self::Header,
        length: u32,
    ) -> Option<()>;
    /// Flags of an address ([`abi::address_flags`]), 0 for one that does not concern the director.
    /// Most of those the filter knows, which is in the caches when the tables are not.
    #[inline(always)]
    fn address_flags<'t, T: Tables<'t>>(
        tables: T,
        globals: &Globals,
        address: Self::Address,
    ) -> u32 {
        let side = globals.side.load() & 1;
        let mask = globals.address_mask.load();
        let hash = Self::hash_address(address);
        let filtered = Filtered::of(hash, mask);
        match tables.address_filter(side * filter_words(mask) + filtered.word) {
            Some(word) if filtered.is_in(word.0.load()) => {
                Self::found_flags(tables, globals, address, (side, hash))
            }
            _ => 0,
        }
    }
    /// Hash of an address in its table.
    fn hash_address(address: Self::Address) -> u32;
    /// Flags of an address by the cells of a side, from the one that its hash leads to.
    fn found_flags<'t, T: Tables<'t>>(
        tables: T,
        globals: &Globals,
        address: Self::Address,
        place: (u32, u32),
    ) -> u32;
    /// An address as tables hold it.
    fn words(address: Self::Address) -> Address;
    /// The address in a table.
    fn of_cells(cells: &[Cell32; 4]) -> Self::Address;
    /// A bucket of the family's connection table.
    fn bucket<'t, T: Tables<'t>>(tables: T, index: u32) -> Option<&'t Bucket<Self::Slot>>;
    /// Number of its buckets, less one.
    fn buckets(globals: &Globals) -> u32;
    /// [`crate::settle`].
    fn settle<'t, T: Tables<'t>>(tables: T, own: Handle, now: Tick, processor: u32) -> u64;
    /// [`crate::find_far`].
    fn find_far<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u64;
    /// [`crate::roomiest`].
    fn roomiest<'t, T: Tables<'t>>(tables: T, hash: u32, now: Tick) -> u32;
    /// [`crate::claim_from`].
    fn claim_from<'t, T: Tables<'t>>(tables: T, hash: u32, times: (Tick, Tick), first: u32) -> u64;
    /// The hash of a client's address, port and protocol.
    fn hash(globals: &Globals, client: Self::Address, port: u16, protocol: u8) -> u32;
    /// What a datagram's first fragment decided.
    fn fragment<'t, T: Tables<'t>>(tables: T, packet: &Packet<Self>) -> Option<FragmentValue>
    where
        Self: Sized;
    /// Keeps what a datagram's first fragment decided.
    fn remember_fragment<'t, T: Tables<'t>>(
        tables: T,
        packet: &Packet<Self>,
        value: &FragmentValue,
    ) where
        Self: Sized;
    /// This machine's address on the interface that the packet came in by.
    fn own_address<'t, H: Host<'t>>(host: &H) -> Self::Address;
    /// Whether an address can be answered: no multicast, no broadcast, not the unspecified one.
    fn is_unicast(address: Self::Address) -> bool;

    /// Whether an address never leaves the machine.
    fn is_loopback(address: Self::Address) -> bool;

    /// Whether ICMP messages of this type are errors about other packets.
    fn is_icmp_error(kind: u8) -> bool;
    /// Whether an ICMP error says that a packet was too big.
    fn is_too_big(kind: u8, code: u8) -> bool;
    /// The ICMP error that tells of a reason: type and code.
    fn icmp_error_for(reason: u32) -> (u8, u8);
    /// Most bytes of an ICMP error with its IP header.
    const MAX_ERROR: u32;
    /// Whether ICMP's checksum covers a pseudo-header.
    const ICMP_HAS_PSEUDO_HEADER: bool;
    /// Writes the header of an ICMP error of the director's own to `l3`. `size`: the bytes behind
    /// it, and the type of service of the packet that it is about.
    fn write_icmp_header<'t, H: Host<'t>>(
        host: &mut H,
        l3: u32,
        size: (u32, u8),
        ends: (Self::Address, Self::Address),
    ) -> Option<()>;
    /// The pseudo-header's sum of such a message.
    fn icmp_pseudo_header(length: u32, from: Self::Address, to: Self::Address) -> u32;
    /// The packet in an ICMP error, at `l3`: its header, the bytes before its transport header,
    /// and its protocol, 0 where the transport header is not there.
    fn embedded<'t, H: Host<'t>>(host: &mut H, l3: u32) -> Option<(Self::Header, u32, u8)>;

    /// The sum of a transport's pseudo-header, unfolded; `length` from the transport header on.
    fn pseudo_header(ip: &Self::Header, length: u32, protocol: u8) -> u32;
    /// The folded sum of the IP header with its options or extensions; `None` where that would
    /// take a look at more than can be read.
    fn header_sum<'t, H: Host<'t>>(host: &mut H, packet: &Packet<Self>) -> Option<u16>
    where
        Self: Sized;
    /// The hash of a packet's flow: addresses, protocol and `ports`.
    fn flow_hash(globals: &Globals, packet: &Packet<Self>, ports: u32) -> u32
    where
        Self: Sized;
}

/// What every stage needs first.
#[inline(always)]
pub(crate) fn globals<'t, H: Host<'t>>(host: &H) -> Step<(&'t Globals, Tick)> {
    let globals = host.tables().globals().ok_or(Reason::TableMissing)?;
    Ok((globals, host.now(globals)))
}
