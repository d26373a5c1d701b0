//! The director's will and its execution: the wanted state, how it becomes tables that packets
//! read, and what the tables say about the traffic.
//!
//! Everything here is a function of what is handed in: tables behind the [`Plane`] trait, the
//! network as data, the time as a tick. No socket, no clock, no file.

#![forbid(unsafe_code)]

mod aliases;
pub mod connections;
pub mod counters;
mod defence;
mod difference;
mod director;
mod filter;
pub mod interfaces;
pub mod loads;
mod marks;
pub mod netfilter;
pub mod nexthops;
pub mod not_built;
mod numbers;
mod plane;
pub mod publish;
mod rates;
mod real_servers;
mod runs;
mod saved;
mod schedule;
mod settings;
mod side;
mod sizes;
mod timeouts;
pub mod trace;
pub mod wanted;
mod words;

pub use difference::difference;
pub use director::{CommandError, Director, Outcomes};
pub use plane::{Peek, Plane, PlaneError, TablePrefix, initialise};
pub use rates::ESTIMATE_SECONDS;
pub use saved::{Saved, SavedService};
pub use sizes::{SizeError, Sizes};

/// An address as the tables have it.
pub fn words(address: std::net::IpAddr) -> abi::Address {
    words::of(address)
}
