//! From what a service shall be to what has to be written.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use abi::View;
use model::{Destination, Service, ServiceKey};

use crate::publish::Publisher;
use crate::publish::addresses::{Uses, note};
use crate::publish::cells::{
    DestinationEnd, DestinationValues, destination_end, from_network_order, service_cell_key,
};
use crate::publish::plan::{CapacityError, Change, DestinationWrite, Edit, Plan};
use crate::publish::records::{DestinationRecord, Removed, ServiceRecord};
use crate::schedule::Schedule;
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
        hop_of: &dyn Fn(Ipv4Addr) -> u32,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let Some(cell_key) = service_cell_key(&change.key) else {
            return Ok(());
        };
        let old = self.records.get(&change.key).cloned();
        match (change.wanted, old) {
            (Some((service, destinations)), old) => {
                self.plan_present(view, cell_key, service, destinations, old, hop_of, plan)
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
            values: DestinationValues {
                flags: 0,
                ..DestinationValues::read(cell)
            },
            next_hop: None,
        });
        Removed {
            destination,
            in_sweep: self.sweep,
            service_gone: false,
            idle_since: None,
            forgotten: false,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, which names them all")]
    fn plan_present(
        &mut self,
        view: &View<'_>,
        cell_key: ServiceCellKey,
        service: &Service,
        wanted: &[Destination],
        old: Option<ServiceRecord>,
        hop_of: &dyn Fn(Ipv4Addr) -> u32,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let mut record = match old {
            Some(old) => old,
            None => self.new_service(cell_key, plan)?,
        };
        let published: Vec<(DestinationEnd, &Destination)> = wanted
            .iter()
            .filter_map(|wanted| Some((destination_end(wanted)?, wanted)))
            .collect();
        self.plan_destinations(view, &published, &mut record, hop_of, plan)?;
        let weights: Vec<u32> = published
            .iter()
            .map(|(_, wanted)| wanted.weight.max(0).unsigned_abs())
            .collect();
        let schedule = Schedule::of(service, &weights, u64::from(self.sizes.members) / 2).map_err(
            |source| CapacityError::Sequence {
                service: service.key,
                source,
            },
        )?;
        self.plan_lists(view, cell_key, schedule, &mut record, plan)?;
        plan.records.push((service.key, Some(record)));
        Ok(())
    }

    fn new_service(
        &mut self,
        (address, ..): ServiceCellKey,
        plan: &mut Plan,
    ) -> Result<ServiceRecord, CapacityError> {
        let number = self.service_numbers.take().ok_or(CapacityError::Full {
            what: "services",
            limit: self.service_numbers.limit(),
            hint: "start the daemon with a larger --max-services",
        })?;
        plan.taken_services.push(number);
        note(
            &mut plan.uses,
            from_network_order(address),
            Uses::VIRTUAL,
            1,
        );
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
        wanted: &[(DestinationEnd, &Destination)],
        record: &mut ServiceRecord,
        hop_of: &dyn Fn(Ipv4Addr) -> u32,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let ends: HashSet<DestinationEnd> = wanted.iter().map(|(end, _)| *end).collect();
        let before = std::mem::take(&mut record.destinations);
        let (kept, gone): (Vec<_>, Vec<_>) = before
            .into_iter()
            .partition(|destination| ends.contains(&destination.end));
        let kept: HashMap<_, _> = kept
            .into_iter()
            .map(|destination| (destination.end, destination))
            .collect();
        for (end, wanted) in wanted {
            let values = DestinationValues::present(*end, wanted, record.number);
            let (destination, origin) = match kept.get(end) {
                Some(kept) => (*kept, Origin::Kept),
                None => self.revive_or_make(*end, record, plan)?,
            };
            let destination = plan_masquerade(destination, values.is_masqueraded(), plan);
            let number = destination.number;
            let write = DestinationWrite {
                number,
                values,
                next_hop: Some(hop_of(end.0)),
            };
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
        end: DestinationEnd,
        record: &mut ServiceRecord,
        plan: &mut Plan,
    ) -> Result<(DestinationRecord, Origin), CapacityError> {
        let removed = record.removed.iter().position(|r| r.destination.end == end);
        if let Some(index) = removed {
            let removed = record.removed.swap_remove(index);
            let origin = if removed.service_gone {
                Origin::New
            } else {
                Origin::Revived
            };
            return Ok((removed.destination, origin));
        }
        let number = self.destination_numbers.take().ok_or(CapacityError::Full {
            what: "destinations",
            limit: self.destination_numbers.limit(),
            hint: "start the daemon with a larger --max-destinations, or wait: destinations that \
                   were removed count while connections refer to them",
        })?;
        plan.taken_destinations.push(number);
        let destination = DestinationRecord {
            number,
            end,
            masqueraded: false,
        };
        Ok((destination, Origin::New))
    }
}

/// Notes where a destination begins or ceases to answer through the director.
fn plan_masquerade(
    destination: DestinationRecord,
    masqueraded: bool,
    plan: &mut Plan,
) -> DestinationRecord {
    if destination.masqueraded != masqueraded {
        let by = if masqueraded { 1 } else { -1 };
        note(&mut plan.uses, destination.end.0, Uses::REAL, by);
    }
    DestinationRecord {
        masqueraded,
        ..destination
    }
}
