//! How the director is.

use serde::{Deserialize, Serialize};

/// How a daemon and its data plane are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Version of the tables that it shares with the data plane.
    pub abi: u32,
    /// The daemon's process.
    pub pid: u32,
    /// For how many seconds the daemon has run.
    pub uptime: u64,
    /// Cookie of the network namespace.
    pub namespace: u64,
    /// Whether it found the data plane at work when it started.
    pub adopted: bool,
    /// Where packets are taken, and why there.
    pub interfaces: Vec<Interface>,
    /// The connection table.
    pub connections: ConnectionTable,
    /// The connection table for IPv6.
    pub connections_v6: ConnectionTable,
    /// Other tables.
    pub tables: Vec<Table>,
    /// What became of packets.
    pub reasons: Vec<Reason>,
    /// The last change of the configuration.
    pub last_transaction: Option<TransactionSummary>,
}

/// An interface with the director's programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// Where packets are taken: `xdp`, `xdp-generic` or `tc`.
    pub hook: String,
    /// Why there.
    pub why: String,
}

/// The connection table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionTable {
    /// Connections in it at the last full sweep, a few seconds ago at most.
    pub used: u32,
    /// How many fit.
    pub size: u32,
    /// The most slots that a search for one of them looks at; 16 is the most there can be.
    pub longest_probe: u32,
    /// How many are in another bucket than their home.
    pub in_other_buckets: u32,
}

/// A table of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// What it holds.
    pub name: String,
    /// How many of them.
    pub used: u32,
    /// How many fit.
    pub size: u32,
}

/// Packets that met one verdict for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The reason's name.
    pub name: String,
    /// `forward`, `pass`, `drop`, or `note` for what is no verdict.
    pub outcome: String,
    /// How many packets, since the tables were made.
    pub count: u64,
    /// What it means.
    pub sentence: String,
}

/// A change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionSummary {
    /// How many transactions there were since the daemon started, with this one.
    pub number: u64,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Commands that were carried out.
    pub accepted: usize,
    /// Commands that were refused.
    pub refused: usize,
}
