//! The layout of the tables.

use cell::{Cell32, Cell64};

use crate::REASONS;

/// A point in time or a span, in ticks of the kernel (jiffies), wrapping.
pub type Tick = u32;

/// How many destinations of a service are compared for one connection, from the head of its list:
/// by `lc` and its kin, and where a sequence meets overloaded destinations only. The kernel's
/// verifier bounds it.
pub const MAX_COMPARED: u32 = 128;
/// How far a lookup in the hashed configuration tables searches from its start.
pub const MAX_PROBES: u32 = 16;
/// Cells of the interface table.
pub const INTERFACES: u32 = 256;
/// Number of timeouts: see [`timeout_index`].
pub const TIMEOUTS: usize = 64;
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
    /// Number of buckets of the connection table, less one.
    pub bucket_mask: Cell32,
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
    reserved: Cell32,
    /// Timeouts in ticks by [`timeout_index`].
    pub timeouts: Timeouts,
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
    /// Identification of the ICMP errors that the director sends.
    pub icmp_identification: Cell32,
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
}

/// How a service chooses a destination.
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
}

/// A virtual service. Empty where `key` is 0.
///
/// Hashed by [`crate::hash_service`], linear probing, two sides.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct ServiceCell {
    /// Network order.
    pub address: Cell32,
    /// [`ServiceCell::key`] of port and protocol; 0 where the cell is empty.
    pub key: Cell32,
    /// The service's number.
    pub number: Cell32,
    /// [`Scheduling`] as a number.
    pub scheduling: Cell32,
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
    reserved: [Cell64; 2],
}

impl ServiceCell {
    /// Port (network order) and protocol in one word that is never 0.
    #[inline(always)]
    pub const fn key(port: u16, protocol: u8) -> u32 {
        ((protocol as u32) << 16) | port as u32
    }

    /// Copies every field of `other`.
    pub fn copy_from(&self, other: &Self) {
        self.address.store(other.address.load());
        self.number.store(other.number.load());
        self.scheduling.store(other.scheduling.load());
        self.members_first.store(other.members_first.load());
        self.members.store(other.members.load());
        self.blocks_first.store(other.blocks_first.load());
        self.blocks.store(other.blocks.load());
        self.picks.store(other.picks.load());
        self.cursor_base.store(other.cursor_base.load());
        self.key.publish(other.key.load());
    }
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

/// A destination (real server of a service), by its number.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct DestinationCell {
    /// Network order.
    pub address: Cell32,
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
    /// Bits of [`destination_flags`].
    pub flags: Cell32,
    /// Index of its [`NextHopCell`], or [`NONE`].
    pub next_hop: Cell32,
}

/// Bits of [`DestinationCell::flags`].
pub mod destination_flags {
    /// Member of its service now; cleared when it is removed.
    pub const AVAILABLE: u32 = 1;
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

/// Where packets to an address leave: the value of the routes' prefix map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteValue {
    /// Interface to leave by; 0 where there is no way (unreachable, blackhole).
    pub ifindex: u32,
    /// Gateway in network order, 0 where the address itself is the neighbour.
    pub gateway: u32,
}

/// A neighbour: the key of the neighbours' map, whose value is the index of a [`NextHopCell`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourKey {
    /// Interface.
    pub ifindex: u32,
    /// Address in network order.
    pub address: u32,
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
        assert_eq!(size_of::<Globals>(), 320);
        assert_eq!(offset_of!(Globals, timeouts), 64);
        assert_eq!(size_of::<Runtime>(), 64);
        assert_eq!(size_of::<AddressCell>(), 8);
        assert_eq!(size_of::<ServiceCell>(), 64);
        assert_eq!(offset_of!(ServiceCell, picks), 32);
        assert_eq!(size_of::<Member>(), 8);
        assert_eq!(size_of::<Block>(), 16);
        assert_eq!(size_of::<ServiceRuntime>(), 8);
        assert_eq!(size_of::<DestinationCell>(), 64);
        assert_eq!(size_of::<LoadCell>(), 16);
        assert_eq!(size_of::<NextHopCell>(), 32);
        assert_eq!(size_of::<InterfaceCell>(), 32);
        assert_eq!(size_of::<StatsCell>(), 64);
        assert_eq!(size_of::<ReasonCounters>(), 512);
        assert_eq!(size_of::<RouteValue>(), 8);
        assert_eq!(size_of::<NeighbourKey>(), 8);
        assert_eq!(size_of::<FragmentKey>(), 12);
        assert_eq!(size_of::<FragmentValue>(), 16);
        assert_eq!(crate::ABI_VERSION, 1);
    }
}
