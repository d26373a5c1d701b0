//! Two to five routers in simulated time, on a link that loses and delays, while routers crash, stop,
//! restart and freeze. Then the link is well, and what must hold then is checked at every moment:
//!
//! - two masters at once last no longer than a Master_Down_Interval after the last disturbance, which a
//!   lost advert is, too: not even the shortest that a router of any priority has;
//! - a Master_Down_Interval after it, the longest that a router here has, there is a master, and there is
//!   one from then on; what was on its way just then may begin it anew, and counts as not yet passed;
//! - once preemption is through, it stays the same, and none of higher priority preempts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use vrrp::{Datagram, Input, Link, Output, Preempt, Router, Settings, State, Version};

use crate::world::{INTERFACE, address, at, ms, settings};

/// Runs in every `cargo test`.
const FEW: u64 = 400;
/// Runs of the longer test.
const MANY: u64 = 100_000;

#[test]
fn there_is_one_master_after_whatever_happened() {
    (0..FEW).for_each(run);
}

#[test]
#[ignore = "takes minutes: cargo test --release -p xvs-vrrp --test vrrp -- --ignored"]
fn there_is_one_master_after_whatever_happened_a_hundred_thousand_times() {
    (0..MANY).for_each(run);
}

/// Random numbers (splitmix64), the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.below(longest.as_micros() as u64 + 1))
    }
}

/// What a router is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Runs,
    Frozen,
    Dead,
}

struct Host {
    settings: Settings,
    source: String,
    router: Router,
    health: Health,
    /// Holds the addresses: also while it is frozen.
    holds: bool,
    /// What came while it was frozen.
    queue: Vec<Datagram>,
}

impl Host {
    fn new(settings: Settings, number: usize) -> Self {
        let router = Router::new(vec![settings.clone()], vec![]).unwrap();
        let source = format!("192.0.2.{}", number + 1);
        Self {
            settings,
            source,
            router,
            health: Health::Dead,
            holds: false,
            queue: vec![],
        }
    }
}

/// A packet on its way: when it arrives, its number, whose it is.
type Flight = Reverse<(Duration, usize, usize)>;

struct Simulation {
    seed: u64,
    dice: Dice,
    now: Duration,
    hosts: Vec<Host>,
    flights: BinaryHeap<Flight>,
    datagrams: Vec<Datagram>,
    longest_delay: Duration,
    /// One packet in so many is lost; 0: none.
    loss: u64,
    last_disturbance: Duration,
    overlap_since: Option<Duration>,
    calm_since: Option<Duration>,
    /// Master_Down_Interval of a router with no skew at all.
    shortest_master_down: Duration,
    /// Master_Down_Interval of the router of lowest priority.
    longest_master_down: Duration,
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let (version, interval) = match dice.below(4) {
        0 => (Version::V2, ms(1000)),
        1 => (Version::V3, ms(10)),
        2 => (Version::V3, ms(250)),
        _ => (Version::V3, ms(1000)),
    };
    let count = 2 + dice.below(4) as usize;
    let hosts = (0..count).map(|number| {
        let priority = [1, 50, 100, 101, 150, 200, 254][dice.below(7) as usize];
        let preempt = match dice.below(4) {
            0 => Preempt::Never,
            1 => Preempt::After(interval * dice.below(6) as u32),
            _ => Preempt::After(Duration::ZERO),
        };
        let settings = Settings {
            version,
            interval,
            preempt,
            ..settings(priority)
        };
        Host::new(settings, number)
    });
    let hosts: Vec<Host> = hosts.collect();
    // RFC 3768 counts the skew time by seconds, which are version 2's shortest interval here, too.
    let lowest = hosts.iter().map(|host| host.settings.priority).min();
    let skew = interval * (256 - u32::from(lowest.unwrap())) / 256;
    let mut simulation = Simulation {
        seed,
        longest_delay: dice.up_to(interval / 4),
        loss: 2 + dice.below(8),
        dice,
        now: Duration::ZERO,
        hosts,
        flights: BinaryHeap::new(),
        datagrams: Vec::new(),
        last_disturbance: Duration::ZERO,
        overlap_since: None,
        calm_since: None,
        shortest_master_down: interval * 3,
        longest_master_down: interval * 3 + skew,
    };
    simulation.storm(interval * 30);
    simulation.calm();
}

impl Simulation {
    /// Things happen to hosts at random, about one in two intervals.
    fn storm(&mut self, time: Duration) {
        for host in 0..self.hosts.len() {
            self.boot(host);
        }
        let end = self.now + time;
        while self.now < end {
            let pause = self.dice.up_to(time / 15);
            self.go_on_until(self.now + pause);
            let host = self.dice.below(self.hosts.len() as u64) as usize;
            self.disturb(host);
        }
    }

    /// Every host runs, and no packet is lost.
    fn calm(&mut self) {
        for host in 0..self.hosts.len() {
            match self.hosts[host].health {
                Health::Dead => self.boot(host),
                Health::Frozen => self.thaw(host),
                Health::Runs => {}
            }
        }
        self.loss = 0;
        self.last_disturbance = self.now;
        self.calm_since = Some(self.now);
        // The longest preemption delay, the timer that follows it, and one that began anew meanwhile.
        self.go_on_until(self.now + self.longest_master_down * 5);
        let settled = self.holders();
        assert_eq!(settled.len(), 1, "seed {}: {}", self.seed, self.states());
        for _ in 0..40 {
            self.go_on_until(self.now + self.longest_master_down / 8);
            assert_eq!(
                self.holders(),
                settled,
                "seed {}: {}",
                self.seed,
                self.states()
            );
        }
        let master = &self.hosts[settled[0]].settings;
        let preempting = self.hosts.iter().find(|host| {
            host.settings.preempt != Preempt::Never && host.settings.priority > master.priority
        });
        assert!(
            preempting.is_none(),
            "seed {}: {}",
            self.seed,
            self.states()
        );
    }

    fn disturb(&mut self, host: usize) {
        self.last_disturbance = self.now;
        match (self.hosts[host].health, self.dice.below(3)) {
            (Health::Runs, 0) => self.hosts[host].health = Health::Frozen,
            (Health::Runs, 1) => {
                self.tell(host, Input::Stop);
                self.hosts[host].health = Health::Dead;
            }
            (Health::Runs, _) => {
                self.hosts[host].health = Health::Dead;
                self.hosts[host].holds = false;
            }
            (Health::Frozen, _) => self.thaw(host),
            (Health::Dead, _) => self.boot(host),
        }
    }

    fn boot(&mut self, number: usize) {
        let mut host = Host::new(self.hosts[number].settings.clone(), number);
        host.health = Health::Runs;
        let link = Link::Ready(address(&host.source));
        self.hosts[number] = host;
        self.tell(
            number,
            Input::Link {
                instance: "VI_1",
                link,
            },
        );
        self.tell(number, Input::Start);
    }

    /// A process that goes on reads what came meanwhile before it looks at its timers.
    fn thaw(&mut self, host: usize) {
        self.hosts[host].health = Health::Runs;
        for datagram in std::mem::take(&mut self.hosts[host].queue) {
            self.tell(
                host,
                Input::Received {
                    interface: INTERFACE,
                    datagram: &datagram,
                },
            );
        }
        self.tell(host, Input::Timeout);
    }

    fn tell(&mut self, number: usize, input: Input<'_>) {
        self.hosts[number].router.handle(input, at(self.now));
        while let Some(output) = self.hosts[number].router.poll() {
            match output {
                Output::Hold { .. } => self.hosts[number].holds = true,
                Output::Release { .. } => self.hosts[number].holds = false,
                Output::Send { datagram, .. } => self.send(number, &datagram),
                _ => {}
            }
        }
    }

    fn send(&mut self, from: usize, datagram: &Datagram) {
        for to in (0..self.hosts.len()).filter(|to| *to != from) {
            if self.loss > 0 && self.dice.one_in(self.loss) {
                self.last_disturbance = self.now;
                continue;
            }
            let arrival = self.now + self.dice.up_to(self.longest_delay);
            self.flights
                .push(Reverse((arrival, self.datagrams.len(), to)));
            self.datagrams.push(datagram.clone());
        }
    }

    fn go_on_until(&mut self, end: Duration) {
        loop {
            let timers = self
                .hosts
                .iter()
                .enumerate()
                .filter(|(_, host)| host.health == Health::Runs);
            let timer = timers
                .filter_map(|(number, host)| Some((host.router.next_timeout()?, number)))
                .min();
            let arrival = self.flights.peek().map(|Reverse((arrival, ..))| *arrival);
            let next = arrival.into_iter().chain(timer.map(|(due, _)| due)).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.check(next);
            self.now = self.now.max(next);
            match timer {
                Some((due, number)) if arrival.is_none_or(|arrival| due < arrival) => {
                    self.tell(number, Input::Timeout);
                }
                _ => self.deliver(),
            }
            self.note();
        }
        self.check(end);
        self.now = end;
    }

    fn deliver(&mut self) {
        let Some(Reverse((_, datagram, to))) = self.flights.pop() else {
            return;
        };
        let datagram = self.datagrams[datagram].clone();
        match self.hosts[to].health {
            Health::Runs => {
                self.tell(
                    to,
                    Input::Received {
                        interface: INTERFACE,
                        datagram: &datagram,
                    },
                );
            }
            Health::Frozen => self.hosts[to].queue.push(datagram),
            Health::Dead => {}
        }
    }

    fn holders(&self) -> Vec<usize> {
        (0..self.hosts.len())
            .filter(|host| self.hosts[*host].holds)
            .collect()
    }

    /// Notes since when there is more than one master.
    fn note(&mut self) {
        match self.holders().len() {
            0 | 1 => self.overlap_since = None,
            _ => drop(self.overlap_since.get_or_insert(self.now)),
        }
    }

    /// Checks what holds from now until `next`, when something happens.
    fn check(&self, next: Duration) {
        let holders = self.holders();
        if let Some(since) = self.overlap_since.filter(|_| holders.len() > 1) {
            let undisturbed = next.saturating_sub(since.max(self.last_disturbance));
            assert!(
                undisturbed <= self.shortest_master_down,
                "seed {}: {holders:?} are masters at {:?} since {since:?}, {undisturbed:?} after the last disturbance",
                self.seed,
                self.now,
            );
        }
        let grace = self.longest_master_down + self.longest_delay;
        if self
            .calm_since
            .is_some_and(|since| next > since + grace && next > self.now)
        {
            assert!(
                !holders.is_empty(),
                "seed {}: no master at {:?}: {}",
                self.seed,
                self.now,
                self.states()
            );
        }
    }

    fn states(&self) -> String {
        let states = self.hosts.iter().map(|host| {
            let status = host.router.status(at(self.now)).remove(0);
            assert_eq!(status.state == State::Master, host.holds);
            format!("{} ({})", status.state, status.priority)
        });
        states.collect::<Vec<_>>().join(", ")
    }
}
