//! From what the options say to what is to be done.

use model::{
    ClientAddress, Command, Destination, Family, Forwarding, Persistence, Protocol, Scheduler,
    SchedulerFlags, ServiceKey, ServiceRequest, SyncDaemonRequest, SyncRole,
};

use crate::draft::Draft;
use crate::invocation::{Format, Invocation, Listing, View};
use crate::options::{CommandKind, OptionKind};
use crate::parse::UsageError;
use crate::rules::check_tunnel_options;

/// The interface of a sync daemon for which none is named.
const DEFAULT_MCAST_INTERFACE: &str = "eth0";

impl Draft<'_> {
    /// Puts together what the command needs. The options are known to go with it.
    pub(crate) fn finish(
        self,
        command: CommandKind,
        role: SyncRole,
        flags: SchedulerFlags,
    ) -> Result<Invocation, UsageError> {
        match command {
            CommandKind::AddService => Ok(change(Command::AddService(self.service(flags)?))),
            CommandKind::EditService => Ok(change(Command::EditService(self.service(flags)?))),
            CommandKind::DeleteService => Ok(change(Command::DeleteService(self.key()?))),
            CommandKind::AddServer => {
                let (service, destination) = self.destination()?;
                Ok(change(Command::AddDestination {
                    service,
                    destination,
                }))
            }
            CommandKind::EditServer => {
                let (service, destination) = self.destination()?;
                Ok(change(Command::EditDestination {
                    service,
                    destination,
                }))
            }
            CommandKind::DeleteServer => {
                let (service, destination) = (self.key()?, self.server.ok_or_else(unnamed)?);
                Ok(change(Command::DeleteDestination {
                    service,
                    destination,
                }))
            }
            CommandKind::AddLocalAddress => {
                let (service, address) = (self.key()?, self.local_address.ok_or_else(unnamed)?);
                Ok(change(Command::AddLocalAddress { service, address }))
            }
            CommandKind::DeleteLocalAddress => {
                let (service, address) = (self.key()?, self.local_address.ok_or_else(unnamed)?);
                Ok(change(Command::DeleteLocalAddress { service, address }))
            }
            CommandKind::Flush => Ok(change(Command::Flush)),
            CommandKind::Zero => Ok(Invocation::Zero(self.service_key())),
            CommandKind::List => self.listing(),
            CommandKind::Save => Ok(Invocation::Save {
                numeric: self.has(OptionKind::Numeric),
            }),
            CommandKind::Restore => Ok(Invocation::Restore),
            CommandKind::StartDaemon => Ok(Invocation::StartDaemon(self.daemon(role))),
            CommandKind::StopDaemon => Ok(Invocation::StopDaemon(role)),
            CommandKind::Set => Err(UsageError::NoCommand),
        }
    }

    fn has(&self, kind: OptionKind) -> bool {
        self.options.has(kind)
    }

    fn key(&self) -> Result<ServiceKey, UsageError> {
        self.service_key().ok_or_else(unnamed)
    }

    fn service(&self, scheduler_flags: SchedulerFlags) -> Result<ServiceRequest, UsageError> {
        if self.mark == 0 && self.port == 0 && self.persistence.is_none() {
            return failed("Zero port specified for non-persistent service");
        }
        let one_packet = self.has(OptionKind::OnePacket);
        if one_packet && self.mark == 0 && self.protocol != Some(Protocol::Udp) {
            return failed("One-Packet Scheduling is only for UDP virtual services");
        }
        let is_told = self.client_address != ClientAddress::Off;
        if is_told && self.mark == 0 && self.protocol != Some(Protocol::Tcp) {
            return failed("Client addresses can be told only by TCP virtual services");
        }
        let scheduler = match self.scheduler {
            "" => Scheduler::DEFAULT.as_str(),
            named => named,
        };
        let netmask = self.netmask;
        Ok(ServiceRequest {
            key: self.key()?,
            scheduler: scheduler.to_owned(),
            scheduler_flags,
            persistence: self
                .persistence
                .map(|timeout| Persistence { timeout, netmask }),
            persistence_engine: Some(self.engine.to_owned()).filter(|engine| !engine.is_empty()),
            one_packet,
            max_segment: self.max_segment,
            client_address: self.client_address,
        })
    }

    fn destination(&self) -> Result<(ServiceKey, Destination), UsageError> {
        let (service, mut key) = (self.key()?, self.server.ok_or_else(unnamed)?);
        // Only VS/NAT and FULLNAT can change the port.
        let is_translated = matches!(self.forwarding, Forwarding::Masq | Forwarding::FullNat);
        if self.mark == 0 && !is_translated {
            key.port = self.port;
        }
        let may_differ = matches!(self.forwarding, Forwarding::Tunnel | Forwarding::FullNat);
        if Family::of(key.address) != service.family() && !may_differ {
            return failed("Different address family is allowed only for tunneling servers");
        }
        if self.forwarding == Forwarding::Tunnel {
            check_tunnel_options(self.tunnel.kind, self.options).map_err(UsageError::Failed)?;
        } else if self.options.has_any(&TUNNEL_OPTIONS) {
            return failed("Tunnel options conflict with forward method");
        }
        let destination = Destination {
            key,
            forwarding: self.forwarding,
            weight: self.weight,
            upper_threshold: self.upper_threshold,
            lower_threshold: self.lower_threshold,
            tunnel: self.tunnel,
        };
        Ok((service, destination))
    }

    fn listing(&self) -> Result<Invocation, UsageError> {
        use OptionKind as O;
        let settings = self.options.has_any(&[O::Timeout, O::Daemon]);
        let no_table = settings || self.has(O::Connection);
        if no_table && self.options.has_any(&[O::Stats, O::Rate, O::Thresholds])
            || settings && self.has(O::PersistentConn)
        {
            return failed("options conflicts in the list command");
        }
        let listing = match self.service_key() {
            _ if self.has(O::Connection) => Listing::Connections,
            Some(key) => Listing::Service(key),
            None if self.has(O::Timeout) => Listing::Timeouts,
            None if self.has(O::Daemon) => Listing::Daemons,
            None => Listing::Table,
        };
        let format = Format {
            numeric: self.has(O::Numeric),
            exact: self.has(O::Exact),
            unsorted: self.has(O::NoSort),
            engine_data: self.has(O::PersistentConn),
            view: self.view(),
        };
        Ok(Invocation::List(listing, format))
    }

    /// Of several views asked for, the one that `ipvsadm` shows.
    fn view(&self) -> View {
        let views = [
            (OptionKind::Stats, View::Stats),
            (OptionKind::Rate, View::Rate),
            (OptionKind::Thresholds, View::Thresholds),
            (OptionKind::PersistentConn, View::PersistentConn),
            (OptionKind::TunnelInfo, View::TunnelInfo),
        ];
        let first = views.into_iter().find(|(kind, _)| self.has(*kind));
        first.map_or(View::Plain, |(_, view)| view)
    }

    fn daemon(&self, role: SyncRole) -> SyncDaemonRequest {
        let interface = match self.mcast_interface {
            "" => DEFAULT_MCAST_INTERFACE,
            named => named,
        };
        SyncDaemonRequest {
            role,
            interface: interface.to_owned(),
            sync_id: self.sync_id,
            max_length: self.sync_max_length,
            group: self.mcast_group,
            port: self.mcast_port,
            ttl: self.mcast_ttl,
        }
    }
}

const TUNNEL_OPTIONS: [OptionKind; 5] = [
    OptionKind::TunnelType,
    OptionKind::TunnelPort,
    OptionKind::TunnelNoChecksum,
    OptionKind::TunnelChecksum,
    OptionKind::TunnelRemoteChecksum,
];

fn change(command: Command) -> Invocation {
    Invocation::Change(command)
}

fn failed<T>(message: &str) -> Result<T, UsageError> {
    Err(UsageError::Failed(message.to_owned()))
}

/// The rules require a service and a server to be named, so this is not seen.
fn unnamed() -> UsageError {
    UsageError::NoCommand
}
