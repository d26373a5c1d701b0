//! What can go wrong between this crate and the kernel.

use std::io;

/// Why the network could not be read or a neighbour not be asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A netlink socket could not be opened or prepared.
    #[error("cannot open the netlink socket for {purpose}: {source}")]
    Open {
        /// What the socket is for.
        purpose: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel refused a request.
    #[error("the kernel refused to {request}: {source}{}", hint(source))]
    Refused {
        /// What was asked.
        request: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A netlink socket broke, or its task is gone.
    #[error("the netlink socket for {purpose} is closed")]
    Closed {
        /// What the socket is for.
        purpose: &'static str,
    },
    /// The network changed faster than it could be read.
    #[error("{what} changed during each of {attempts} attempts to read them")]
    Unsteady {
        /// What was read.
        what: &'static str,
        /// How often it was tried.
        attempts: u32,
    },
    /// An answer of the kernel could not be understood.
    #[error("the kernel's answer about {what} makes no sense: {reason}")]
    Answer {
        /// What was asked about.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "\nhint: run as root, or with CAP_NET_ADMIN in the network namespace"
        }
        _ => "",
    }
}
