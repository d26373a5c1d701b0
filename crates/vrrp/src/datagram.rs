//! What goes through the raw sockets: an IPv4 packet with its header, or an IPv6 packet's payload.

use std::net::{IpAddr, Ipv4Addr};

use wire::checksum;

/// The protocol number of VRRP (RFC 9568, section 5.1.1.4).
pub const PROTOCOL_VRRP: u8 = 112;
/// The protocol number of the Authentication Header (RFC 2402).
pub const PROTOCOL_AH: u8 = 51;

/// Internetwork control, which is what keepalived sends adverts with.
const TYPE_OF_SERVICE: u8 = 0xc0;
const IPV4_HEADER: usize = 20;

/// A packet of VRRP with its addresses.
///
/// Raw IPv4 sockets give and take whole packets (`IP_HDRINCL`), raw IPv6 sockets only what is behind
/// the headers, with the rest beside it; so it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    protocol: u8,
    bytes: Vec<u8>,
    /// Where in `bytes` the payload begins: behind the IPv4 header.
    payload_at: usize,
}

/// Why bytes are no IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are no whole IPv4 packet")]
pub struct NotIpv4 {
    /// How many bytes there were.
    pub length: usize,
}

impl Datagram {
    /// A packet as a raw IPv4 socket hands it out, from its IPv4 header on.
    ///
    /// # Errors
    /// The header is not IPv4's, or there are fewer bytes than it says.
    pub fn from_ipv4(bytes: &[u8]) -> Result<Self, NotIpv4> {
        let error = NotIpv4 {
            length: bytes.len(),
        };
        let header: &[u8; IPV4_HEADER] = bytes.first_chunk().ok_or(error)?;
        let payload_at = usize::from(header[0] & 0x0f) * 4;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] >> 4 != 4 || payload_at < IPV4_HEADER || length < payload_at {
            return Err(error);
        }
        let address = |at: usize| {
            Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into()
        };
        Ok(Self {
            source: address(12),
            destination: address(16),
            hop_limit: header[8],
            protocol: header[9],
            bytes: bytes.get(..length).ok_or(error)?.to_vec(),
            payload_at,
        })
    }

    /// A packet as a raw IPv6 socket hands it out: its payload, and what was told beside it.
    pub fn from_ipv6(source: IpAddr, destination: IpAddr, hop_limit: u8, payload: &[u8]) -> Self {
        Self {
            source,
            destination,
            hop_limit,
            protocol: PROTOCOL_VRRP,
            bytes: payload.to_vec(),
            payload_at: 0,
        }
    }

    /// A packet to be sent. `identification` is IPv4's, and not 0: the kernel would choose one.
    pub(crate) fn to_send(
        (source, destination): (IpAddr, IpAddr),
        hop_limit: u8,
        (protocol, identification): (u8, u16),
        payload: &[u8],
    ) -> Self {
        let mut bytes = Vec::with_capacity(IPV4_HEADER + payload.len());
        if let (IpAddr::V4(from), IpAddr::V4(to)) = (source, destination) {
            let length = u16::try_from(IPV4_HEADER + payload.len())
                .expect("an advert of at most 255 addresses fits a packet");
            bytes.extend([0x45, TYPE_OF_SERVICE]);
            bytes.extend(length.to_be_bytes());
            bytes.extend(identification.to_be_bytes());
            bytes.extend([0, 0, hop_limit, protocol, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            let sum = checksum::of(&bytes);
            bytes[10..12].copy_from_slice(&sum.to_ne_bytes());
        }
        let payload_at = bytes.len();
        bytes.extend(payload);
        Self {
            source,
            destination,
            hop_limit,
            protocol,
            bytes,
            payload_at,
        }
    }

    /// Who sent it.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// To whom.
    pub fn destination(&self) -> IpAddr {
        self.destination
    }

    /// Its time to live or hop limit.
    pub fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// VRRP's protocol number, or AH's.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// What goes into a raw socket: with the IPv4 header, without an IPv6 one.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The IPv4 header; empty for IPv6.
    pub(crate) fn header(&self) -> &[u8] {
        &self.bytes[..self.payload_at]
    }

    /// What is behind the IP header.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at..]
    }

    /// The virtual router that a packet of VRRP, also one behind an Authentication Header, is about.
    pub fn virtual_router(&self) -> Option<u8> {
        let at = match self.protocol {
            PROTOCOL_AH => crate::ah::LENGTH + 1,
            _ => 1,
        };
        self.payload().get(at).copied()
    }
}
