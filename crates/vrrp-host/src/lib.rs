//! VRRP on a host: the [`vrrp`] core with sockets, a clock, netlink and commands.
//!
//! A [`Plan`] says what is to run; [`Daemon::start`] runs it in a thread of its own until it is stopped.
//! Adverts go through raw sockets. A master's addresses, routes and rules are added by netlink, and put
//! back if somebody else removes them; its neighbours are told through packet sockets. What it became is told
//! by commands and pipes, with keepalived's words.

#![forbid(unsafe_code)]

mod alarm;
mod configured;
mod daemon;
mod disputes;
mod error;
mod forwarding;
mod frames;
mod holding;
mod host;
mod losses;
mod mail;
mod network;
mod notify;
mod pacer;
mod plan;
mod processes;
mod promotion;
mod refusal;
mod reload;
mod routes;
mod rules;
mod socket;
mod tracking;
mod upkeep;
mod users;
mod view;
mod vmac;

pub use configured::Unfit;
pub use daemon::Daemon;
pub use error::Error;
pub use forwarding::Forwarding;
pub use plan::{
    Command, Fifo, Instance, Mail, Notify, Paces, Plan, SyncGroup, TrackFile, TrackInterface,
    TrackProcess, TrackScript, VirtualAddress, Vmac,
};
pub use users::NoSuchUser;
