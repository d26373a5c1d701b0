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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Event, Insertion, Leg, Link, LinkKind, MacAddress, Neighbour, Prefix, RouteEntry,
        RouteKind, Table,
    };

    const ETH0: u32 = 2;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// A network with 10.0.0.0/24 on one interface, and 203.0.113.0/24 behind 10.0.0.254.
    fn network() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.apply(Event::Link(Link {
            ifindex: ETH0,
            name: "eth0".to_owned(),
            kind: LinkKind::Physical,
            ethernet: true,
            mac: Some(MacAddress::new([2, 0, 0, 0, 0, 1])),
            mtu: 1500,
            admin_up: true,
            carrier: true,
            no_arp: false,
            master: None,
            lower: None,
            peer_netns: None,
            xdp: None,
            parent_device: None,
        }));
        for (subnet, gateway) in [("10.0.0.0", None), ("203.0.113.0", Some(ip("10.0.0.254")))] {
            let leg = Leg {
                ifindex: ETH0,
                gateway,
                dead: false,
                encapsulated: false,
            };
            let route = RouteEntry {
                table: Table::Main,
                prefix: Prefix::new(ip(subnet), 24),
                kind: RouteKind::Unicast,
                metric: 0,
                tos: 0,
                from: None,
                preferred_source: None,
                mtu: None,
                legs: vec![leg],
            };
            snapshot.apply(Event::Route(route, Insertion::Front));
        }
        snapshot
    }

    fn learn(snapshot: &mut Snapshot, address: &str, state: NeighbourState) {
        let mac = Some(MacAddress::new([2, 0, 0, 0, 0, 2]));
        let neighbour = Neighbour {
            ifindex: ETH0,
            address: ip(address),
            mac,
            state,
        };
        snapshot.apply(Event::Neighbour(neighbour));
    }

    fn caring_for(destinations: &[&str]) -> Interests {
        let mut interests = Interests::default();
        destinations
            .iter()
            .for_each(|destination| interests.add(ip(destination)));
        interests
    }

    fn asked_for(plan: &Plan) -> Vec<IpAddr> {
        plan.questions
            .iter()
            .map(|question| question.address)
            .collect()
    }

    #[test]
    fn destinations_behind_one_gateway_ask_for_it_once() {
        let interests = caring_for(&["203.0.113.1", "203.0.113.2", "10.0.0.2"]);
        let plan = interests.plan(&network(), Instant::now());
        assert_eq!(asked_for(&plan), [ip("10.0.0.2"), ip("10.0.0.254")]);
        assert_eq!(plan.changed.len(), 3);
    }

    #[test]
    fn an_unanswered_question_is_repeated_after_a_second_and_not_before() {
        let (mut interests, snapshot) = (caring_for(&["10.0.0.2"]), network());
        let start = Instant::now();
        let first = interests.plan(&snapshot, start);
        assert_eq!(first.wakeup, start + Duration::from_secs(1));
        interests.carried_out(&first, start);
        let soon = interests.plan(&snapshot, start + Duration::from_millis(300));
        assert!(soon.questions.is_empty() && soon.changed.is_empty());
        assert_eq!(soon.wakeup, start + Duration::from_secs(1));
        let later = interests.plan(&snapshot, start + Duration::from_secs(1));
        assert_eq!(asked_for(&later), [ip("10.0.0.2")]);
    }

    #[test]
    fn what_was_not_carried_out_is_planned_again() {
        let (interests, snapshot) = (caring_for(&["10.0.0.2"]), network());
        let now = Instant::now();
        assert_eq!(
            interests.plan(&snapshot, now),
            interests.plan(&snapshot, now)
        );
    }

    #[test]
    fn only_missing_failed_and_stale_neighbours_are_asked_for() {
        use NeighbourState::{Delay, Failed, Incomplete, None, Permanent, Probe, Reachable, Stale};
        let (interests, mut snapshot) = (caring_for(&["10.0.0.2"]), network());
        let now = Instant::now();
        for (state, asks) in [
            (None, true),
            (Incomplete, true),
            (Failed, true),
            (Stale, true),
            (Reachable, false),
            (Delay, false),
            (Probe, false),
            (Permanent, false),
        ] {
            learn(&mut snapshot, "10.0.0.2", state);
            let plan = interests.plan(&snapshot, now);
            assert_eq!(!plan.questions.is_empty(), asks, "{state:?}");
        }
    }

    #[test]
    fn nothing_is_asked_where_nothing_can_answer() {
        let mut snapshot = network();
        let down = Link {
            carrier: false,
            ..snapshot.link(ETH0).unwrap().clone()
        };
        let interests = caring_for(&["10.0.0.2", "8.8.8.8"]);
        snapshot.apply(Event::Link(down));
        let plan = interests.plan(&snapshot, Instant::now());
        assert!(plan.questions.is_empty());
        let reported: Vec<NextHop> = plan.changed.iter().map(|(_, next_hop)| *next_hop).collect();
        assert_eq!(
            reported,
            [NextHop::NoRoute, NextHop::LinkDown { ifindex: ETH0 }]
        );
    }

    #[test]
    fn a_change_is_reported_once() {
        let (mut interests, mut snapshot) = (caring_for(&["10.0.0.2"]), network());
        let now = Instant::now();
        let first = interests.plan(&snapshot, now);
        assert!(matches!(
            first.changed[..],
            [(_, NextHop::Unresolved { .. })]
        ));
        interests.carried_out(&first, now);
        learn(&mut snapshot, "10.0.0.2", NeighbourState::Reachable);
        let second = interests.plan(&snapshot, now);
        assert!(matches!(
            second.changed[..],
            [(_, NextHop::Resolved { .. })]
        ));
        interests.carried_out(&second, now);
        learn(&mut snapshot, "10.0.0.2", NeighbourState::Stale);
        assert!(interests.plan(&snapshot, now).changed.is_empty());
    }

    #[test]
    fn a_destination_that_is_forgotten_is_no_longer_looked_at() {
        let mut interests = caring_for(&["10.0.0.2", "10.0.0.3"]);
        interests.remove(ip("10.0.0.2"));
        assert_eq!(
            asked_for(&interests.plan(&network(), Instant::now())),
            [ip("10.0.0.3")]
        );
        interests.keep(|_| false);
        assert!(
            interests
                .plan(&network(), Instant::now())
                .changed
                .is_empty()
        );
    }
}
