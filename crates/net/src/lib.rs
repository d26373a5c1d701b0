//! The daemon's eyes on the network: interfaces, addresses, routes and neighbours, followed by
//! netlink.
//!
//! The crate has two halves.
//!
//! - **[`Snapshot`]** is plain data: what the kernel said about the network, and the questions one
//!   asks of it ([`route`](Snapshot::route), [`next_hop`](Snapshot::next_hop),
//!   [`interfaces_towards`](Snapshot::interfaces_towards)). It opens no socket and reads no clock,
//!   and changes only by [`apply`](Snapshot::apply).
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

#![forbid(unsafe_code)]

mod address;
mod event;
mod link;
mod lookup;
mod mac;
mod neighbour;
mod prefix;
mod route;
mod route_table;
mod snapshot;

pub use address::InterfaceAddress;
pub use event::{Change, Effect, Event, Insertion};
pub use link::{Link, LinkKind, Vlan};
pub use lookup::{Lookup, NextHop, Route, VlanPath};
pub use mac::{MacAddress, ParseMacError};
pub use neighbour::{Neighbour, NeighbourState};
pub use prefix::Prefix;
pub use route::{Leg, RouteEntry, RouteKind, Table};
pub use snapshot::Snapshot;
