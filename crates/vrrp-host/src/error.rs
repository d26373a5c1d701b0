//! What can go wrong between VRRP and the host.

use std::io;

/// Why virtual routers cannot run, or could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Their settings contradict each other.
    #[error(transparent)]
    Settings(#[from] vrrp::Invalid),
    /// The network could not be read.
    #[error(transparent)]
    Network(#[from] net::Error),
    /// A system call failed.
    #[error("cannot {action}: {source}{}", hint(source))]
    System {
        /// What was tried.
        action: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel refused a change of addresses, routes or interfaces.
    #[error("the kernel refused to {action}: {source}")]
    Refused {
        /// What was tried.
        action: String,
        /// The kernel's answer.
        source: Box<rtnetlink::Error>,
    },
    /// The thread that runs them is gone.
    #[error("virtual routers do not run any more")]
    Ended,
}

impl Error {
    /// For `map_err`: what was tried.
    pub(crate) fn system<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |source| Self::System {
            action,
            source: source.into(),
        }
    }

    /// For `map_err`: what the kernel was asked to do.
    pub(crate) fn refused(action: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> Self {
        let action = action.into();
        move |source| Self::Refused {
            action,
            source: Box::new(source),
        }
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "\nhint: run as root, or with CAP_NET_ADMIN and CAP_NET_RAW in the network namespace"
        }
        _ => "",
    }
}

/// Whether the kernel refused a request with this error number.
pub(crate) fn refused_with(error: &rtnetlink::Error, errno: i32) -> bool {
    match error {
        rtnetlink::Error::NetlinkError(message) => {
            message.code.is_some_and(|code| code.get() == -errno)
        }
        _ => false,
    }
}
