//! Destinations: the real servers behind a virtual service.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::names::named;

/// What names a destination within its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DestinationKey {
    /// The real server's address.
    pub address: IpAddr,
    /// The real server's port. 0 keeps the port that the client asked for.
    pub port: u16,
}

/// How packets get to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forwarding {
    /// VS/NAT: the destination address is rewritten, and the source of the replies.
    Masq,
    /// To the director itself.
    Local,
    /// VS/TUN: wrapped into another packet.
    Tunnel,
    /// VS/DR: sent on as they are, to the real server's link-layer address.
    Route,
    /// FULLNAT: both addresses are rewritten, so that replies come to the director whatever the real
    /// server's gateway.
    FullNat,
}

named!(Forwarding, "forwarding method", "Masq, Local, Tunnel, Route, FullNat", {
    Masq => "Masq", Local => "Local", Tunnel => "Tunnel", Route => "Route",
    FullNat => "FullNat",
});

/// What a tunnelled packet is wrapped into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TunnelKind {
    /// IP in IP (RFC 2003, RFC 2473).
    #[default]
    Ipip,
    /// Generic UDP Encapsulation (draft-ietf-intarea-gue).
    Gue,
    /// Generic Routing Encapsulation (RFC 2784).
    Gre,
}

named!(TunnelKind, "tunnel type", "ipip, gue, gre", { Ipip => "ipip", Gue => "gue", Gre => "gre" });

/// Which checksum the outer header of a GUE or GRE tunnel carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TunnelChecksum {
    /// None.
    #[default]
    None,
    /// A checksum.
    Full,
    /// Remote checksum offload (GUE).
    Remote,
}

named!(TunnelChecksum, "tunnel checksum", "none, full, remote", {
    None => "none", Full => "full", Remote => "remote",
});

/// How packets are wrapped, for [`Forwarding::Tunnel`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Tunnel {
    /// What into.
    pub kind: TunnelKind,
    /// The outer UDP destination port of a GUE tunnel, else 0.
    pub port: u16,
    /// The outer checksum.
    pub checksum: TunnelChecksum,
}

/// A real server behind a virtual service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// What names it.
    pub key: DestinationKey,
    /// How packets get there.
    pub forwarding: Forwarding,
    /// Its share of the connections; 0 takes no new ones. Negative in no destination that was
    /// accepted.
    pub weight: i32,
    /// With this many connections it takes no more; 0 is no limit.
    #[serde(default)]
    pub upper_threshold: u32,
    /// Below this many connections it takes new ones again; 0 stands for three quarters of the
    /// upper one.
    #[serde(default)]
    pub lower_threshold: u32,
    /// How packets are wrapped, where they are.
    #[serde(default)]
    pub tunnel: Tunnel,
}

impl Destination {
    /// A destination with weight 1, without thresholds.
    pub fn new(key: DestinationKey, forwarding: Forwarding) -> Self {
        Self {
            key,
            forwarding,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: Tunnel::default(),
        }
    }
}
