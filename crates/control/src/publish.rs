//! How wanted services become tables that packets read.
//!
//! A transaction is planned first, and refused as a whole where something does not fit. Then it is
//! written: what nothing points to yet (lists, schedules, new destinations); the idle side of the
//! two-sided tables; then that side is made to count, at once, for all packets. Cells that both
//! sides share (weights, flags) follow. When no packet can be using the old side any more, it
//! gets the same changes, and what only it pointed to is free again.
//!
//! Numbers outlive what they number: a removed destination keeps its own while connections refer
//! to it, and a full sweep of the connection table decides that none does. Added again, it is the
//! same destination as before, as in IPVS.

mod addresses;
mod adopt;
mod cells;
mod follow;
mod lists;
mod locals;
mod plan;
mod planner;
mod records;
mod traits;
mod write;

use std::collections::HashMap;
use std::net::IpAddr;

use abi::{View, wildcards};
use model::{DestinationKey, Protocol, ServiceKey};

pub use adopt::Damaged;
pub(crate) use cells::destination_end;
pub use plan::{CapacityError, Change, Wants};
pub(crate) use write::zero_stats;

use crate::nexthops::{Target, Towards};
use crate::numbers::Numbers;
use crate::publish::addresses::{Addresses, Uses, note};
use crate::publish::locals::Returned;
use crate::publish::plan::{DestinationWrite, Edit, Plan};
use crate::publish::records::Records;
use crate::publish::write::{apply, write_changed, write_new};
use crate::runs::Runs;
use crate::side;
use crate::{Plane, Sizes};

/// Seconds for which a destination that no connection refers to is remembered after its removal:
/// added again to the same service, it goes on counting (`IP_VS_DEST_TRASH_PERIOD`).
const REMEMBERED: u32 = 120;

/// What the publisher asks of the rest of the director.
pub trait Surroundings {
    /// The way to a destination.
    fn towards(&self, target: Target) -> Towards;
    /// Whether packets for an address are delivered to this machine.
    fn is_local(&self, address: IpAddr) -> bool;
}

/// A removed destination whose number is free again: its statistics are about to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freed {
    /// The service it was in.
    pub service: ServiceKey,
    /// The number it had.
    pub number: u32,
    /// Whether what it counted is part of its service's total.
    pub counted: bool,
}

/// The numbers under which a service's traffic is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The service's own.
    pub service: u32,
    /// Those of its destinations, by their keys.
    pub destinations: HashMap<DestinationKey, u32>,
    /// Those of the destinations that were removed, as far as they counted for this service.
    pub removed: Vec<u32>,
}

/// Writes the tables of services and destinations, and remembers what is where.
#[derive(Debug)]
pub struct Publisher {
    sizes: Sizes,
    records: Records,
    service_numbers: Numbers,
    destination_numbers: Numbers,
    members: Runs,
    blocks: Runs,
    lookups: Runs,
    locals: Runs,
    returned: Vec<Returned>,
    addresses: Addresses,
    /// Number of the sweep that is under way, or comes next.
    sweep: u64,
}

impl Publisher {
    /// A publisher for empty tables.
    pub fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            records: Records::new(),
            service_numbers: Numbers::new(sizes.services),
            destination_numbers: Numbers::new(sizes.destinations),
            members: Runs::new(sizes.members),
            blocks: Runs::new(sizes.blocks),
            lookups: Runs::new(sizes.lookups),
            locals: Runs::new(sizes.local_cells()),
            returned: Vec::new(),
            addresses: Addresses::default(),
            sweep: 1,
        }
    }

    /// Makes services be as wanted; each at most once in `changes`. Services that the tables cannot
    /// hold (SCTP, firewall marks) are left out.
    ///
    /// # Errors
    /// When something does not fit; then nothing changed.
    pub fn publish(
        &mut self,
        plane: &impl Plane,
        changes: &[Change<'_>],
        surroundings: &impl Surroundings,
    ) -> Result<Vec<Freed>, CapacityError> {
        match self.try_publish(plane, changes, surroundings) {
            Ok(()) => Ok(Vec::new()),
            Err(CapacityError::Full { .. }) => {
                let freed =
                    self.free_removed(plane, surroundings, |removed| removed.idle_since.is_some());
                self.try_publish(plane, changes, surroundings)
                    .map(|()| freed)
            }
            Err(error) => Err(error),
        }
    }

    fn try_publish(
        &mut self,
        plane: &impl Plane,
        changes: &[Change<'_>],
        surroundings: &impl Surroundings,
    ) -> Result<(), CapacityError> {
        let view = plane.view();
        let mut plan = Plan::default();
        let towards = |target| surroundings.towards(target);
        for change in changes {
            if let Err(error) = self.plan(&view, change, &towards, &mut plan) {
                self.give_back(&plan);
                return Err(error);
            }
        }
        self.commit(plane, plan, surroundings)
    }

    fn give_back(&mut self, plan: &Plan) {
        plan.taken_services
            .iter()
            .for_each(|&number| self.service_numbers.give_back(number));
        plan.taken_destinations
            .iter()
            .for_each(|&number| self.destination_numbers.give_back(number));
        plan.new_members
            .iter()
            .for_each(|(run, _)| self.members.give_back(*run));
        plan.new_blocks
            .iter()
            .for_each(|(run, _)| self.blocks.give_back(*run));
        plan.new_lookups
            .iter()
            .for_each(|(run, _)| self.lookups.give_back(*run));
        plan.new_locals
            .iter()
            .for_each(|(run, _)| self.locals.give_back(*run));
    }

    /// Writes a plan. The order is what keeps every packet's view whole.
    fn commit(
        &mut self,
        plane: &impl Plane,
        mut plan: Plan,
        surroundings: &impl Surroundings,
    ) -> Result<(), CapacityError> {
        let view = plane.view();
        let is_local = |address| surroundings.is_local(address);
        let address_edits = self.addresses.outcome(&plan.uses, &is_local);
        plan.edits.extend(
            address_edits
                .into_iter()
                .map(|(address, flags)| Edit::Address(address, flags)),
        );
        let side = view.globals.side.load() & 1;
        if let Err(error) = apply(&view, side ^ 1, &plan.edits) {
            side::copy_side(&view, side, side ^ 1);
            self.give_back(&plan);
            return Err(error);
        }
        write_new(&view, &plan);
        let wildcards = &view.globals.wildcards;
        let asked = plan.records.iter().map(|(key, _)| wildcards_of(key));
        wildcards.store(asked.fold(wildcards.load(), |all, one| all | one));
        if plan.edits.is_empty() {
            write_changed(&view, &plan);
        } else {
            view.globals.side.publish(side ^ 1);
            write_changed(&view, &plan);
            plane.wait_for_readers();
            // The same edits in the same order fit as they did on the other side.
            if apply(&view, side, &plan.edits).is_err() {
                side::copy_side(&view, side ^ 1, side);
            }
        }
        self.settle(plan, &is_local);
        self.write_wildcards(&view);
        Ok(())
    }

    /// Tells packets whether there is any service that takes them to other ports than its own.
    fn write_wildcards(&self, view: &View<'_>) {
        let wildcards = &view.globals.wildcards;
        if wildcards.load() != 0 {
            let present = self
                .records
                .iter()
                .filter(|(_, record)| record.placed.is_some());
            wildcards.store(present.fold(0, |all, (key, _)| all | wildcards_of(key)));
        }
    }

    /// Takes a written plan into the books.
    fn settle(&mut self, plan: Plan, is_local: &dyn Fn(IpAddr) -> bool) {
        plan.old_members
            .into_iter()
            .for_each(|run| self.members.give_back(run));
        plan.old_blocks
            .into_iter()
            .for_each(|run| self.blocks.give_back(run));
        plan.old_lookups
            .into_iter()
            .for_each(|run| self.lookups.give_back(run));
        plan.old_locals
            .into_iter()
            .for_each(|run| self.locals.give_back(run));
        self.keep_returned(plan.returned_locals);
        plan.freed_services
            .into_iter()
            .for_each(|number| self.service_numbers.give_back(number));
        plan.freed_destinations
            .into_iter()
            .for_each(|number| self.destination_numbers.give_back(number));
        self.addresses.settle(plan.uses, is_local);
        for (key, record) in plan.records {
            match record {
                Some(record) => self.records.insert(key, record),
                None => self.records.remove(&key),
            };
        }
    }

    /// Takes note of a full sweep that ended: `connections` counted by destination number. Frees
    /// the numbers of removed destinations that nothing refers to.
    pub fn swept(
        &mut self,
        plane: &impl Plane,
        connections: &[u32],
        surroundings: &impl Surroundings,
    ) -> Vec<Freed> {
        let finished = self.sweep;
        self.sweep += 1;
        let now = plane.now();
        let remembered = REMEMBERED * plane.view().globals.ticks_per_second.load();
        for record in self.records.values_mut() {
            let service_present = record.placed.is_some();
            for removed in &mut record.removed {
                let number = removed.destination.number as usize;
                let seen_whole = removed.in_sweep < finished;
                let idle = seen_whole && connections.get(number).is_none_or(|&count| count == 0);
                removed.idle_since = idle.then(|| removed.idle_since.unwrap_or(now));
                removed.forgotten = removed
                    .idle_since
                    .is_some_and(|since| !service_present || now.wrapping_sub(since) >= remembered);
            }
        }
        self.free_removed(plane, surroundings, |removed| removed.forgotten)
    }

    /// Frees the removed destinations that `which` chooses, and removed services without any.
    fn free_removed(
        &mut self,
        plane: &impl Plane,
        surroundings: &impl Surroundings,
        which: impl Fn(&records::Removed) -> bool,
    ) -> Vec<Freed> {
        let mut plan = Plan::default();
        let mut freed = Vec::new();
        for (key, record) in &self.records {
            let (free, kept): (Vec<_>, Vec<_>) =
                record.removed.iter().copied().partition(|r| which(r));
            for removed in &free {
                let number = removed.destination.number;
                freed.push(Freed {
                    service: *key,
                    number,
                    counted: !removed.service_gone,
                });
                plan.freed_destinations.push(number);
                plan.changed_destinations
                    .push(DestinationWrite::cleared(number));
                if removed.destination.is_masqueraded() {
                    let address = removed.destination.key.address;
                    note(&mut plan.uses, address, Uses::REAL, -1);
                }
            }
            let gone = record.placed.is_none()
                && kept.is_empty()
                && record.removed_in_sweep + 1 < self.sweep;
            if gone {
                plan.freed_services.push(record.number);
                if let ServiceKey::Address { address, .. } = *key {
                    note(&mut plan.uses, address, Uses::VIRTUAL, -1);
                }
                plan.records.push((*key, None));
            } else if !free.is_empty() {
                plan.records.push((
                    *key,
                    Some(records::ServiceRecord {
                        removed: kept,
                        ..record.clone()
                    }),
                ));
            }
        }
        if plan.records.is_empty() {
            return freed;
        }
        // Taking out always fits.
        match self.commit(plane, plan, surroundings) {
            Ok(()) => freed,
            Err(_) => Vec::new(),
        }
    }

    /// The services in the tables.
    pub fn services(&self) -> impl Iterator<Item = ServiceKey> {
        self.records
            .iter()
            .filter(|(_, record)| record.placed.is_some())
            .map(|(key, _)| *key)
    }

    /// What all destinations need of the network, those that were removed but live on included.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.records
            .values()
            .flat_map(records::ServiceRecord::all)
            .map(records::DestinationRecord::target)
    }

    /// The numbers of the destinations that were removed, but live on.
    pub(crate) fn removed(&self) -> impl Iterator<Item = u32> {
        let records = self.records.values();
        records
            .flat_map(|record| &record.removed)
            .map(|removed| removed.destination.number)
    }

    /// The addresses of all destinations, those that were removed but live on included.
    pub fn destination_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.targets().map(|target| target.address)
    }

    /// The addresses of all services and of the destinations whose replies come through here.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter()
    }

    /// The numbers of a service that is published.
    pub fn numbers(&self, key: &ServiceKey) -> Option<Numbered> {
        let record = self
            .records
            .get(key)
            .filter(|record| record.placed.is_some())?;
        let by_key = |d: &records::DestinationRecord| (d.key, d.number);
        Some(Numbered {
            service: record.number,
            destinations: record.destinations.iter().map(by_key).collect(),
            removed: record
                .removed
                .iter()
                .filter(|removed| !removed.service_gone)
                .map(|removed| removed.destination.number)
                .collect(),
        })
    }

    /// Whether so many services and destinations can ever fit. Those that were removed, and live on,
    /// may be in the way for a while besides.
    ///
    /// # Errors
    /// When they cannot.
    pub fn fits(&self, services: usize, destinations: usize) -> Result<(), CapacityError> {
        let [service_limit, destination_limit] =
            [&self.service_numbers, &self.destination_numbers].map(Numbers::limit);
        if services > service_limit as usize {
            return Err(CapacityError::no_service(service_limit));
        }
        if destinations > destination_limit as usize {
            return Err(CapacityError::no_destination(destination_limit));
        }
        Ok(())
    }

    /// How many service and destination numbers are in use, and how many there are.
    pub fn usage(&self) -> [(u32, u32); 2] {
        [&self.service_numbers, &self.destination_numbers].map(|n| (n.used(), n.limit()))
    }
}

/// FTP's port.
const FTP: u16 = 21;

/// Which packets a service may take to other ports than its own: bits of [`wildcards`].
fn wildcards_of(key: &ServiceKey) -> u32 {
    match *key {
        ServiceKey::Address { port: 0, .. } => wildcards::ALL_PORTS,
        ServiceKey::Address {
            port: FTP,
            protocol: Protocol::Tcp,
            ..
        } => wildcards::FTP,
        ServiceKey::Mark { .. } => wildcards::MARKS,
        ServiceKey::Address { .. } => 0,
    }
}
