//! What is wanted of a session, and how packets come.

use std::net::IpAddr;
use std::time::Duration;

/// A session as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What others call it; unique.
    pub name: String,
    /// The neighbour.
    pub neighbor: IpAddr,
    /// The address that packets are sent from; None: as the routes say.
    pub source: Option<IpAddr>,
    /// Packets are borne so often.
    pub min_rx: Duration,
    /// Packets are sent so often while the session is up.
    pub min_tx: Duration,
    /// And so often while it is not: one second at least (RFC 5880, section 6.8.3).
    pub idle_tx: Duration,
    /// How many packets in a row may be missed.
    pub multiplier: u8,
    /// Nothing is sent before the neighbour was heard (section 6.1).
    pub passive: bool,
    /// The neighbour is more than one hop away (RFC 5883): another port.
    pub multihop: bool,
    /// The hop limit (time to live) of packets that are sent.
    pub hop_limit: u8,
    /// How much less the neighbour's packets may arrive with; None: that is not looked at.
    pub max_hops: Option<u8>,
}

impl Settings {
    /// A session with what keepalived takes where nothing is said, and the hop limit of RFC 5881.
    pub fn new(name: &str, neighbor: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            neighbor,
            source: None,
            min_rx: Duration::from_millis(10),
            min_tx: Duration::from_millis(10),
            idle_tx: Duration::from_secs(1),
            multiplier: 5,
            passive: false,
            multihop: false,
            hop_limit: u8::MAX,
            max_hops: Some(0),
        }
    }

    /// The least hop limit of a packet that counts.
    pub(crate) fn least_hop_limit(&self) -> u8 {
        self.max_hops
            .map_or(0, |hops| self.hop_limit.saturating_sub(hops))
    }

    /// Whether both are sessions between the same ends.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.name, self.neighbor, self.source, self.multihop)
            == (&other.name, other.neighbor, other.source, other.multihop)
    }
}

/// How a packet came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its source address.
    pub source: IpAddr,
    /// The hop limit (time to live) that was left.
    pub hop_limit: u8,
    /// It came to the port of RFC 5883.
    pub multihop: bool,
}
