//! What outlives a daemon besides the tables: the wanted state, and what services had counted.

use std::net::IpAddr;

use model::{
    Command, Destination, MarkRules, Service, ServiceRequest, Settings, Stats, SyncDaemon, Timeouts,
};
use serde::{Deserialize, Serialize};

/// The state of a director. Written whole after every transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// [`Self::FORMAT`] of the daemon that wrote it.
    pub format: u32,
    /// The timeouts.
    pub timeouts: Timeouts,
    /// The settings.
    #[serde(default)]
    pub settings: Settings,
    /// The rules that give packets marks.
    #[serde(default)]
    pub marks: MarkRules,
    /// The services in list order.
    pub services: Vec<SavedService>,
    /// What services had counted that are gone.
    #[serde(default)]
    pub ended: Stats,
    /// The sync daemons that should run.
    #[serde(default)]
    pub daemons: Vec<SyncDaemon>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedService {
    /// Its settings.
    pub service: Service,
    /// Its destinations in list order, the newest first.
    pub destinations: Vec<Destination>,
    /// Its local addresses, in the order in which they were added.
    #[serde(default)]
    pub local_addresses: Vec<IpAddr>,
    /// What is added to the sum of its destinations' counters, wrapping: see
    /// [`Counters`](crate::counters::Counters).
    #[serde(default)]
    pub offset: Stats,
}

impl Saved {
    /// The format that this version writes and reads.
    pub const FORMAT: u32 = 1;

    /// The commands that make these services: the oldest first, as they were made.
    pub fn commands(&self) -> Vec<Command> {
        let service_of =
            |saved: &SavedService| Command::AddService(ServiceRequest::from(saved.service));
        let destinations_of = |saved: &SavedService| {
            let service = saved.service.key;
            let oldest_first: Vec<Destination> = saved.destinations.iter().rev().copied().collect();
            oldest_first
                .into_iter()
                .map(move |destination| Command::AddDestination {
                    service,
                    destination,
                })
        };
        let locals_of = |saved: &SavedService| {
            let (service, addresses) = (saved.service.key, saved.local_addresses.clone());
            addresses
                .into_iter()
                .map(move |address| Command::AddLocalAddress { service, address })
        };
        self.services
            .iter()
            .rev()
            .flat_map(|saved| {
                std::iter::once(service_of(saved))
                    .chain(locals_of(saved))
                    .chain(destinations_of(saved))
            })
            .collect()
    }
}

impl Default for Saved {
    /// A director without services.
    fn default() -> Self {
        Self {
            format: Self::FORMAT,
            timeouts: Timeouts::default(),
            settings: Settings::default(),
            marks: MarkRules::default(),
            services: Vec::new(),
            ended: Stats::default(),
            daemons: Vec::new(),
        }
    }
}
