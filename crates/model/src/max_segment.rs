//! How large TCP segments may be: an option that `ipvsadm` does not have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The largest TCP segment that handshakes of a service may announce (`--mss`). IPVS leaves them as
/// they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MaxSegment {
    /// What fits the way to a real server behind a tunnel; for others, no limit.
    #[default]
    Auto,
    /// No limit.
    Off,
    /// So many bytes, from [`MaxSegment::LEAST`] to 65534.
    Bytes(u16),
}

impl MaxSegment {
    /// The smallest that a host may be asked to go by: RFC 791's 68 bytes, less the headers.
    pub const LEAST: u16 = 28;
}

impl fmt::Display for MaxSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

/// Not a segment size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a segment size is `auto', `off', or a number of bytes from 28 to 65534")]
pub struct BadMaxSegment;

impl FromStr for MaxSegment {
    type Err = BadMaxSegment;

    fn from_str(text: &str) -> Result<Self, BadMaxSegment> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            number => match number.parse() {
                Ok(bytes) if (Self::LEAST..u16::MAX).contains(&bytes) => Ok(Self::Bytes(bytes)),
                _ => Err(BadMaxSegment),
            },
        }
    }
}

impl TryFrom<String> for MaxSegment {
    type Error = BadMaxSegment;

    fn try_from(text: String) -> Result<Self, BadMaxSegment> {
        text.parse()
    }
}

impl From<MaxSegment> for String {
    fn from(size: MaxSegment) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_size_reads_as_it_is_written() {
        for text in ["auto", "off", "28", "1400", "65534"] {
            assert_eq!(text.parse::<MaxSegment>().unwrap().to_string(), text);
        }
        for text in ["", "27", "65535", "-1", "automatic"] {
            assert_eq!(text.parse::<MaxSegment>(), Err(BadMaxSegment));
        }
    }
}
