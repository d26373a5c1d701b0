//! Address prefixes.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Family, Netmask, ParseKeyError};

/// The addresses that begin with the same bits (RFC 4632, and RFC 4291 section 2.3). Bits beyond the
/// length are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix that an address lies in; `None` where it has not so many bits.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let bits = bits_of(address);
        let masked = match address {
            _ if length > bits => return None,
            IpAddr::V4(a) => {
                let mask = u32::MAX.checked_shl(u32::from(bits - length)).unwrap_or(0);
                IpAddr::from((a.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(_) => Netmask::V6(length.into()).apply(address),
        };
        Some(Self {
            address: masked,
            length,
        })
    }

    /// The prefix of one address.
    pub fn host(address: IpAddr) -> Self {
        Self {
            address,
            length: bits_of(address),
        }
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits its addresses share.
    pub fn length(self) -> u8 {
        self.length
    }
}

fn bits_of(address: IpAddr) -> u8 {
    match Family::of(address) {
        Family::Ipv4 => 32,
        Family::Ipv6 => 128,
    }
}

impl Display for Prefix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.length == bits_of(self.address) {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

impl FromStr for Prefix {
    type Err = ParseKeyError;

    /// Reads `192.0.2.1`, `192.0.2.0/24` or `2001:db8::/32`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| ParseKeyError {
            text: text.to_owned(),
            expected: "address or prefix",
            example: "`192.0.2.1', `192.0.2.0/24' or `2001:db8::/32'",
        })
    }
}

fn read(text: &str) -> Option<Prefix> {
    match text.split_once('/') {
        Some((address, length)) => Prefix::new(address.parse().ok()?, length.parse().ok()?),
        None => Some(Prefix::host(text.parse().ok()?)),
    }
}

impl TryFrom<String> for Prefix {
    type Error = ParseKeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}
