//! How a service's scheduler is told to the data plane.

use abi::{Scheduling, service_flags};
use model::{DestinationKey, Scheduler, Service};
use sched::address::Address;
use sched::plan::{Followed, Plan, PlannedBlock, TooManyMembers};
use sched::{dh, maglev, mh, sh};

use crate::words;

/// What a service's cell says about choosing, and the sequence or the table that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    scheduling: Scheduling,
    plan: Option<Plan>,
    /// A position in the list of destinations for each slot of a hash.
    slots: Vec<u32>,
}

/// A destination as schedulers see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheduled {
    pub(crate) key: DestinationKey,
    pub(crate) weight: u32,
    /// The weight above 0 that it had last, if it ever had one.
    pub(crate) last_weight: u32,
}

impl Scheduled {
    fn address(&self) -> Address {
        let words = words::of(self.key.address);
        if self.key.address.is_ipv6() {
            Address::v6(words)
        } else {
            Address::v4(words[0])
        }
    }
}

impl Schedule {
    /// The schedule of a service with these destinations, in list order. `allowed` limits how many
    /// places its blocks take.
    pub(crate) fn of(
        service: &Service,
        list: &[Scheduled],
        allowed: u64,
    ) -> Result<Self, TooManyMembers> {
        let weights: Vec<u32> = list.iter().map(|scheduled| scheduled.weight).collect();
        let by = |scheduling| Self {
            scheduling,
            plan: None,
            slots: Vec::new(),
        };
        let in_turn = |scheduling, plan| Self {
            plan: Some(plan),
            ..by(scheduling)
        };
        let in_slots = |scheduling, slots| Self {
            slots,
            ..by(scheduling)
        };
        Ok(match service.scheduler {
            Scheduler::Rr => in_turn(Scheduling::Sequence, Plan::round_robin(&weights)),
            Scheduler::Wrr => {
                let plan = Plan::weighted_round_robin(&weights, allowed)?;
                in_turn(Scheduling::Sequence, plan)
            }
            Scheduler::Twos => in_turn(Scheduling::Lottery, Plan::lottery(&weights)),
            Scheduler::Lc => by(Scheduling::LeastConnection),
            Scheduler::Wlc => by(Scheduling::WeightedLeastConnection),
            Scheduler::Sed => by(Scheduling::ShortestExpectedDelay),
            Scheduler::Nq => by(Scheduling::NeverQueue),
            Scheduler::Fo => by(Scheduling::Failover),
            Scheduler::Ovf => by(Scheduling::Overflow),
            Scheduler::Lblc => by(Scheduling::Locality),
            Scheduler::Lblcr => by(Scheduling::LocalityReplicated),
            Scheduler::Dh => in_slots(Scheduling::DestinationHash, dh::fill(list.len() as u32)),
            Scheduler::Sh => in_slots(Scheduling::SourceHash, sh::fill(&weights)),
            Scheduler::Mh => in_slots(Scheduling::MaglevHash, mh::fill(&for_mh(list))),
            Scheduler::Maglev => in_slots(Scheduling::Maglev, maglev::fill(&for_maglev(list))),
            // Nobody is ever chosen.
            Scheduler::None => in_turn(Scheduling::Sequence, Plan::round_robin(&[])),
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

    /// The table of a hash: positions in the list of destinations.
    pub(crate) fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Whether it begins a round over whenever a destination is told its settings.
    pub(crate) fn begins_over(&self) -> bool {
        self.plan.as_ref().is_some_and(Plan::is_weighted)
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

/// The switches of a service's scheduler: bits of [`service_flags`].
pub(crate) fn flags_of(service: &Service) -> u32 {
    let bit = |is_set, bit| if is_set { bit } else { 0 };
    bit(service.scheduler_flags.first, service_flags::SCHEDULER_1)
        | bit(service.scheduler_flags.second, service_flags::SCHEDULER_2)
}

fn for_mh(list: &[Scheduled]) -> Vec<mh::Member> {
    let member = |scheduled: &Scheduled| mh::Member {
        address: scheduled.address(),
        port: scheduled.key.port.to_be(),
        last_weight: scheduled.last_weight,
    };
    list.iter().map(member).collect()
}

fn for_maglev(list: &[Scheduled]) -> Vec<maglev::Member> {
    let member = |scheduled: &Scheduled| maglev::Member {
        address: scheduled.address(),
        port: scheduled.key.port.to_be(),
        weight: scheduled.weight,
    };
    list.iter().map(member).collect()
}
