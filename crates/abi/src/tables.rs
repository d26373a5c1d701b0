//! The layout of the tables.

use cell::{Cell32, Cell64};

use crate::REASONS;

/// An IP address of either family, in words as they stand in a packet. IPv4's is the first word.
pub type Address = [u32; 4];

/// A point in time or a span, in ticks of the kernel (jiffies), wrapping.
pub type Tick = u32;

/// How many destinations of a service are compared at a time, from the head of its list. The kernel's
/// verifier bounds it.
pub const COMPARED_AT_ONCE: u32 = 128;
/// How many are compared for one connection by `lc` and its kin. The kernel's bound on jumps between
/// programs bounds it.
pub const MAX_COMPARED: u32 = 8 * COMPARED_AT_ONCE;
/// How far a lookup in the hashed configuration tables searches from its start.
pub const MAX_PROBES: u32 = 16;
/// Cells of the interface table.
pub const INTERFACES: u32 = 256;
/// Rules that give packets marks, of each side.
pub const MARK_RULES: u32 = 256;
/// Number of timeouts: see [`timeout_index`].
pub const TIMEOUTS: usize = 64;
/// Seconds that a persistence template lasts longer, again and again, while connections go by it
/// (`ip_vs_conn_expire`).
pub const HELD_SECONDS: u32 = 60;
/// No next hop, no destination: the value of an unset index.
pub const NONE: u32 = u32::MAX;

/// Settings and facts that every packet reads. One element.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Globals {
    /// [`crate::ABI_VERSION`] of the daemon that made the tables.
    pub abi_version: Cell32,
    /// Half of the two-sided tables in use: 0 or 1.
    pub side: Cell32,
    /// Changes whenever a cached next hop of a client may be out of date. Never 0.
    pub routing_generation: Cell32,
    /// Added to the kernel's tick; tests move time with it.
    pub clock_offset: Cell32,
    /// Ticks in a second (the kernel's HZ).
    pub ticks_per_second: Cell32,
    /// Number of buckets of the connection table.
    pub buckets: Cell32,
    /// Number of address cells of a side, less one.
    pub address_mask: Cell32,
    /// Number of service cells of a side, less one.
    pub service_mask: Cell32,
    /// Seed of the connection hash.
    pub hash_seed: Cell32,
    /// Number of destinations that fit; a processor's statistics start at a multiple of it.
    pub destinations: Cell32,
    /// IPVS's conn_reuse_mode: 0 never, bit 0 in TIME_WAIT and CLOSE, bit 1 in FIN_WAIT too.
    pub conn_reuse_mode: Cell32,
    /// IPVS's expire_nodest_conn: 1 ends a connection whose destination was removed.
    pub expire_nodest_conn: Cell32,
    /// ICMP errors that the director may send in a second.
    pub icmp_per_second: Cell32,
    /// ICMP errors that it may send at once after a quiet time.
    pub icmp_burst: Cell32,
    /// 0 the normal TCP state table, 1 the one for `secure_tcp`.
    pub tcp_table: Cell32,
    /// Number of buckets of the connection table for IPv6.
    pub buckets_v6: Cell32,
    /// Number of IPv6 address cells of a side, less one: as `address_mask`, as both share a filter.
    pub address_mask_v6: Cell32,
    /// IPVS's pmtu_disc: 0 fragments what is too large for a tunnel, whatever the sender wants.
    pub pmtu_disc: Cell32,
    /// IPVS's nat_icmp_send: 1 tells a real server that its packet belongs to no connection.
    pub nat_icmp_send: Cell32,
    /// IPVS's schedule_icmp: 1 lets an ICMP error that belongs to no connection open one.
    pub schedule_icmp: Cell32,
    /// IPVS's sloppy_tcp: 1 lets any segment but a reset open a connection.
    pub sloppy_tcp: Cell32,
    /// IPVS's sloppy_sctp, likewise.
    pub sloppy_sctp: Cell32,
    /// IPVS's expire_quiescent_template: 1 forgets a template whose destination takes nothing new.
    pub expire_quiescent_template: Cell32,
    /// IPVS's ignore_tunneled: 1 lets packets that came by a tunnel pass.
    pub ignore_tunneled: Cell32,
    /// IPVS's cache_bypass: 1 forwards to the original address where a service has no destination.
    pub cache_bypass: Cell32,
    /// Of so many packets that would open a connection one is dropped (IPVS's drop_packet); 0 none.
    pub drop_packet: Cell32,
    /// Bits of [`wildcards`]: which services take packets to other ports than their own.
    pub wildcards: Cell32,
    /// Interface that cuts what is sent by it into its segments; 0 for none. See [`PIECE`].
    pub cut_into: Cell32,
    /// Interface that the pieces come back by.
    pub cut_from: Cell32,
    /// IPVS's lblcr_expiration in ticks: after so long an unchanged set loses its most loaded
    /// destination.
    pub lblcr_expiration: Cell32,
    /// Cookie of the network namespace that the tables are for, low half first: programs for sockets
    /// see those of all namespaces.
    pub namespace: [Cell32; 2],
    /// Timeouts in ticks by [`timeout_index`].
    pub timeouts: Timeouts,
}

/// How both MAC addresses of a frame begin that goes through the cutting interfaces
/// ([`Globals::cut_into`]) on its way into a tunnel. In the destination's the packet's ports follow,
/// in the source's the destination's number, as [`Carry`] has them. It is a local address (bit 1 of
/// the first byte) of no interface.
pub const PIECE: [u8; 2] = [0x02, 0x58];

/// Bits of [`Globals::wildcards`].
pub mod wildcards {
    /// There are services for all ports.
    pub const ALL_PORTS: u32 = 1;
    /// There are TCP services on FTP's port, which its data connections belong to.
    pub const FTP: u32 = 2;
    /// There are services of firewall marks.
    pub const MARKS: u32 = 4;
}

/// Timeouts in ticks, by [`timeout_index`].
#[repr(transparent)]
#[derive(Debug)]
pub struct Timeouts(pub [Cell32; TIMEOUTS]);

impl Default for Timeouts {
    fn default() -> Self {
        Self([const { Cell32::new(0) }; TIMEOUTS])
    }
}

/// Where in [`Globals::timeouts`] the timeout of a protocol's state stands. States have the
/// kernel's numbers.
#[inline(always)]
pub const fn timeout_index(protocol: u8, state: u8) -> usize {
    let base = match protocol {
        6 => 0,
        17 => 16,
        132 => 24,
        _ => 48,
    };
    (base + state as usize) & (TIMEOUTS - 1)
}

/// What packets change for all: kept away from what they only read. One element.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Runtime {
    /// Allowance for ICMP errors: the tick it was counted at (high half), tokens (low half).
    pub icmp_bucket: Cell64,
    /// Next bucket that packets sweep while no daemon does.
    pub sweep_cursor: Cell32,
    /// Tick of the last sweep by packets.
    pub sweep_tick: Cell32,
    /// Packets that would open a connection, counted while [`Globals::drop_packet`] is not 0.
    pub drop_counter: Cell32,
}

/// What an IPv4 address is to the director. Empty where `address` is 0.
///
/// Hashed by [`crate::hash_address`], linear probing, two sides.
#[repr(C)]
#[derive(Debug, Default)]
pub struct AddressCell {
    /// Network order.
    pub address: Cell32,
    /// Bits of [`address_flags`].
    pub flags: Cell32,
}

/// Bits of [`AddressCell::flags`].
pub mod address_flags {
    /// The address of a virtual service, now or as long as its connections live.
    pub const VIRTUAL: u32 = 1;
    /// The address is local to this director.
    pub const LOCAL: u32 = 2;
    /// The address of a real server whose replies come through the director.
    pub const REAL: u32 = 4;
    /// A local address of FULLNAT, now or as long as its connections live: real servers answer to it.
    pub const LENT: u32 = 8;
}

/// What an IPv6 address is to the director. Empty where all words of `address` are 0.
///
/// Hashed by [`crate::hash_address_v6`], linear probing, two sides.
#[repr(C)]
#[derive(Debug, Default)]
pub struct AddressCellV6 {
    /// Network order.
    pub address: [Cell32; 4],
    /// Bits of [`address_flags`].
    pub flags: Cell32,
    reserved: [Cell32; 3],
}

/// How a service chooses a destination. Those from [`Scheduling::DestinationHash`] on look it up in
/// a table that user space laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scheduling {
    /// Accepted in the configuration, not built.
    NotBuilt = 0,
    /// By position in a sequence that user space laid out: rr, wrr.
    Sequence = 1,
    /// The fewest connections: lc.
    LeastConnection = 2,
    /// The fewest connections for the weight: wlc.
    WeightedLeastConnection = 3,
    /// The shortest expected delay: sed.
    ShortestExpectedDelay = 4,
    /// The first idle one, else as sed: nq.
    NeverQueue = 5,
    /// The greatest weight: fo.
    Failover = 6,
    /// The greatest weight that is not exhausted: ovf.
    Overflow = 7,
    /// The better of two that are drawn: twos.
    Lottery = 8,
    /// The virtual address's: lblc.
    Locality = 9,
    /// One of the virtual address's set: lblcr.
    LocalityReplicated = 10,
    /// By the virtual address: dh.
    DestinationHash = 11,
    /// By the client's address: sh.
    SourceHash = 12,
    /// By the client's address, with few moving: mh.
    MaglevHash = 13,
    /// By the client's address and port, the same on every director: maglev.
    Maglev = 14,
}

/// Destinations' numbers in a [`LookupLine`].
pub const LOOKUP_LINE: usize = 16;

/// A stretch of the table that a hashing scheduler looks destinations up in.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct LookupLine(pub [Cell32; LOOKUP_LINE]);

/// A virtual address of a service: the key of the maps of lblc and lblcr.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalityKey {
    /// The service's number.
    pub service: u32,
    /// [`Address`].
    pub address: Address,
}

/// Where an address's connections go: the value of lblc's map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// The destination's number.
    pub destination: u32,
    /// Tick of the last connection.
    pub used: Tick,
}

/// A virtual service. Empty where `key` is 0.
///
/// Hashed by [`crate::hash_service`], linear probing, two sides.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct ServiceCell {
    /// [`Address`], or the firewall mark in the first word.
    pub address: [Cell32; 4],
    /// [`ServiceCell::key`] or [`ServiceCell::mark_key`]; 0 where the cell is empty.
    pub key: Cell32,
    /// The service's number.
    pub number: Cell32,
    /// [`Scheduling`] as a number.
    pub scheduling: Cell32,
    /// Bits of [`service_flags`].
    pub flags: Cell32,
    /// Index of its first member: its destinations' numbers, in the kernel's list order.
    pub members_first: Cell32,
    /// How many destinations it has.
    pub members: Cell32,
    /// Index of the first [`Block`] of its sequence.
    pub blocks_first: Cell32,
    /// Number of blocks; 0 where no destination has a weight above 0.
    pub blocks: Cell32,
    /// Picks in one round of the sequence.
    pub picks: Cell64,
    /// What the service's cursor read when this sequence began.
    pub cursor_base: Cell64,
    /// Ticks that a persistence template lasts; 0 where the service is not persistent.
    pub persistence: Cell32,
    reserved_1: Cell32,
    /// Index of the first [`LookupLine`] of the scheduler's table (sh, dh, mh, maglev).
    pub lookup_first: Cell32,
    /// Slots of that table; 0 where there is none.
    pub lookup_slots: Cell32,
    /// The bits of a client's address that persistence goes by.
    pub persistence_mask: [Cell32; 4],
    /// Index of the first of its [`LocalCell`]s (FULLNAT): IPv4's, then IPv6's.
    pub local_first: Cell32,
    /// How many IPv4 ones it has.
    pub locals: Cell32,
    /// How many IPv6 ones it has.
    pub locals_v6: Cell32,
    reserved: [Cell32; 5],
}

/// Bits of [`ServiceCell::flags`].
pub mod service_flags {
    /// One-packet scheduling (`-o`): each datagram is a connection of its own.
    pub const ONE_PACKET: u32 = 1;
    /// The scheduler's first flag (`sh-fallback`, `mh-fallback`).
    pub const SCHEDULER_1: u32 = 2;
    /// The scheduler's second flag (`sh-port`, `mh-port`).
    pub const SCHEDULER_2: u32 = 4;
    /// Any destination of the service is a tunnel's end.
    pub const TUNNELS: u32 = 8;
}

impl ServiceCell {
    /// Set in [`ServiceCell::key`] of an IPv6 service.
    pub const IPV6: u32 = 1 << 24;
    /// Set in [`ServiceCell::key`] of a firewall mark's service.
    pub const MARK: u32 = 1 << 25;

    /// Port (network order), protocol and family in one word that is never 0.
    #[inline(always)]
    pub const fn key(port: u16, protocol: u8, is_v6: bool) -> u32 {
        let family = if is_v6 { Self::IPV6 } else { 0 };
        family | ((protocol as u32) << 16) | port as u32
    }

    /// The key of a firewall mark's service.
    #[inline(always)]
    pub const fn mark_key(is_v6: bool) -> u32 {
        Self::MARK | Self::key(0, 0, is_v6)
    }

    /// Copies every field of `other`.
    pub fn copy_from(&self, other: &Self) {
        let copy = |to: &Cell32, from: &Cell32| to.store(from.load());
        let pairs = self.address.iter().zip(&other.address);
        for (to, from) in pairs.chain(self.persistence_mask.iter().zip(&other.persistence_mask)) {
            copy(to, from);
        }
        copy(&self.number, &other.number);
        copy(&self.scheduling, &other.scheduling);
        copy(&self.flags, &other.flags);
        copy(&self.members_first, &other.members_first);
        copy(&self.members, &other.members);
        copy(&self.blocks_first, &other.blocks_first);
        copy(&self.blocks, &other.blocks);
        self.picks.store(other.picks.load());
        self.cursor_base.store(other.cursor_base.load());
        copy(&self.persistence, &other.persistence);
        copy(&self.lookup_first, &other.lookup_first);
        copy(&self.lookup_slots, &other.lookup_slots);
        copy(&self.local_first, &other.local_first);
        copy(&self.locals, &other.locals);
        copy(&self.locals_v6, &other.locals_v6);
        self.key.publish(other.key.load());
    }
}

/// A rule that gives packets a firewall mark. A packet has the mark of the first rule that fits it.
///
/// Two sides of [`MARK_RULES`] each; the first rule that is not used ends the list. Where a mask is
/// 0, its field says nothing.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct MarkRule {
    /// Whether it is a rule: 1 or 0.
    pub is_used: Cell32,
    /// The mark; 0 leaves packets without one.
    pub mark: Cell32,
    /// Address family, 4 or 6.
    pub family: Cell32,
    /// All ones, or 0.
    pub family_mask: Cell32,
    /// IP protocol number.
    pub protocol: Cell32,
    /// All ones, or 0.
    pub protocol_mask: Cell32,
    /// Interface that the packet came in by.
    pub ifindex: Cell32,
    /// All ones, or 0.
    pub ifindex_mask: Cell32,
    /// The least destination port, host order.
    pub first_port: Cell32,
    /// The greatest destination port, host order.
    pub last_port: Cell32,
    /// Destination [`Address`].
    pub to: [Cell32; 4],
    /// Its bits that count.
    pub to_mask: [Cell32; 4],
    /// Source [`Address`].
    pub from: [Cell32; 4],
    /// Its bits that count.
    pub from_mask: [Cell32; 4],
    reserved: [Cell32; 6],
}

/// An address of the director that real servers see instead of clients' (FULLNAT).
#[repr(C)]
#[derive(Debug, Default)]
pub struct LocalCell {
    /// [`Address`].
    pub address: [Cell32; 4],
}

/// A place in a list of destinations.
///
/// Eight bytes, since the kernel lays out the values of an array map that far apart at least.
#[repr(C, align(8))]
#[derive(Debug, Default)]
pub struct Member {
    /// Destination's number.
    pub number: Cell32,
}

/// A stretch of a sequence: the same members, one after the other, again and again.
///
/// `wrr` picks in rounds of falling weight; between two weights every round has the same members.
/// So a sequence of any length takes as many blocks as there are distinct weights.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Block {
    /// Position in the sequence at which the block begins.
    pub start: Cell64,
    /// Index of its first member.
    pub members_first: Cell32,
    /// How many members it repeats. Never 0.
    pub members: Cell32,
}

/// What packets change of a service, by its number.
#[repr(C)]
#[derive(Debug, Default)]
pub struct ServiceRuntime {
    /// Picks so far.
    pub cursor: Cell64,
}

/// A destination (real server of a service), by its number. Its address, port and method do not
/// change while any connection goes to it.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct DestinationCell {
    /// [`Address`].
    pub address: [Cell32; 4],
    /// Port (network order) in the low half, forwarding method's number in bits 16 to 23.
    pub port_method: Cell32,
    /// Number of its service.
    pub service: Cell32,
    /// 0 takes no new connection.
    pub weight: Cell32,
    /// Connections at which it counts as overloaded; 0 never.
    pub upper_threshold: Cell32,
    /// Connections below which it no longer counts as overloaded; 0 for three quarters of the upper.
    pub lower_threshold: Cell32,
    /// Bits of [`destination_flags`], and above them the largest TCP segment that handshakes may
    /// announce: [`destination_flags::max_segment`].
    pub flags: Cell32,
    /// Index of its [`NextHopCell`], or [`NONE`].
    pub next_hop: Cell32,
    /// How packets are encapsulated for it: see [`tunnel`].
    pub tunnel: Cell32,
    /// Source [`Address`] of the encapsulating header, of the destination's own family.
    pub tunnel_source: [Cell32; 4],
}

/// Bits of [`DestinationCell::flags`].
pub mod destination_flags {
    /// Member of its service now; cleared when it is removed.
    pub const AVAILABLE: u32 = 1;
    /// Its address is one of the director's own.
    pub const LOCAL: u32 = 2;
    /// Its address is an IPv6 one.
    pub const IPV6: u32 = 4;
    /// FULLNAT: the client's address goes to it as a TCP option.
    pub const ADDRESS_OPTION: u32 = 8;
    /// FULLNAT: the client's address goes to it by the PROXY protocol, version 2.
    pub const PROXY_PROTOCOL: u32 = 16;

    /// [`max_segment`]: what fits a tunnel's way, where there is a tunnel.
    pub const SEGMENT_AUTO: u16 = 0;
    /// [`max_segment`]: no limit.
    pub const SEGMENT_OFF: u16 = u16::MAX;

    /// The largest TCP segment that handshakes may announce, in bytes; [`SEGMENT_AUTO`],
    /// [`SEGMENT_OFF`].
    #[inline(always)]
    pub const fn max_segment(flags: u32) -> u16 {
        (flags >> 16) as u16
    }

    /// Flags with a largest TCP segment.
    #[inline(always)]
    pub const fn with_max_segment(flags: u32, bytes: u16) -> u32 {
        flags & 0xffff | (bytes as u32) << 16
    }
}

/// [`DestinationCell::tunnel`]: kind in bits 0 to 7, flags in bits 8 to 15, port (network order) in
/// the high half. Kinds and flags have the kernel's numbers (`IP_VS_CONN_F_TUNNEL_TYPE_*`,
/// `IP_VS_TUNNEL_ENCAP_FLAG_*`).
pub mod tunnel {
    /// Kind: IP in IP.
    pub const IPIP: u32 = 0;
    /// Kind: Generic UDP Encapsulation.
    pub const GUE: u32 = 1;
    /// Kind: Generic Routing Encapsulation.
    pub const GRE: u32 = 2;
    /// Flag: the outer header has a checksum.
    pub const CHECKSUM: u32 = 1;
    /// Flag: remote checksum offload.
    pub const REMOTE_CHECKSUM: u32 = 2;

    /// Kind, flags and port (network order) in one word.
    #[inline(always)]
    pub const fn word(kind: u32, flags: u32, port: u16) -> u32 {
        kind & 0xff | (flags & 0xff) << 8 | (port as u32) << 16
    }

    /// The kind in a word.
    #[inline(always)]
    pub const fn kind(word: u32) -> u32 {
        word & 0xff
    }

    /// The flags in a word.
    #[inline(always)]
    pub const fn flags(word: u32) -> u32 {
        word >> 8 & 0xff
    }

    /// The port (network order) in a word.
    #[inline(always)]
    pub const fn port(word: u32) -> u16 {
        (word >> 16) as u16
    }
}

/// Forwarding methods, with the kernel's numbers (`IP_VS_CONN_F_*`).
pub mod method {
    /// VS/NAT (`-m`).
    pub const MASQUERADE: u8 = 0;
    /// Delivered to the director itself.
    pub const LOCAL: u8 = 1;
    /// VS/TUN (`-i`).
    pub const TUNNEL: u8 = 2;
    /// VS/DR (`-g`).
    pub const DIRECT_ROUTE: u8 = 3;
    /// FULLNAT.
    pub const FULLNAT: u8 = 5;
}

/// A destination's connections, by its number. Exact: whoever ends a connection takes it out.
#[repr(C)]
#[derive(Debug, Default)]
pub struct LoadCell {
    /// Connections in an active state.
    pub active: Cell32,
    /// All other connections.
    pub inactive: Cell32,
    /// Persistence templates.
    pub persistent: Cell32,
    /// 1 while overloaded by the thresholds.
    pub overloaded: Cell32,
}

/// Where a packet leaves. Never changed once pointed to, but for `state`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct NextHopCell {
    /// Interface to leave by.
    pub ifindex: Cell32,
    /// State: see [`hop_state`].
    pub state: Cell32,
    /// Largest IP packet of the link, in bytes.
    pub mtu: Cell32,
    /// VLAN identifier to tag with, 0 for none.
    pub vlan: Cell32,
    /// Destination MAC in bytes 0 to 5, source MAC in bytes 6 to 11, as they stand in the frame.
    pub macs: [Cell32; 3],
    reserved: Cell32,
}

/// Values of [`NextHopCell::state`].
pub mod hop_state {
    /// Not in use.
    pub const EMPTY: u32 = 0;
    /// The neighbour's MAC is known.
    pub const RESOLVED: u32 = 1;
    /// The neighbour was asked and has not answered yet.
    pub const INCOMPLETE: u32 = 2;
    /// The neighbour does not answer.
    pub const FAILED: u32 = 3;
    /// There is no route.
    pub const NO_ROUTE: u32 = 4;
}

/// An interface that the programs are attached to. Hashed by the interface's index, probing.
#[repr(C)]
#[derive(Debug, Default)]
pub struct InterfaceCell {
    /// Interface index; 0 where the cell is empty.
    pub ifindex: Cell32,
    /// Bits of [`interface_flags`].
    pub flags: Cell32,
    /// Its MAC: first four bytes, then two, as they stand in the frame.
    pub mac: [Cell32; 2],
    /// Its own IPv4 address in network order, 0 for none: the source of ICMP errors.
    pub address: Cell32,
    /// Largest IP packet, in bytes.
    pub mtu: Cell32,
    reserved: [Cell32; 2],
    /// Its own IPv6 address, a global one where it has one; all words 0 for none.
    pub address_v6: [Cell32; 4],
}

/// Bits of [`InterfaceCell::flags`].
pub mod interface_flags {
    /// An XDP program is attached besides the TC ones.
    pub const XDP: u32 = 1;
}

/// One processor's statistics of one destination.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct StatsCell {
    /// Connections scheduled.
    pub connections: Cell64,
    /// Packets from clients.
    pub in_packets: Cell64,
    /// Packets from the real server.
    pub out_packets: Cell64,
    /// Bytes of those packets, from the IP header on.
    pub in_bytes: Cell64,
    /// Bytes of those packets, from the IP header on.
    pub out_bytes: Cell64,
}

/// One processor's counters of reasons, by [`crate::Reason`]'s number.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct ReasonCounters(pub [Cell64; REASONS]);

impl Default for ReasonCounters {
    fn default() -> Self {
        Self([const { Cell64::new(0) }; REASONS])
    }
}

/// Where packets to an address leave: the value of the routes' prefix maps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteValue {
    /// Interface to leave by; 0 where there is no way (unreachable, blackhole).
    pub ifindex: u32,
    /// Family of the gateway (4 or 6), 0 where the address itself is the neighbour.
    pub gateway_family: u32,
    /// [`Address`].
    pub gateway: Address,
}

/// A neighbour: the key of the neighbours' map, whose value is the index of a [`NextHopCell`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourKey {
    /// Interface.
    pub ifindex: u32,
    /// Family of the address: 4 or 6.
    pub family: u32,
    /// [`Address`].
    pub address: Address,
}

/// Where a real server of VS/NAT takes connections: the key of their map, which has entries while
/// [`Globals::nat_icmp_send`] is on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealServerKey {
    /// [`Address`].
    pub address: Address,
    /// As [`ServiceCell::key`]; protocol 0 where its service goes by a firewall mark.
    pub service: u32,
}

/// What a stage of a packet's way leaves for the next one: one for every processor, as no packet is
/// interrupted by another on its processor.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Carry {
    /// The [`crate::Reason`]'s number that the sender is to be told.
    pub reason: Cell32,
    /// Largest packet that the way out carries, in bytes.
    pub mtu: Cell32,
    /// The destination's number.
    pub destination: Cell32,
    /// The packet's ports, network order: source in the low half, destination in the high one.
    pub ports: Cell32,
    /// Interface to leave by, where the kernel is to find the neighbour's MAC.
    pub ifindex: Cell32,
    /// That neighbour's family: 4 or 6.
    pub neighbour_family: Cell32,
    /// That neighbour's [`Address`].
    pub neighbour: [Cell32; 4],
    /// Which way the packet goes: 0 towards the real server, 1 towards the client.
    pub direction: Cell32,
    /// Whose address it carries beside the client's: 0 the virtual one, 1 the real server's.
    pub end: Cell32,
    /// Type (bits 8 to 15) and code (bits 0 to 7) of the ICMP error to send, with bit 16 set; 0
    /// where they follow from the reason.
    pub icmp: Cell32,
    /// Handle of the packet's connection: see the connection table.
    pub connection: Cell64,
    /// The client's [`Address`], for schedulers that go by it.
    pub client: [Cell32; 4],
    /// The virtual [`Address`].
    pub virtual_address: [Cell32; 4],
    /// The client's port, network order.
    pub client_port: Cell32,
    /// The tick.
    pub now: Cell32,
    /// Index of the service's cell.
    pub service: Cell32,
    /// How often the scheduler has been asked for this packet.
    pub asked: Cell32,
    /// Whether the packet is an IPv6 one.
    pub is_v6: Cell32,
    /// IP protocol number.
    pub protocol: Cell32,
    /// Number of the template that the new connection goes by, 0 for none: see the connection table.
    pub control: Cell32,
    /// How many members of the service have been compared, of more; 0 when a scheduler begins.
    pub compared: Cell32,
    /// Which part of its payload the copy of a packet that is leaving now is to be, in bytes:
    /// offset in the high half, length in the low one; 0 where there is none.
    pub piece: Cell32,
    /// Whether the time to live of a packet that is too big counts as taken from before its size was
    /// looked at: 1 or 0.
    pub counted_down: Cell32,
    /// Flags of the TCP segment that opens a connection.
    pub flags: Cell32,
    /// Whether a connection is made for the packet that an ICMP error quotes: 1 or 0.
    pub is_quoted: Cell32,
    /// How the segment that is leaving, or a copy of it, tells the client's address: bits of
    /// [`telling`]; 0 where it does not.
    pub told: Cell32,
    /// That segment's sequence number.
    pub sequence: Cell32,
    /// Interface that a rewritten packet leaves by; 0 where the kernel is to find the neighbour's MAC.
    pub exit: Cell32,
    /// By how much a stream is longer for the real server than for the client, in bytes.
    pub shift: Cell32,
    /// What is looked for behind its home bucket: the client's [`Address`].
    pub asked_client: [Cell32; 4],
    /// The [`Address`] beside the client's.
    pub asked_address: [Cell32; 4],
    /// The client's port in the low half, the other in the high one, network order.
    pub asked_ports: Cell32,
    /// IP protocol number (bits 0 to 7), kind of entry (8 and 9), whose the other address is (10).
    pub asked_kind: Cell32,
    /// By family: how often in a row no place was found for a connection.
    pub refused: [Cell32; 2],
    /// By family: when that was last.
    pub refused_at: [Cell32; 2],
    /// How many packets that the director made here, ICMP errors and tunnels' outer ones, have an
    /// identification.
    pub identified: Cell32,
    /// By family: how crowded the connection table is. See there.
    pub crowding: [Cell32; 2],
    /// Whether the packet that may open a connection is to a virtual address, checked, and known to
    /// belong to none: 1 or 0.
    pub is_unknown: Cell32,
    reserved: [Cell32; 6],
}

/// Bits of [`Carry::told`], and of the state of an alias in the connection table.
pub mod telling {
    /// By a TCP option.
    pub const OPTION: u32 = 1;
    /// By the PROXY protocol's header, version 2.
    pub const PROXY: u32 = 2;
    /// The client is an IPv6 one.
    pub const IPV6: u32 = 4;
    /// The segment is a copy, which goes before the packet that it is of.
    pub const COPY: u32 = 8;
}

/// A fragmented datagram: the key of the fragments' map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentKey {
    /// Network order.
    pub source: u32,
    /// Network order.
    pub destination: u32,
    /// IP identification, as in the header.
    pub identification: u16,
    /// IP protocol number.
    pub protocol: u16,
}

/// A fragmented IPv6 packet: the key of their map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentKeyV6 {
    /// Network order.
    pub source: Address,
    /// Network order.
    pub destination: Address,
    /// Identification, as in the fragment header.
    pub identification: u32,
}

/// What the first fragment decided: the fragments' map's value.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentValue {
    /// Handle of the connection: see the connection table.
    pub connection: u64,
    /// 0 towards the real server, 1 towards the client, 2 up the stack.
    pub direction: u32,
    /// Tick of the decision; it counts for 30 s.
    pub tick: Tick,
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::{offset_of, size_of};

    /// Both compilers must agree; whoever changes a number here changes [`crate::ABI_VERSION`].
    #[test]
    fn layouts() {
        assert_eq!(size_of::<Globals>(), 384);
        assert_eq!(offset_of!(Globals, timeouts), 128);
        assert_eq!(size_of::<Runtime>(), 64);
        assert_eq!(size_of::<AddressCell>(), 8);
        assert_eq!(size_of::<AddressCellV6>(), 32);
        assert_eq!(size_of::<crate::FilterWord>(), 8);
        assert_eq!(size_of::<ServiceCell>(), 128);
        assert_eq!(offset_of!(ServiceCell, picks), 48);
        assert_eq!(size_of::<MarkRule>(), 128);
        assert_eq!(size_of::<LocalCell>(), 16);
        assert_eq!(size_of::<Member>(), 8);
        assert_eq!(size_of::<Block>(), 16);
        assert_eq!(size_of::<ServiceRuntime>(), 8);
        assert_eq!(size_of::<DestinationCell>(), 64);
        assert_eq!(size_of::<LoadCell>(), 16);
        assert_eq!(size_of::<NextHopCell>(), 32);
        assert_eq!(size_of::<InterfaceCell>(), 48);
        assert_eq!(size_of::<StatsCell>(), 64);
        assert_eq!(size_of::<ReasonCounters>(), 512);
        assert_eq!(size_of::<RouteValue>(), 24);
        assert_eq!(size_of::<NeighbourKey>(), 24);
        assert_eq!(size_of::<RealServerKey>(), 20);
        assert_eq!(size_of::<FragmentKey>(), 12);
        assert_eq!(size_of::<FragmentKeyV6>(), 36);
        assert_eq!(size_of::<FragmentValue>(), 16);
        assert_eq!(size_of::<Carry>(), 256);
        assert_eq!(size_of::<LookupLine>(), 64);
        assert_eq!(size_of::<LocalityKey>(), 20);
        assert_eq!(crate::ABI_VERSION, 13);
    }
}
