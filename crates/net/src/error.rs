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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: io::ErrorKind) -> String {
        let request = "resolve 10.0.0.2 on interface 3".to_owned();
        Error::Refused {
            request,
            source: kind.into(),
        }
        .to_string()
    }

    #[test]
    fn a_missing_capability_is_named() {
        let message = refused(io::ErrorKind::PermissionDenied);
        assert!(message.starts_with("the kernel refused to resolve 10.0.0.2 on interface 3"));
        assert!(
            message.contains("hint:") && message.contains("CAP_NET_ADMIN"),
            "{message}"
        );
        assert!(!refused(io::ErrorKind::NotFound).contains("hint:"));
    }
}
