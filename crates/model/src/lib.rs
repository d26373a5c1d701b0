//! The nouns of a Linux virtual server: services, destinations, their numbers and their
//! connections.
//!
//! Plain data, shared by everything that configures, lists or forwards. Each type reads and writes
//! itself as text (`FromStr`, `Display`) and as JSON (serde); none of them knows a socket, a file
//! or a clock.

#![forbid(unsafe_code)]

mod client_address;
mod command;
mod connection;
mod daemon;
mod destination;
mod mark;
mod max_segment;
mod names;
mod prefix;
mod scheduler;
mod service;
mod setting;
mod stats;
mod status;
mod text;
mod trace;

pub use client_address::ClientAddress;
pub use command::{Command, Refusal};
pub use connection::{ConnectionEntry, ConnectionProtocol, EngineData};
pub use daemon::{SyncDaemon, SyncDaemonRequest, SyncRole, TimeoutChange, Timeouts};
pub use destination::{
    Destination, DestinationKey, Forwarding, Tunnel, TunnelChecksum, TunnelKind,
};
pub use mark::{MarkChange, MarkError, MarkRule, MarkRules, NotPorts, PortRange};
pub use max_segment::{BadMaxSegment, MaxSegment};
pub use names::UnknownName;
pub use prefix::Prefix;
pub use scheduler::{PersistenceEngine, Scheduler, SchedulerFlags};
pub use service::{Family, Netmask, Persistence, Protocol, Service, ServiceKey, ServiceRequest};
pub use setting::{
    About, NotASetting, Setting, SettingError, SettingRequest, SettingStatus, Settings, Takes,
};
pub use stats::{Rates, Stats};
pub use status::{DestinationStatus, DirectorInfo, ServiceStatus};
pub use text::ParseKeyError;
pub use trace::{
    ExplainRequest, TraceDirection, TraceHook, TraceInterface, TraceNews, TraceRequest, TraceTally,
    TraceVerdict, TracedConnection, TracedFrame, TracedPacket,
};
