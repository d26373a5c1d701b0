//! Neighbours: who answers to an address on a link.

use std::net::IpAddr;

use crate::MacAddress;

/// An entry of the kernel's neighbour table (ARP for IPv4, RFC 826; neighbour discovery for IPv6,
/// RFC 4861).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// The interface whose link it is on.
    pub ifindex: u32,
    /// Its network-layer address.
    pub address: IpAddr,
    /// Its Ethernet address, where one is known.
    pub mac: Option<MacAddress>,
    /// How far the kernel trusts it.
    pub state: NeighbourState,
    /// Whether somebody else keeps it: a routing daemon (`NTF_EXT_LEARNED`), or the kernel itself
    /// (`NTF_EXT_MANAGED`). Whoever asks for such a neighbour takes it away from them.
    pub kept: bool,
}

/// The state of a neighbour entry (RFC 4861 section 7.3.2, and the kernel's own additions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NeighbourState {
    /// Nothing was tried yet.
    None,
    /// Asked for the first time, no answer yet.
    Incomplete,
    /// Confirmed lately.
    Reachable,
    /// Not confirmed lately, and nobody asked since.
    Stale,
    /// Used while stale; a probe follows in a moment.
    Delay,
    /// Being probed.
    Probe,
    /// No answer came.
    Failed,
    /// Set by the administrator, or by a link that needs no resolution: never doubted.
    Permanent,
}

impl Neighbour {
    /// The Ethernet address to send to, in every state in which the kernel would use it
    /// (`NUD_VALID`).
    #[must_use]
    pub const fn usable_mac(&self) -> Option<MacAddress> {
        match self.state {
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent => self.mac,
            NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed => None,
        }
    }
}
