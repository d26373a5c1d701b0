//! TCP headers in captured frames.

use std::fmt;
use std::net::IpAddr;

use etherparse::TcpSlice;
use serde::{Serialize, Serializer};

use crate::check_pattern::TCP_FLAGS;
use crate::told;

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
    /// The client that it tells its receiver of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
}

impl Tcp {
    /// From a TCP segment.
    pub(crate) fn of(tcp: &TcpSlice<'_>) -> Self {
        Self {
            source_port: tcp.source_port(),
            destination_port: tcp.destination_port(),
            flags: Flags::of(tcp),
            sequence: tcp.sequence_number(),
            acknowledgement: tcp.acknowledgment_number(),
            payload: tcp.payload().len(),
            client: told::client(tcp),
        }
    }
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
    pub(crate) fn short(self) -> String {
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
