//! Which real servers live, and what a virtual server does about it.
//!
//! A [`Monitor`] does no I/O. It is told of time as a duration since some beginning, and drained
//! after every call that changes it:
//!
//! - [`Monitor::poll_start`] says which check is to be run now; whoever runs it answers with
//!   [`Monitor::finished`];
//! - [`Monitor::poll_timeout`] says when to ask again;
//! - [`Monitor::poll_event`] says what happened, for logs, scripts and pipes;
//! - [`Monitor::services`] says which destinations each service should have now.
//!
//! Checks that are equal (same target, same settings) are one check, however many real servers of
//! however many virtual servers have it. [`Monitor::configure`] takes another configuration: what
//! is in both goes on as if nothing had happened.
//!
//! The rules are keepalived's (keepalived.conf(5), and its `check_daemon.c` and `ipwrapper.c` where
//! the manual is silent).

#![forbid(unsafe_code)]

mod check;
mod monitor;
mod server;
mod status;

pub use check::{Outcome, Run};
pub use monitor::{CheckId, Event, Monitor, Service};
pub use status::{CheckStatus, RealServerStatus, VirtualServerStatus};
