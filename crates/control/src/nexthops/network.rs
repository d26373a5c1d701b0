//! What the daemon tells of the network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is known of the way to a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopState {
    /// Its MAC is known.
    Resolved,
    /// It was asked, and has not answered yet.
    Incomplete,
    /// It does not answer.
    Failed,
    /// There is no route.
    NoRoute,
}

/// How a frame leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hop {
    /// What is known.
    pub state: HopState,
    /// The interface to send through.
    pub ifindex: u32,
    /// The largest IP packet, in bytes.
    pub mtu: u32,
    /// VLAN identifier to tag with, 0 for none.
    pub vlan: u16,
    /// The neighbour's MAC.
    pub destination_mac: [u8; 6],
    /// The interface's own.
    pub source_mac: [u8; 6],
}

impl Hop {
    /// A way of which nothing is known but why it cannot be gone.
    pub const fn without_mac(state: HopState, ifindex: u32) -> Self {
        Self {
            state,
            ifindex,
            mtu: 0,
            vlan: 0,
            destination_mac: [0; 6],
            source_mac: [0; 6],
        }
    }
}

/// A prefix: address and length in bits.
pub type Prefix = (IpAddr, u8);

/// A neighbour: interface and address.
pub type Neighbour = (u32, IpAddr);

/// A way: interface, and the gateway on it; none where each address is its own neighbour. The
/// gateway of an IPv4 route may have an IPv6 address (RFC 8950).
pub type Way = (u32, Option<IpAddr>);

/// The addresses by which an interface speaks for this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnAddresses {
    /// Its first IPv4 address that means something beyond the link.
    pub v4: Option<Ipv4Addr>,
    /// A global IPv6 address, or else its link-local one.
    pub v6: Option<Ipv6Addr>,
}

/// The network, as far as packets need it.
pub trait Network {
    /// The way to a destination.
    fn hop_towards(&self, address: IpAddr) -> Hop;
    /// The index of an interface, by its name.
    fn ifindex(&self, name: &str) -> Option<u32>;
    /// The source address of packets that this machine itself sends to an address: outer headers
    /// of tunnels. None where there is no route, or no address that may be used.
    fn source_towards(&self, address: IpAddr) -> Option<IpAddr>;
    /// The addresses that ICMP errors about packets of an interface come from.
    fn own_addresses(&self, ifindex: u32) -> OwnAddresses;
    /// Whether packets for an address are delivered to this machine.
    fn is_local(&self, address: IpAddr) -> bool;
    /// All routes of both families. Interface 0 where packets must not go.
    fn routes(&self) -> BTreeMap<Prefix, Way>;
    /// All neighbours of both families whose MAC is known.
    fn neighbours(&self) -> BTreeMap<Neighbour, Hop>;
}
