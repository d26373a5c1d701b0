//! The wanted state: which services there should be, with which destinations.
//!
//! Every change of the configuration, wherever it comes from, is a [`Command`] applied here.
//! Commands are checked as the kernel's IPVS checks them, in its order, so that of several things
//! wrong with one the same is reported. Nothing is done halfway: a refused command leaves the state
//! as it was, an accepted one answers with its [`Effect`], which a reconciler can follow.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use model::{
    Command, Destination, DestinationKey, Family, Forwarding, Refusal, Service, ServiceKey,
    ServiceRequest, SyncDaemon, SyncRole,
};

mod checks;
mod locals;
#[cfg(test)]
mod tests;

use checks::{bucket, check_key, check_numbers, check_one_packet, check_service, is_host};

/// What an accepted command has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A service was made, without destinations.
    ServiceAdded(Service),
    /// A service has other settings, or was told the ones it had.
    ServiceEdited {
        /// Its settings until now.
        before: Service,
        /// Its settings from now on.
        after: Service,
    },
    /// A service and its destinations are gone.
    ServiceRemoved(RemovedService),
    /// A service has one more destination.
    DestinationAdded {
        /// The service.
        service: ServiceKey,
        /// The destination.
        destination: Destination,
    },
    /// A destination has other settings, or was told the ones it had.
    DestinationEdited {
        /// The service.
        service: ServiceKey,
        /// Its settings until now.
        before: Destination,
        /// Its settings from now on.
        after: Destination,
    },
    /// A service has one destination less.
    DestinationRemoved {
        /// The service.
        service: ServiceKey,
        /// The destination.
        destination: Destination,
    },
    /// A service has one more local address.
    LocalAddressAdded {
        /// The service.
        service: ServiceKey,
        /// The address.
        address: IpAddr,
    },
    /// A service has one local address less.
    LocalAddressRemoved {
        /// The service.
        service: ServiceKey,
        /// The address.
        address: IpAddr,
    },
    /// All services are gone.
    Flushed(Vec<RemovedService>),
}

/// A service that is gone, and the destinations that went with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedService {
    /// The service.
    pub service: Service,
    /// Its destinations, in list order.
    pub destinations: Vec<Destination>,
}

/// A service that should be there.
#[derive(Debug, Clone)]
pub struct WantedService {
    service: Service,
    destinations: BTreeMap<Newest, Destination>,
    positions: HashMap<DestinationKey, Newest>,
    /// In the order in which they were added.
    locals: Vec<IpAddr>,
}

impl WantedService {
    /// Its settings.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Its destinations in list order, the newest first: the order in which schedulers look at
    /// them.
    pub fn destinations(&self) -> impl ExactSizeIterator<Item = &Destination> {
        self.destinations.values()
    }

    /// Its destination of this key.
    pub fn destination(&self, key: &DestinationKey) -> Option<&Destination> {
        self.destinations.get(self.positions.get(key)?)
    }

    fn removed(self) -> RemovedService {
        RemovedService {
            service: self.service,
            destinations: self.destinations.into_values().collect(),
        }
    }

    fn has_other_family(&self) -> bool {
        let family = self.service.key.family();
        self.destinations()
            .any(|d| Family::of(d.key.address) != family)
    }
}

/// Sorts what was added last before what was added earlier, as the kernel adds at the head of its
/// lists.
type Newest = Reverse<u64>;

/// Where a service stands in the kernel's list: services by address before those by mark, each in
/// the order of their hash buckets, the newest first in its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ServicePosition {
    by_mark: bool,
    bucket: u8,
    newest: Newest,
}

/// All that should be there.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    services: BTreeMap<ServicePosition, WantedService>,
    positions: HashMap<ServiceKey, ServicePosition>,
    /// Destinations of all services together.
    destinations: usize,
    daemons: BTreeMap<SyncRole, SyncDaemon>,
    salt: u8,
    /// How many services and destinations were ever added: the source of [`Newest`].
    additions: u64,
}

impl Wanted {
    /// Nothing yet. The salt decides in which order services are listed: the kernel has a new one
    /// in every network namespace, made from a pointer. [`Wanted::default`] has the salt 0.
    pub fn with_salt(salt: u8) -> Self {
        Self {
            salt,
            ..Self::default()
        }
    }

    /// The services, in the order in which a kernel with this salt lists them.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &WantedService> {
        self.services.values()
    }

    /// The service of this key.
    pub fn service(&self, key: &ServiceKey) -> Option<&WantedService> {
        self.services.get(self.positions.get(key)?)
    }

    /// How many destinations all services have together.
    pub fn destinations(&self) -> usize {
        self.destinations
    }

    /// Takes back that a service or a destination was added, as the last change: it is none that the
    /// kernel would refuse, but there is no room for it.
    pub(crate) fn take_back(&mut self, added: &Effect) {
        match added {
            Effect::ServiceAdded(service) => {
                if let Some(position) = self.positions.remove(&service.key) {
                    self.services.remove(&position);
                }
            }
            Effect::DestinationAdded {
                service,
                destination,
            } => {
                // It was there a moment ago.
                let _removed = self.delete_destination(service, &destination.key);
            }
            _ => {}
        }
    }

    /// The sync daemons that should run, the master first.
    pub fn daemons(&self) -> impl ExactSizeIterator<Item = &SyncDaemon> {
        self.daemons.values()
    }

    /// Applies one change.
    ///
    /// # Errors
    /// The first reason for which the kernel would refuse it. Nothing has changed then.
    pub fn apply(&mut self, command: &Command) -> Result<Effect, Refusal> {
        match command {
            Command::AddService(request) => self.add_service(request),
            Command::EditService(request) => self.edit_service(request),
            Command::DeleteService(key) => self.delete_service(key),
            Command::AddDestination {
                service,
                destination,
            } => self.add_destination(service, destination),
            Command::EditDestination {
                service,
                destination,
            } => self.edit_destination(service, destination),
            Command::DeleteDestination {
                service,
                destination,
            } => self.delete_destination(service, destination),
            Command::AddLocalAddress { service, address } => {
                self.add_local_address(service, *address)
            }
            Command::DeleteLocalAddress { service, address } => {
                self.delete_local_address(service, *address)
            }
            Command::Flush => Ok(self.flush()),
        }
    }

    /// Wants a sync daemon to run.
    ///
    /// # Errors
    /// When a service has destinations of the other address family, which the sync protocol cannot tell;
    /// when a daemon of this role runs already.
    pub fn start_daemon(&mut self, daemon: SyncDaemon) -> Result<(), Refusal> {
        if self.services().any(WantedService::has_other_family) {
            return Err(Refusal::Invalid);
        }
        if self.daemons.contains_key(&daemon.role) {
            return Err(Refusal::DaemonRuns);
        }
        self.daemons.insert(daemon.role, daemon);
        Ok(())
    }

    /// Wants the sync daemon of this role to stop, and returns it.
    ///
    /// # Errors
    /// When there is none.
    pub fn stop_daemon(&mut self, role: SyncRole) -> Result<SyncDaemon, Refusal> {
        self.daemons.remove(&role).ok_or(Refusal::NoDaemon)
    }

    fn add_service(&mut self, request: &ServiceRequest) -> Result<Effect, Refusal> {
        check_key(&request.key)?;
        if self.positions.contains_key(&request.key) {
            return Err(Refusal::ServiceExists);
        }
        let service = check_service(request)?;
        let position = ServicePosition {
            by_mark: matches!(service.key, ServiceKey::Mark { .. }),
            bucket: bucket(&service.key) ^ self.salt,
            newest: self.next(),
        };
        self.positions.insert(service.key, position);
        self.services.insert(
            position,
            WantedService {
                service,
                destinations: BTreeMap::new(),
                positions: HashMap::new(),
                locals: Vec::new(),
            },
        );
        Ok(Effect::ServiceAdded(service))
    }

    fn edit_service(&mut self, request: &ServiceRequest) -> Result<Effect, Refusal> {
        check_key(&request.key)?;
        let wanted = self
            .service_mut(&request.key)
            .ok_or(Refusal::NoSuchService)?;
        let after = check_service(request)?;
        for destination in wanted.destinations() {
            check_one_packet(&after, destination)?;
        }
        let before = std::mem::replace(&mut wanted.service, after);
        Ok(Effect::ServiceEdited { before, after })
    }

    fn delete_service(&mut self, key: &ServiceKey) -> Result<Effect, Refusal> {
        let position = self.positions.remove(key).ok_or(Refusal::NoSuchService)?;
        let wanted = self
            .services
            .remove(&position)
            .ok_or(Refusal::NoSuchService)?;
        self.destinations -= wanted.destinations.len();
        Ok(Effect::ServiceRemoved(wanted.removed()))
    }

    fn add_destination(
        &mut self,
        service: &ServiceKey,
        destination: &Destination,
    ) -> Result<Effect, Refusal> {
        self.check_families(service, destination)?;
        check_numbers(destination)?;
        let newest = self.next();
        let wanted = self
            .service_mut(service)
            .ok_or(Refusal::ServiceNotDefined)?;
        if wanted.positions.contains_key(&destination.key) {
            return Err(Refusal::DestinationExists);
        }
        check_one_packet(&wanted.service, destination)?;
        if !is_host(destination.key.address) {
            return Err(Refusal::Invalid);
        }
        wanted.positions.insert(destination.key, newest);
        wanted.destinations.insert(newest, *destination);
        self.destinations += 1;
        Ok(Effect::DestinationAdded {
            service: *service,
            destination: *destination,
        })
    }

    fn edit_destination(
        &mut self,
        service: &ServiceKey,
        destination: &Destination,
    ) -> Result<Effect, Refusal> {
        self.check_families(service, destination)?;
        check_numbers(destination)?;
        let wanted = self
            .service_mut(service)
            .ok_or(Refusal::ServiceNotDefined)?;
        let position = wanted
            .positions
            .get(&destination.key)
            .ok_or(Refusal::NoSuchDestination)?;
        check_one_packet(&wanted.service, destination)?;
        let place = wanted
            .destinations
            .get_mut(position)
            .ok_or(Refusal::NoSuchDestination)?;
        let before = std::mem::replace(place, *destination);
        Ok(Effect::DestinationEdited {
            service: *service,
            before,
            after: *destination,
        })
    }

    fn delete_destination(
        &mut self,
        service: &ServiceKey,
        key: &DestinationKey,
    ) -> Result<Effect, Refusal> {
        let wanted = self
            .service_mut(service)
            .ok_or(Refusal::ServiceNotDefined)?;
        let position = wanted
            .positions
            .remove(key)
            .ok_or(Refusal::NoSuchDestination)?;
        let destination = wanted
            .destinations
            .remove(&position)
            .ok_or(Refusal::NoSuchDestination)?;
        self.destinations -= 1;
        Ok(Effect::DestinationRemoved {
            service: *service,
            destination,
        })
    }

    fn flush(&mut self) -> Effect {
        self.positions.clear();
        self.destinations = 0;
        let services = std::mem::take(&mut self.services);
        Effect::Flushed(services.into_values().map(WantedService::removed).collect())
    }

    /// A destination may be of the other family only behind a tunnel or by FULLNAT, and only while no
    /// sync daemon runs.
    fn check_families(
        &self,
        service: &ServiceKey,
        destination: &Destination,
    ) -> Result<(), Refusal> {
        if !self.positions.contains_key(service) {
            return Err(Refusal::ServiceNotDefined);
        }
        let same = Family::of(destination.key.address) == service.family();
        let may_differ = matches!(
            destination.forwarding,
            Forwarding::Tunnel | Forwarding::FullNat
        );
        if same || (may_differ && self.daemons.is_empty()) {
            Ok(())
        } else {
            Err(Refusal::Invalid)
        }
    }

    fn service_mut(&mut self, key: &ServiceKey) -> Option<&mut WantedService> {
        self.services.get_mut(self.positions.get(key)?)
    }

    fn next(&mut self) -> Newest {
        self.additions += 1;
        Reverse(self.additions)
    }
}
