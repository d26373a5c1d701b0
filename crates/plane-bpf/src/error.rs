//! What can go wrong with the kernel, and what helps.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::PathBuf;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use thiserror::Error;

use crate::verifier;

/// Why the kernel's side is not as it should be.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel is too old.
    #[error(
        "this is Linux {found}, and the data plane needs 5.15 or later\n\
         hint: run a later kernel"
    )]
    OldKernel {
        /// Its version.
        found: String,
    },
    /// The process lacks capabilities.
    #[error(
        "BPF is not allowed without {missing}\n\
         hint: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    NoPrivilege {
        /// The capabilities that it lacks.
        missing: String,
    },
    /// The process has the capabilities, and the kernel refuses all the same.
    #[error(
        "the kernel refuses BPF although the process has the capabilities: {0}\n\
         hint: a container's seccomp profile or a security module may forbid it, and a user \
         namespace does"
    )]
    Refused(io::Error),
    /// This network namespace cannot be told from others.
    #[error("the kernel does not tell which network namespace this is: {0}")]
    Namespace(io::Error),
    /// The kernel has no BPF.
    #[error(
        "the kernel has no bpf system call\n\
         hint: run a kernel that is built with CONFIG_BPF_SYSCALL"
    )]
    NoBpf,
    /// There is no place for pins, and none can be made.
    #[error(
        "the BPF file system cannot be mounted ({}): {cause}\n\
         hint: mount it beforehand: mount -t bpf -o mode=0700 bpf {}",
        mount_point.display(), mount_point.display()
    )]
    NoFileSystem {
        /// Where it is to be.
        mount_point: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// There is not memory enough for the tables.
    #[error("there is not enough memory for the tables\nhint: choose smaller ones (--connections)")]
    NoMemory,
    /// The tables cannot be made.
    #[error("the tables cannot be made: {}", verifier::chain(.0))]
    Load(EbpfError),
    /// A program is not accepted, or cannot be run.
    #[error(
        "program {name} is not accepted by the kernel: {}\n\
         hint: docs/kernels.md says which kernels take it; the verifier's whole log is in the \
         daemon's at level debug (RUST_LOG=debug)",
        verifier::reason(cause)
    )]
    Program {
        /// The program.
        name: Cow<'static, str>,
        /// What the kernel said.
        cause: ProgramError,
    },
    /// A map is missing or of the wrong kind.
    #[error("table {name} cannot be used: {}", verifier::chain(cause))]
    Map {
        /// The map.
        name: &'static str,
        /// What is wrong.
        cause: MapError,
    },
    /// A map's values are not as this program knows them.
    #[error(
        "table {name} has values of {found} bytes instead of {expected}\n\
         hint: start with --fresh, which forgets all connections"
    )]
    Layout {
        /// The map.
        name: &'static str,
        /// Bytes of a value in the kernel.
        found: u32,
        /// Bytes of a value here.
        expected: usize,
    },
    /// There is a data plane where one was to be made.
    #[error(
        "there is a data plane already ({})\n\
         hint: start with --fresh to replace it, which forgets all connections",
        pins.display()
    )]
    Exists {
        /// Where its pins are.
        pins: PathBuf,
    },
    /// There is no data plane where one was looked for.
    #[error("there is no data plane in this network namespace\nhint: start `xvs serve'")]
    NoPlane,
    /// The pinned tables are of another version.
    #[error(
        "the data plane that runs here has tables of version {found}, this daemon knows version \
         {expected}\n\
         hint: run the daemon of that version, or start with --fresh, which forgets all connections"
    )]
    OtherVersion {
        /// The version found.
        found: u32,
        /// The version of this daemon.
        expected: u32,
    },
    /// A file operation failed.
    #[error("{what} ({}): {cause}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// Sockets do not meet the programs.
    #[error(
        "clients on this machine itself cannot reach its virtual services: the kernel's control groups take no program: {0}"
    )]
    Sockets(io::Error),
    /// An interface does not take the program.
    #[error("interface {interface}: {refusal}")]
    Attach {
        /// The interface.
        interface: String,
        /// Why not.
        refusal: Refusal,
    },
    /// There is no such interface any more.
    #[error("there is no interface with index {0}")]
    NoInterface(u32),
    /// The kernel's ticks cannot be read.
    #[error("the kernel's clock cannot be read: {}", verifier::chain(.0))]
    Clock(ProgramError),
}

/// Why an interface does not take a program.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Another XDP program is there. TC does.
    #[error("somebody else's XDP program is attached")]
    OtherProgram,
    /// Packets may be larger than XDP's buffers. TC does.
    #[error("its MTU is too large for XDP")]
    MtuTooLarge,
    /// The driver cannot run XDP programs, as it is set up now. TC does.
    #[error("its driver does not run XDP, at least not with the offloads that are on")]
    NotSupported,
    /// Anything else.
    #[error("the kernel refuses: {0}")]
    Other(io::Error),
}

impl Refusal {
    /// What an error of attaching XDP means.
    pub(crate) fn of_xdp(error: io::Error) -> Self {
        match error.raw_os_error() {
            // EEXIST: in the other mode, native or generic.
            Some(libc::EBUSY | libc::EEXIST) => Self::OtherProgram,
            Some(libc::ERANGE) => Self::MtuTooLarge,
            Some(libc::EOPNOTSUPP) => Self::NotSupported,
            _ => Self::Other(error),
        }
    }
}

impl Error {
    /// The error when something fails with a program; logs what the verifier said of it.
    pub(crate) fn program(name: impl Into<Cow<'static, str>>, cause: ProgramError) -> Self {
        let name = name.into();
        if let ProgramError::LoadError { verifier_log, .. } = &cause {
            tracing::debug!(program = %name, "the verifier's log:\n{verifier_log}");
        }
        Self::Program { name, cause }
    }

    /// The error on this kernel when it is too old.
    pub(crate) fn old_kernel() -> Self {
        let found = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let found = found.trim().to_owned();
        Self::OldKernel { found }
    }

    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { what, path, cause }
    }
}
