//! A director without traffic: the wanted state, and nothing behind it.

use std::collections::BTreeMap;

use adm::{Connections, Director, DirectorError, Refused, Unavailable};
use control::wanted::{Wanted, WantedService};
use model::{
    Command, ConnectionEntry, Destination, DestinationStatus, DirectorInfo, Rates, Refusal,
    ServiceKey, ServiceStatus, Stats, SyncDaemon, SyncDaemonRequest, SyncRole, TimeoutChange,
    Timeouts,
};

#[derive(Default)]
pub struct WantedDirector {
    pub wanted: Wanted,
    pub connections: Vec<ConnectionEntry>,
    /// Interfaces and their MTU.
    pub interfaces: BTreeMap<String, u32>,
    /// Why the director is not there.
    pub absent: Option<Unavailable>,
    /// The counters of every service and destination.
    pub stats: Stats,
    /// The rates of every service and destination.
    pub rates: Rates,
    /// How many transactions there were.
    pub transactions: usize,
    pub timeouts: Timeouts,
}

impl WantedDirector {
    fn status(&self, wanted: &WantedService) -> ServiceStatus {
        let (stats, rates) = (self.stats, self.rates);
        let destination = |&d: &Destination| DestinationStatus {
            stats,
            rates,
            ..d.into()
        };
        ServiceStatus {
            service: *wanted.service(),
            stats,
            rates,
            destinations: wanted.destinations().map(destination).collect(),
            local_addresses: wanted.local_addresses().to_vec(),
        }
    }
}

impl Director for WantedDirector {
    fn connect(&mut self) -> Result<(), Unavailable> {
        self.absent.clone().map_or(Ok(()), Err)
    }

    fn info(&mut self) -> Result<DirectorInfo, DirectorError> {
        Ok(DirectorInfo {
            version: (1, 2, 1),
            connection_table_size: 4096,
            ticks_per_second: 250,
            stats: self.stats,
            rates: self.rates,
        })
    }

    fn apply_all(
        &mut self,
        commands: &mut dyn Iterator<Item = Command>,
    ) -> Result<Vec<Result<(), Refused>>, DirectorError> {
        self.transactions += 1;
        Ok(commands
            .map(|command| Ok(self.wanted.apply(&command).map(drop)?))
            .collect())
    }

    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), DirectorError> {
        match service {
            Some(key) => self.service(key).map(drop),
            None => Ok(()),
        }
    }

    fn services(&mut self) -> Result<Vec<ServiceStatus>, DirectorError> {
        Ok(self
            .wanted
            .services()
            .map(|service| self.status(service))
            .collect())
    }

    fn service(&mut self, key: ServiceKey) -> Result<ServiceStatus, DirectorError> {
        let wanted = self.wanted.service(&key).ok_or(Refusal::NoSuchService)?;
        Ok(self.status(wanted))
    }

    fn connections(&mut self) -> Result<Connections<'_>, DirectorError> {
        Ok(Box::new(self.connections.iter().cloned().map(Ok)))
    }

    fn timeouts(&mut self) -> Result<Timeouts, DirectorError> {
        Ok(self.timeouts)
    }

    fn set_timeouts(&mut self, change: TimeoutChange) -> Result<(), DirectorError> {
        self.timeouts = self.timeouts.changed_by(change);
        Ok(())
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, DirectorError> {
        Ok(self.wanted.daemons().cloned().collect())
    }

    fn start_daemon(&mut self, request: SyncDaemonRequest) -> Result<(), DirectorError> {
        let mtu = *self
            .interfaces
            .get(&request.interface)
            .ok_or(Refusal::NoSuchDevice)?;
        Ok(self.wanted.start_daemon(request.on_interface(mtu))?)
    }

    fn stop_daemon(&mut self, role: SyncRole) -> Result<(), DirectorError> {
        Ok(self.wanted.stop_daemon(role).map(drop)?)
    }
}
