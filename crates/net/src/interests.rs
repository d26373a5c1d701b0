//! Which neighbours to ask for, and when: the rules behind [`crate::Resolver`], without a socket
//! or a clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::{Lookup, NeighbourState, NextHop, Snapshot};

/// How long to wait before a neighbour that is not known is asked for again. The kernel sends one
/// request per second itself; asking more often changes nothing.
const RETRY: Duration = Duration::from_secs(1);

/// How old a confirmation of a known neighbour may be. With the three seconds in which the kernel
/// gives an Ethernet address up, one that changed silently is found within five.
const CONFIRM: Duration = Duration::from_secs(2);

/// Known neighbours are asked for at most this many at a time, …
const BATCH: usize = 20;
/// … and with this pause between.
const PAUSE: Duration = Duration::from_millis(100);

/// When it is forgotten that a neighbour was asked for: long after its turn comes again, however
/// many there are.
const FORGET: Duration = Duration::from_secs(600);

/// When to look again when nothing is to be asked: a safety net.
const REVIEW: Duration = Duration::from_secs(10);

/// A neighbour: interface and address.
pub(crate) type Whom = (u32, IpAddr);

/// What the kernel is to do about a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Question {
    /// To find one that is not known, by asking everybody on the link.
    Find(Whom),
    /// To ask one that is known whether it still is where it was. Packets go there meanwhile.
    Confirm(Whom),
}

impl Question {
    pub(crate) const fn whom(self) -> Whom {
        match self {
            Self::Find(whom) | Self::Confirm(whom) => whom,
        }
    }

    /// How long to wait before it is asked again.
    const fn interval(self) -> Duration {
        match self {
            Self::Find(_) => RETRY,
            Self::Confirm(_) => CONFIRM,
        }
    }
}

/// What is to be done now, and how things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) questions: Vec<Question>,
    pub(crate) changed: Vec<(IpAddr, NextHop)>,
    pub(crate) wakeup: Instant,
}

/// The destinations and neighbours that matter.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    /// Destinations, each with its next hop as last reported.
    wanted: BTreeMap<IpAddr, Option<NextHop>>,
    /// Neighbours that matter whatever leads to them.
    kept: BTreeSet<Whom>,
    /// When a neighbour was last asked for.
    asked: HashMap<Whom, Instant>,
    /// When known neighbours were last asked for.
    confirmed: Option<Instant>,
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

    pub(crate) fn keep_neighbours(&mut self, neighbours: &BTreeSet<Whom>) {
        self.kept.clone_from(neighbours);
    }

    /// Looks at all destinations. Nothing counts as reported or asked before
    /// [`carried_out`](Self::carried_out) says so.
    pub(crate) fn plan(&self, snapshot: &Snapshot, now: Instant) -> Plan {
        let mut plan = Plan {
            questions: Vec::new(),
            changed: Vec::new(),
            wakeup: now + REVIEW,
        };
        let mut open = BTreeSet::new();
        for (destination, reported) in &self.wanted {
            let (next_hop, neighbour) = look(snapshot, *destination);
            if *reported != Some(next_hop) {
                plan.changed.push((*destination, next_hop));
            }
            open.extend(neighbour.and_then(|whom| question(snapshot, whom)));
        }
        open.extend(
            self.kept
                .iter()
                .filter_map(|whom| question(snapshot, *whom)),
        );
        self.schedule(open, now, &mut plan);
        plan
    }

    /// Picks the questions whose time has come: first those never asked, then the longest overdue.
    fn schedule(&self, open: BTreeSet<Question>, now: Instant, plan: &mut Plan) {
        let mut due = Vec::new();
        for question in open {
            let asked = self.asked.get(&question.whom()).copied();
            match asked.map_or(now, |asked| asked + question.interval()) {
                at if at <= now => due.push((asked, question)),
                at => plan.wakeup = plan.wakeup.min(at),
            }
        }
        due.sort_unstable();
        let pausing = self.confirmed.map(|at| at + PAUSE).filter(|end| *end > now);
        let mut room = if pausing.is_some() { 0 } else { BATCH };
        for (_, question) in due {
            let again = match question {
                Question::Confirm(_) if room == 0 => pausing.unwrap_or(now + PAUSE),
                _ => {
                    room -= usize::from(matches!(question, Question::Confirm(_)));
                    plan.questions.push(question);
                    now + question.interval()
                }
            };
            plan.wakeup = plan.wakeup.min(again);
        }
    }

    /// Notes that the plan made at `now` was carried out.
    pub(crate) fn carried_out(&mut self, plan: &Plan, now: Instant) {
        self.asked.retain(|_, asked| *asked + FORGET > now);
        for question in &plan.questions {
            self.asked.insert(question.whom(), now);
            if matches!(question, Question::Confirm(_)) {
                self.confirmed = Some(now);
            }
        }
        for (destination, next_hop) in &plan.changed {
            if let Some(reported) = self.wanted.get_mut(destination) {
                *reported = Some(*next_hop);
            }
        }
    }
}

/// The next hop of a destination, and the neighbour that leads to it.
fn look(snapshot: &Snapshot, destination: IpAddr) -> (NextHop, Option<Whom>) {
    let Lookup::Unicast(route) = snapshot.route(destination) else {
        return (snapshot.next_hop(destination), None);
    };
    let whom = (route.ifindex, route.gateway.unwrap_or(destination));
    (snapshot.next_hop_of(&route, destination), Some(whom))
}

/// What to ask about a neighbour. Nothing while the kernel is at it already, nothing about those
/// that somebody else keeps or that never change: asking would take them away from there. Nothing
/// where nobody can answer.
fn question(snapshot: &Snapshot, whom: Whom) -> Option<Question> {
    let (ifindex, address) = whom;
    let link = snapshot.link(ifindex)?;
    if !link.is_up() || !link.ethernet || link.no_arp {
        return None;
    }
    let Some(known) = snapshot.neighbour(ifindex, address) else {
        return Some(Question::Find(whom));
    };
    match known.state {
        _ if known.kept => None,
        NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed => {
            Some(Question::Find(whom))
        }
        NeighbourState::Reachable | NeighbourState::Stale | NeighbourState::Delay => {
            Some(Question::Confirm(whom))
        }
        NeighbourState::Probe | NeighbourState::Permanent => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Event, Insertion, Leg, Link, LinkKind, MacAddress, Neighbour, Preference, Prefix,
        RouteEntry, RouteKind, Table,
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
            mtu_v6: None,
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
                preference: Preference::Medium,
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
            kept: false,
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
            .map(|question| question.whom().1)
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
    fn what_is_not_known_is_looked_for_and_what_is_known_confirmed() {
        use NeighbourState::{Delay, Failed, Incomplete, None, Permanent, Probe, Reachable, Stale};
        let (interests, mut snapshot) = (caring_for(&["10.0.0.2"]), network());
        let whom = (ETH0, ip("10.0.0.2"));
        let (find, confirm) = (Question::Find(whom), Question::Confirm(whom));
        for (state, asks) in [
            (None, Some(find)),
            (Incomplete, Some(find)),
            (Failed, Some(find)),
            (Stale, Some(confirm)),
            (Reachable, Some(confirm)),
            (Delay, Some(confirm)),
            (Probe, Option::None),
            (Permanent, Option::None),
        ] {
            learn(&mut snapshot, "10.0.0.2", state);
            let plan = interests.plan(&snapshot, Instant::now());
            assert_eq!(plan.questions.first().copied(), asks, "{state:?}");
        }
    }

    #[test]
    fn what_somebody_else_keeps_is_left_to_them() {
        let (interests, mut snapshot) = (caring_for(&["10.0.0.2"]), network());
        learn(&mut snapshot, "10.0.0.2", NeighbourState::Stale);
        let known = *snapshot.neighbour(ETH0, ip("10.0.0.2")).unwrap();
        snapshot.apply(Event::Neighbour(Neighbour {
            kept: true,
            ..known
        }));
        assert_eq!(interests.plan(&snapshot, Instant::now()).questions, []);
    }

    #[test]
    fn a_known_neighbour_is_confirmed_every_two_seconds() {
        let (mut interests, mut snapshot) = (caring_for(&["10.0.0.2"]), network());
        learn(&mut snapshot, "10.0.0.2", NeighbourState::Reachable);
        let start = Instant::now();
        let mut now = start;
        for round in 0..5 {
            let plan = interests.plan(&snapshot, now);
            assert_eq!(asked_for(&plan), [ip("10.0.0.2")], "round {round}");
            interests.carried_out(&plan, now);
            now = interests.plan(&snapshot, now).wakeup;
        }
        assert_eq!(now - start, Duration::from_secs(10));
    }

    /// How often each of so many known neighbours is confirmed within a time.
    fn confirmations(neighbours: u32, time: Duration) -> Vec<u32> {
        let (mut interests, mut snapshot) = (Interests::default(), network());
        let hosts = (0..neighbours).map(|host| format!("10.1.{}.{}", host / 250, host % 250));
        let addresses: Vec<String> = hosts.collect();
        for address in &addresses {
            learn(&mut snapshot, address, NeighbourState::Stale);
        }
        interests.keep_neighbours(&addresses.iter().map(|text| (ETH0, ip(text))).collect());
        let start = Instant::now();
        let (mut now, mut asked) = (start, BTreeMap::<IpAddr, u32>::new());
        while now < start + time {
            let plan = interests.plan(&snapshot, now);
            assert!(plan.questions.len() <= BATCH && plan.wakeup > now);
            for address in asked_for(&plan) {
                *asked.entry(address).or_default() += 1;
            }
            interests.carried_out(&plan, now);
            now = plan.wakeup;
        }
        addresses
            .iter()
            .map(|address| asked[&ip(address)])
            .collect()
    }

    #[test]
    fn many_known_neighbours_are_confirmed_little_by_little_and_none_is_left_out() {
        let within = Duration::from_secs;
        assert!(
            confirmations(300, within(10))
                .iter()
                .all(|times| *times == 5)
        );
        // 200 a second.
        assert!(
            confirmations(2000, within(30))
                .iter()
                .all(|times| *times == 3)
        );
    }

    #[test]
    fn one_that_fails_while_it_is_confirmed_is_looked_for_at_once() {
        let (mut interests, mut snapshot) = (caring_for(&["10.0.0.2"]), network());
        learn(&mut snapshot, "10.0.0.2", NeighbourState::Reachable);
        let start = Instant::now();
        let plan = interests.plan(&snapshot, start);
        interests.carried_out(&plan, start);
        learn(&mut snapshot, "10.0.0.2", NeighbourState::Failed);
        let plan = interests.plan(&snapshot, start + Duration::from_secs(3));
        assert_eq!(plan.questions, [Question::Find((ETH0, ip("10.0.0.2")))]);
    }

    #[test]
    fn neighbours_that_are_kept_are_asked_for_without_a_destination() {
        let mut interests = Interests::default();
        let gateways = network().gateways();
        interests.keep_neighbours(&gateways);
        let plan = interests.plan(&network(), Instant::now());
        assert_eq!(asked_for(&plan), [ip("10.0.0.254")]);
        interests.keep_neighbours(&BTreeSet::new());
        let plan = interests.plan(&network(), Instant::now());
        assert_eq!(plan.questions, []);
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
