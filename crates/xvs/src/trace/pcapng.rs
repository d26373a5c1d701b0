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
