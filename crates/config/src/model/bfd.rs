//! `bfd_instance`.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::Weight;

/// A BFD session: whether a neighbour is reached (RFC 5880).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BfdInstance {
    /// Its name.
    pub name: String,
    /// The neighbour.
    pub neighbor: IpAddr,
    /// What packets are sent from.
    pub source: Option<IpAddr>,
    /// Packets are borne so often.
    pub min_rx: Duration,
    /// Packets are sent so often while it is up.
    pub min_tx: Duration,
    /// And so often while it is not.
    pub idle_tx: Duration,
    /// How many packets in a row may be missed.
    pub multiplier: u8,
    /// The neighbour speaks first.
    pub passive: bool,
    /// The neighbour is several hops away (RFC 5883).
    pub multihop: bool,
    /// The hop limit (time to live) of packets.
    pub hop_limit: u8,
    /// How much less the neighbour's may arrive with; None: anything.
    pub max_hops: Option<u8>,
    /// What it does to a virtual router's priority.
    pub weight: Weight,
    /// Virtual routers may track it.
    pub for_vrrp: bool,
    /// Real servers may be checked by it.
    pub for_checks: bool,
}
