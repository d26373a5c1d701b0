//! Frames of a trace, as far as their bytes were kept.

use std::io::Write;

use anyhow::Result;
use lab::packet::Packet;
use model::{TracedFrame, TracedPacket};

/// No frame is larger, also where it travels as several in one.
const LARGEST: u32 = 1 << 18;
/// A VLAN tag (IEEE 802.1Q): where it stands, and how it begins.
const TAG_OFFSET: usize = 12;
const TAG_TYPE: [u8; 2] = [0x81, 0x00];

/// The frame's first bytes, with its VLAN tag inside.
pub fn bytes(frame: &TracedFrame) -> Vec<u8> {
    let mut bytes = frame.bytes.clone();
    if frame.tag != 0 && bytes.len() >= TAG_OFFSET {
        let [high, low] = frame.tag.to_be_bytes();
        let tag = [TAG_TYPE[0], TAG_TYPE[1], high, low];
        bytes.splice(TAG_OFFSET..TAG_OFFSET, tag);
    }
    bytes
}

/// Its length on the wire.
pub fn length(frame: &TracedFrame) -> u32 {
    frame.length + if frame.tag == 0 { 0 } else { 4 }
}

/// The frame as long as it was; what was not kept of it is zeros.
pub fn padded(frame: &TracedFrame) -> Vec<u8> {
    let mut bytes = bytes(frame);
    bytes.resize(length(frame).min(LARGEST) as usize, 0);
    bytes
}

/// What its headers say.
pub fn packet(frame: &TracedFrame) -> Option<Packet> {
    Packet::parse(&padded(frame))
}

/// When a packet came: the time of the day in UTC, to the microsecond.
pub fn time(at: u64) -> String {
    let (seconds, micros) = (at / 1_000_000_000 % 86_400, at / 1000 % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06}")
}

/// Writes a line for the packet as it came, and one as it left, as `tcpdump -enni any` does.
pub fn write_tcpdump(out: &mut dyn Write, traced: &TracedPacket) -> Result<()> {
    let time = time(traced.at);
    let mut line = |interface: &str, direction: &str, frame: &TracedFrame| {
        let packet = packet(frame).map_or_else(String::new, |packet| packet.to_string());
        writeln!(out, "{time} {interface:<5} {direction} {packet}")
    };
    if let Some(interface) = &traced.entered_by {
        line(interface, "In ", &traced.before)?;
    }
    if let Some(interface) = &traced.left_by {
        line(
            interface,
            "Out",
            traced.after.as_ref().unwrap_or(&traced.before),
        )?;
    }
    Ok(())
}
