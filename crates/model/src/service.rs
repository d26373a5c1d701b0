//! Virtual services: what clients connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::names::named;
use crate::{ClientAddress, MaxSegment, PersistenceEngine, Scheduler, SchedulerFlags, UnknownName};

/// A transport protocol that can be balanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Stream Control Transmission Protocol.
    Sctp,
}

named!(Protocol, "protocol", "TCP, UDP, SCTP", { Tcp => "TCP", Udp => "UDP", Sctp => "SCTP" });

impl Protocol {
    /// The number in the IP header (IANA "Assigned Internet Protocol Numbers").
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol with this number in the IP header, if it can be balanced.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|p| p.number() == number)
    }
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

named!(Family, "address family", "ipv4, ipv6", { Ipv4 => "ipv4", Ipv6 => "ipv6" });

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

/// What names a virtual service: there is at most one service for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ServiceKey {
    /// Packets to an address and port. Port 0 stands for every port, and needs persistence to make
    /// sense.
    Address {
        /// The transport protocol.
        protocol: Protocol,
        /// The virtual address.
        address: IpAddr,
        /// The virtual port.
        port: u16,
    },
    /// Packets that carry a firewall mark, whatever their address, protocol and port.
    Mark {
        /// The mark, not 0.
        mark: u32,
        /// The family of the packets meant: one mark may name a service in each.
        family: Family,
    },
}

impl ServiceKey {
    /// The family of the service's clients.
    pub fn family(&self) -> Family {
        match *self {
            Self::Address { address, .. } => Family::of(address),
            Self::Mark { family, .. } => family,
        }
    }

    /// The virtual port; 0 for every port, and for a mark.
    pub fn port(&self) -> u16 {
        match *self {
            Self::Address { port, .. } => port,
            Self::Mark { .. } => 0,
        }
    }
}

/// The part of a client's address that persistence looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Netmask {
    /// An IPv4 mask. It need not be contiguous: IPVS takes any.
    V4(Ipv4Addr),
    /// An IPv6 prefix length in bits, 1 to 128 in a service that was accepted.
    V6(u32),
}

impl Netmask {
    /// The mask that keeps every bit of the address.
    pub fn full(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::V4(Ipv4Addr::BROADCAST),
            Family::Ipv6 => Self::V6(128),
        }
    }

    /// Whether the mask keeps every bit.
    pub fn is_full(self) -> bool {
        self == Self::V4(Ipv4Addr::BROADCAST) || self == Self::V6(128)
    }

    /// The masked address. An address of the other family comes back as it is.
    pub fn apply(self, address: IpAddr) -> IpAddr {
        match (self, address) {
            (Self::V4(mask), IpAddr::V4(a)) => {
                Ipv4Addr::from_bits(a.to_bits() & mask.to_bits()).into()
            }
            (Self::V6(length), IpAddr::V6(a)) => {
                let host_bits = 128u32.saturating_sub(length);
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                Ipv6Addr::from_bits(a.to_bits() & mask).into()
            }
            _ => address,
        }
    }
}

/// Connections of one client keep going to one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Persistence {
    /// For how many seconds after a client's last connection began.
    pub timeout: u32,
    /// Which clients count as one.
    pub netmask: Netmask,
}

/// A virtual service that can be: its scheduler and engine are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Service {
    /// What names it.
    pub key: ServiceKey,
    /// Who chooses destinations.
    pub scheduler: Scheduler,
    /// The scheduler's switches.
    #[serde(default)]
    pub scheduler_flags: SchedulerFlags,
    /// Whether, and how long, clients stay with their destination.
    #[serde(default)]
    pub persistence: Option<Persistence>,
    /// What else ties connections together. Without persistence it is remembered, and has no
    /// effect.
    #[serde(default)]
    pub persistence_engine: Option<PersistenceEngine>,
    /// Every datagram is scheduled by itself, and leaves no connection behind (UDP).
    #[serde(default)]
    pub one_packet: bool,
    /// The largest TCP segment that handshakes may announce.
    #[serde(default)]
    pub max_segment: MaxSegment,
    /// How real servers under FULLNAT are told clients' addresses (TCP).
    #[serde(default)]
    pub client_address: ClientAddress,
}

/// A virtual service as somebody asks for it: names not looked up yet, since whether the service
/// exists is checked before whether its scheduler does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceRequest {
    /// What names it.
    pub key: ServiceKey,
    /// The scheduler's name.
    pub scheduler: String,
    /// The scheduler's switches.
    #[serde(default)]
    pub scheduler_flags: SchedulerFlags,
    /// Whether, and how long, clients stay with their destination.
    #[serde(default)]
    pub persistence: Option<Persistence>,
    /// The persistence engine's name.
    #[serde(default)]
    pub persistence_engine: Option<String>,
    /// Every datagram is scheduled by itself (UDP).
    #[serde(default)]
    pub one_packet: bool,
    /// The largest TCP segment that handshakes may announce.
    #[serde(default)]
    pub max_segment: MaxSegment,
    /// How real servers under FULLNAT are told clients' addresses (TCP).
    #[serde(default)]
    pub client_address: ClientAddress,
}

impl ServiceRequest {
    /// A service with this scheduler and nothing else.
    pub fn new(key: ServiceKey, scheduler: impl Into<String>) -> Self {
        Self {
            key,
            scheduler: scheduler.into(),
            scheduler_flags: SchedulerFlags::default(),
            persistence: None,
            persistence_engine: None,
            one_packet: false,
            max_segment: MaxSegment::default(),
            client_address: ClientAddress::default(),
        }
    }

    /// The service asked for.
    ///
    /// # Errors
    /// When the scheduler, or the persistence engine, is not known: in this order.
    pub fn resolve(&self) -> Result<Service, UnknownName> {
        Ok(Service {
            key: self.key,
            scheduler: self.scheduler.parse()?,
            scheduler_flags: self.scheduler_flags,
            persistence: self.persistence,
            persistence_engine: self
                .persistence_engine
                .as_deref()
                .map(str::parse)
                .transpose()?,
            one_packet: self.one_packet,
            max_segment: self.max_segment,
            client_address: self.client_address,
        })
    }
}

impl From<Service> for ServiceRequest {
    fn from(service: Service) -> Self {
        Self {
            key: service.key,
            scheduler: service.scheduler.to_string(),
            scheduler_flags: service.scheduler_flags,
            persistence: service.persistence,
            persistence_engine: service.persistence_engine.map(|e| e.to_string()),
            one_packet: service.one_packet,
            max_segment: service.max_segment,
            client_address: service.client_address,
        }
    }
}
