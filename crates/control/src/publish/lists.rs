//! Where a service's list of destinations and its schedule stand.

use abi::{LOOKUP_LINE, View};
use model::Service;

use crate::publish::Publisher;
use crate::publish::cells::ServiceValues;
use crate::publish::locals::Pool;
use crate::publish::plan::{BlockValues, CapacityError, Edit, Plan};
use crate::publish::records::{Placed, ServiceRecord};
use crate::publish::traits::Traits;
use crate::runs::Run;
use crate::schedule::Schedule;
use crate::side::ServiceCellKey;

/// How a service shall choose.
pub(crate) struct Told {
    pub(crate) schedule: Schedule,
    /// Whether a destination was told its settings, which begins a round over.
    pub(crate) is_told: bool,
    /// Its local addresses.
    pub(crate) pool: Pool,
}

impl Publisher {
    /// Lays out the list and the schedule anew where they changed.
    pub(crate) fn plan_lists(
        &mut self,
        view: &View<'_>,
        (cell_key, service): (ServiceCellKey, &Service),
        told: Told,
        record: &mut ServiceRecord,
        plan: &mut Plan,
    ) -> Result<(), CapacityError> {
        let numbers: Vec<u32> = record.destinations.iter().map(|d| d.number).collect();
        let cursor = view.service_runtime[record.number as usize].cursor.load();
        let traits = Traits::of(view, service, &record.destinations);
        let before = record.placed.take();
        let Told {
            mut schedule,
            is_told,
            pool,
        } = told;
        let is_same = before.as_ref().is_some_and(|placed| {
            placed.schedule.as_ref() == Some(&schedule) && same_members(view, placed, &numbers)
        });
        let goes_on = is_same && !(is_told && schedule.begins_over());
        if goes_on
            && before
                .as_ref()
                .is_some_and(|placed| placed.traits == traits && placed.pool == pool)
        {
            record.placed = before;
            return Ok(());
        }
        let position = before.as_ref().map_or(0, |placed| {
            let done = cursor.wrapping_sub(placed.cursor_base);
            match &placed.schedule {
                Some(followed) if goes_on => {
                    schedule.clone_from(followed);
                    done
                }
                Some(followed) => schedule.resume(&numbers, followed, &list_of(view, placed), done),
                None => 0,
            }
        });
        let cursor_base = cursor.wrapping_sub(position);
        let laid_out = (schedule, cursor_base, pool);
        let (placed, values) = self.place(record.number, traits, &numbers, laid_out, plan)?;
        plan.edits.push(Edit::Service(cell_key, values));
        if let Some(before) = before {
            plan.old_members.push(before.members);
            plan.old_blocks.push(before.blocks);
            plan.old_lookups.push(before.lookups);
        }
        record.placed = Some(placed);
        Ok(())
    }

    /// Takes room for a list and its schedule: the list itself, then the blocks' members.
    fn place(
        &mut self,
        number: u32,
        traits: Traits,
        numbers: &[u32],
        (schedule, cursor_base, pool): (Schedule, u64, Pool),
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
        let slots = schedule.slots();
        let lookup_run =
            self.lookups
                .take(lines_of(slots.len() as u32))
                .ok_or(CapacityError::Full {
                    what: "lines of schedulers' tables",
                    limit: self.sizes.lookups,
                    hint: "start the daemon with a larger --max-services",
                })?;
        let lookups = slots.iter().map(|&position| numbers[position as usize]);
        plan.new_lookups.push((lookup_run, lookups.collect()));
        let listed = numbers.len() as u32;
        let values = ServiceValues {
            number,
            scheduling: schedule.scheduling(),
            traits,
            members_first: run.first,
            members: listed,
            blocks_first: block_run.first,
            blocks: block_run.length,
            picks: schedule.picks(),
            cursor_base,
            lookup_first: lookup_run.first,
            lookup_slots: schedule.slots().len() as u32,
            local_first: pool.run.first,
            locals: pool.counts(),
        };
        let schedule = Some(schedule);
        Ok((
            Placed {
                members: run,
                listed,
                blocks: block_run,
                lookups: lookup_run,
                traits,
                schedule,
                cursor_base,
                pool,
            },
            values,
        ))
    }
}

/// Lines that a table of so many slots takes.
pub(crate) fn lines_of(slots: u32) -> u32 {
    slots.div_ceil(LOOKUP_LINE as u32)
}

fn list_of(view: &View<'_>, placed: &Placed) -> Vec<u32> {
    let list = Run {
        length: placed.listed,
        ..placed.members
    };
    view.members[list.places()]
        .iter()
        .map(|member| member.number.load())
        .collect()
}

fn same_members(view: &View<'_>, placed: &Placed, numbers: &[u32]) -> bool {
    list_of(view, placed) == numbers
}
