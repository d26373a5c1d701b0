//! The control packet (RFC 5880, section 4.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       My Discriminator                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                      Your Discriminator                       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                    Desired Min TX Interval                    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                   Required Min RX Interval                    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 Required Min Echo RX Interval                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Refusal;

/// Bytes of a packet without authentication.
pub const LENGTH: usize = 24;
/// The protocol's version.
const VERSION: u8 = 1;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const AUTHENTICATED: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// A session's state, as one end sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody has put it out of use.
    AdminDown,
    /// Nothing was heard, or not for too long.
    #[default]
    Down,
    /// The other end is heard, and does not know yet that it is.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        })
    }
}

/// Why a session's state changed last; the protocol has more codes than are told here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic(pub u8);

impl Diagnostic {
    /// Nothing to say.
    pub const NONE: Self = Self(0);
    /// Nothing was heard for the detection time.
    pub const EXPIRED: Self = Self(1);
    /// The other end said that it is down.
    pub const SIGNALED: Self = Self(3);
    /// Somebody has put the session out of use.
    pub const ADMINISTRATIVE: Self = Self(7);
}

impl Display for Diagnostic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "no diagnostic",
            1 => "control detection time expired",
            2 => "echo function failed",
            3 => "neighbor signaled session down",
            4 => "forwarding plane reset",
            5 => "path down",
            6 => "concatenated path down",
            7 => "administratively down",
            8 => "reverse concatenated path down",
            _ => "a diagnostic of a later standard",
        })
    }
}

/// A control packet without authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Why the sender's state changed last.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// An answer with `is_final` is wanted.
    pub poll: bool,
    /// It is the answer to a poll.
    pub is_final: bool,
    /// The sender wants no packets while both ends are up.
    pub demand: bool,
    /// How many packets in a row the receiver may miss.
    pub detect_multiplier: u8,
    /// The sender's number for the session.
    pub my_discriminator: u32,
    /// The receiver's; 0 while the sender does not know it.
    pub your_discriminator: u32,
    /// The sender would like to send so often; microseconds.
    pub desired_min_tx: u32,
    /// The sender bears packets so often; microseconds. 0: it wants none.
    pub required_min_rx: u32,
}

impl Packet {
    /// Reads a datagram's payload, with the checks of section 6.8.6 that need no session.
    ///
    /// # Errors
    /// Why it is not to be used.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let header: &[u8; LENGTH] = bytes.first_chunk().ok_or(Refusal::Short)?;
        let [first, flags, detect_multiplier, length, ..] = *header;
        if first >> 5 != VERSION {
            return Err(Refusal::Version(first >> 5));
        }
        let least = if flags & AUTHENTICATED == 0 {
            LENGTH
        } else {
            LENGTH + 2
        };
        if usize::from(length) < least || usize::from(length) > bytes.len() {
            return Err(Refusal::Length(length));
        }
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let packet = Self {
            diagnostic: Diagnostic(first & 0x1f),
            state: State::from_bits(flags >> 6),
            poll: flags & POLL != 0,
            is_final: flags & FINAL != 0,
            demand: flags & DEMAND != 0,
            detect_multiplier,
            my_discriminator: word(4),
            your_discriminator: word(8),
            desired_min_tx: word(12),
            required_min_rx: word(16),
        };
        packet.check(flags)
    }

    fn check(self, flags: u8) -> Result<Self, Refusal> {
        let unasked = self.your_discriminator == 0;
        if self.detect_multiplier == 0 {
            Err(Refusal::Multiplier)
        } else if flags & MULTIPOINT != 0 {
            Err(Refusal::Multipoint)
        } else if self.my_discriminator == 0 {
            Err(Refusal::Discriminator)
        } else if unasked && !matches!(self.state, State::Down | State::AdminDown) {
            Err(Refusal::Unasked(self.state))
        } else if flags & AUTHENTICATED != 0 {
            Err(Refusal::Authenticated)
        } else {
            Ok(self)
        }
    }

    /// The datagram's payload.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION << 5 | self.diagnostic.0 & 0x1f;
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        bytes[1] = self.state.bits() << 6
            | flag(self.poll, POLL)
            | flag(self.is_final, FINAL)
            | flag(self.demand, DEMAND);
        bytes[2] = self.detect_multiplier;
        // A constant of one byte.
        bytes[3] = LENGTH as u8;
        let words = [
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx,
            self.required_min_rx,
            // No echo packets are answered.
            0,
        ];
        for (place, word) in bytes[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

/// The protocol's count of microseconds.
pub(crate) fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
