//! ICMP and ICMPv6 errors in captured frames, by what both mean.

use std::fmt;
use std::str::FromStr;

use etherparse::{Icmpv4Slice, Icmpv6Slice};
use serde::Serialize;

/// What an ICMP message (RFC 792) or an ICMPv6 message (RFC 4443) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Icmp {
    /// A packet does not fit: fragmentation needed, or packet too big.
    TooBig {
        /// What would fit, in bytes. In a pattern, none means any.
        mtu: Option<u32>,
    },
    /// A host, port, protocol or network cannot be reached.
    Unreachable,
    /// A packet's time to live, or hop limit, has run out.
    TimeExceeded,
    /// Anything else: echo, redirects, neighbour discovery.
    Other,
}

impl Icmp {
    /// From an ICMP header.
    pub fn of_v4(icmp: &Icmpv4Slice<'_>) -> Self {
        match (icmp.type_u8(), icmp.code_u8()) {
            (3, 4) => {
                let [_, _, high, low] = icmp.bytes5to8();
                let mtu = u32::from(u16::from_be_bytes([high, low]));
                Self::TooBig { mtu: Some(mtu) }
            }
            (3, _) => Self::Unreachable,
            (11, _) => Self::TimeExceeded,
            _ => Self::Other,
        }
    }

    /// From an ICMPv6 header.
    pub fn of_v6(icmp: &Icmpv6Slice<'_>) -> Self {
        match icmp.type_u8() {
            1 => Self::Unreachable,
            2 => Self::TooBig {
                mtu: Some(u32::from_be_bytes(icmp.bytes5to8())),
            },
            3 => Self::TimeExceeded,
            _ => Self::Other,
        }
    }

    /// Whether it is what a pattern wants.
    pub fn matches(self, wanted: Self) -> bool {
        self == wanted
            || matches!(
                (self, wanted),
                (Self::TooBig { .. }, Self::TooBig { mtu: None })
            )
    }
}

impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooBig { mtu: Some(mtu) } => write!(f, "too big (mtu {mtu})"),
            Self::TooBig { mtu: None } => f.write_str("too big"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::TimeExceeded => f.write_str("time exceeded"),
            Self::Other => f.write_str("other"),
        }
    }
}

/// As a lab file names them.
impl FromStr for Icmp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "too-big" => Ok(Self::TooBig { mtu: None }),
            "unreachable" => Ok(Self::Unreachable),
            "time-exceeded" => Ok(Self::TimeExceeded),
            _ => Err(format!(
                "`{text}` is no ICMP message that is known here; there are too-big, unreachable and time-exceeded"
            )),
        }
    }
}
