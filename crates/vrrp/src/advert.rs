//! The one message of VRRP, the advertisement, in both versions.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Type  | Virtual Rtr ID|   Priority    |Count IP Addrs |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   Auth Type   |   Adver Int   |          Checksum             |  version 2 (RFC 3768)
//! |(rsvd) |     Max Adver Int     |          Checksum             |  version 3 (RFC 9568)
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                        IP address(es)                         |
//! |                   Authentication data, 8 bytes                |  version 2 only
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::checksum;

use crate::datagram::PROTOCOL_VRRP;

const HEADER: usize = 8;
const AUTHENTICATION: usize = 8;
const TYPE_ADVERTISEMENT: u8 = 1;
const CENTISECOND: Duration = Duration::from_millis(10);

/// The longest interval that a version 3 advert can tell: 12 bits of centiseconds.
pub const LONGEST_INTERVAL: Duration = Duration::from_millis(40_950);

/// The protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, authentication.
    #[serde(rename = "2")]
    V2,
    /// RFC 9568: both families, centiseconds.
    #[serde(rename = "3")]
    V3,
}

/// What a version 2 advert says about its authentication (RFC 2338, section 5.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Credential {
    /// None.
    #[default]
    None,
    /// A password in clear.
    Password([u8; AUTHENTICATION]),
    /// The packet has an Authentication Header.
    AuthenticationHeader,
}

/// An advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// Of which version.
    pub version: Version,
    /// The virtual router that it is about.
    pub virtual_router: u8,
    /// The sender's priority; 0: it ceases to be master.
    pub priority: u8,
    /// Its interval: whole seconds in version 2, whole centiseconds in version 3.
    pub interval: Duration,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Version 2's authentication.
    pub credential: Credential,
}

/// Why bytes are no advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer bytes than a header, or than the addresses that it counts.
    #[error("{0} bytes are too few for the advert and its addresses")]
    Short(usize),
    /// Neither 2 nor 3.
    #[error("VRRP version {0} is not known")]
    Version(u8),
    /// Only advertisements are defined.
    #[error("VRRP packet type {0} is not known")]
    Type(u8),
    /// The checksum is wrong.
    #[error("the checksum is wrong")]
    Checksum,
    /// An authentication type that RFC 2338 does not have.
    #[error("authentication type {0} is not known")]
    Authentication(u8),
}

impl Advert {
    /// The message's bytes, for a packet between these addresses: version 3's checksum covers them.
    pub fn encode(&self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + AUTHENTICATION + 16 * self.addresses.len());
        let count = self.addresses.len().min(usize::from(u8::MAX));
        let version = match self.version {
            Version::V2 => 2,
            Version::V3 => 3,
        };
        bytes.push(version << 4 | TYPE_ADVERTISEMENT);
        bytes.extend([self.virtual_router, self.priority, count as u8]);
        match self.version {
            Version::V2 => bytes.extend([self.credential.kind(), self.interval.as_secs() as u8]),
            Version::V3 => bytes.extend(centiseconds(self.interval).to_be_bytes()),
        }
        bytes.extend([0, 0]);
        for address in &self.addresses[..count] {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        if self.version == Version::V2 {
            bytes.extend(self.credential.data());
        }
        let sum = match self.version {
            Version::V2 => checksum::of(&bytes),
            Version::V3 => with_pseudo_header(source, destination, &bytes),
        };
        bytes[6..8].copy_from_slice(&sum.to_ne_bytes());
        bytes
    }

    /// Reads a message that came in a packet between these addresses. Bytes behind the message are
    /// returned.
    ///
    /// # Errors
    /// The bytes are no advertisement, or their checksum is wrong.
    pub fn decode(
        bytes: &[u8],
        source: IpAddr,
        destination: IpAddr,
    ) -> Result<(Self, &[u8]), Malformed> {
        let short = Malformed::Short(bytes.len());
        let header: &[u8; HEADER] = bytes.first_chunk().ok_or(short)?;
        let version = match header[0] >> 4 {
            2 => Version::V2,
            3 => Version::V3,
            other => return Err(Malformed::Version(other)),
        };
        if header[0] & 0x0f != TYPE_ADVERTISEMENT {
            return Err(Malformed::Type(header[0] & 0x0f));
        }
        let address_length = if source.is_ipv4() { 4 } else { 16 };
        let addresses_end = HEADER + usize::from(header[3]) * address_length;
        let end = match version {
            Version::V2 => addresses_end + AUTHENTICATION,
            Version::V3 => addresses_end,
        };
        let message = bytes.get(..end).ok_or(short)?;
        verify(version, message, source, destination)?;
        let (interval, credential) = match version {
            Version::V2 => (
                Duration::from_secs(header[5].into()),
                Credential::read(header[4], &message[addresses_end..])?,
            ),
            Version::V3 => {
                let centiseconds = u16::from_be_bytes([header[4] & 0x0f, header[5]]);
                (CENTISECOND * centiseconds.into(), Credential::None)
            }
        };
        let advert = Self {
            version,
            virtual_router: header[1],
            priority: header[2],
            interval,
            addresses: message[HEADER..addresses_end]
                .chunks_exact(address_length)
                .map(address)
                .collect(),
            credential,
        };
        Ok((advert, &bytes[end..]))
    }
}

impl Credential {
    fn kind(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Password(_) => 1,
            Self::AuthenticationHeader => 2,
        }
    }

    fn data(self) -> [u8; AUTHENTICATION] {
        match self {
            Self::Password(password) => password,
            Self::None | Self::AuthenticationHeader => [0; AUTHENTICATION],
        }
    }

    fn read(kind: u8, data: &[u8]) -> Result<Self, Malformed> {
        match (kind, data.first_chunk()) {
            (0, _) => Ok(Self::None),
            (1, Some(password)) => Ok(Self::Password(*password)),
            (2, _) => Ok(Self::AuthenticationHeader),
            (other, _) => Err(Malformed::Authentication(other)),
        }
    }
}

fn verify(
    version: Version,
    message: &[u8],
    source: IpAddr,
    destination: IpAddr,
) -> Result<(), Malformed> {
    let sum = match version {
        Version::V2 => checksum::of(message),
        Version::V3 => with_pseudo_header(source, destination, message),
    };
    // RFC 5798 could be read as if IPv4 had no pseudo-header, and some routers read it so.
    let without = || version == Version::V3 && source.is_ipv4() && checksum::of(message) == 0;
    if sum == 0 || without() {
        Ok(())
    } else {
        Err(Malformed::Checksum)
    }
}

fn centiseconds(interval: Duration) -> u16 {
    let interval = interval.min(LONGEST_INTERVAL).as_millis() / CENTISECOND.as_millis();
    interval as u16
}

/// The checksum over a pseudo-header (RFC 9568, section 5.2.8) and the message.
fn with_pseudo_header(source: IpAddr, destination: IpAddr, message: &[u8]) -> u16 {
    let mut bytes = Vec::with_capacity(40 + message.len());
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
        }
        (source, destination) => {
            bytes.extend(v6(source).octets());
            bytes.extend(v6(destination).octets());
        }
    }
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend([0, 0, 0, PROTOCOL_VRRP]);
    bytes.extend(message);
    checksum::of(&bytes)
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn address(bytes: &[u8]) -> IpAddr {
    match (bytes.first_chunk::<4>(), bytes.first_chunk::<16>()) {
        (_, Some(bytes)) => Ipv6Addr::from(*bytes).into(),
        (Some(bytes), None) => Ipv4Addr::from(*bytes).into(),
        (None, None) => Ipv4Addr::UNSPECIFIED.into(),
    }
}
