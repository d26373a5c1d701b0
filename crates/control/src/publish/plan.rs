//! What a transaction is going to write, before anything is written.

use std::collections::HashSet;

use abi::{LoadCell, StatsCell, View};
use model::{Destination, Service, ServiceKey};
use sched::plan::TooManyMembers;
use thiserror::Error;

use crate::publish::Publisher;
use crate::publish::addresses::{UseChanges, Uses, note};
use crate::publish::cells::{
    DestinationEnd, DestinationValues, ServiceValues, destination_end, service_cell_key,
};
use crate::publish::records::{DestinationRecord, Placed, Removed, ServiceRecord};
use crate::runs::Run;
use crate::schedule::Schedule;
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

/// A change of a two-sided table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit {
    /// An address has these flags; 0 takes it out.
    Address(u32, u32),
    Service(ServiceCellKey, ServiceValues),
    RemoveService(ServiceCellKey),
}

/// A destination's cell, and what becomes of its counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DestinationWrite {
    pub(crate) number: u32,
    pub(crate) values: DestinationValues,
    pub(crate) next_hop: Option<u32>,
}

impl DestinationWrite {
    /// A cell that is nobody's.
    pub(crate) fn cleared(number: u32) -> Self {
        let values = DestinationValues::default();
        Self {
            number,
            values,
            next_hop: Some(abi::NONE),
        }
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
    /// Runs that only the old side points to.
    pub(crate) old_members: Vec<Run>,
    pub(crate) old_blocks: Vec<Run>,
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

/// What a service shall be: with these destinations in list order, or gone.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The service.
    pub key: ServiceKey,
    /// How it shall be; `None` removes it.
    pub wanted: Option<(&'a Service, &'a [Destination])>,
}

impl Publisher {
    /// Adds one service's change to a plan. Numbers and runs are taken at once, and noted in the
    /// plan, so that an error later can give them back.
    pub(crate) fn plan(
        &mut self,
        view: &View<'_>,
        change: &Change<'_>,
        hop_of: &dyn Fn(std::net::Ipv4Addr) -> u32,
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
        hop_of: &dyn Fn(std::net::Ipv4Addr) -> u32,
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
            super::cells::from_network_order(address),
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
        hop_of: &dyn Fn(std::net::Ipv4Addr) -> u32,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let ends: HashSet<DestinationEnd> = wanted.iter().map(|(end, _)| *end).collect();
        let before = std::mem::take(&mut record.destinations);
        let (kept, gone): (Vec<_>, Vec<_>) = before
            .into_iter()
            .partition(|destination| ends.contains(&destination.end));
        let kept: std::collections::HashMap<_, _> = kept
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

    /// Lays out the list and the schedule anew where they changed.
    fn plan_lists(
        &mut self,
        view: &View<'_>,
        cell_key: ServiceCellKey,
        mut schedule: Schedule,
        record: &mut ServiceRecord,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let numbers: Vec<u32> = record.destinations.iter().map(|d| d.number).collect();
        let cursor = view.service_runtime[record.number as usize].cursor.load();
        let before = record.placed.take();
        if let Some(placed) = &before
            && placed.schedule.as_ref() == Some(&schedule)
            && same_members(view, placed, &numbers)
        {
            record.placed = before;
            return Ok(());
        }
        let position = before.as_ref().map_or(0, |placed| {
            let done = cursor.wrapping_sub(placed.cursor_base);
            placed.schedule.as_ref().map_or(0, |followed| {
                schedule.resume(&numbers, followed, &list_of(view, placed), done)
            })
        });
        let cursor_base = cursor.wrapping_sub(position);
        let (placed, values) = self.place(record.number, &numbers, schedule, cursor_base, plan)?;
        plan.edits.push(Edit::Service(cell_key, values));
        if let Some(before) = before {
            plan.old_members.push(before.members);
            plan.old_blocks.push(before.blocks);
        }
        record.placed = Some(placed);
        Ok(())
    }

    /// Takes room for a list and its schedule: the list itself, then the blocks' members.
    fn place(
        &mut self,
        number: u32,
        numbers: &[u32],
        schedule: Schedule,
        cursor_base: u64,
        plan: &mut Plan,
    ) -> Result<(Placed, ServiceValues), CapacityError> {
        const HINT: &str = "start the daemon with a larger --max-destinations";
        let members = numbers.len()
            + schedule
                .blocks()
                .iter()
                .map(|b| b.members.len())
                .sum::<usize>();
        let run = self
            .members
            .take(members as u32)
            .ok_or(CapacityError::Full {
                what: "places in lists of destinations",
                limit: self.sizes.members,
                hint: HINT,
            })?;
        plan.new_members.push((run, Vec::with_capacity(members)));
        let block_run =
            self.blocks
                .take(schedule.blocks().len() as u32)
                .ok_or(CapacityError::Full {
                    what: "blocks of schedules",
                    limit: self.sizes.blocks,
                    hint: HINT,
                })?;
        let mut list = numbers.to_vec();
        let mut blocks = Vec::with_capacity(schedule.blocks().len());
        for block in schedule.blocks() {
            blocks.push(BlockValues {
                start: block.start,
                members_first: run.first + list.len() as u32,
                members: block.members.len() as u32,
            });
            list.extend(
                block
                    .members
                    .iter()
                    .map(|&position| numbers[position as usize]),
            );
        }
        plan.new_blocks.push((block_run, blocks));
        if let Some((_, places)) = plan.new_members.last_mut() {
            *places = list;
        }
        let listed = numbers.len() as u32;
        let values = ServiceValues {
            number,
            scheduling: schedule.scheduling(),
            members_first: run.first,
            members: listed,
            blocks_first: block_run.first,
            blocks: block_run.length,
            picks: schedule.picks(),
            cursor_base,
        };
        let schedule = Some(schedule);
        Ok((
            Placed {
                members: run,
                listed,
                blocks: block_run,
                schedule,
                cursor_base,
            },
            values,
        ))
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

fn list_of(view: &View<'_>, placed: &Placed) -> Vec<u32> {
    let list = Run {
        length: placed.listed,
        ..placed.members
    };
    view.members[list.places()]
        .iter()
        .map(cell::Cell32::load)
        .collect()
}

fn same_members(view: &View<'_>, placed: &Placed, numbers: &[u32]) -> bool {
    list_of(view, placed) == numbers
}

/// Empties a destination's counters. Only while no packet counts for it.
pub(crate) fn zero_stats(view: &View<'_>, number: u32) {
    let destinations = view.globals.destinations.load() as usize;
    for cell in view
        .stats
        .iter()
        .skip(number as usize)
        .step_by(destinations)
    {
        zero_cell(cell);
    }
}

fn zero_cell(cell: &StatsCell) {
    for counter in [
        &cell.connections,
        &cell.in_packets,
        &cell.out_packets,
        &cell.in_bytes,
        &cell.out_bytes,
    ] {
        counter.store(0);
    }
}

/// Empties a destination's connection counts.
pub(crate) fn zero_load(load: &LoadCell) {
    for count in [
        &load.active,
        &load.inactive,
        &load.persistent,
        &load.overloaded,
    ] {
        count.store(0);
    }
}
