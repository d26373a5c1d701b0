//! Tunnels in captured frames: those that a director of VS/TUN may use.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use etherparse::{SlicedPacket, TransportSlice};
use serde::{Deserialize, Serialize};

use crate::packet::Ip;

/// The UDP port of GUE in the labs: the one of ipvsadm's examples.
pub const GUE_PORT: u16 = 6080;

/// IP protocol numbers of what is encapsulated without a header between, and of GRE.
const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;

/// How a packet is carried in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tunnel {
    /// IP in IP (RFC 2003, RFC 2473, RFC 4213).
    Ipip,
    /// Generic routing encapsulation (RFC 2784).
    Gre,
    /// Generic UDP encapsulation.
    Gue,
}

impl Tunnel {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Ipip, Self::Gre, Self::Gue];

    /// As ipvsadm's `--tun-type` names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipip => "ipip",
            Self::Gre => "gre",
            Self::Gue => "gue",
        }
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tunnel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is no tunnel; they are ipip, gre and gue"))
    }
}

/// The header around an encapsulated packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Outer {
    /// The kind of tunnel.
    pub tunnel: Tunnel,
    /// The outer IP header.
    pub ip: Ip,
}

impl Outer {
    /// Whether it goes between these addresses, as far as they are given.
    pub fn is_between(&self, source: Option<IpAddr>, destination: Option<IpAddr>) -> bool {
        source.is_none_or(|wanted| wanted == self.ip.source)
            && destination.is_none_or(|wanted| wanted == self.ip.destination)
    }
}

/// The IP packet that a packet carries, from its IP header on, and in which way it does.
pub(crate) fn inside<'a>(packet: &SlicedPacket<'a>) -> Option<(Tunnel, &'a [u8])> {
    if let Some(TransportSlice::Udp(udp)) = &packet.transport {
        let is_gue = udp.destination_port() == GUE_PORT;
        return is_gue.then(|| inside_gue(udp.payload())).flatten();
    }
    let payload = packet.net.as_ref()?.ip_payload_ref()?;
    match payload.ip_number.0 {
        IPV4_IN_IP | IPV6_IN_IP => Some((Tunnel::Ipip, payload.payload)),
        GRE => inside_gre(payload.payload),
        _ => None,
    }
}

/// What follows a GRE header: flags (16 bits), ethertype, and four bytes for each of the flags
/// checksum, key and sequence number.
fn inside_gre(bytes: &[u8]) -> Option<(Tunnel, &[u8])> {
    let [flags, version, high, low] = *bytes.first_chunk()?;
    let is_ip = matches!([high, low], [0x08, 0x00] | [0x86, 0xdd]);
    let options = [0x80, 0x20, 0x10].iter().filter(|flag| flags & **flag != 0);
    let length = 4 + 4 * options.count();
    (is_ip && version & 7 == 0).then_some((Tunnel::Gre, bytes.get(length..)?))
}

/// What follows a GUE header: version, control flag and length in words (8 bits), protocol, flags.
fn inside_gue(bytes: &[u8]) -> Option<(Tunnel, &[u8])> {
    let [first, protocol, ..] = *bytes.first_chunk::<4>()?;
    let is_ip = matches!(protocol, IPV4_IN_IP | IPV6_IN_IP);
    let length = 4 + 4 * usize::from(first & 0x1f);
    (is_ip && first & 0xe0 == 0).then_some((Tunnel::Gue, bytes.get(length..)?))
}
