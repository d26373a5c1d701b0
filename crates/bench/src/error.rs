//! Why there is no measurement.

use std::error::Error as StdError;

use thiserror::Error;

/// A measurement that failed, or measured something else than it should.
#[derive(Debug, Error)]
pub enum Error {
    /// Something that a measurement needs was refused.
    #[error("{what}: {cause}")]
    Refused {
        /// What was tried.
        what: String,
        /// The answer, and what it came from.
        cause: String,
    },
    /// The packets did not go the way that is measured.
    #[error("{case}: {found} of {expected} packets went the way that is measured{others}")]
    WentElsewhere {
        /// The case.
        case: String,
        /// How many should have.
        expected: u64,
        /// How many did.
        found: u64,
        /// What the others met, as far as it is known.
        others: String,
    },
    /// The packets went to other than as many real servers as should have got some.
    #[error("{case}: packets went to {found} real servers, not to {expected}")]
    OtherSpread {
        /// The case.
        case: String,
        /// How many should have got some.
        expected: u32,
        /// How many did.
        found: u32,
    },
    /// A list holds less than there is.
    #[error("{case}: {found} of {expected} lines were printed")]
    TooShort {
        /// The case.
        case: String,
        /// How many should have been.
        expected: u32,
        /// How many were.
        found: u32,
    },
    /// There is no interface of this name.
    #[error(
        "there is no interface {interface}\nhint: `ip link' lists those of this network namespace"
    )]
    NoInterface {
        /// The name.
        interface: String,
    },
    /// An interface has no MAC address.
    #[error("{interface} has no MAC address\nhint: frames can only be sent by Ethernet")]
    NoEthernet {
        /// The interface.
        interface: String,
    },
    /// The kernel does not send frames of XDP's by an interface.
    #[error(
        "frames cannot be sent by {interface}: {cause}\n\
         hint: this takes Linux 5.18 or later, and an interface that stays"
    )]
    NotSent {
        /// The interface.
        interface: String,
        /// What the kernel said.
        cause: String,
    },
    /// A program returned another code than the case should.
    #[error("{case}: the program returned {found}, not {expected}")]
    OtherCode {
        /// The case.
        case: String,
        /// What it should return.
        expected: u32,
        /// What it returned.
        found: u32,
    },
    /// No case has the name.
    #[error("no case has these words in its name\nhint: `./x bench --runs 1' names all of them")]
    NothingWanted,
    /// A command that sets up the network failed.
    #[error(
        "`{command}' failed: {message}\nhint: run as root, with iproute2, ethtool, nftables and iperf3"
    )]
    Command {
        /// The command.
        command: String,
        /// What it said.
        message: String,
    },
}

/// Says what was refused.
pub fn refused<E>(what: impl Into<String>) -> impl FnOnce(E) -> Error
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let what = what.into();
    move |error| {
        let cause = plane_bpf::chain(error.into().as_ref());
        Error::Refused { what, cause }
    }
}
