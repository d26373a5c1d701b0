//! Keys and services as one line of text, as `ipvsadm -Ln` shows them.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

use crate::{DestinationKey, Family, Netmask, ServiceKey};

/// Text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}' is no {expected}\nhint: write {example}")]
pub struct ParseKeyError {
    /// What was given.
    pub text: String,
    /// What it should have been.
    pub expected: &'static str,
    /// How that looks.
    pub example: &'static str,
}

impl Display for ServiceKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address {
                protocol,
                address,
                port,
            } => {
                write!(f, "{protocol} {}", SocketAddr::new(address, port))
            }
            Self::Mark {
                mark,
                family: Family::Ipv4,
            } => write!(f, "FWM {mark}"),
            Self::Mark {
                mark,
                family: Family::Ipv6,
            } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

impl FromStr for ServiceKey {
    type Err = ParseKeyError;

    /// Reads `TCP 192.0.2.1:80`, `UDP [2001:db8::1]:53`, `FWM 7` or `FWM 7 IPv6`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_service(text).ok_or_else(|| ParseKeyError {
            text: text.to_owned(),
            expected: "virtual service",
            example: "`TCP 192.0.2.1:80', `UDP [2001:db8::1]:53', `FWM 7' or `FWM 7 IPv6'",
        })
    }
}

fn parse_service(text: &str) -> Option<ServiceKey> {
    let mut words = text.split_ascii_whitespace();
    let key = match words.next()? {
        "FWM" => {
            let mark = words.next()?.parse().ok().filter(|&mark| mark != 0)?;
            let family = match words.next() {
                None => Family::Ipv4,
                Some("IPv6") => Family::Ipv6,
                Some(_) => return None,
            };
            ServiceKey::Mark { mark, family }
        }
        protocol => {
            let protocol = protocol.parse().ok()?;
            let end: SocketAddr = words.next()?.parse().ok()?;
            ServiceKey::Address {
                protocol,
                address: end.ip(),
                port: end.port(),
            }
        }
    };
    words.next().is_none().then_some(key)
}

impl Display for DestinationKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

impl FromStr for DestinationKey {
    type Err = ParseKeyError;

    /// Reads `192.0.2.1:80` or `[2001:db8::1]:80`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let end: SocketAddr = text.parse().map_err(|_| ParseKeyError {
            text: text.to_owned(),
            expected: "destination",
            example: "`192.0.2.1:80' or `[2001:db8::1]:80'",
        })?;
        Ok(Self {
            address: end.ip(),
            port: end.port(),
        })
    }
}

impl From<DestinationKey> for SocketAddr {
    fn from(key: DestinationKey) -> Self {
        SocketAddr::new(key.address, key.port)
    }
}

impl From<SocketAddr> for DestinationKey {
    fn from(end: SocketAddr) -> Self {
        Self {
            address: end.ip(),
            port: end.port(),
        }
    }
}

impl Display for Netmask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(mask) => mask.fmt(f),
            Self::V6(length) => length.fmt(f),
        }
    }
}

impl FromStr for Netmask {
    type Err = ParseKeyError;

    /// Reads an IPv4 mask, `255.255.255.0`, or an IPv6 prefix length, `64`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(IpAddr::V4(mask)) = text.parse() {
            return Ok(Self::V4(mask));
        }
        match text.parse() {
            Ok(length @ 1..=128) => Ok(Self::V6(length)),
            _ => Err(ParseKeyError {
                text: text.to_owned(),
                expected: "netmask",
                example: "`255.255.255.0' or a prefix length from 1 to 128",
            }),
        }
    }
}
