//! What a trace says of packets.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::names::named;
use crate::{ConnectionProtocol, Forwarding, Prefix, ServiceKey};

/// The packets that somebody wants to be told of. Every condition must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceRequest {
    /// The client.
    pub client: Option<Prefix>,
    /// The virtual service.
    pub vip: Option<Prefix>,
    /// The real server.
    pub server: Option<Prefix>,
    /// The port of either end.
    pub port: Option<u16>,
    /// Only packets that were dropped, or answered with an error.
    pub dropped: bool,
    /// Only packets with one of these reasons, by their names; none for all.
    pub reasons: Vec<String>,
    /// Packets too that concern no virtual service, also where no address or port is asked for.
    pub everything: bool,
    /// One of so many packets; not 0.
    pub sample: u32,
    /// Packets that a processor may tell of in a second; not 0.
    pub per_second: u32,
}

impl TraceRequest {
    /// [`TraceRequest::per_second`], unless another number is asked for: a full load keeps more than
    /// four fifths of its throughput.
    pub const PER_SECOND: u32 = 250;

    /// Whether it asks for an end of the connection.
    pub fn asks_for_an_end(&self) -> bool {
        self.client.is_some() || self.vip.is_some() || self.server.is_some() || self.port.is_some()
    }
}

impl Default for TraceRequest {
    fn default() -> Self {
        Self {
            client: None,
            vip: None,
            server: None,
            port: None,
            dropped: false,
            reasons: Vec::new(),
            everything: false,
            sample: 1,
            per_second: Self::PER_SECOND,
        }
    }
}

/// What a trace tells, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceNews {
    /// Packets are traced from now on, on these interfaces.
    Begun(Vec<TraceInterface>),
    /// A packet.
    Packet(Box<TracedPacket>),
    /// How many packets there were so far.
    Tally(TraceTally),
}

/// An interface on which packets are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceInterface {
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
}

/// How many packets were asked for, and what became of the telling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceTally {
    /// Packets that were asked for.
    pub matched: u64,
    /// Those that were told of.
    pub reported: u64,
    /// Those that the sample left out.
    pub sampled_out: u64,
    /// Those that were left out because there were too many in a second.
    pub withheld: u64,
    /// Those that were left out because they were not read in time.
    pub lost: u64,
}

impl TraceTally {
    /// Packets that should have been told of and were not.
    pub fn missing(&self) -> u64 {
        self.withheld + self.lost
    }
}

/// Where the director met a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceHook {
    /// XDP, at the driver.
    Xdp,
    /// TC, ingress.
    Ingress,
    /// TC, egress: what the director itself sends.
    Egress,
}

named!(TraceHook, "hook", "xdp, ingress, egress", {
    Xdp => "xdp", Ingress => "ingress", Egress => "egress",
});

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceVerdict {
    /// It was left to the director's own network stack.
    Pass,
    /// It was discarded.
    Drop,
    /// It was sent on.
    Send,
    /// It was sent on in fragments.
    Fragments,
    /// It was discarded, and its sender told why.
    Answer,
}

named!(TraceVerdict, "verdict", "pass, drop, send, fragments, answer", {
    Pass => "pass", Drop => "drop", Send => "send", Fragments => "fragments", Answer => "answer",
});

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceDirection {
    /// From the client to the real server.
    ToServer,
    /// From the real server to the client.
    ToClient,
}

/// A packet's way through the director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedPacket {
    /// When it came, in nanoseconds since 1970.
    pub at: u64,
    /// Where it was met.
    pub hook: TraceHook,
    /// The processor.
    pub processor: u32,
    /// The interface that it came in by; none for what the director itself sends.
    pub entered_by: Option<String>,
    /// The interface that it left by, if it did.
    pub left_by: Option<String>,
    /// The firewall mark that it came with, 0 for none.
    pub mark: u32,
    /// The service that it was scheduled for, or that its connection belongs to.
    pub service: Option<ServiceKey>,
    /// The connection that it belongs to, afterwards.
    pub connection: Option<TracedConnection>,
    /// What became of it.
    pub verdict: TraceVerdict,
    /// The name of the reason.
    pub reason: String,
    /// The reason in a sentence.
    pub sentence: String,
    /// The stages of its way.
    pub stages: Vec<String>,
    /// As it came.
    pub before: TracedFrame,
    /// As it left; none where it did not leave.
    pub after: Option<TracedFrame>,
}

impl TracedPacket {
    /// Whether XDP left the packet to TC, where it is told of once more.
    pub fn goes_on(&self) -> bool {
        self.hook == TraceHook::Xdp && self.verdict == TraceVerdict::Pass
    }
}

/// A packet's connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedConnection {
    /// The transport protocol.
    pub protocol: ConnectionProtocol,
    /// The client.
    pub client: SocketAddr,
    /// The virtual address and port.
    pub virtual_address: SocketAddr,
    /// The real server.
    pub destination: SocketAddr,
    /// The forwarding method.
    pub forwarding: Forwarding,
    /// Which way the packet goes.
    pub direction: TraceDirection,
    /// Its state before the packet; none where the packet made it.
    pub before: Option<String>,
    /// Its state after the packet; none where it has ended.
    pub after: Option<String>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedFrame {
    /// Its length in bytes.
    pub length: u32,
    /// A VLAN tag's priority and identifier that are beside the bytes, 0 for none.
    pub tag: u16,
    /// Payload bytes in each of the segments that a device will make of it; 0 where it is one.
    pub segment_size: u32,
    /// Its first bytes.
    #[serde(with = "hexadecimal")]
    pub bytes: Vec<u8>,
}

/// A packet that nobody sent: what would become of it?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainRequest {
    /// The frame, whole. Where its destination MAC address is all zeros, it gets the interface's.
    #[serde(with = "hexadecimal")]
    pub frame: Vec<u8>,
    /// The name of the interface that it comes in by; none for the one that leads to its sender.
    pub interface: Option<String>,
    /// Who sends it, which decides by which interface it comes in.
    pub source: IpAddr,
    /// The firewall mark that it comes with.
    pub mark: u32,
}

/// Bytes as text: two digits each.
mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.as_bytes().chunks(2).map(|pair| {
            let is_byte = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
            let pair = std::str::from_utf8(pair).ok().filter(|_| is_byte)?;
            u8::from_str_radix(pair, 16).ok()
        });
        let bytes: Option<Vec<u8>> = digits.collect();
        bytes.ok_or_else(|| D::Error::custom("bytes are two hexadecimal digits each"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_back_from_their_digits_and_nothing_else_is_read() {
        let frame = TracedFrame {
            length: 60,
            tag: 7,
            segment_size: 0,
            bytes: vec![0, 1, 0xab, 0xff],
        };
        let text = serde_json::to_string(&frame).unwrap();
        assert!(text.contains("\"0001abff\""), "{text}");
        assert_eq!(serde_json::from_str::<TracedFrame>(&text).unwrap(), frame);
        for wrong in ["0", "0g", "+1", "é1"] {
            let text = text.replace("0001abff", wrong);
            assert!(
                serde_json::from_str::<TracedFrame>(&text).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_request_has_defaults_for_what_it_does_not_say() {
        let request: TraceRequest = serde_json::from_str("{\"port\":80}").unwrap();
        assert_eq!(request.port, Some(80));
        assert_eq!(request.sample, 1);
        assert!(request.asks_for_an_end());
        assert!(!TraceRequest::default().asks_for_an_end());
    }
}
