//! The daemon's eyes on the network: interfaces, addresses, routes and neighbours, followed by
//! netlink.
//!
//! The crate has two halves.
//!
//! - **[`Snapshot`]** is plain data: what the kernel said about the network, and the questions one
//!   asks of it ([`route`](Snapshot::route), [`next_hop`](Snapshot::next_hop),
//!   [`interfaces_towards`](Snapshot::interfaces_towards)). It opens no socket and reads no clock,
//!   and changes only by [`apply`](Snapshot::apply).
//! - **[`Watcher`]**, **[`Resolver`]** and [`offloads()`] are the sockets: the first keeps a
//!   snapshot true, the second makes the kernel resolve the neighbours one cares for, the third
//!   reads what an interface's driver does to packets; [`Cutter`] makes the one thing in the network
//!   that the daemon needs for itself. Everything happens in the network namespace
//!   of the thread that calls.
//!
//! A program holds a snapshot, applies what the watcher reports, and lets the resolver look at it:
//!
//! ```no_run
//! # async fn run(director_cares_for: std::net::IpAddr) -> Result<(), net::Error> {
//! let (mut snapshot, mut changes) = net::Watcher::start().await?;
//! let mut resolver = net::Resolver::new()?;
//! resolver.resolve(director_cares_for);
//! loop {
//!     let review = resolver.drive(&snapshot).await?;
//!     for (destination, next_hop) in review.changed { /* publish them */ }
//!     tokio::select! {
//!         change = changes.recv() => match change {
//!             Some(change) => { snapshot.apply_change(change); }
//!             None => break Ok(()),
//!         },
//!         () = tokio::time::sleep_until(review.wakeup.into()) => {}
//!     }
//! }
//! # }
//! ```
//!
//! # What of the kernel's routing is absent
//!
//! - Policy routing (`ip rule`): the tables `local` and `main` are asked, in that order, as the
//!   default rules do. Other tables, and routes of VRFs (which live in tables of their own), are
//!   not followed.
//! - Routes for a type of service other than 0, and IPv6 routes bound to a source prefix, are kept
//!   out of lookups: a next hop here belongs to a destination address alone.
//! - Of a multipath route the first next hop that is alive is taken; flows are not spread.
//! - Routes with a lightweight tunnel (`encap mpls`, `seg6`, …) are recognised and refused
//!   ([`Lookup::Rejected`]): such packets are the kernel's to send.
//! - Learned exceptions (redirects, path MTU) are not followed.
//! - A route that an IPv6 router advertised for a time counts until the kernel removes it, up to
//!   half a minute after its time; a router that is gone without a word fails within seconds, and
//!   is passed over.
//! - `net.ipv6.conf.*.mtu` set by hand is seen with the next change of the interface or its routes:
//!   the kernel tells nobody.
//! - IPv6 temporary addresses are never preferred, as `use_tempaddr` below 2 has it.

#![forbid(unsafe_code)]

mod address;
mod connection;
mod cutter;
mod decode;
mod dump;
mod error;
mod event;
mod interests;
mod link;
mod lookup;
mod mac;
mod neighbour;
mod offloads;
mod prefix;
mod resolver;
mod route;
mod route_table;
mod snapshot;
mod source;
mod watcher;

pub use address::InterfaceAddress;
pub use cutter::Cutter;
pub use error::Error;
pub use event::{Change, Effect, Event, Insertion};
pub use link::{Link, LinkKind, Vlan};
pub use lookup::{Lookup, NextHop, Route, VlanPath};
pub use mac::{MacAddress, ParseMacError};
pub use neighbour::{Neighbour, NeighbourState};
pub use offloads::{Offloads, offloads};
pub use prefix::Prefix;
pub use resolver::{Resolver, Review};
pub use route::{Leg, Preference, RouteEntry, RouteKind, Table};
pub use snapshot::Snapshot;
pub use watcher::{Settings, Watcher};
