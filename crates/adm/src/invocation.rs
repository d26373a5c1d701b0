//! What a command line asks for, once it is understood.

use model::{Command, ServiceKey, SyncDaemonRequest, SyncRole, TimeoutChange};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Change the configuration.
    Change(Command),
    /// Set the counters of one service, or of all, to zero.
    Zero(Option<ServiceKey>),
    /// Print something.
    List(Listing, Format),
    /// Print the configuration as commands that restore it.
    Save {
        /// Addresses and ports as numbers.
        numeric: bool,
    },
    /// Carry out the command lines on standard input.
    Restore,
    /// Change the timeouts.
    SetTimeouts(TimeoutChange),
    /// Start a sync daemon.
    StartDaemon(SyncDaemonRequest),
    /// Stop a sync daemon.
    StopDaemon(SyncRole),
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
}

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// All services and their destinations.
    Table,
    /// One service and its destinations.
    Service(ServiceKey),
    /// The connections.
    Connections,
    /// The timeouts.
    Timeouts,
    /// The sync daemons.
    Daemons,
}

/// How to print it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Format {
    /// Addresses and ports as numbers.
    pub numeric: bool,
    /// Counters in full, however large.
    pub exact: bool,
    /// In the director's own order.
    pub unsorted: bool,
    /// With what persistence engines found, in a list of connections.
    pub engine_data: bool,
    /// Which columns.
    pub view: View,
}

/// The columns of a list of services and destinations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// Forwarding method, weight, connections.
    #[default]
    Plain,
    /// Counters.
    Stats,
    /// Counters per second.
    Rate,
    /// Thresholds and connections.
    Thresholds,
    /// Weight, persistence templates, connections.
    PersistentConn,
    /// As [`View::Plain`], with the tunnel.
    TunnelInfo,
}
