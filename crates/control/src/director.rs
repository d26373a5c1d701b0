//! The director: the wanted state and the data plane, kept equal.

mod adoption;
mod listing;
mod marking;
mod setting;
mod touched;
mod upkeep;

use std::collections::HashSet;
use std::net::IpAddr;

use abi::Needs;
use model::{
    Command, Destination, Family, Forwarding, MarkRules, Refusal, Service, ServiceKey, Settings,
    SyncDaemon, SyncRole, TimeoutChange, Timeouts,
};
use thiserror::Error;

use crate::connections::{Census, Sweeper};
use crate::counters::Counters;
use crate::defence::Defence;
use crate::director::setting::Guard;
use crate::director::touched::Touched;
use crate::nexthops::{HopState, Network, NextHops, Target, Towards};
use crate::publish::{CapacityError, Change, Publisher, Surroundings, Wants};
use crate::real_servers::RealServers;
use crate::wanted::{Effect, Wanted, WantedService};
use crate::{Plane, Sizes, marks, settings, timeouts};

/// Why a command was not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// IPVS would refuse it as well.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The tables have no room for it.
    #[error(transparent)]
    NoRoom(#[from] CapacityError),
    /// The data plane cannot do it: why.
    #[error("{0}")]
    NotPrepared(String),
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
    settings: Settings,
    guard: Guard,
    marks: MarkRules,
    /// The rules that packets go by; `None` where that is not known.
    marked: Option<Vec<marks::Values>>,
    real_servers: RealServers,
    publisher: Publisher,
    hops: NextHops,
    counters: Counters,
    sweeper: Sweeper,
    census: Option<Census>,
    /// Services found in adopted tables, while they are taken up: they go on counting.
    adopted: HashSet<ServiceKey>,
}

/// What the publisher sees of the network.
pub(crate) struct Around<'a, N> {
    hops: &'a NextHops,
    network: &'a N,
}

impl<N: Network> Surroundings for Around<'_, N> {
    fn towards(&self, target: Target) -> Towards {
        self.hops.towards(target)
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.network.is_local(address)
    }
}

impl<P: Plane> Director<P> {
    /// A director without services, on empty tables.
    pub fn new(plane: P, sizes: Sizes) -> Self {
        let view = plane.view();
        timeouts::write_timeouts(&view, &Timeouts::default());
        settings::write(&view, &Settings::default(), Defence::default());
        Self {
            plane,
            wanted: Wanted::default(),
            timeouts: Timeouts::default(),
            settings: Settings::default(),
            guard: Guard::default(),
            marks: MarkRules::default(),
            marked: Some(Vec::new()),
            real_servers: RealServers::none(),
            publisher: Publisher::new(sizes),
            hops: NextHops::new(sizes.next_hops),
            counters: Counters::default(),
            sweeper: Sweeper::new(sizes.destinations),
            census: None,
            adopted: HashSet::new(),
        }
    }

    /// Carries out commands as one transaction: packets see all of it or none. One that is refused
    /// does not keep the others from being carried out. Where the tables have no room for all of
    /// it together, the halves are carried out one after the other, and so on down to single
    /// commands, as far as they fit.
    pub fn apply(&mut self, commands: &[Command], network: &impl Network) -> Outcomes {
        let before = self.wanted.clone();
        let outcomes: Outcomes = commands.iter().map(|command| self.want(command)).collect();
        let effects: Vec<&Effect> = outcomes.iter().flatten().collect();
        match self.publish(&effects, network) {
            Ok(()) => outcomes,
            Err(error) => {
                self.wanted = before;
                self.hops.retain(self.publisher.targets());
                if let [_] = commands {
                    return vec![Err(error)];
                }
                let (first, second) = commands.split_at(commands.len() / 2);
                let mut outcomes = self.apply(first, network);
                outcomes.extend(self.apply(second, network));
                outcomes
            }
        }
    }

    /// Applies one command to the wanted state, unless there are more services or destinations
    /// then than can ever fit.
    fn want(&mut self, command: &Command) -> Result<Effect, CommandError> {
        let effect = self.wanted.apply(command)?;
        let fits = self
            .publisher
            .fits(self.wanted.services().len(), self.wanted.destinations());
        match (&effect, fits) {
            (Effect::ServiceAdded(_) | Effect::DestinationAdded { .. }, Err(error)) => {
                self.wanted.take_back(&effect);
                Err(error.into())
            }
            _ => Ok(effect),
        }
    }

    fn publish(&mut self, effects: &[&Effect], network: &impl Network) -> Result<(), CommandError> {
        let touched = Touched::by(effects);
        let lists: Vec<(ServiceKey, Option<ServiceList>)> = touched
            .keys
            .iter()
            .map(|key| (*key, self.wanted.service(key).map(list_of)))
            .collect();
        let wanted = || lists.iter().filter_map(|(_, wanted)| wanted.as_ref());
        let needs = wanted().map(ServiceList::needs);
        let prepared = self.plane.prepare(needs.fold(Needs::default(), Needs::and));
        prepared.map_err(|error| CommandError::NotPrepared(error.to_string()))?;
        let view = self.plane.view();
        let destinations = wanted().flat_map(|wanted| &wanted.destinations);
        for target in destinations.map(target_of) {
            self.hops.want(&view, network, target)?;
        }
        let changes: Vec<Change<'_>> = lists
            .iter()
            .map(|(key, wanted)| Change {
                key: *key,
                wanted: wanted.as_ref().map(ServiceList::wanted),
                is_told: touched.told.contains(key),
            })
            .collect();
        let around = Around {
            hops: &self.hops,
            network,
        };
        let freed = self.publisher.publish(&self.plane, &changes, &around)?;
        self.counters.keep_freed(&self.plane.view(), &freed);
        self.count_anew(&touched);
        if effects.iter().any(|effect| removes_destinations(effect)) {
            self.forget_removed();
        }
        if effects.iter().any(|effect| changes_way(effect)) {
            self.hops.retain(self.publisher.targets());
            self.free_hops();
        }
        // What the plane does not take now is tried again whenever the network changes.
        let _tried_again_later = self.note_real_servers();
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
                Some(numbered) => self.counters.watch(&view, *key, &numbered),
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
        if service.is_none() {
            self.counters.zero_total();
        }
        Ok(())
    }

    /// What is known of the way to an address, if it is a destination's.
    pub fn hop_state(&self, address: IpAddr) -> Option<HopState> {
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
}

/// A service, its destinations in list order, and its local addresses.
pub(crate) struct ServiceList {
    pub(crate) service: Service,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) local_addresses: Vec<IpAddr>,
}

impl ServiceList {
    fn needs(&self) -> Needs {
        let is_v6 = |destination: &Destination| destination.key.address.is_ipv6();
        let is_fullnat = |destination: &Destination| destination.forwarding == Forwarding::FullNat;
        Needs {
            v6: self.service.key.family() == Family::Ipv6 || self.destinations.iter().any(is_v6),
            fullnat: self.destinations.iter().any(is_fullnat),
        }
    }

    fn wanted(&self) -> Wants<'_> {
        Wants {
            service: &self.service,
            destinations: &self.destinations,
            local_addresses: &self.local_addresses,
        }
    }
}

pub(crate) fn list_of(wanted: &WantedService) -> ServiceList {
    ServiceList {
        service: *wanted.service(),
        destinations: wanted.destinations().copied().collect(),
        local_addresses: wanted.local_addresses().to_vec(),
    }
}

/// Whether a destination needs another way than before.
fn changes_way(effect: &Effect) -> bool {
    match effect {
        Effect::DestinationEdited { before, after, .. } => target_of(before) != target_of(after),
        _ => false,
    }
}

/// Whether destinations are gone.
fn removes_destinations(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::DestinationRemoved { .. } | Effect::ServiceRemoved(_) | Effect::Flushed(_)
    )
}

fn target_of(destination: &Destination) -> Target {
    Target {
        address: destination.key.address,
        is_tunnelled: destination.forwarding == Forwarding::Tunnel,
    }
}
