//! Bidirectional Forwarding Detection (RFC 5880; over IP RFC 5881 and RFC 5883): whether a neighbour
//! is reached, known within milliseconds.
//!
//! [`Sessions`] does no I/O. It is told of time as a duration since some beginning, and drained
//! after every call that changes it:
//!
//! - [`Sessions::configure`] names the neighbours;
//! - [`Sessions::handle_packet`] takes a datagram in, [`Sessions::handle_timeout`] that time has
//!   passed;
//! - [`Sessions::poll_timeout`] says when to call that, [`Sessions::poll_transmit`] what to send,
//!   [`Sessions::poll_event`] what happened.
//!
//! Asynchronous mode, both roles, without authentication and without echo packets. A neighbour that
//! asks for demand mode gets it.

#![forbid(unsafe_code)]

mod packet;
mod session;
mod sessions;
mod settings;

pub use packet::{Diagnostic, LENGTH, Packet, State};
pub use sessions::{Event, Sessions, Status, Transmit};
pub use settings::{Arrival, Settings};

/// Why a packet does not count (RFC 5880, section 6.8.6, unless said otherwise).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Less than a header.
    #[error("it is shorter than a control packet")]
    Short,
    /// Not version 1.
    #[error("its version is {0}, not 1")]
    Version(u8),
    /// The length is not that of the payload.
    #[error("its length of {0} bytes cannot be")]
    Length(u8),
    /// Of no packet in a row.
    #[error("its detection multiplier is 0")]
    Multiplier,
    /// Reserved.
    #[error("its multipoint bit is set")]
    Multipoint,
    /// Without a number of the session.
    #[error("its own discriminator is 0")]
    Discriminator,
    /// It does not know our number, and yet has heard us.
    #[error("its state is {0} without our discriminator")]
    Unasked(State),
    /// No session has a key.
    #[error("it is authenticated, which no session is")]
    Authenticated,
    /// There is no such session.
    #[error("no session has the discriminator {0}")]
    UnknownSession(u32),
    /// Nobody wants to speak with this neighbour.
    #[error("no session is with this neighbour")]
    UnknownNeighbour,
    /// It came too far (RFC 5881, section 5).
    #[error("its hop limit of {0} is less than {1}: it may come from elsewhere")]
    Far(u8, u8),
    /// The session is out of use.
    #[error("the session is administratively down")]
    OutOfUse,
}
