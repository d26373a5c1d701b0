//! What can go wrong with the kernel, and what helps.

use std::io;
use std::path::PathBuf;

use aya::EbpfError;
use aya::maps::MapError;
use aya::pin::PinError;
use aya::programs::ProgramError;
use thiserror::Error;

/// Why the kernel's side is not as it should be.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel does not let us use BPF.
    #[error(
        "the kernel does not allow BPF here: {0}\n\
         hint: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; in a container, allow \
         the bpf system call"
    )]
    NotAllowed(io::Error),
    /// The object's maps cannot be made.
    #[error(
        "the tables cannot be made: {0}\nhint: smaller tables (--connections) need less memory"
    )]
    Load(#[from] EbpfError),
    /// A program was not accepted.
    #[error("program {name} is not accepted by the kernel: {source}")]
    Program {
        /// The program.
        name: &'static str,
        /// What the kernel said.
        source: ProgramError,
    },
    /// A map is missing or of the wrong kind.
    #[error("table {name} cannot be used: {source}")]
    Map {
        /// The map.
        name: &'static str,
        /// What is wrong.
        source: MapError,
    },
    /// Something cannot be pinned.
    #[error("{what} cannot be pinned: {source}")]
    Pin {
        /// What.
        what: String,
        /// What the kernel said.
        source: PinError,
    },
    /// The pinned tables are of another version.
    #[error(
        "the data plane that runs here has tables of version {found}, this daemon knows version \
         {}\nhint: run the daemon of that version, or start with --fresh, which forgets all \
         connections",
        abi::ABI_VERSION
    )]
    OtherVersion {
        /// The version found.
        found: u32,
    },
    /// A file operation failed.
    #[error("{what} ({}): {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// An interface does not take the program.
    #[error("interface {interface}: {source}")]
    Attach {
        /// The interface.
        interface: String,
        /// What the kernel said.
        source: ProgramError,
    },
    /// There is no such interface any more.
    #[error("there is no interface with index {0}")]
    NoInterface(u32),
    /// The kernel's ticks cannot be read.
    #[error("the kernel's clock cannot be read: {0}")]
    Clock(ProgramError),
}

impl Error {
    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
