//! The director: the wanted state and the data plane, kept equal.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use abi::View;
use model::{
    Command, Destination, DestinationStatus, Rates, Refusal, Service, ServiceKey, ServiceStatus,
    Stats, SyncDaemon, SyncRole, TimeoutChange, Timeouts,
};
use thiserror::Error;

use crate::connections::{Census, Sweeper, sweep_dead};
use crate::counters::Counters;
use crate::nexthops::{HopState, Network, NextHops};
use crate::publish::{CapacityError, Change, Damaged, Freed, Numbered, Publisher, Surroundings};
use crate::saved::{Saved, SavedService};
use crate::wanted::{Effect, Wanted, WantedService};
use crate::{Plane, PlaneError, Sizes, loads, timeouts};

/// Why a command was not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// IPVS would refuse it as well.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The tables have no room for it.
    #[error(transparent)]
    NoRoom(#[from] CapacityError),
}

/// What became of each command of a transaction, in order.
pub type Outcomes = Vec<Result<Effect, CommandError>>;

/// A director on a data plane.
///
/// The network is handed to everything that depends on it, as it is at that time.
#[derive(Debug)]
pub struct Director<P> {
    plane: P,
    wanted: Wanted,
    timeouts: Timeouts,
    publisher: Publisher,
    hops: NextHops,
    counters: Counters,
    sweeper: Sweeper,
    census: Option<Census>,
    /// Services found in adopted tables, while they are taken up: they go on counting.
    adopted: HashSet<ServiceKey>,
}

/// What the publisher sees of the network.
struct Around<'a, N> {
    hops: &'a NextHops,
    network: &'a N,
}

impl<N: Network> Surroundings for Around<'_, N> {
    fn next_hop(&self, address: Ipv4Addr) -> u32 {
        self.hops.index(address)
    }

    fn is_local(&self, address: Ipv4Addr) -> bool {
        self.network.is_local(address)
    }
}

impl<P: Plane> Director<P> {
    /// A director without services, on empty tables.
    pub fn new(plane: P, sizes: Sizes) -> Self {
        timeouts::write_defaults(&plane.view());
        timeouts::write_timeouts(&plane.view(), &Timeouts::default());
        Self {
            plane,
            wanted: Wanted::default(),
            timeouts: Timeouts::default(),
            publisher: Publisher::new(sizes),
            hops: NextHops::new(sizes.next_hops),
            counters: Counters::default(),
            sweeper: Sweeper::new(sizes.destinations),
            census: None,
            adopted: HashSet::new(),
        }
    }

    /// The director on tables that packets are using, as an earlier one left them, with what it
    /// had saved. What differs from the saved state is put right.
    ///
    /// # Errors
    /// When the tables contradict themselves.
    pub fn adopt(
        plane: P,
        sizes: Sizes,
        saved: &Saved,
        network: &impl Network,
    ) -> Result<Self, Damaged> {
        let hops = NextHops::adopt(&plane, sizes.next_hops);
        let service_of = |key: &ServiceKey| {
            saved
                .services
                .iter()
                .map(|saved| saved.service)
                .find(|service| service.key == *key)
        };
        let around = Around {
            hops: &hops,
            network,
        };
        let publisher = Publisher::adopt(sizes, &plane, &around, &service_of)?;
        loads::recount(&plane);
        let adopted = publisher.services().collect();
        let mut director = Self {
            publisher,
            hops,
            adopted,
            ..Self::new(plane, sizes)
        };
        director.take_up_hops(network);
        director.restore(saved, network);
        director.adopted.clear();
        director.remove_unwanted(network);
        director.forget_cached_hops();
        // What the plane does not take now is tried again whenever the network changes.
        let _tried_again_later = director.follow(network);
        for saved in &saved.services {
            director.counters.restore(saved.service.key, saved.offset);
        }
        Ok(director)
    }

    /// Gives the adopted destinations next hops of this director's own.
    fn take_up_hops(&mut self, network: &impl Network) {
        let view = self.plane.view();
        let addresses: BTreeSet<Ipv4Addr> = self.publisher.destination_addresses().collect();
        let with_hop = addresses.into_iter().filter(|&address| {
            // Those that do not fit keep what they have.
            self.hops.want(&view, network, address).is_ok()
        });
        let hops: Vec<Ipv4Addr> = with_hop.collect();
        let hops = hops
            .into_iter()
            .map(|address| (address, self.hops.index(address)))
            .collect();
        self.publisher.set_next_hops(&view, &hops);
    }

    /// Carries out a saved state on top of what is there. Returns what did not fit, with reasons.
    pub fn restore(
        &mut self,
        saved: &Saved,
        network: &impl Network,
    ) -> Vec<(Command, CommandError)> {
        self.set_timeouts(TimeoutChange {
            tcp: Some(saved.timeouts.tcp),
            tcp_fin: Some(saved.timeouts.tcp_fin),
            udp: Some(saved.timeouts.udp),
        });
        for daemon in &saved.daemons {
            // A daemon that was accepted before is accepted by a state without daemons.
            let _accepted = self.wanted.start_daemon(daemon.clone());
        }
        let commands = saved.commands();
        let outcomes = self.apply(&commands, network);
        let failed = commands.into_iter().zip(outcomes);
        failed
            .filter_map(|(command, outcome)| Some((command, outcome.err()?)))
            .collect()
    }

    /// Takes out what the tables have and nobody wants.
    fn remove_unwanted(&mut self, network: &impl Network) {
        let unwanted: Vec<ServiceKey> = self
            .publisher
            .services()
            .filter(|key| self.wanted.service(key).is_none())
            .collect();
        let changes: Vec<Change<'_>> = unwanted
            .iter()
            .map(|&key| Change { key, wanted: None })
            .collect();
        let around = Around {
            hops: &self.hops,
            network,
        };
        // Taking out always fits.
        let _fits = self.publisher.publish(&self.plane, &changes, &around);
    }

    /// Carries out commands as one transaction: packets see all of it or none. One that is refused
    /// does not keep the others from being carried out. Where not all fit, they are carried out
    /// one by one, as far as they do.
    pub fn apply(&mut self, commands: &[Command], network: &impl Network) -> Outcomes {
        let before = self.wanted.clone();
        let outcomes: Vec<Result<Effect, Refusal>> = commands
            .iter()
            .map(|command| self.wanted.apply(command))
            .collect();
        let effects: Vec<&Effect> = outcomes.iter().flatten().collect();
        match self.publish(&effects, network) {
            Ok(()) => outcomes.into_iter().map(|outcome| Ok(outcome?)).collect(),
            Err(error) => {
                self.wanted = before;
                match commands {
                    [_] => vec![Err(error.into())],
                    _ => commands
                        .iter()
                        .flat_map(|command| self.apply(std::slice::from_ref(command), network))
                        .collect(),
                }
            }
        }
    }

    fn publish(
        &mut self,
        effects: &[&Effect],
        network: &impl Network,
    ) -> Result<(), CapacityError> {
        let touched = Touched::by(effects);
        let lists: Vec<(ServiceKey, Option<ServiceList>)> = touched
            .keys
            .iter()
            .map(|key| (*key, self.wanted.service(key).map(list_of)))
            .collect();
        let view = self.plane.view();
        let destinations = lists.iter().filter_map(|(_, wanted)| wanted.as_ref());
        for address in destinations.flat_map(|(_, list)| list).filter_map(ipv4) {
            self.hops.want(&view, network, address)?;
        }
        let changes: Vec<Change<'_>> = lists
            .iter()
            .map(|(key, wanted)| Change {
                key: *key,
                wanted: wanted
                    .as_ref()
                    .map(|(service, list)| (service, list.as_slice())),
            })
            .collect();
        let around = Around {
            hops: &self.hops,
            network,
        };
        let freed = self.publisher.publish(&self.plane, &changes, &around)?;
        self.counters.keep_freed(&self.plane.view(), &freed);
        self.count_anew(&touched);
        Ok(())
    }

    /// Services that are new count from zero; those that are gone no longer.
    fn count_anew(&mut self, touched: &Touched) {
        let view = self.plane.view();
        for key in &touched.keys {
            match self.publisher.numbers(key) {
                Some(numbered) if touched.made.contains(key) && !self.adopted.contains(key) => {
                    self.counters.zero(&view, *key, &numbered);
                }
                Some(_) => {}
                None => self.counters.stop(key),
            }
        }
    }

    /// Changes the timeouts. Connections get them with their next packet.
    pub fn set_timeouts(&mut self, change: TimeoutChange) {
        self.timeouts = self.timeouts.changed_by(change);
        timeouts::write_timeouts(&self.plane.view(), &self.timeouts);
    }

    /// The timeouts.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Wants a sync daemon to run.
    ///
    /// # Errors
    /// When IPVS would refuse it.
    pub fn start_daemon(&mut self, daemon: SyncDaemon) -> Result<(), Refusal> {
        self.wanted.start_daemon(daemon)
    }

    /// Wants the sync daemon of a role to stop.
    ///
    /// # Errors
    /// When there is none.
    pub fn stop_daemon(&mut self, role: SyncRole) -> Result<SyncDaemon, Refusal> {
        self.wanted.stop_daemon(role)
    }

    /// The wanted state.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The data plane.
    pub fn plane(&self) -> &P {
        &self.plane
    }

    /// Gives the data plane back, as it is.
    pub fn into_plane(self) -> P {
        self.plane
    }

    /// Zeroes the counters of one service, or of all.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn zero(&mut self, service: Option<&ServiceKey>) -> Result<(), Refusal> {
        let keys: Vec<ServiceKey> = match service {
            Some(key) => {
                self.wanted.service(key).ok_or(Refusal::NoSuchService)?;
                vec![*key]
            }
            None => self
                .wanted
                .services()
                .map(|wanted| wanted.service().key)
                .collect(),
        };
        let view = self.plane.view();
        for key in keys {
            if let Some(numbered) = self.publisher.numbers(&key) {
                self.counters.zero(&view, key, &numbered);
            }
        }
        Ok(())
    }

    /// All services with their numbers, in list order. Exact: what has died is counted no more.
    pub fn services(&self) -> Vec<ServiceStatus> {
        sweep_dead(&self.plane);
        let view = self.plane.view();
        self.wanted
            .services()
            .map(|wanted| self.status_of(&view, wanted))
            .collect()
    }

    /// One service with its numbers.
    pub fn service(&self, key: &ServiceKey) -> Option<ServiceStatus> {
        let wanted = self.wanted.service(key)?;
        sweep_dead(&self.plane);
        Some(self.status_of(&self.plane.view(), wanted))
    }

    fn status_of(&self, view: &View<'_>, wanted: &WantedService) -> ServiceStatus {
        let service = *wanted.service();
        let numbered = self.publisher.numbers(&service.key);
        let (stats, rates) = numbered.as_ref().map_or_else(Default::default, |numbered| {
            self.counters.service(view, &service.key, numbered)
        });
        let destinations = wanted
            .destinations()
            .map(|destination| {
                self.destination_status(view, &service.key, numbered.as_ref(), destination)
            })
            .collect();
        ServiceStatus {
            service,
            stats,
            rates,
            destinations,
        }
    }

    fn destination_status(
        &self,
        view: &View<'_>,
        service: &ServiceKey,
        numbered: Option<&Numbered>,
        destination: &Destination,
    ) -> DestinationStatus {
        let unused = DestinationStatus::from(*destination);
        let Some(&number) = numbered.and_then(|n| n.destinations.get(&destination.key)) else {
            return unused;
        };
        let (active_connections, inactive_connections) = loads::connections_of(view, number);
        let (stats, rates): (Stats, Rates) =
            self.counters
                .destination(view, service, &destination.key, number);
        DestinationStatus {
            active_connections,
            inactive_connections,
            stats,
            rates,
            ..unused
        }
    }

    /// Two seconds passed: takes all rates on.
    pub fn estimate(&mut self) {
        let view = self.plane.view();
        for wanted in self.wanted.services() {
            let key = wanted.service().key;
            if let Some(numbered) = self.publisher.numbers(&key) {
                self.counters.estimate(&view, key, &numbered);
            }
        }
    }

    /// Sweeps the next buckets of the connection table. Whether numbers became free at the end of a
    /// full sweep: then what [`Self::saved`] says has changed.
    pub fn sweep(&mut self, buckets: u32, network: &impl Network) -> bool {
        let Some(census) = self.sweeper.step(&self.plane, buckets) else {
            return false;
        };
        let around = Around {
            hops: &self.hops,
            network,
        };
        let freed: Vec<Freed> = self
            .publisher
            .swept(&self.plane, &census.by_destination, &around);
        self.census = Some(census);
        if freed.is_empty() {
            return false;
        }
        self.counters.keep_freed(&self.plane.view(), &freed);
        self.hops.retain(self.publisher.destination_addresses());
        self.free_hops();
        true
    }

    /// Follows the network after it changed.
    ///
    /// # Errors
    /// When the plane did not take all of it.
    pub fn follow(&mut self, network: &impl Network) -> Result<(), PlaneError> {
        let view = self.plane.view();
        let moved = self.hops.follow_destinations(&view, network);
        self.publisher.set_next_hops(&view, &moved);
        let (stale, outcome) = self.hops.follow_clients(&self.plane, network);
        if stale {
            self.forget_cached_hops();
        }
        self.free_hops();
        self.publisher.localise(
            &self.plane,
            &Around {
                hops: &self.hops,
                network,
            },
        );
        outcome
    }

    /// Makes packets look for the ways to clients anew.
    fn forget_cached_hops(&self) {
        let generation = &self.plane.view().globals.routing_generation;
        generation.publish(generation.load().wrapping_add(1).max(1));
    }

    fn free_hops(&mut self) {
        if self.hops.has_released() {
            self.plane.wait_for_readers();
            self.hops.free_released(&self.plane.view());
        }
    }

    /// What is known of the way to a destination.
    pub fn hop_state(&self, address: Ipv4Addr) -> Option<HopState> {
        self.hops.state(address)
    }

    /// The next hops of destinations.
    pub fn hops(&self) -> &NextHops {
        &self.hops
    }

    /// What the last full sweep found.
    pub fn census(&self) -> Option<&Census> {
        self.census.as_ref()
    }

    /// The services and destinations in the tables.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// What the next daemon needs to go on from here.
    pub fn saved(&self) -> Saved {
        let offset_of = |key: &ServiceKey| self.counters.offset(key);
        let services = self.wanted.services().map(|wanted| {
            let (service, destinations) = list_of(wanted);
            SavedService {
                service,
                destinations,
                offset: offset_of(&service.key),
            }
        });
        Saved::new(
            services.collect(),
            self.timeouts,
            self.wanted.daemons().cloned().collect(),
        )
    }
}

/// The services that a transaction touches.
#[derive(Debug, Default)]
struct Touched {
    /// All of them, each once, in the order of their first change.
    keys: Vec<ServiceKey>,
    /// Those that were made in it.
    made: HashSet<ServiceKey>,
}

impl Touched {
    fn by(effects: &[&Effect]) -> Self {
        let mut touched = Self::default();
        let mut seen = HashSet::new();
        let mut touch = |key: ServiceKey| {
            if seen.insert(key) {
                touched.keys.push(key);
            }
        };
        for effect in effects {
            match effect {
                Effect::ServiceAdded(service) => {
                    touch(service.key);
                    touched.made.insert(service.key);
                }
                Effect::ServiceEdited { after, .. } => touch(after.key),
                Effect::ServiceRemoved(removed) => touch(removed.service.key),
                Effect::DestinationAdded { service, .. }
                | Effect::DestinationEdited { service, .. }
                | Effect::DestinationRemoved { service, .. } => touch(*service),
                Effect::Flushed(removed) => {
                    removed
                        .iter()
                        .for_each(|removed| touch(removed.service.key));
                }
            }
        }
        touched
    }
}

/// A service and its destinations in list order.
type ServiceList = (Service, Vec<Destination>);

fn list_of(wanted: &WantedService) -> ServiceList {
    (*wanted.service(), wanted.destinations().copied().collect())
}

fn ipv4(destination: &Destination) -> Option<Ipv4Addr> {
    match destination.key.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
