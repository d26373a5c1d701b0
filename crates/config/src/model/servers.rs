//! Virtual servers and real servers.

use std::net::IpAddr;

use model::{
    Destination, Family, Persistence, PersistenceEngine, Protocol, Scheduler, SchedulerFlags,
    ServiceKey,
};
use serde::Serialize;

use super::{Check, Script};

/// `virtual_server`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VirtualServer {
    /// How the file names it.
    pub name: VirtualServerName,
    /// The services that it makes: one, or one for each member of its group.
    pub keys: Vec<ServiceKey>,
    /// Its protocol; of no meaning where it is known by a mark.
    pub protocol: Protocol,
    /// Who chooses real servers.
    pub scheduler: Scheduler,
    /// The scheduler's switches.
    pub scheduler_flags: SchedulerFlags,
    /// Every datagram by itself.
    pub one_packet: bool,
    /// Whether clients stay with their real server.
    pub persistence: Option<Persistence>,
    /// What else ties connections together.
    pub persistence_engine: Option<PersistenceEngine>,
    /// The weight of living servers that it needs.
    pub quorum: u32,
    /// How far that weight may vary until quorum is won or lost.
    pub hysteresis: u32,
    /// Run when quorum is won.
    pub quorum_up: Option<Script>,
    /// Run when quorum is lost.
    pub quorum_down: Option<Script>,
    /// `quorum_down` and `notify_down` are run when the daemon ends.
    pub omega: bool,
    /// Checks rest while the virtual address is not this host's.
    pub ha_suspend: bool,
    /// In place of the real servers without quorum.
    pub sorry_server: Option<SorryServer>,
    /// Its real servers, in the order of the file.
    pub real_servers: Vec<RealServer>,
}

/// What a `virtual_server` is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VirtualServerName {
    /// `virtual_server ADDRESS PORT`.
    Address {
        /// The virtual address.
        address: IpAddr,
        /// The virtual port; 0 for every port.
        port: u16,
    },
    /// `virtual_server fwmark MARK`.
    Mark {
        /// The mark.
        mark: u32,
        /// The family of the packets meant.
        family: Family,
    },
    /// `virtual_server group NAME`.
    Group(String),
}

/// `virtual_server_group`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VirtualServerGroup {
    /// Its name.
    pub name: String,
    /// Addresses, one by one, and ports.
    pub addresses: Vec<(IpAddr, u16)>,
    /// Marks, and their family where it is said.
    pub marks: Vec<(u32, Option<Family>)>,
}

/// `sorry_server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SorryServer {
    /// Where clients are sent.
    pub destination: Destination,
    /// It is always there, with weight 0 while it is not needed.
    pub inhibit: bool,
}

/// `real_server`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RealServer {
    /// The destination as it is while all checks succeed.
    pub destination: Destination,
    /// A server that fails gets weight 0 instead of being removed.
    pub inhibit_on_failure: bool,
    /// Run when it comes.
    pub notify_up: Option<Script>,
    /// Run when it goes.
    pub notify_down: Option<Script>,
    /// Checks go the way of clients' packets too (`check_via_vip`); they are among the others.
    pub via_vip: bool,
    /// What must succeed for it to be used.
    pub checks: Vec<Check>,
}
