//! What a captured frame says, read by etherparse: independent of the project's own packet views.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use serde::{Serialize, Serializer};

use crate::definition::{PacketPattern, Plug};
use crate::ethertype;
use crate::icmp::Icmp;
use crate::notation::Mac;
use crate::tcp::{Flags, Tcp};
use crate::tunnel::{self, Outer};

/// A TCP or UDP packet, or another one with as much as is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// MAC address it comes from.
    pub source_mac: Mac,
    /// MAC address it goes to.
    pub destination_mac: Mac,
    /// The tunnel's header, if the packet is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer: Option<Outer>,
    /// The IP header's content, in a tunnel the inner one's; none for ARP and the like.
    pub ip: Option<Ip>,
    /// The transport header's content.
    pub transport: Transport,
    /// The frame's length, in bytes.
    pub length: usize,
}

/// From an IPv4 or IPv6 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ip {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
}

/// From a transport header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "protocol")]
pub enum Transport {
    /// TCP (RFC 9293).
    Tcp(Tcp),
    /// UDP.
    Udp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
    },
    /// ICMP or ICMPv6.
    Icmp {
        /// What it says.
        message: Icmp,
    },
    /// None of these.
    Other {
        /// What tcpdump would call it.
        name: String,
    },
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Packet {
    /// Reads an Ethernet frame. None if it is not even that.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (destination, rest) = frame.split_first_chunk::<6>()?;
        let (source, _) = rest.split_first_chunk::<6>()?;
        let outside = SlicedPacket::from_ethernet(frame).ok();
        let inside = outside.as_ref().and_then(tunnel::inside);
        let inner = inside.and_then(|(_, packet)| SlicedPacket::from_ip(packet).ok());
        let outer = inner.as_ref().and_then(|_| {
            let (tunnel, _) = inside?;
            let ip = ip_of(outside.as_ref()?.net.as_ref()?)?;
            Some(Outer { tunnel, ip })
        });
        let parsed = inner.or(outside);
        Some(Self {
            source_mac: Mac(*source),
            destination_mac: Mac(*destination),
            outer,
            ip: parsed
                .as_ref()
                .and_then(|parsed| ip_of(parsed.net.as_ref()?)),
            transport: transport_of(parsed.as_ref(), frame),
            length: frame.len(),
        })
    }

    /// The TCP header, if there is one.
    pub fn tcp(&self) -> Option<&Tcp> {
        match &self.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    /// Source and destination ports, if it has any.
    fn ports(&self) -> Option<(u16, u16)> {
        match self.transport {
            Transport::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
            Transport::Udp {
                source_port,
                destination_port,
            } => Some((source_port, destination_port)),
            Transport::Icmp { .. } | Transport::Other { .. } => None,
        }
    }

    /// Source and destination with ports.
    pub fn endpoints(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (source, destination) = self.ports()?;
        let ip = self.ip?;
        Some((
            SocketAddr::new(ip.source, source),
            SocketAddr::new(ip.destination, destination),
        ))
    }

    /// What an ICMP message says.
    fn icmp(&self) -> Option<Icmp> {
        match self.transport {
            Transport::Icmp { message } => Some(message),
            _ => None,
        }
    }

    /// Whether its headers are those of the pattern.
    pub fn matches(&self, pattern: &PacketPattern) -> bool {
        let tcp = pattern.tcp.as_deref().is_none_or(|wanted| {
            self.tcp()
                .is_some_and(|tcp| wanted == "any" || tcp.flags == Flags::parse(wanted))
        });
        let icmp = pattern
            .icmp
            .is_none_or(|wanted| self.icmp().is_some_and(|icmp| icmp.matches(wanted)));
        let client = pattern
            .client
            .is_none_or(|wanted| self.tcp().is_some_and(|tcp| tcp.client == Some(wanted)));
        tcp && icmp && client && self.is_between(pattern) && self.is_in_tunnel(pattern)
    }

    /// Whether it goes from where to where the pattern wants it, on Ethernet and above.
    fn is_between(&self, pattern: &PacketPattern) -> bool {
        let ports = self.ports();
        let source = pattern.source.is_none_or(|wanted| {
            self.ip
                .is_some_and(|ip| wanted.matches(ip.source, ports.map(|(source, _)| source)))
        });
        let destination = pattern.destination.is_none_or(|wanted| {
            self.ip.is_some_and(|ip| {
                wanted.matches(ip.destination, ports.map(|(_, destination)| destination))
            })
        });
        let ttl = pattern
            .ttl
            .is_none_or(|wanted| self.ip.is_some_and(|ip| ip.ttl == wanted));
        let is = |wanted: &Option<Plug>, mac: Mac| wanted.as_ref().is_none_or(|it| it.mac == mac);
        let macs = is(&pattern.source_mac, self.source_mac)
            && is(&pattern.destination_mac, self.destination_mac);
        source && destination && ttl && macs
    }

    /// Whether it is in a tunnel that the pattern wants, if it wants one.
    fn is_in_tunnel(&self, pattern: &PacketPattern) -> bool {
        let (source, destination) = (pattern.outer_source, pattern.outer_destination);
        let wants_one = pattern.tunnel.is_some() || source.is_some() || destination.is_some();
        !wants_one
            || self.outer.is_some_and(|outer| {
                pattern.tunnel.is_none_or(|wanted| wanted == outer.tunnel)
                    && outer.is_between(source, destination)
            })
    }
}

/// As `tcpdump -enn` prints it, without time.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} > {}, length {}: ",
            self.source_mac, self.destination_mac, self.length
        )?;
        if let Some(Outer { tunnel, ip }) = &self.outer {
            write!(
                f,
                "{} > {}: {tunnel}, ttl {}: ",
                ip.source, ip.destination, ip.ttl
            )?;
        }
        match (&self.ip, &self.transport) {
            (Some(ip), Transport::Tcp(tcp)) => {
                let (source, destination) = (
                    dotted(ip.source, tcp.source_port),
                    dotted(ip.destination, tcp.destination_port),
                );
                write!(
                    f,
                    "{source} > {destination}: Flags [{}], seq {}",
                    tcp.flags.short(),
                    tcp.sequence
                )?;
                write!(
                    f,
                    ", ack {}, ttl {}, length {}",
                    tcp.acknowledgement, ip.ttl, tcp.payload
                )?;
                match tcp.client {
                    Some(client) => write!(f, ", client {client}"),
                    None => Ok(()),
                }
            }
            (
                Some(ip),
                Transport::Udp {
                    source_port,
                    destination_port,
                },
            ) => {
                let (source, destination) = (
                    dotted(ip.source, *source_port),
                    dotted(ip.destination, *destination_port),
                );
                write!(f, "{source} > {destination}: UDP, ttl {}", ip.ttl)
            }
            (Some(ip), Transport::Icmp { message }) => {
                let name = if ip.source.is_ipv4() {
                    "ICMP"
                } else {
                    "ICMPv6"
                };
                write!(
                    f,
                    "{} > {}: {name}, {message}, ttl {}",
                    ip.source, ip.destination, ip.ttl
                )
            }
            (Some(ip), Transport::Other { name }) => {
                write!(
                    f,
                    "{} > {}: {name}, ttl {}",
                    ip.source, ip.destination, ip.ttl
                )
            }
            (None, Transport::Other { name }) => f.write_str(name),
            (None, _) => f.write_str("no IP header"),
        }
    }
}

/// Address and port as tcpdump joins them.
fn dotted(address: IpAddr, port: u16) -> String {
    format!("{address}.{port}")
}

fn ip_of(net: &NetSlice<'_>) -> Option<Ip> {
    match net {
        NetSlice::Ipv4(ipv4) => {
            let header = ipv4.header();
            Some(Ip {
                source: header.source_addr().into(),
                destination: header.destination_addr().into(),
                ttl: header.ttl(),
            })
        }
        NetSlice::Ipv6(ipv6) => {
            let header = ipv6.header();
            Some(Ip {
                source: header.source_addr().into(),
                destination: header.destination_addr().into(),
                ttl: header.hop_limit(),
            })
        }
        NetSlice::Arp(_) => None,
    }
}

fn transport_of(parsed: Option<&SlicedPacket<'_>>, frame: &[u8]) -> Transport {
    match parsed.and_then(|parsed| parsed.transport.as_ref()) {
        Some(TransportSlice::Tcp(tcp)) => Transport::Tcp(Tcp::of(tcp)),
        Some(TransportSlice::Udp(udp)) => Transport::Udp {
            source_port: udp.source_port(),
            destination_port: udp.destination_port(),
        },
        Some(TransportSlice::Icmpv4(icmp)) => Transport::Icmp {
            message: Icmp::of_v4(icmp),
        },
        Some(TransportSlice::Icmpv6(icmp)) => Transport::Icmp {
            message: Icmp::of_v6(icmp),
        },
        None => Transport::Other {
            name: ethertype::name(frame),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    fn syn_ack() -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([192, 168, 100, 39], [172, 16, 10, 22], 63)
            .tcp(80, 40001, 7, 64000)
            .syn()
            .ack(9);
        let mut frame = Vec::new();
        builder.write(&mut frame, &[]).unwrap();
        frame
    }

    #[test]
    fn a_syn_ack_is_read_and_printed_as_tcpdump_does() {
        let packet = Packet::parse(&syn_ack()).unwrap();
        assert_eq!(
            packet.to_string(),
            "02:00:00:00:00:01 > 02:00:00:00:00:02, length 54: 192.168.100.39.80 > 172.16.10.22.40001: \
             Flags [S.], seq 7, ack 9, ttl 63, length 0"
        );
    }

    #[test]
    fn a_pattern_wants_exactly_its_flags_and_the_addresses_it_names() {
        let packet = Packet::parse(&syn_ack()).unwrap();
        let pattern = |tcp: &str, source: &str| PacketPattern {
            tcp: Some(tcp.to_owned()),
            source: Some(source.parse().unwrap()),
            ..PacketPattern::default()
        };
        assert!(packet.matches(&pattern("SYN+ACK", "192.168.100.39")));
        assert!(packet.matches(&pattern("ACK+SYN", "192.168.100.39:80")));
        assert!(packet.matches(&pattern("any", "192.168.100.39:80")));
        assert!(!packet.matches(&pattern("SYN", "192.168.100.39:80")));
        assert!(!packet.matches(&pattern("SYN+ACK", "192.168.100.39:81")));
        assert!(!packet.matches(&pattern("SYN+ACK", "172.16.10.22")));
    }

    #[test]
    fn every_truncation_of_a_frame_is_read_without_harm() {
        let frame = syn_ack();
        for length in 0..frame.len() {
            let packet = Packet::parse(&frame[..length]);
            assert_eq!(packet.is_some(), length >= 12);
        }
    }
}
