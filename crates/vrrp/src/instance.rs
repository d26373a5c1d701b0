//! One virtual router: its state machine, with what packets it hears and sends, what it tracks and when
//! it tells the neighbours.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::announce::Schedule;
use crate::datagram::Datagram;
use crate::exchange::Output;
use crate::machine::{Action, Cause, Heard, Machine, State};
use crate::outgoing::{Outgoing, Way};
use crate::reception::{self, Memory, Refusal};
use crate::settings::{OWNER, Peers, Settings};
use crate::status::{Peer, Status, Transition};
use crate::time::Now;
use crate::track;
use crate::track::{Reading, Verdict};

/// How many senders the status tells of.
const PEERS: usize = 16;
/// Link-local multicast never passes a router (RFC 9568, section 5.1.1.3).
const HOP_LIMIT: u8 = 255;

/// An interface, as its virtual routers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It was not looked at yet.
    Unknown,
    /// It carries packets, and adverts are sent from this address.
    Ready(IpAddr),
    /// It does not, and why: `eth0 is down`.
    Unusable(String),
}

/// One virtual router.
#[derive(Debug)]
pub(crate) struct Instance {
    pub settings: Settings,
    machine: Machine,
    link: Link,
    readings: Vec<Reading>,
    running: bool,
    memory: Memory,
    announcements: Schedule,
    outgoing: Outgoing,
    peers: BTreeMap<IpAddr, (Heard, Duration)>,
    refused: u64,
    last_refusal: Option<String>,
    last: Option<Transition>,
    since: Option<Duration>,
    outputs: VecDeque<Output>,
}

impl Instance {
    pub fn new(settings: Settings) -> Self {
        Self {
            machine: Machine::new(&settings),
            link: Link::Unknown,
            readings: settings
                .tracked
                .iter()
                .map(|tracked| tracked.initial)
                .collect(),
            running: false,
            memory: Memory::default(),
            announcements: Schedule::default(),
            outgoing: Outgoing::default(),
            peers: BTreeMap::new(),
            refused: 0,
            last_refusal: None,
            last: None,
            since: None,
            outputs: VecDeque::new(),
            settings,
        }
    }

    /// Whether settings are those of this virtual router, however much else they change.
    pub fn is_same(&self, settings: &Settings) -> bool {
        let identity = |settings: &Settings| {
            let Settings {
                name,
                interface,
                virtual_router,
                version,
                ..
            } = settings;
            (
                name.clone(),
                interface.clone(),
                *virtual_router,
                *version,
                settings.is_ipv6(),
            )
        };
        identity(&self.settings) == identity(settings)
    }

    /// Goes on with other settings.
    pub fn adopt(&mut self, settings: Settings) {
        let known = self.settings.tracked.iter().zip(&self.readings);
        let known: BTreeMap<&str, Reading> = known
            .map(|(tracked, reading)| (tracked.name.as_str(), *reading))
            .collect();
        // What is newly tracked does not end a router that runs before it was looked at.
        let runs = matches!(self.state(), State::Backup | State::Master);
        let reading = |tracked: &track::Tracked| match known.get(tracked.name.as_str()) {
            Some(reading) => *reading,
            None if runs && tracked.initial == Reading::Unknown => Reading::Up,
            None => tracked.initial,
        };
        self.readings = settings.tracked.iter().map(reading).collect();
        self.settings = settings;
        self.follow_readings();
        if self.state() == State::Master {
            let instance = self.settings.name.clone();
            self.outputs.push_back(Output::Hold {
                instance: instance.clone(),
            });
            self.outputs.push_back(Output::Announce {
                instance,
                rounds: 1,
            });
        }
    }

    pub fn state(&self) -> State {
        self.machine.state()
    }

    pub fn wants_master(&self) -> Option<&Cause> {
        self.machine.wants_master()
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn next_timeout(&self) -> Option<Duration> {
        [self.machine.timer(), self.announcements.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What keeps it from running, of itself, and where it stands meanwhile.
    pub fn obstacle(&self) -> Option<(State, Cause)> {
        match (&self.link, self.verdict()) {
            (Link::Unusable(why), _) => Some((State::Fault, Cause::Interface(why.clone()))),
            (_, Verdict::Fault(name)) => Some((State::Fault, Cause::Tracked(name))),
            (Link::Unknown, _) => Some((
                State::Initialize,
                Cause::Waits(self.settings.interface.clone()),
            )),
            (_, Verdict::Waits(name)) => Some((State::Initialize, Cause::Waits(name))),
            (Link::Ready(_), Verdict::Priority(_)) => None,
        }
    }

    /// Whether it was started, and not stopped.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// From now on it may be anything but stopped.
    pub fn run(&mut self) {
        self.running = true;
    }

    /// Ends, until it is run again.
    pub fn stop(&mut self, now: Now) {
        self.running = false;
        self.machine.stop(State::Initialize, Cause::Stopped);
        self.carry_out(now);
    }

    /// Takes over what was found out about the interface.
    pub fn set_link(&mut self, link: Link) {
        self.machine.set_source(match link {
            Link::Ready(source) => Some(source),
            Link::Unknown | Link::Unusable(_) => None,
        });
        self.link = link;
    }

    /// Takes over what was found out about something tracked.
    pub fn set_reading(&mut self, name: &str, reading: Reading) {
        let tracked = self.settings.tracked.iter().zip(&mut self.readings);
        for (_, known) in tracked.filter(|(tracked, _)| tracked.name == name) {
            *known = reading;
        }
        self.follow_readings();
    }

    fn follow_readings(&mut self) {
        let Verdict::Priority(priority) = self.verdict() else {
            return;
        };
        if priority != self.machine.priority() {
            self.machine.set_priority(priority);
            self.outputs.push_back(Output::PriorityChanged {
                instance: self.settings.name.clone(),
                state: self.state(),
                priority,
            });
        }
    }

    /// Leaves a fault.
    pub fn start(&mut self, cause: Cause, now: Now) {
        if let Verdict::Priority(priority) = self.verdict() {
            self.machine.set_priority(priority);
        }
        self.machine.start(&self.settings, cause, now.uptime);
        self.carry_out(now);
    }

    /// Something keeps it from running.
    pub fn halt(&mut self, (to, cause): (State, Cause), now: Now) {
        self.machine.stop(to, cause);
        self.carry_out(now);
    }

    /// Becomes master.
    pub fn promote(&mut self, cause: Cause, now: Now) {
        self.machine.promote(&self.settings, cause, now.uptime);
        self.carry_out(now);
    }

    /// Ceases to be master because its sync group does.
    pub fn demote(&mut self, cause: Cause, now: Now) {
        self.machine.demote(&self.settings, cause, now.uptime);
        self.carry_out(now);
    }

    pub fn receive(&mut self, datagram: &Datagram, now: Now) {
        if matches!(self.link, Link::Ready(own) if own == datagram.source()) {
            // Our own, which a macvlan or a switch turned back.
            return;
        }
        if self.settings.owner_ignores_adverts && self.settings.priority == OWNER {
            return;
        }
        match reception::accept(&self.settings, &mut self.memory, datagram, now) {
            Ok(heard) => {
                self.remember(heard, now.uptime);
                self.machine.heard(&self.settings, heard, now.uptime);
                self.carry_out(now);
            }
            Err(refusal) => self.refuse(datagram.source(), refusal),
        }
    }

    pub fn timeout(&mut self, now: Now) {
        self.machine.timeout(&self.settings, now.uptime);
        self.carry_out(now);
        self.announce_due(now);
    }

    pub fn status(&self, now: Duration) -> Status {
        let milliseconds = |duration: Duration| duration.as_millis() as u64;
        let peer = |(address, (heard, at)): (&IpAddr, &(Heard, Duration))| Peer {
            address: *address,
            priority: heard.priority,
            interval_ms: milliseconds(heard.interval),
            heard_ms_ago: milliseconds(now.saturating_sub(*at)),
        };
        let wait = |at: Duration| milliseconds(at.saturating_sub(now));
        Status {
            name: self.settings.name.clone(),
            interface: self.settings.interface.clone(),
            virtual_router: self.settings.virtual_router,
            version: self.settings.version,
            state: self.state(),
            state_ms: self
                .since
                .map(|since| milliseconds(now.saturating_sub(since))),
            priority: self.machine.priority(),
            base_priority: self.settings.priority,
            addresses: self.settings.addresses.clone(),
            source: match self.link {
                Link::Ready(source) => Some(source),
                Link::Unknown | Link::Unusable(_) => None,
            },
            last: self.last.clone(),
            peers: self.peers.iter().map(peer).collect(),
            interval_ms: milliseconds(self.settings.interval),
            master_down_ms: milliseconds(self.machine.master_down_interval(&self.settings)),
            timer_ms: self.machine.timer().map(wait),
            refused: self.refused,
            last_refusal: self.last_refusal.clone(),
        }
    }

    fn verdict(&self) -> Verdict {
        track::verdict(
            self.settings.priority,
            &self.settings.tracked,
            &self.readings,
        )
    }

    fn remember(&mut self, heard: Heard, now: Duration) {
        if self.peers.len() == PEERS && !self.peers.contains_key(&heard.source) {
            let longest_ago = self.peers.iter().min_by_key(|(_, (_, at))| *at);
            if let Some(address) = longest_ago.map(|(address, _)| *address) {
                self.peers.remove(&address);
            }
        }
        self.peers.insert(heard.source, (heard, now));
    }

    fn refuse(&mut self, source: IpAddr, refusal: Refusal) {
        self.refused += 1;
        let reason = format!("from {source}: {refusal}");
        if self.last_refusal.as_ref() != Some(&reason) {
            self.outputs.push_back(Output::Refused {
                instance: self.settings.name.clone(),
                source,
                refusal,
            });
        }
        self.last_refusal = Some(reason);
    }

    /// Turns the state machine's actions into outputs.
    fn carry_out(&mut self, now: Now) {
        while let Some(action) = self.machine.poll() {
            match action {
                Action::Advertise(priority) => self.advertise(priority, now),
                Action::Entered { from, to, cause } => self.entered(from, to, cause, now),
                Action::Contested => {
                    self.announcements
                        .contested(&self.settings.announcements, now.uptime);
                    let instance = self.settings.name.clone();
                    let priority = self.machine.priority();
                    self.outputs
                        .push_back(Output::HeardLower { instance, priority });
                    self.announce_due(now);
                }
            }
        }
    }

    fn entered(&mut self, from: State, to: State, cause: Cause, now: Now) {
        let instance = || self.settings.name.clone();
        if to == State::Master {
            let instance = instance();
            self.outputs.push_back(Output::Hold { instance });
        } else if from == State::Master {
            let instance = instance();
            self.outputs.push_back(Output::Release { instance });
            self.announcements.stop();
        }
        let transition = Transition {
            from,
            to,
            cause,
            utc_ms: now.utc.as_millis() as u64,
        };
        self.since = Some(now.uptime);
        self.last = Some(transition.clone());
        self.outputs.push_back(Output::Changed {
            instance: instance(),
            priority: self.machine.priority(),
            transition,
        });
        if to == State::Master {
            self.announcements
                .takeover(&self.settings.announcements, now.uptime);
            self.announce_due(now);
        }
    }

    fn announce_due(&mut self, now: Now) {
        let rounds = self
            .announcements
            .take_due(&self.settings.announcements, now.uptime);
        if rounds > 0 {
            let instance = self.settings.name.clone();
            self.outputs
                .push_back(Output::Announce { instance, rounds });
        }
        let settings = &self.settings.announcements;
        if self.announcements.take_extra(settings, now.uptime) {
            let instance = self.settings.name.clone();
            self.outputs
                .push_back(Output::AnnounceElsewhere { instance });
        }
    }

    /// Sends an advert to every peer.
    fn advertise(&mut self, priority: u8, now: Now) {
        let Link::Ready(source) = self.link else {
            return;
        };
        let hop_limit = match &self.settings.peers {
            Peers::Multicast(_) => HOP_LIMIT,
            Peers::Unicast { hop_limit, .. } => *hop_limit,
        };
        let settings = &self.settings;
        for destination in settings.peers.addresses() {
            let way = Way {
                source,
                destination: *destination,
                hop_limit,
            };
            let memory = &mut self.memory;
            let datagram = self.outgoing.advert(settings, memory, way, priority, now);
            let instance = settings.name.clone();
            self.outputs.push_back(Output::Send { instance, datagram });
        }
    }
}
