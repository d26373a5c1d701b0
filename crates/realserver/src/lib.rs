//! A real server of VS/TUN on a kernel without tunnels: a BPF program on the host's interfaces takes
//! packets to its virtual addresses out of IP, GRE and GUE.
//!
//! [`RealServer::start`] attaches the program; [`RealServer::follow`] takes in what changes on the host:
//! interfaces that come and go, addresses that are added and removed. Dropping it detaches the program.
//! What the program does with a packet is [`decap::decapsulate`]'s to decide.

#![forbid(unsafe_code)]

mod error;
mod program;
mod server;
mod settings;
mod status;
mod wanted;

pub use error::Error;
pub use program::{Program, Ran};
pub use server::RealServer;
pub use settings::{Settings, Tunnels};
pub use status::Status;
