//! Counters and what they amount to per second.

use serde::{Deserialize, Serialize};

/// What went through a service or to a destination since it was made, or since its counters were
/// zeroed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients, as far as they pass the director.
    pub out_packets: u64,
    /// Bytes from clients, counted from the IP header on.
    pub in_bytes: u64,
    /// Bytes to clients, counted from the IP header on.
    pub out_bytes: u64,
}

/// What goes through per second, averaged as IPVS does (an exponential average over about 8 s).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Connections scheduled per second.
    pub connections: u64,
    /// Packets from clients per second.
    pub in_packets: u64,
    /// Packets to clients per second.
    pub out_packets: u64,
    /// Bytes, not bits, from clients per second.
    pub in_bytes: u64,
    /// Bytes, not bits, to clients per second.
    pub out_bytes: u64,
}
