//! What can go wrong with a lab, each with a remedy.

use std::io;
use std::path::PathBuf;

use crate::file::FileError;

/// Why a lab could not be built, run or removed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The lab file is wrong.
    #[error(transparent)]
    File(#[from] FileError),
    /// The lab file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No such lab.
    #[error(
        "no lab is called `{name}`\nhint: there are {known}; a file of your own is given by its path, `./{name}.toml`"
    )]
    UnknownLab {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The lab has no twin.
    #[error(
        "lab {lab} is not described for IPv6\nhint: [twin] in its file says which IPv6 networks stand for its own"
    )]
    NoTwin {
        /// The lab.
        lab: String,
    },
    /// XDP needs its offloads.
    #[error(
        "on XDP offloads cannot be switched off: virtual cables take its frames only where GRO is on\nhint: --hook tc --offloads off"
    )]
    OffloadsOfXdp,
    /// No such host.
    #[error("lab {lab} has no host `{host}`\nhint: its hosts are {known}")]
    UnknownHost {
        /// The lab.
        lab: String,
        /// What was asked for.
        host: String,
        /// What there is.
        known: String,
    },
    /// No such step.
    #[error("lab {lab} has no step {step}\nhint: its steps are 1 to {last}")]
    UnknownStep {
        /// The lab.
        lab: String,
        /// What was asked for.
        step: usize,
        /// The last there is.
        last: usize,
    },
    /// Not root.
    #[error(
        "a lab is made of network namespaces, which only root can make\nhint: run it with sudo"
    )]
    NotRoot,
    /// Another process works on the same lab.
    #[error(
        "lab {lab} is in use by another xvs (process {holder})\nhint: wait until it ends, or end it with Ctrl-C"
    )]
    Busy {
        /// The lab.
        lab: String,
        /// The process that holds the lab, as far as it is known.
        holder: String,
    },
    /// The lab was brought up to stay.
    #[error(
        "lab {lab} is up already\nhint: look around with `xvs lab exec {lab} HOST COMMAND`, or remove it with `xvs lab down {lab}`"
    )]
    Up {
        /// The lab.
        lab: String,
    },
    /// The lab is not there to be worked in.
    #[error("lab {lab} is not up\nhint: `xvs lab up {lab}` first")]
    NotUp {
        /// The lab.
        lab: String,
    },
    /// A program that is needed is not installed.
    #[error("the program `{program}` is needed and not found\nhint: {hint}")]
    MissingProgram {
        /// The program.
        program: String,
        /// Where it comes from.
        hint: String,
    },
    /// A program could not be started or waited for.
    #[error("`{program}` could not be run: {source}")]
    Program {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program took too long.
    #[error("`{command}` on {host} did not end within {seconds} s")]
    Endless {
        /// The command.
        command: String,
        /// Where it ran.
        host: String,
        /// How long it was given, in seconds.
        seconds: u64,
    },
    /// A command that must succeed did not.
    #[error("`{command}` failed on {host}: {message}")]
    Command {
        /// The command.
        command: String,
        /// Where it ran.
        host: String,
        /// What it said.
        message: String,
    },
    /// A process of the lab did not become ready.
    #[error("{what} on {host} did not get ready: {message}")]
    NotReady {
        /// What was started.
        what: String,
        /// Where.
        host: String,
        /// What it said last.
        message: String,
    },
    /// A namespace cannot be entered.
    #[error("network namespace {name}: {source}")]
    Namespace {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A setting cannot be made.
    #[error(
        "{host}: the setting {key} = {value} was refused: {source}\nhint: `sysctl -a` lists those that this kernel has"
    )]
    Sysctl {
        /// The host.
        host: String,
        /// The setting's dotted name.
        key: String,
        /// The value.
        value: String,
        /// Why.
        source: io::Error,
    },
    /// Something about a file of the lab's own state.
    #[error("{path}: {source}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Packets cannot be captured.
    #[error("packets cannot be captured: {0}")]
    Capture(io::Error),
    /// The web server cannot listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// What was found is not what must be.
    #[error("{0}")]
    Unexpected(String),
    /// The output cannot be written.
    #[error("writing the output: {0}")]
    Output(io::Error),
    /// The run is being ended from outside.
    #[error("interrupted")]
    Interrupted,
    /// Some of a lab could not be removed.
    #[error(
        "lab {lab} could not be removed completely: {left}\nhint: `xvs lab down {lab}` tries again"
    )]
    Left {
        /// The lab.
        lab: String,
        /// What is left.
        left: String,
    },
}

/// Packages that the programs used here come in.
pub(crate) fn package_hint(program: &str) -> String {
    let package = match program {
        "ip" => "iproute2",
        "ethtool" => "ethtool",
        "nft" => "nftables",
        "sysctl" => "procps",
        other => other,
    };
    format!("on Debian: apt-get install {package}")
}
