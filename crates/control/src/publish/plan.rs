//! What a transaction is going to write, before anything is written.

use std::net::IpAddr;

use model::{Destination, Service, ServiceKey};
use sched::plan::TooManyMembers;
use thiserror::Error;

use crate::publish::addresses::UseChanges;
use crate::publish::cells::{DestinationValues, ServiceValues};
use crate::publish::records::ServiceRecord;
use crate::runs::Run;
use crate::side::ServiceCellKey;

/// Something does not fit. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CapacityError {
    /// No number is left.
    #[error("there is room for {limit} {what}, and it is used up\nhint: {hint}")]
    Full {
        /// What does not fit.
        what: &'static str,
        /// How many do.
        limit: u32,
        /// What to do about it.
        hint: &'static str,
    },
    /// A weighted sequence is too long.
    #[error("{service}: {source}")]
    Sequence {
        /// The service.
        service: ServiceKey,
        /// By how much.
        source: TooManyMembers,
    },
    /// Too many keys have the same hash.
    #[error(
        "the table of {what} is too crowded for one more\nhint: start the daemon with larger tables"
    )]
    Crowded {
        /// What the table holds.
        what: &'static str,
    },
}

impl CapacityError {
    /// There are as many services as fit.
    pub(crate) const fn no_service(limit: u32) -> Self {
        Self::Full {
            what: "services",
            limit,
            hint: "start the daemon with a larger --max-services, and --fresh where its tables \
                   exist already",
        }
    }

    /// There are as many destinations as fit.
    pub(crate) const fn no_destination(limit: u32) -> Self {
        Self::Full {
            what: "destinations",
            limit,
            hint: "start the daemon with a larger --max-destinations, and --fresh where its \
                   tables exist already; or wait: destinations that were removed count while \
                   connections refer to them",
        }
    }
}

/// A change of a two-sided table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit {
    /// An address has these flags; 0 takes it out.
    Address(IpAddr, u32),
    Service(ServiceCellKey, ServiceValues),
    RemoveService(ServiceCellKey),
}

/// What a destination's cell will hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DestinationWrite {
    pub(crate) number: u32,
    pub(crate) values: DestinationValues,
}

impl DestinationWrite {
    /// A cell that is nobody's.
    pub(crate) fn cleared(number: u32) -> Self {
        let values = DestinationValues::cleared();
        Self { number, values }
    }
}

/// A transaction.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) edits: Vec<Edit>,
    pub(crate) uses: UseChanges,
    /// Cells that nothing points to yet: written first.
    pub(crate) new_destinations: Vec<DestinationWrite>,
    /// Cells in use: written when the new side counts.
    pub(crate) changed_destinations: Vec<DestinationWrite>,
    pub(crate) new_members: Vec<(Run, Vec<u32>)>,
    pub(crate) new_blocks: Vec<(Run, Vec<BlockValues>)>,
    /// Destinations' numbers, slot by slot.
    pub(crate) new_lookups: Vec<(Run, Vec<u32>)>,
    pub(crate) new_locals: Vec<(Run, Vec<IpAddr>)>,
    /// Local addresses that are in a service's pool no longer.
    pub(crate) returned_locals: Vec<IpAddr>,
    /// Runs that only the old side points to.
    pub(crate) old_members: Vec<Run>,
    pub(crate) old_blocks: Vec<Run>,
    pub(crate) old_lookups: Vec<Run>,
    pub(crate) old_locals: Vec<Run>,
    /// What the services' records become.
    pub(crate) records: Vec<(ServiceKey, Option<ServiceRecord>)>,
    pub(crate) taken_services: Vec<u32>,
    pub(crate) taken_destinations: Vec<u32>,
    pub(crate) freed_services: Vec<u32>,
    pub(crate) freed_destinations: Vec<u32>,
    /// Destinations whose statistics begin at zero.
    pub(crate) zeroed: Vec<u32>,
}

/// A block as it will be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockValues {
    pub(crate) start: u64,
    pub(crate) members_first: u32,
    pub(crate) members: u32,
}

/// What a service shall be: with these destinations in list order, or gone.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The service.
    pub key: ServiceKey,
    /// How it shall be; `None` removes it.
    pub wanted: Option<Wants<'a>>,
    /// Whether one of its destinations was told its settings, be they the ones that it had: wrr
    /// begins a round of its sequence over then (`ip_vs_wrr_dest_changed`).
    pub is_told: bool,
}

/// What a service shall have.
#[derive(Debug, Clone, Copy)]
pub struct Wants<'a> {
    /// Its settings.
    pub service: &'a Service,
    /// Its destinations in list order.
    pub destinations: &'a [Destination],
    /// What its real servers under FULLNAT see.
    pub local_addresses: &'a [IpAddr],
}
