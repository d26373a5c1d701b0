//! All checks and all servers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use config::model::{Check, CheckKind, VirtualServer};
use model::{Destination, Service as ServiceSettings, ServiceKey};

use crate::check::{Checking, Next, Outcome};
use crate::server::{Member, Serving};

/// Names a check for as long as a configuration has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u64);

/// A real server that has a check, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub virtual_server: usize,
    pub real_server: usize,
}

pub(crate) type Checks = BTreeMap<CheckId, Checking>;

/// What has happened. Servers are named by their place in [`Monitor::virtual_server`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A real server came or went.
    RealServer {
        /// Its virtual server.
        virtual_server: usize,
        /// The real server in it.
        real_server: usize,
        /// It came.
        is_up: bool,
    },
    /// Quorum was won or lost.
    Quorum {
        /// The virtual server.
        virtual_server: usize,
        /// It was won.
        is_up: bool,
        /// The weight of living servers.
        weight: i64,
    },
}

/// A service as it should be now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its settings.
    pub settings: ServiceSettings,
    /// Its destinations, in the order of the file.
    pub destinations: Vec<Destination>,
}

/// All checks and servers of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Monitor {
    checks: Checks,
    /// Which servers have a check.
    users: HashMap<CheckId, Vec<User>>,
    servers: Vec<Serving>,
    /// Checks that rest, since the addresses of all who have them are not here.
    resting: BTreeSet<CheckId>,
    /// When checks run next, those that do not run now.
    queue: BTreeSet<(Duration, CheckId)>,
    events: VecDeque<Event>,
    /// Virtual servers whose destinations are others than when somebody last asked.
    changed: BTreeSet<usize>,
    /// How many checks there ever were.
    numbered: u64,
}

impl Monitor {
    /// Takes a configuration in. What is in it and in the one before goes on: its checks keep their
    /// state and their schedule, its servers are as they were. `random` scatters the first runs of
    /// new checks.
    pub fn configure(
        &mut self,
        servers: &[VirtualServer],
        now: Duration,
        mut random: impl FnMut() -> u64,
    ) {
        let before = std::mem::take(&mut self.checks);
        let mut known: HashMap<Check, (CheckId, Checking)> = before
            .into_iter()
            .map(|(id, checking)| (checking.check.clone(), (id, checking)))
            .collect();
        let mut ids: HashMap<Check, CheckId> = HashMap::new();
        let mut serving = Vec::new();
        self.users.clear();
        for (index, server) in servers.iter().enumerate() {
            let mut members = Vec::new();
            for (place, real) in server.real_servers.iter().enumerate() {
                let mut own = Vec::new();
                for check in &real.checks {
                    let id = *ids.entry(check.clone()).or_insert_with(|| {
                        let (id, checking) = known.remove(check).unwrap_or_else(|| {
                            self.numbered += 1;
                            let id = CheckId(self.numbered);
                            (id, Checking::new(check.clone(), now, random()))
                        });
                        self.checks.insert(id, checking);
                        id
                    });
                    self.users.entry(id).or_default().push(User {
                        virtual_server: index,
                        real_server: place,
                    });
                    own.push(id);
                }
                members.push(Member::new(real, own, &self.checks));
            }
            serving.push(Serving::new(server, members));
        }
        self.keep_quorum(&mut serving);
        self.servers = serving;
        self.events.clear();
        self.changed.clear();
        self.queue = self
            .checks
            .iter()
            .filter_map(|(&id, checking)| match checking.next {
                Next::At(at) => Some((at, id)),
                Next::Running { .. } | Next::Told => None,
            })
            .collect();
    }

    /// Within the hysteresis a server that stays keeps the quorum it had.
    fn keep_quorum(&self, serving: &mut [Serving]) {
        let before: HashMap<_, bool> = self
            .servers
            .iter()
            .map(|old| ((&old.server.name, old.server.protocol), old.has_quorum))
            .collect();
        for (index, new) in serving.iter_mut().enumerate() {
            let name = new.server.name.clone();
            if let Some(&had) = before.get(&(&name, new.server.protocol)) {
                new.has_quorum = had;
                // Nothing is told: whoever configures sees the outcome.
                new.follow_quorum(index, &mut Vec::new());
            }
        }
    }

    /// The next check that is to run now.
    pub fn poll_start(&mut self, now: Duration) -> Option<(CheckId, &Check)> {
        let (due, id) = loop {
            let &(at, id) = self.queue.first()?;
            if at > now {
                return None;
            }
            self.queue.pop_first();
            if !self.resting.contains(&id) {
                break (at, id);
            }
            let pause = self.checks.get(&id)?.check.timing.delay_loop;
            self.queue.insert((now + pause, id));
        };
        let checking = self.checks.get_mut(&id)?;
        checking.next = Next::Running { since: now, due };
        Some((id, &checking.check))
    }

    /// Whether any server's checks rest while its address is elsewhere (`ha_suspend`).
    pub fn has_suspended(&self) -> bool {
        self.servers.iter().any(|serving| serving.server.ha_suspend)
    }

    /// Takes in which addresses are here. Checks that all belong to servers with `ha_suspend` whose
    /// addresses are not rest, and run at once when one comes.
    pub fn suspend(&mut self, is_here: impl Fn(IpAddr) -> bool, now: Duration) {
        let rests = |serving: &Serving| {
            let mut addresses = serving.server.keys.iter().filter_map(|key| match key {
                ServiceKey::Address { address, .. } => Some(*address),
                ServiceKey::Mark { .. } => None,
            });
            serving.server.ha_suspend && !addresses.any(&is_here)
        };
        let servers: Vec<bool> = self.servers.iter().map(rests).collect();
        let resting: BTreeSet<CheckId> = self
            .users
            .iter()
            .filter(|(_, users)| users.iter().all(|user| servers[user.virtual_server]))
            .map(|(id, _)| *id)
            .collect();
        for id in self.resting.difference(&resting) {
            if let Some(checking) = self.checks.get_mut(id)
                && let Next::At(_) = checking.next
            {
                // While it rested its place in the queue moved on.
                self.queue.retain(|(_, queued)| queued != id);
                checking.next = Next::At(now);
                self.queue.insert((now, *id));
            }
        }
        self.resting = resting;
    }

    /// When a check is to run next, since the beginning; None while none waits.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes the end of a run in. A check that no configuration has any more is passed over.
    pub fn finished(&mut self, id: CheckId, outcome: &Outcome, now: Duration) {
        let Some(checking) = self.checks.get_mut(&id) else {
            return;
        };
        checking.finished(outcome, now);
        if let Next::At(at) = checking.next {
            self.queue.insert((at, id));
        }
        let mut events = Vec::new();
        for &user in self.users.get(&id).into_iter().flatten() {
            if let Some(serving) = self.servers.get_mut(user.virtual_server)
                && serving.follow(user, &self.checks, &mut events)
            {
                self.changed.insert(user.virtual_server);
            }
        }
        self.events.extend(events);
    }

    /// Takes in how a BFD session is, for all that are checked by it. What is known already is no
    /// news.
    pub fn bfd(&mut self, session: &str, outcome: &Outcome, now: Duration) {
        let is_up = matches!(outcome, Outcome::Success { .. });
        let told = |checking: &Checking| match &checking.check.kind {
            CheckKind::Bfd { name } if name == session => {
                checking.history.is_empty() || checking.is_up != is_up
            }
            _ => false,
        };
        let checks = self.checks.iter().filter(|(_, checking)| told(checking));
        let ids: Vec<CheckId> = checks.map(|(id, _)| *id).collect();
        for id in ids {
            self.finished(id, outcome, now);
        }
    }

    /// The next thing that has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether there is anything that [`Self::take_changed`] would tell.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The services whose destinations are others than when this was last asked, as they should be
    /// now.
    pub fn take_changed(&mut self) -> Vec<Service> {
        let changed = std::mem::take(&mut self.changed);
        let servers = changed.iter().filter_map(|&index| self.servers.get(index));
        servers.flat_map(services_of).collect()
    }

    /// All services as they should be now.
    pub fn services(&self) -> Vec<Service> {
        self.servers.iter().flat_map(services_of).collect()
    }

    /// A virtual server of the configuration, by its place.
    pub fn virtual_server(&self, index: usize) -> Option<&VirtualServer> {
        self.servers.get(index).map(|serving| &serving.server)
    }

    /// A check.
    pub fn check(&self, id: CheckId) -> Option<&Check> {
        self.checks.get(&id).map(|checking| &checking.check)
    }

    pub(crate) fn checks(&self) -> &Checks {
        &self.checks
    }

    pub(crate) fn servers(&self) -> &[Serving] {
        &self.servers
    }
}

/// A virtual server's services with its destinations.
fn services_of(serving: &Serving) -> impl Iterator<Item = Service> {
    let destinations = serving.destinations();
    serving.services().map(move |settings| Service {
        settings,
        destinations: destinations.clone(),
    })
}
