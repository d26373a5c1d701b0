//! How a service's scheduler is told to the data plane.

use abi::Scheduling;
use model::{Scheduler, Service};
use sched::plan::{Followed, Plan, PlannedBlock, TooManyMembers};

/// What a service's cell says about choosing, and the sequence that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    scheduling: Scheduling,
    plan: Option<Plan>,
}

impl Schedule {
    /// The schedule of a service whose destinations have these weights, in list order. `allowed`
    /// limits how many places its blocks take.
    pub(crate) fn of(
        service: &Service,
        weights: &[u32],
        allowed: u64,
    ) -> Result<Self, TooManyMembers> {
        let without_plan = |scheduling| Self {
            scheduling,
            plan: None,
        };
        if !is_built(service) {
            return Ok(without_plan(Scheduling::NotBuilt));
        }
        Ok(match service.scheduler {
            Scheduler::Rr => Self {
                scheduling: Scheduling::Sequence,
                plan: Some(Plan::round_robin(weights)),
            },
            Scheduler::Wrr => Self {
                scheduling: Scheduling::Sequence,
                plan: Some(Plan::weighted_round_robin(weights, allowed)?),
            },
            Scheduler::Lc => without_plan(Scheduling::LeastConnection),
            Scheduler::Wlc => without_plan(Scheduling::WeightedLeastConnection),
            _ => without_plan(Scheduling::NotBuilt),
        })
    }

    /// The number of the way of choosing, as it stands in the service's cell.
    pub(crate) fn scheduling(&self) -> u32 {
        self.scheduling as u32
    }

    /// Picks in one round of the sequence.
    pub(crate) fn picks(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.picks)
    }

    /// The sequence's blocks. Their members are positions in the list of destinations.
    pub(crate) fn blocks(&self) -> &[PlannedBlock] {
        self.plan.as_ref().map_or(&[], |plan| &plan.blocks)
    }

    /// The position at which this schedule goes on after `before` had come to `position`. The
    /// lists hold the destinations' numbers.
    pub(crate) fn resume(
        &mut self,
        list: &[u32],
        before: &Self,
        list_before: &[u32],
        position: u64,
    ) -> u64 {
        match (&mut self.plan, &before.plan) {
            (Some(plan), Some(before)) => plan.resume(
                list,
                &Followed {
                    plan: before,
                    list: list_before,
                    position,
                },
            ),
            _ => 0,
        }
    }
}

/// Whether the data plane can schedule for a service as its settings ask.
pub(crate) fn is_built(service: &Service) -> bool {
    matches!(
        service.scheduler,
        Scheduler::Rr | Scheduler::Wrr | Scheduler::Lc | Scheduler::Wlc
    )
}
