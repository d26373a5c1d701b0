//! What the publisher remembers of the tables it wrote.

use std::collections::HashMap;

use abi::{Tick, method};
use model::{DestinationKey, ServiceKey};

use crate::nexthops::Target;
use crate::publish::locals::Pool;
use crate::publish::traits::Traits;
use crate::runs::Run;
use crate::schedule::Schedule;

/// A service, present or removed, with the numbers it uses.
#[derive(Debug, Clone)]
pub(crate) struct ServiceRecord {
    pub(crate) number: u32,
    /// `None` once the service was removed: connections may still refer to its number.
    pub(crate) placed: Option<Placed>,
    /// In list order.
    pub(crate) destinations: Vec<DestinationRecord>,
    /// Destinations that were removed, and keep their numbers while connections refer to them.
    pub(crate) removed: Vec<Removed>,
    /// When the service was removed: the sweep that was under way.
    pub(crate) removed_in_sweep: u64,
}

/// Where a service's lists stand.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    /// The list, then the members of the schedule's blocks.
    pub(crate) members: Run,
    /// Length of the list.
    pub(crate) listed: u32,
    pub(crate) blocks: Run,
    /// Lines of the scheduler's table.
    pub(crate) lookups: Run,
    /// What the cell says of the service itself.
    pub(crate) traits: Traits,
    /// `None` where the tables, as they were found, have another than is wanted.
    pub(crate) schedule: Option<Schedule>,
    /// What the service's cursor read when the schedule began.
    pub(crate) cursor_base: u64,
    /// The service's local addresses.
    pub(crate) pool: Pool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DestinationRecord {
    pub(crate) number: u32,
    pub(crate) key: DestinationKey,
    /// The forwarding method's number.
    pub(crate) method: u8,
    /// The weight above 0 that it had last, if it ever had one: `mh` goes by it.
    pub(crate) last_weight: u32,
}

impl DestinationRecord {
    /// Whether its replies come through the director, also where it is on the director itself.
    pub(crate) fn is_masqueraded(&self) -> bool {
        matches!(self.method, method::MASQUERADE | method::FULLNAT)
    }

    /// Whether it is a tunnel's end.
    pub(crate) fn is_tunnelled(&self) -> bool {
        self.method == method::TUNNEL
    }

    /// What it needs of the network.
    pub(crate) fn target(&self) -> Target {
        Target {
            address: self.key.address,
            is_tunnelled: self.is_tunnelled(),
        }
    }
}

/// A destination that was removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Removed {
    pub(crate) destination: DestinationRecord,
    /// The sweep that was under way when it was removed.
    pub(crate) in_sweep: u64,
    /// The service that it was in went as well. Should one of the same key come, it is another
    /// service to the counters.
    pub(crate) service_gone: bool,
    /// When a sweep that began later found no connection of it.
    pub(crate) idle_since: Option<Tick>,
    /// It was idle for so long that the number may go.
    pub(crate) forgotten: bool,
}

impl ServiceRecord {
    /// The numbers of all destinations, the removed ones included.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        let removed = self
            .removed
            .iter()
            .map(|removed| removed.destination.number);
        self.destinations
            .iter()
            .map(|destination| destination.number)
            .chain(removed)
    }

    /// All destinations, the removed ones included.
    pub(crate) fn all(&self) -> impl Iterator<Item = &DestinationRecord> {
        let removed = self.removed.iter().map(|removed| &removed.destination);
        self.destinations.iter().chain(removed)
    }
}

pub(crate) type Records = HashMap<ServiceKey, ServiceRecord>;
