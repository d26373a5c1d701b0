//! Packets for Wireshark: as they came and as they left, with the decision as a comment
//! (draft-ietf-opsawg-pcapng).

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use model::{TracedFrame, TracedPacket};
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};

use super::{frame, readable};

/// `if_tsresol`: timestamps are in units of 10^-9 s.
const NANOSECONDS: u8 = 9;
/// `epb_flags`.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// A file that is being written.
pub struct Pcapng<W: Write> {
    writer: PcapNgWriter<W>,
    /// The interfaces that are in it, by their numbers there.
    interfaces: Vec<String>,
}

impl<W: Write> Pcapng<W> {
    /// Begins a file.
    pub fn begin(out: W) -> Result<Self> {
        Ok(Self {
            writer: PcapNgWriter::new(out)?,
            interfaces: Vec::new(),
        })
    }

    /// Writes a packet as it came, and as it left, if it did.
    pub fn write(&mut self, traced: &TracedPacket) -> Result<()> {
        let mut comment = Vec::new();
        readable::write(&mut comment, traced)?;
        let comment = String::from_utf8_lossy(&comment).trim_end().to_owned();
        if let Some(interface) = &traced.entered_by {
            self.put(traced.at, interface, INBOUND, (&traced.before, &comment))?;
        }
        if let Some(interface) = &traced.left_by {
            let frame = traced.after.as_ref().unwrap_or(&traced.before);
            self.put(traced.at, interface, OUTBOUND, (frame, &comment))?;
        }
        Ok(())
    }

    /// Hands what was written to the file.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.writer.get_mut().flush()?)
    }

    fn put(
        &mut self,
        at: u64,
        interface: &str,
        direction: u32,
        (frame, comment): (&TracedFrame, &str),
    ) -> Result<()> {
        let interface_id = self.number(interface)?;
        self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id,
            timestamp: Duration::from_nanos(at),
            original_len: frame::length(frame),
            data: Cow::Owned(frame::bytes(frame)),
            options: vec![
                EnhancedPacketOption::Comment(Cow::Borrowed(comment)),
                EnhancedPacketOption::Flags(direction),
            ],
        })?;
        Ok(())
    }

    /// The number of an interface, which is written when it is first seen.
    fn number(&mut self, interface: &str) -> Result<u32> {
        if let Some(number) = self.interfaces.iter().position(|known| known == interface) {
            return Ok(number as u32);
        }
        self.writer.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(interface)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        })?;
        self.interfaces.push(interface.to_owned());
        Ok(self.interfaces.len() as u32 - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::process::Command;

    use etherparse::PacketBuilder;
    use model::{
        ConnectionProtocol, Forwarding, TraceDirection, TraceHook, TraceVerdict, TracedConnection,
    };

    use super::*;

    fn frame(destination: SocketAddr, ttl: u8) -> TracedFrame {
        let mut bytes = Vec::new();
        let (SocketAddr::V4(destination), macs) = (destination, [2, 0, 0, 0, 0, 1]) else {
            panic!("{destination} is none of IPv4's");
        };
        let builder = PacketBuilder::ethernet2(macs, [2, 0, 0, 0, 0, 2]);
        let builder = builder.ipv4([192, 168, 18, 25], destination.ip().octets(), ttl);
        let segment = builder.tcp(51234, destination.port(), 7, 64240).syn();
        segment.write(&mut bytes, &[]).unwrap();
        TracedFrame {
            length: bytes.len() as u32,
            tag: 0,
            segment_size: 0,
            bytes,
        }
    }

    fn packet() -> TracedPacket {
        let [client, service, server] = [
            "192.168.18.25:51234",
            "192.168.18.58:8888",
            "192.168.2.73:9999",
        ]
        .map(|end| end.parse::<SocketAddr>().unwrap());
        TracedPacket {
            at: 1_700_000_000_123_456_789,
            hook: TraceHook::Xdp,
            processor: 0,
            entered_by: Some("eth0".to_owned()),
            left_by: Some("eth1".to_owned()),
            mark: 0,
            service: None,
            connection: Some(TracedConnection {
                protocol: ConnectionProtocol::Tcp,
                client,
                virtual_address: service,
                destination: server,
                forwarding: Forwarding::Masq,
                direction: TraceDirection::ToServer,
                before: None,
                after: Some("SYN_RECV".to_owned()),
            }),
            verdict: TraceVerdict::Send,
            reason: "forwarded".to_owned(),
            sentence: "A client's packet went to its real server.".to_owned(),
            stages: vec!["enter".to_owned()],
            before: frame(service, 64),
            after: Some(frame(server, 63)),
        }
    }

    #[test]
    fn wireshark_reads_both_packets_with_the_decision_as_their_comment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.pcapng");
        let mut file = Pcapng::begin(std::fs::File::create(&path).unwrap()).unwrap();
        file.write(&packet()).unwrap();
        file.flush().unwrap();
        let fields = [
            "frame.interface_name",
            "frame.time_epoch",
            "ip.ttl",
            "tcp.dstport",
        ];
        let mut tshark = Command::new("tshark");
        tshark.args(["-n", "-T", "fields", "-E", "separator=;"]);
        for field in fields.into_iter().chain(["frame.comment"]) {
            tshark.args(["-e", field]);
        }
        let Ok(output) = tshark.arg("-r").arg(&path).output() else {
            eprintln!("there is no tshark here: what it would make of the file is not known");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        // It warns of root, who runs the tests, and of nothing else.
        let complaints: Vec<&str> = said.lines().filter(|line| !line.contains("root")).collect();
        assert!(output.status.success() && complaints.is_empty(), "{said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("eth"))
            .collect();
        let [came, left] = found[..] else {
            panic!("two packets in {text}");
        };
        assert!(
            came.starts_with("eth0;1700000000.123456789;64;8888;"),
            "{came}"
        );
        assert!(
            left.starts_with("eth1;1700000000.123456789;63;9999;"),
            "{left}"
        );
        let decision = "A client's packet went to its real server.";
        assert_eq!(text.matches(decision).count(), 2, "{text}");
    }
}
