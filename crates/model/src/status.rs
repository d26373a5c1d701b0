//! Services and destinations with what goes on in them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Destination, Rates, Service, Stats};

/// A destination and its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationStatus {
    /// How it is configured.
    pub destination: Destination,
    /// Connections that are established, or about to be.
    pub active_connections: u32,
    /// Connections that are over, but not forgotten.
    pub inactive_connections: u32,
    /// Persistence templates.
    pub persistent_connections: u32,
    /// Counters.
    pub stats: Stats,
    /// Counters per second.
    pub rates: Rates,
}

impl From<Destination> for DestinationStatus {
    /// A destination that nothing has gone to yet.
    fn from(destination: Destination) -> Self {
        Self {
            destination,
            active_connections: 0,
            inactive_connections: 0,
            persistent_connections: 0,
            stats: Stats::default(),
            rates: Rates::default(),
        }
    }
}

/// A service, its numbers, and its destinations in list order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// How it is configured.
    pub service: Service,
    /// Counters.
    pub stats: Stats,
    /// Counters per second.
    pub rates: Rates,
    /// Its destinations, the newest first.
    pub destinations: Vec<DestinationStatus>,
    /// The addresses that its real servers under FULLNAT see, in the order in which they were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_addresses: Vec<IpAddr>,
}

/// What a director says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectorInfo {
    /// The version of IPVS whose behaviour is offered: major, minor, patch.
    pub version: (u8, u8, u8),
    /// How many slots the connection table has.
    pub connection_table_size: u32,
    /// Ticks of the kernel's clock in a second (CONFIG_HZ).
    pub ticks_per_second: u32,
    /// What all services have counted together, those that are gone included.
    pub stats: Stats,
    /// Counters of all services per second.
    pub rates: Rates,
}
