//! What a captured frame says, read by etherparse: independent of the project's own packet views.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};
use serde::{Serialize, Serializer};

use crate::check_steps::TCP_FLAGS;
use crate::definition::PacketPattern;
use crate::notation::Mac;

/// A TCP or UDP packet, or another one with as much as is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// MAC address it comes from.
    pub source_mac: Mac,
    /// MAC address it goes to.
    pub destination_mac: Mac,
    /// The IP header's content; none for ARP and the like.
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
    /// Neither.
    Other {
        /// What tcpdump would call it.
        name: String,
    },
}

/// From a TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Tcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The flags.
    #[serde(serialize_with = "flags_as_text")]
    pub flags: Flags,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Bytes of payload.
    pub payload: usize,
}

/// TCP flags, one bit each in the order of [`TCP_FLAGS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// From text as `SYN+ACK`. Unknown names count for nothing: the lab file's check refuses them.
    pub fn parse(text: &str) -> Self {
        let set = |name: &&str| text.split('+').any(|flag| flag == *name);
        Self::from_bits(TCP_FLAGS.iter().map(set))
    }

    fn of(tcp: &TcpSlice<'_>) -> Self {
        let set = [
            tcp.syn(),
            tcp.fin(),
            tcp.rst(),
            tcp.psh(),
            tcp.ack(),
            tcp.urg(),
            tcp.ece(),
            tcp.cwr(),
        ];
        Self::from_bits(set.into_iter())
    }

    fn from_bits(set: impl Iterator<Item = bool>) -> Self {
        Self(
            set.enumerate()
                .fold(0, |flags, (bit, set)| flags | (u8::from(set) << bit)),
        )
    }

    /// As tcpdump abbreviates them: `S.` for SYN+ACK.
    fn short(self) -> String {
        let letters = ["S", "F", "R", "P", ".", "U", "E", "W"];
        let text: String = self.set(&letters).collect();
        if text.is_empty() {
            "none".to_owned()
        } else {
            text
        }
    }

    fn set<'a>(self, names: &'a [&'a str; 8]) -> impl Iterator<Item = &'a str> {
        names
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, name)| *name)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.set(&TCP_FLAGS).collect::<Vec<_>>().join("+"))
    }
}

fn flags_as_text<S: Serializer>(flags: &Flags, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(flags)
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
        let parsed = SlicedPacket::from_ethernet(frame).ok();
        Some(Self {
            source_mac: Mac(*source),
            destination_mac: Mac(*destination),
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
            Transport::Other { .. } => None,
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

    /// Whether its headers are those of the pattern.
    pub fn matches(&self, pattern: &PacketPattern) -> bool {
        let tcp = pattern.tcp.as_deref().is_none_or(|wanted| {
            self.tcp()
                .is_some_and(|tcp| wanted == "any" || tcp.flags == Flags::parse(wanted))
        });
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
        tcp && source && destination
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
                )
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
        Some(TransportSlice::Tcp(tcp)) => Transport::Tcp(Tcp {
            source_port: tcp.source_port(),
            destination_port: tcp.destination_port(),
            flags: Flags::of(tcp),
            sequence: tcp.sequence_number(),
            acknowledgement: tcp.acknowledgment_number(),
            payload: tcp.payload().len(),
        }),
        Some(TransportSlice::Udp(udp)) => Transport::Udp {
            source_port: udp.source_port(),
            destination_port: udp.destination_port(),
        },
        Some(TransportSlice::Icmpv4(_)) => Transport::Other {
            name: "ICMP".to_owned(),
        },
        Some(TransportSlice::Icmpv6(_)) => Transport::Other {
            name: "ICMPv6".to_owned(),
        },
        None => Transport::Other {
            name: other_name(frame),
        },
    }
}

/// The name of what is neither IPv4 nor IPv6, by its EtherType.
fn other_name(frame: &[u8]) -> String {
    match frame.get(12..14) {
        Some([0x08, 0x06]) => arp_text(frame),
        Some([high, low]) => format!("ethertype 0x{high:02x}{low:02x}"),
        _ => "too short for an EtherType".to_owned(),
    }
}

/// ARP over Ethernet and IPv4 (RFC 826) as tcpdump words it.
fn arp_text(frame: &[u8]) -> String {
    let ipv4 = |at: usize| {
        frame
            .get(at..at + 4)
            .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
            .map(IpAddr::from)
    };
    match (frame.get(21), ipv4(28), ipv4(38)) {
        (Some(1), Some(sender), Some(target)) => format!("ARP, who-has {target} tell {sender}"),
        (Some(2), Some(sender), _) => format!("ARP, {sender} is at the sender"),
        _ => "ARP".to_owned(),
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
