//! From what a service shall be to what has to be written.

use std::collections::{HashMap, HashSet};

use abi::View;
use model::{Destination, DestinationKey, Service, ServiceKey};

use crate::nexthops::{Target, Towards};
use crate::publish::Publisher;
use crate::publish::addresses::{Uses, note};
use crate::publish::cells::{DestinationValues, is_held, method_number, service_cell_key};
use crate::publish::lists::Told;
use crate::publish::locals::plan_return;
use crate::publish::plan::{CapacityError, Change, DestinationWrite, Edit, Plan, Wants};
use crate::publish::records::{DestinationRecord, Removed, ServiceRecord};
use crate::schedule::{Schedule, Scheduled};
use crate::side::ServiceCellKey;

/// Where a destination comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It was there all the time.
    Kept,
    /// It was removed, and goes on counting.
    Revived,
    /// It counts from zero.
    New,
}

impl Publisher {
    /// Adds one service's change to a plan. Numbers and runs are taken at once, and noted in the
    /// plan, so that an error later can give them back.
    pub(crate) fn plan(
        &mut self,
        view: &View<'_>,
        change: &Change<'_>,
        towards: &dyn Fn(Target) -> Towards,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let Some(cell_key) = service_cell_key(&change.key) else {
            return Ok(());
        };
        let old = self.records.get(&change.key).cloned();
        match (change.wanted, old) {
            (Some(wants), old) => {
                let wanted = (&wants, change.is_told);
                self.plan_present(view, cell_key, wanted, old, towards, plan)
            }
            (None, Some(old)) if old.placed.is_some() => {
                self.plan_removal(view, cell_key, change.key, old, plan);
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    fn plan_removal(
        &self,
        view: &View<'_>,
        cell_key: ServiceCellKey,
        key: ServiceKey,
        mut record: ServiceRecord,
        plan: &mut Plan,
    ) {
        plan.edits.push(Edit::RemoveService(cell_key));
        if let Some(placed) = record.placed.take() {
            plan.old_members.push(placed.members);
            plan.old_blocks.push(placed.blocks);
            plan.old_lookups.push(placed.lookups);
            plan_return(&placed.pool, plan);
        }
        for destination in std::mem::take(&mut record.destinations) {
            record
                .removed
                .push(self.plan_withdrawal(view, destination, plan));
        }
        record
            .removed
            .iter_mut()
            .for_each(|removed| removed.service_gone = true);
        record.removed_in_sweep = self.sweep;
        plan.records.push((key, Some(record)));
    }

    /// A destination leaves its service, and keeps its number for its connections.
    fn plan_withdrawal(
        &self,
        view: &View<'_>,
        destination: DestinationRecord,
        plan: &mut Plan,
    ) -> Removed {
        let cell = &view.destinations[destination.number as usize];
        plan.changed_destinations.push(DestinationWrite {
            number: destination.number,
            values: DestinationValues::read(cell).withdrawn(),
        });
        Removed {
            destination,
            in_sweep: self.sweep,
            service_gone: false,
            idle_since: None,
            forgotten: false,
        }
    }

    fn plan_present(
        &mut self,
        view: &View<'_>,
        cell_key: ServiceCellKey,
        (wants, is_told): (&Wants<'_>, bool),
        old: Option<ServiceRecord>,
        towards: &dyn Fn(Target) -> Towards,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let Wants {
            service,
            destinations: wanted,
            local_addresses,
        } = *wants;
        let mut record = match old {
            Some(old) => old,
            None => self.new_service(&service.key, plan)?,
        };
        let published: Vec<&Destination> = wanted
            .iter()
            .filter(|wanted| is_held(&service.key, wanted))
            .collect();
        self.plan_destinations(view, (service, &published), &mut record, towards, plan)?;
        let list: Vec<Scheduled> = published
            .iter()
            .zip(&record.destinations)
            .map(|(wanted, destination)| Scheduled {
                key: wanted.key,
                weight: weight_of(wanted),
                last_weight: destination.last_weight,
            })
            .collect();
        let allowed = u64::from(self.sizes.members) / 2;
        let schedule =
            Schedule::of(service, &list, allowed).map_err(|source| CapacityError::Sequence {
                service: service.key,
                source,
            })?;
        let before = record.placed.as_ref().map(|placed| placed.pool.clone());
        let pool = self.plan_pool(local_addresses, before.as_ref(), plan)?;
        let told = Told {
            schedule,
            is_told,
            pool,
        };
        self.plan_lists(view, (cell_key, service), told, &mut record, plan)?;
        plan.records.push((service.key, Some(record)));
        Ok(())
    }

    fn new_service(
        &mut self,
        key: &ServiceKey,
        plan: &mut Plan,
    ) -> Result<ServiceRecord, CapacityError> {
        let limit = self.service_numbers.limit();
        let number = self.service_numbers.take();
        let number = number.ok_or(CapacityError::no_service(limit))?;
        plan.taken_services.push(number);
        if let ServiceKey::Address { address, .. } = *key {
            note(&mut plan.uses, address, Uses::VIRTUAL, 1);
        }
        Ok(ServiceRecord {
            number,
            placed: None,
            destinations: Vec::new(),
            removed: Vec::new(),
            removed_in_sweep: 0,
        })
    }

    /// Gives every wanted destination its number: the one it has, the one it had, or a new one.
    fn plan_destinations(
        &mut self,
        view: &View<'_>,
        (service, wanted): (&Service, &[&Destination]),
        record: &mut ServiceRecord,
        towards: &dyn Fn(Target) -> Towards,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let keys: HashSet<DestinationKey> = wanted.iter().map(|wanted| wanted.key).collect();
        let before = std::mem::take(&mut record.destinations);
        let (kept, gone): (Vec<_>, Vec<_>) = before
            .into_iter()
            .partition(|destination| keys.contains(&destination.key));
        let kept: HashMap<_, _> = kept
            .into_iter()
            .map(|destination| (destination.key, destination))
            .collect();
        for wanted in wanted {
            let (destination, origin) = match kept.get(&wanted.key) {
                Some(kept) => (*kept, Origin::Kept),
                None => self.revive_or_make(wanted, record, plan)?,
            };
            let destination = plan_method(destination, method_number(wanted.forwarding), plan);
            let destination = match (weight_of(wanted), origin) {
                (0, Origin::Kept) => destination,
                (last_weight, _) => DestinationRecord {
                    last_weight,
                    ..destination
                },
            };
            let number = destination.number;
            let towards = towards(destination.target());
            let values = DestinationValues::present(wanted, record.number, towards)
                .announcing(service.max_segment)
                .told(service.client_address);
            let write = DestinationWrite { number, values };
            record.destinations.push(destination);
            match origin {
                Origin::Kept => {
                    if DestinationValues::read(&view.destinations[number as usize]) != values {
                        plan.changed_destinations.push(write);
                    }
                    continue;
                }
                Origin::Revived => {}
                Origin::New => plan.zeroed.push(number),
            }
            plan.new_destinations.push(write);
        }
        for destination in gone {
            let removed = self.plan_withdrawal(view, destination, plan);
            record.removed.push(removed);
        }
        Ok(())
    }

    /// The destination that was removed earlier, or a new one.
    fn revive_or_make(
        &mut self,
        wanted: &Destination,
        record: &mut ServiceRecord,
        plan: &mut Plan,
    ) -> Result<(DestinationRecord, Origin), CapacityError> {
        let is_wanted = |removed: &Removed| removed.destination.key == wanted.key;
        if let Some(index) = record.removed.iter().position(is_wanted) {
            let removed = record.removed.swap_remove(index);
            let origin = if removed.service_gone {
                Origin::New
            } else {
                Origin::Revived
            };
            return Ok((removed.destination, origin));
        }
        let limit = self.destination_numbers.limit();
        let number = self.destination_numbers.take();
        let number = number.ok_or(CapacityError::no_destination(limit))?;
        plan.taken_destinations.push(number);
        let method = method_number(wanted.forwarding);
        let destination = DestinationRecord {
            number,
            key: wanted.key,
            method,
            last_weight: weight_of(wanted),
        };
        if destination.is_masqueraded() {
            note(&mut plan.uses, wanted.key.address, Uses::REAL, 1);
        }
        Ok((destination, Origin::New))
    }
}

/// The weight by which a destination is chosen.
fn weight_of(wanted: &Destination) -> u32 {
    wanted.weight.max(0).unsigned_abs()
}

/// Notes where a destination begins or ceases to answer through the director.
fn plan_method(before: DestinationRecord, method: u8, plan: &mut Plan) -> DestinationRecord {
    let after = DestinationRecord { method, ..before };
    let change = i32::from(after.is_masqueraded()) - i32::from(before.is_masqueraded());
    if change != 0 {
        note(&mut plan.uses, after.key.address, Uses::REAL, change);
    }
    after
}
