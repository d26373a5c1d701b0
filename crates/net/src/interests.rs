//! Which neighbours to ask for, and when: the rules behind [`crate::Resolver`], without a socket
//! or a clock.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::{Lookup, NeighbourState, NextHop, Snapshot};

/// How long to wait before the same neighbour is asked for again. The kernel sends one request per
/// second itself; asking more often changes nothing.
const RETRY: Duration = Duration::from_secs(1);

/// When to look again when nothing is to be asked: a safety net below the 30 s after which a
/// neighbour becomes stale (`base_reachable_time`).
const REVIEW: Duration = Duration::from_secs(10);

/// A neighbour to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Question {
    pub(crate) ifindex: u32,
    pub(crate) address: IpAddr,
}

/// What is to be done now, and how things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) questions: Vec<Question>,
    pub(crate) changed: Vec<(IpAddr, NextHop)>,
    pub(crate) wakeup: Instant,
}

/// The destinations whose next hops matter.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    /// Each with its next hop as last reported.
    wanted: BTreeMap<IpAddr, Option<NextHop>>,
    /// When a neighbour was last asked for.
    asked: HashMap<Question, Instant>,
}

impl Interests {
    pub(crate) fn add(&mut self, destination: IpAddr) {
        self.wanted.entry(destination).or_default();
    }

    pub(crate) fn remove(&mut self, destination: IpAddr) {
        self.wanted.remove(&destination);
    }

    pub(crate) fn keep(&mut self, keep: impl Fn(IpAddr) -> bool) {
        self.wanted.retain(|destination, _| keep(*destination));
    }

    /// Looks at all destinations. Nothing counts as reported or asked before
    /// [`carried_out`](Self::carried_out) says so.
    pub(crate) fn plan(&self, snapshot: &Snapshot, now: Instant) -> Plan {
        let mut plan = Plan {
            questions: Vec::new(),
            changed: Vec::new(),
            wakeup: now + REVIEW,
        };
        for (destination, reported) in &self.wanted {
            let (next_hop, question) = look(snapshot, *destination);
            if *reported != Some(next_hop) {
                plan.changed.push((*destination, next_hop));
            }
            let Some(question) = question else { continue };
            let due = self
                .asked
                .get(&question)
                .map_or(now, |asked| *asked + RETRY);
            if due > now {
                plan.wakeup = plan.wakeup.min(due);
            } else {
                plan.wakeup = plan.wakeup.min(now + RETRY);
                plan.questions.push(question);
            }
        }
        plan.questions.sort_unstable();
        plan.questions.dedup();
        plan
    }

    /// Notes that the plan made at `now` was carried out.
    pub(crate) fn carried_out(&mut self, plan: &Plan, now: Instant) {
        self.asked.retain(|_, asked| *asked + RETRY > now);
        self.asked
            .extend(plan.questions.iter().map(|question| (*question, now)));
        for (destination, next_hop) in &plan.changed {
            if let Some(reported) = self.wanted.get_mut(destination) {
                *reported = Some(*next_hop);
            }
        }
    }
}

/// The next hop of a destination, and the neighbour to ask for: one that is not known, or that is
/// known but growing stale. Permanent ones are left alone: asking would end their permanence.
fn look(snapshot: &Snapshot, destination: IpAddr) -> (NextHop, Option<Question>) {
    let Lookup::Unicast(route) = snapshot.route(destination) else {
        return (snapshot.next_hop(destination), None);
    };
    let next_hop = snapshot.next_hop_of(&route, destination);
    let address = route.gateway.unwrap_or(destination);
    let question = Question {
        ifindex: route.ifindex,
        address,
    };
    let state = snapshot
        .neighbour(route.ifindex, address)
        .map(|neighbour| neighbour.state);
    let ask = match next_hop {
        NextHop::Unresolved { .. } | NextHop::Failed { .. } => true,
        NextHop::Resolved { .. } => state == Some(NeighbourState::Stale),
        _ => false,
    };
    (next_hop, ask.then_some(question))
}
