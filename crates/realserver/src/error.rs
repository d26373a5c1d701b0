//! What can go wrong, and what helps.

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use thiserror::Error;

/// Why a real server does not open tunnels.
#[derive(Debug, Error)]
pub enum Error {
    /// The tables cannot be made.
    #[error(
        "the tables cannot be made: {0}\nhint: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    Load(#[source] EbpfError),
    /// The program is not accepted.
    #[error(
        "the program is not accepted by the kernel: {cause}\n\
         hint: Linux 5.15 and later are known to take it; the verifier's log is shown with RUST_LOG=debug"
    )]
    Program {
        /// What the kernel said.
        cause: String,
    },
    /// A table cannot be changed.
    #[error("the table {name} cannot be changed: {cause}")]
    Table {
        /// The table.
        name: &'static str,
        /// What the kernel said.
        cause: MapError,
    },
    /// There are more addresses than the table holds.
    #[error("the host has more than {most} addresses\nhint: name the virtual ones with --vip")]
    TooManyAddresses {
        /// How many the table holds.
        most: usize,
    },
    /// The program cannot be attached.
    #[error("the program cannot be attached to {interface}: {cause}")]
    Attach {
        /// The interface.
        interface: String,
        /// What the kernel said.
        cause: String,
    },
    /// There is no such interface.
    #[error("there is no interface {name}\nhint: there are {known}")]
    NoInterface {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The interface's frames are not Ethernet's.
    #[error(
        "{name} has no Ethernet frames, and tunnels are looked for behind Ethernet headers\nhint: name another interface, or none"
    )]
    NotEthernet {
        /// The interface.
        name: String,
    },
    /// The network cannot be followed.
    #[error(transparent)]
    Network(#[from] net::Error),
    /// The kernel says nothing more about the network.
    #[error("the kernel's reports about addresses and interfaces have ended")]
    Deaf,
    /// A test run of the program.
    #[error("the program cannot be run on a frame: {0}")]
    Run(#[source] ProgramError),
}

/// What the kernel said, without the verifier's log: that goes to ours.
pub(crate) fn reason(error: &ProgramError) -> String {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    else {
        return chain(error);
    };
    tracing::debug!("the verifier's log:\n{verifier_log}");
    io_error.to_string()
}

/// An error with everything that it comes from.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
