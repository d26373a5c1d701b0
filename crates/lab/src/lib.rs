//! Labs: networks of namespaces in which virtual servers are built, tried, watched and explained.
//!
//! A lab file ([`file`]) says which hosts there are, how they are connected, what they run, and what is to
//! be seen in which step. [`lifecycle`] builds it out of network namespaces and takes it down again,
//! [`run`] walks through the steps with real TCP, [`capture`] sees every host's wire, and [`journey`]
//! follows one connection from wire to wire. [`cli`] is `xvs lab`.
#![forbid(unsafe_code)]

mod beside;
pub mod capture;
mod capture_command;
mod check;
mod check_expect;
mod check_pattern;
mod check_steps;
pub mod cli;
pub mod definition;
pub mod demo;
mod diagram;
pub mod error;
mod ethertype;
pub mod expect;
pub mod file;
pub mod http_client;
pub mod http_server;
pub mod icmp;
pub mod interrupt;
pub mod journey;
pub mod library;
pub mod lifecycle;
pub mod lock;
pub mod netns;
pub mod notation;
pub mod packet;
pub mod process;
pub mod report;
pub mod run;
mod run_command;
mod settings;
pub mod state;
mod summary;
pub mod tcp;
pub mod told;
pub mod transfer;
mod tunnel;
mod twin;
mod wiring;

pub use error::LabError;
