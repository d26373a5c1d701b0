//! Real servers and quorum.

use config::model::{RealServer, VirtualServer};
use model::{ClientAddress, Destination, MaxSegment, Service};

use crate::check::Checking;
use crate::monitor::{CheckId, Checks, Event};

/// The largest weight of IPVS.
const HEAVIEST: i64 = 65_535;

/// A virtual server and how it is.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub server: VirtualServer,
    pub has_quorum: bool,
    pub real_servers: Vec<Member>,
}

/// A real server of a virtual server.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub server: RealServer,
    pub checks: Vec<CheckId>,
    pub is_alive: bool,
}

impl Member {
    pub fn new(server: &RealServer, checks: Vec<CheckId>, all: &Checks) -> Self {
        let mut member = Self {
            server: server.clone(),
            checks,
            is_alive: true,
        };
        member.is_alive = member.lives(all);
        member
    }

    fn own<'a>(&'a self, all: &'a Checks) -> impl Iterator<Item = &'a Checking> {
        self.checks.iter().filter_map(|id| all.get(id))
    }

    fn lives(&self, all: &Checks) -> bool {
        self.own(all).all(|checking| checking.is_up)
    }

    /// Its weight with what its checks say; 0 to 65535.
    pub fn weight(&self, all: &Checks) -> i32 {
        let configured = self.server.destination.weight;
        let changes: i64 = self
            .own(all)
            .map(|checking| checking.weight_change(configured))
            .sum();
        let weight = (i64::from(configured) + changes).clamp(0, HEAVIEST);
        i32::try_from(weight).unwrap_or(configured)
    }
}

impl Serving {
    pub fn new(server: &VirtualServer, real_servers: Vec<Member>, all: &Checks) -> Self {
        let mut serving = Self {
            server: server.clone(),
            has_quorum: false,
            real_servers,
        };
        serving.has_quorum = serving.living_weight(all) >= serving.gained_at();
        serving
    }

    fn living_weight(&self, all: &Checks) -> i64 {
        let living = self.real_servers.iter().filter(|member| member.is_alive);
        living.map(|member| i64::from(member.weight(all))).sum()
    }

    fn gained_at(&self) -> i64 {
        i64::from(self.server.quorum) + i64::from(self.server.hysteresis)
    }

    fn lost_below(&self) -> i64 {
        // Without any living server there is no quorum, whatever the hysteresis.
        (i64::from(self.server.quorum) - i64::from(self.server.hysteresis)).max(1)
    }

    /// Takes in that checks have changed, and tells what has happened.
    pub fn follow(&mut self, index: usize, all: &Checks, events: &mut Vec<Event>) {
        for (member_index, member) in self.real_servers.iter_mut().enumerate() {
            let lives = member.lives(all);
            if lives != member.is_alive {
                member.is_alive = lives;
                events.push(Event::RealServer {
                    virtual_server: index,
                    real_server: member_index,
                    is_up: lives,
                });
            }
        }
        let weight = self.living_weight(all);
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
    pub fn destinations(&self, all: &Checks) -> Vec<Destination> {
        let sorry = self.server.sorry_server.as_ref();
        let is_sorry = sorry.is_some() && !self.has_quorum;
        let mut destinations: Vec<Destination> = self
            .real_servers
            .iter()
            .filter_map(|member| {
                let weight = match (member.is_alive, member.server.inhibit_on_failure) {
                    (true, _) if is_sorry => return None,
                    (true, _) => member.weight(all),
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
