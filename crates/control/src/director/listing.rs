//! What there is, with its numbers.

use abi::View;
use model::{Destination, DestinationStatus, Rates, ServiceKey, ServiceStatus, Stats};

use crate::connections::sweep_dead;
use crate::director::{Director, list_of};
use crate::publish::Numbered;
use crate::wanted::WantedService;
use crate::{Plane, Saved, SavedService, loads};

impl<P: Plane> Director<P> {
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

    /// What all services have counted together, those that are gone included, and their rates: as
    /// of the last estimate, which is how the kernel shows it too.
    pub fn total(&self) -> (Stats, Rates) {
        self.counters.total()
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
            local_addresses: wanted.local_addresses().to_vec(),
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
        let counts = loads::counts_of(view, number);
        let (stats, rates): (Stats, Rates) =
            self.counters
                .destination(view, service, &destination.key, number);
        DestinationStatus {
            active_connections: counts.active,
            inactive_connections: counts.inactive,
            persistent_connections: counts.persistent,
            stats,
            rates,
            ..unused
        }
    }

    /// What the next daemon needs to go on from here.
    pub fn saved(&self) -> Saved {
        let offset_of = |key: &ServiceKey| self.counters.offset(key);
        let services = self.wanted.services().map(|wanted| {
            let list = list_of(wanted);
            SavedService {
                offset: offset_of(&list.service.key),
                service: list.service,
                destinations: list.destinations,
                local_addresses: list.local_addresses,
            }
        });
        Saved {
            format: Saved::FORMAT,
            timeouts: self.timeouts,
            settings: self.settings.clone(),
            marks: self.marks.clone(),
            services: services.collect(),
            ended: self.counters.ended(),
            daemons: self.wanted.daemons().cloned().collect(),
        }
    }
}
