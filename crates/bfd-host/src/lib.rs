//! BFD on a host: the [`bfd`] core with sockets and a clock, in a thread of its own, so that whatever
//! else the process does packets go out in time.
//!
//! Packets go over UDP: to port 3784 with a hop limit of 255, which those that arrive must still
//! have (RFC 5881), or over several hops to port 4784 (RFC 5883).

#![forbid(unsafe_code)]

mod configured;
mod daemon;
mod socket;

use std::io;

pub use configured::settings;
pub use daemon::Daemon;

/// Why sessions do not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Packets to this port cannot be heard.
    #[error(
        "cannot listen on UDP port {port}: {error}\nhint: another BFD daemon of this host (bird, frr, keepalived) \
         may have it: `ss -ulpn'"
    )]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        error: io::Error,
    },
    /// Something of the system that should work.
    #[error("cannot {what}: {error}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why it cannot be.
        error: io::Error,
    },
    /// The thread does not run any more.
    #[error("the BFD sessions do not run any more")]
    Ended,
}

impl Error {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { what, error }
    }
}
