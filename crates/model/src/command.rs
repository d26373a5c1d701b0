//! Changes of the configuration, and why one is refused.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Destination, DestinationKey, ServiceKey, ServiceRequest};

/// One change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes a virtual service.
    AddService(ServiceRequest),
    /// Gives a virtual service other settings; its destinations stay.
    EditService(ServiceRequest),
    /// Removes a virtual service and its destinations.
    DeleteService(ServiceKey),
    /// Adds a destination to a service.
    AddDestination {
        /// The service.
        service: ServiceKey,
        /// The destination.
        destination: Destination,
    },
    /// Gives a destination other settings.
    EditDestination {
        /// The service.
        service: ServiceKey,
        /// The destination.
        destination: Destination,
    },
    /// Removes a destination from its service.
    DeleteDestination {
        /// The service.
        service: ServiceKey,
        /// The destination.
        destination: DestinationKey,
    },
    /// Gives a service one more address of the director's own, which real servers under FULLNAT see
    /// instead of clients'.
    AddLocalAddress {
        /// The service.
        service: ServiceKey,
        /// The address.
        address: IpAddr,
    },
    /// Takes a local address from a service.
    DeleteLocalAddress {
        /// The service.
        service: ServiceKey,
        /// The address.
        address: IpAddr,
    },
    /// Removes every service.
    Flush,
}

/// Why the director refuses a change. The texts are those that `ipvsadm` prints for the kernel's
/// answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is a service of this key already.
    #[error("Service already exists")]
    ServiceExists,
    /// There is no service of this key.
    #[error("No such service")]
    NoSuchService,
    /// There is no service of this key to have destinations.
    #[error("Service not defined")]
    ServiceNotDefined,
    /// The service has this destination already.
    #[error("Destination already exists")]
    DestinationExists,
    /// The service has no such destination.
    #[error("No such destination")]
    NoSuchDestination,
    /// The service has this local address already.
    #[error("Local address already exists")]
    LocalAddressExists,
    /// The local address is no host's that others can answer to, or a virtual service's.
    #[error(
        "Local address can stand for no client\nhint: give the service an address of the director's \
         that nothing else uses"
    )]
    LocalAddressTaken,
    /// None of the service's real servers under FULLNAT is of the local address's family.
    #[error(
        "No real server of the service is of the local address's family\nhint: give it local \
         addresses of its real servers' family, or add such a real server first"
    )]
    LocalAddressUseless,
    /// The service has no such local address.
    #[error("No such local address")]
    NoSuchLocalAddress,
    /// A service is to be scheduled datagram by datagram, and forwarded by FULLNAT.
    #[error(
        "One-Packet Scheduling is not for FULLNAT, whose answers need a connection\nhint: leave -o \
         away, or forward by another method than --fullnat"
    )]
    OnePacketFullNat,
    /// The scheduler or the persistence engine is not known.
    #[error("Scheduler or persistence engine not found")]
    UnknownScheduler,
    /// Something in it cannot be: an address that is no host's, a mask, a tunnel without its port.
    #[error("Invalid operation.  Possibly wrong module version, address not unicast, ...")]
    Invalid,
    /// A number is out of range: a negative weight, a lower threshold over the upper one.
    #[error("Numerical result out of range")]
    OutOfRange,
    /// A sync daemon of this role runs already.
    #[error("Daemon has already run")]
    DaemonRuns,
    /// No sync daemon of this role runs.
    #[error("No daemon is running")]
    NoDaemon,
    /// There is no network interface of this name.
    #[error("No such device")]
    NoSuchDevice,
    /// There is no room for one more.
    #[error("Memory allocation problem")]
    NoRoom,
    /// The caller may not change the director.
    #[error("Permission denied (you must be root)")]
    Forbidden,
    /// The director cannot do this.
    #[error("Operation not supported")]
    Unsupported,
}
