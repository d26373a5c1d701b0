//! Real servers and quorum.

use config::model::{RealServer, VirtualServer};
use model::{ClientAddress, Destination, MaxSegment, Service};

use crate::monitor::{CheckId, Checks, Event, User};

/// The largest weight of IPVS.
const HEAVIEST: i64 = 65_535;

/// A virtual server and how it is.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub server: VirtualServer,
    pub has_quorum: bool,
    pub real_servers: Vec<Member>,
    /// The weight of the real servers that live.
    living_weight: i64,
}

/// A real server of a virtual server.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub server: RealServer,
    pub checks: Vec<CheckId>,
    pub is_alive: bool,
    /// Its weight with what its checks say; 0 to 65535.
    pub weight: i32,
}

impl Member {
    pub fn new(server: &RealServer, checks: Vec<CheckId>, all: &Checks) -> Self {
        let mut member = Self {
            server: server.clone(),
            checks,
            is_alive: true,
            weight: 0,
        };
        member.follow(all);
        member
    }

    /// Takes in how its checks are.
    fn follow(&mut self, all: &Checks) {
        let configured = self.server.destination.weight;
        let mut weight = i64::from(configured);
        let mut is_alive = true;
        for checking in self.checks.iter().filter_map(|id| all.get(id)) {
            is_alive &= checking.is_up;
            weight += checking.weight_change(configured);
        }
        self.is_alive = is_alive;
        self.weight = i32::try_from(weight.clamp(0, HEAVIEST)).unwrap_or(configured);
    }

    /// What it adds to the weight of those that live.
    fn living_weight(&self) -> i64 {
        if self.is_alive { self.weight.into() } else { 0 }
    }
}

impl Serving {
    pub fn new(server: &VirtualServer, real_servers: Vec<Member>) -> Self {
        let living_weight = real_servers.iter().map(Member::living_weight).sum();
        let mut serving = Self {
            server: server.clone(),
            has_quorum: false,
            real_servers,
            living_weight,
        };
        serving.has_quorum = living_weight >= serving.gained_at();
        serving
    }

    fn gained_at(&self) -> i64 {
        i64::from(self.server.quorum) + i64::from(self.server.hysteresis)
    }

    fn lost_below(&self) -> i64 {
        // Without any living server there is no quorum, whatever the hysteresis.
        (i64::from(self.server.quorum) - i64::from(self.server.hysteresis)).max(1)
    }

    /// Takes in that a check of a real server has changed, and tells what has happened. Whether
    /// destinations are others now.
    pub fn follow(&mut self, user: User, all: &Checks, events: &mut Vec<Event>) -> bool {
        let Some(member) = self.real_servers.get_mut(user.real_server) else {
            return false;
        };
        let before = (member.is_alive, member.weight);
        let weight = member.living_weight();
        member.follow(all);
        self.living_weight += member.living_weight() - weight;
        if member.is_alive != before.0 {
            events.push(Event::RealServer {
                virtual_server: user.virtual_server,
                real_server: user.real_server,
                is_up: member.is_alive,
            });
        }
        let has_changed = (member.is_alive, member.weight) != before;
        self.follow_quorum(user.virtual_server, events);
        has_changed
    }

    /// Wins or loses quorum; within the hysteresis it is what it was.
    pub fn follow_quorum(&mut self, index: usize, events: &mut Vec<Event>) {
        let weight = self.living_weight;
        let has_quorum = if self.has_quorum {
            weight >= self.lost_below()
        } else {
            weight >= self.gained_at()
        };
        if has_quorum != self.has_quorum {
            self.has_quorum = has_quorum;
            events.push(Event::Quorum {
                virtual_server: index,
                is_up: has_quorum,
                weight,
            });
        }
    }

    /// The service's destinations as they should be now, in the order of the file.
    pub fn destinations(&self) -> Vec<Destination> {
        let sorry = self.server.sorry_server.as_ref();
        let is_sorry = sorry.is_some() && !self.has_quorum;
        let mut destinations: Vec<Destination> = self
            .real_servers
            .iter()
            .filter_map(|member| {
                let weight = match (member.is_alive, member.server.inhibit_on_failure) {
                    (true, _) if is_sorry => return None,
                    (true, _) => member.weight,
                    (false, true) => 0,
                    (false, false) => return None,
                };
                Some(Destination {
                    weight,
                    ..member.server.destination
                })
            })
            .collect();
        if let Some(sorry) = sorry.filter(|sorry| is_sorry || sorry.inhibit) {
            let weight = if is_sorry {
                sorry.destination.weight
            } else {
                0
            };
            destinations.push(Destination {
                weight,
                ..sorry.destination
            });
        }
        destinations
    }

    /// The services that it makes.
    pub fn services(&self) -> impl Iterator<Item = Service> {
        let server = &self.server;
        server.keys.iter().map(|&key| Service {
            key,
            scheduler: server.scheduler,
            scheduler_flags: server.scheduler_flags,
            persistence: server.persistence,
            persistence_engine: server.persistence_engine,
            one_packet: server.one_packet,
            max_segment: MaxSegment::default(),
            client_address: ClientAddress::default(),
        })
    }
}
