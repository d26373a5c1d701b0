//! Packets as the kernel's log of netfilter's LOG target has them (`nf_log_syslog`): a line when one
//! came in, a line when one went out.

use std::fmt::{self, Write as _};
use std::io::Write;

use anyhow::Result;
use etherparse::{
    Icmpv4Slice, Icmpv6Slice, Ipv4Slice, Ipv6Slice, NetSlice, SlicedPacket, TcpSlice,
    TransportSlice, UdpSlice,
};
use model::{TracedFrame, TracedPacket};

use super::frame;

/// Bytes of a link-layer header: both addresses, and what follows.
const LINK: usize = 14;
/// Masks of the IPv4 header's second byte: type of service, precedence.
const TOS: u8 = 0x1e;
const PRECEDENCE: u8 = 0xe0;

/// Writes the lines of a packet. What XDP leaves to TC is told of there.
pub fn write(out: &mut dyn Write, traced: &TracedPacket) -> Result<()> {
    if traced.goes_on() {
        return Ok(());
    }
    if let Some(interface) = &traced.entered_by {
        writeln!(out, "{}", line(interface, "", &traced.before))?;
    }
    if let Some(interface) = &traced.left_by {
        let frame = traced.after.as_ref().unwrap_or(&traced.before);
        writeln!(out, "{}", line("", interface, frame))?;
    }
    Ok(())
}

/// The line of a frame. The kernel ends it with a blank, which is left out.
fn line(entered_by: &str, left_by: &str, frame: &TracedFrame) -> String {
    let bytes = frame::padded(frame);
    let mut text = format!("IN={entered_by} OUT={left_by} ");
    // Writing to a string cannot fail.
    let _ = link(&mut text, &bytes);
    if let Ok(packet) = SlicedPacket::from_ethernet(&bytes) {
        let _ = network(&mut text, &packet);
    }
    text.truncate(text.trim_end().len());
    text
}

/// The link-layer header, byte by byte.
fn link(text: &mut String, bytes: &[u8]) -> fmt::Result {
    let header = bytes.get(..LINK).unwrap_or_default();
    let digits: Vec<String> = header.iter().map(|byte| format!("{byte:02x}")).collect();
    write!(text, "MAC={} ", digits.join(":"))
}

fn network(text: &mut String, packet: &SlicedPacket<'_>) -> fmt::Result {
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => ipv4(text, ip)?,
        Some(NetSlice::Ipv6(ip)) => ipv6(text, ip)?,
        _ => return Ok(()),
    }
    match &packet.transport {
        Some(TransportSlice::Tcp(segment)) => tcp(text, segment),
        Some(TransportSlice::Udp(datagram)) => udp(text, datagram),
        Some(TransportSlice::Icmpv4(message)) => icmp(text, message),
        Some(TransportSlice::Icmpv6(message)) => icmpv6(text, message),
        None => other(text, packet),
    }
}

fn ipv4(text: &mut String, ip: &Ipv4Slice<'_>) -> fmt::Result {
    let header = ip.header();
    let service = header.dcp().value() << 2 | header.ecn().value();
    write!(
        text,
        "SRC={} DST={} LEN={} TOS=0x{:02X} PREC=0x{:02X} TTL={} ID={} ",
        header.source_addr(),
        header.destination_addr(),
        header.total_len(),
        service & TOS,
        service & PRECEDENCE,
        header.ttl(),
        header.identification()
    )?;
    if header.dont_fragment() {
        text.write_str("DF ")?;
    }
    if header.more_fragments() {
        text.write_str("MF ")?;
    }
    match header.fragments_offset().value() {
        0 => Ok(()),
        offset => write!(text, "FRAG:{offset} "),
    }
}

fn ipv6(text: &mut String, ip: &Ipv6Slice<'_>) -> fmt::Result {
    let header = ip.header();
    let whole = |address: std::net::Ipv6Addr| {
        let groups: Vec<String> = address
            .segments()
            .iter()
            .map(|g| format!("{g:04x}"))
            .collect();
        groups.join(":")
    };
    write!(
        text,
        "SRC={} DST={} LEN={} TC={} HOPLIMIT={} FLOWLBL={} ",
        whole(header.source_addr()),
        whole(header.destination_addr()),
        u32::from(header.payload_length()) + 40,
        header.traffic_class(),
        header.hop_limit(),
        header.flow_label().value()
    )
}

fn tcp(text: &mut String, tcp: &TcpSlice<'_>) -> fmt::Result {
    write!(
        text,
        "PROTO=TCP SPT={} DPT={} WINDOW={} RES=0x{:02x} ",
        tcp.source_port(),
        tcp.destination_port(),
        tcp.window_size(),
        // The reserved bits behind the header's length, as the kernel shifts them.
        (tcp.slice()[12] & 0x0f) << 2
    )?;
    let flags = [
        (tcp.cwr(), "CWR "),
        (tcp.ece(), "ECE "),
        (tcp.urg(), "URG "),
        (tcp.ack(), "ACK "),
        (tcp.psh(), "PSH "),
        (tcp.rst(), "RST "),
        (tcp.syn(), "SYN "),
        (tcp.fin(), "FIN "),
    ];
    for (_, name) in flags.iter().filter(|(is_set, _)| *is_set) {
        text.write_str(name)?;
    }
    write!(text, "URGP={} ", tcp.urgent_pointer())
}

fn udp(text: &mut String, udp: &UdpSlice<'_>) -> fmt::Result {
    let (source, destination) = (udp.source_port(), udp.destination_port());
    write!(
        text,
        "PROTO=UDP SPT={source} DPT={destination} LEN={} ",
        udp.length()
    )
}

/// Types of ICMP messages (RFC 792, RFC 4443) that have an identifier and a sequence number.
const ECHO: [u8; 2] = [0, 8];
const ECHO_V6: [u8; 2] = [128, 129];

fn icmp(text: &mut String, message: &Icmpv4Slice<'_>) -> fmt::Result {
    write!(
        text,
        "PROTO=ICMP TYPE={} CODE={} ",
        message.type_u8(),
        message.code_u8()
    )?;
    echo(text, ECHO, message.type_u8(), message.bytes5to8())
}

fn icmpv6(text: &mut String, message: &Icmpv6Slice<'_>) -> fmt::Result {
    write!(
        text,
        "PROTO=ICMPv6 TYPE={} CODE={} ",
        message.type_u8(),
        message.code_u8()
    )?;
    echo(text, ECHO_V6, message.type_u8(), message.bytes5to8())
}

fn echo(text: &mut String, echo: [u8; 2], kind: u8, rest: [u8; 4]) -> fmt::Result {
    if !echo.contains(&kind) {
        return Ok(());
    }
    let [a, b, c, d] = rest;
    let (id, sequence) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    write!(text, "ID={id} SEQ={sequence} ")
}

fn other(text: &mut String, packet: &SlicedPacket<'_>) -> fmt::Result {
    let payload = packet.net.as_ref().and_then(|net| net.ip_payload_ref());
    match payload {
        Some(payload) => write!(text, "PROTO={} ", payload.ip_number.0),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    fn frame(bytes: Vec<u8>) -> TracedFrame {
        TracedFrame {
            length: bytes.len() as u32,
            tag: 0,
            segment_size: 0,
            bytes,
        }
    }

    /// The addresses of a line that a kernel printed of a SYN, with the frame that it was printed of.
    #[test]
    fn a_segment_is_told_as_the_kernel_logs_it() {
        let builder = PacketBuilder::ethernet2([0, 0x16, 0x3e, 1, 2, 3], [0, 0x16, 0x3e, 4, 5, 6]);
        let mut ip = etherparse::Ipv4Header::new(
            20,
            64,
            etherparse::IpNumber::TCP,
            [192, 168, 18, 25],
            [192, 168, 18, 58],
        )
        .unwrap();
        ip.identification = 54321;
        ip.dont_fragment = true;
        let builder = builder.ip(etherparse::IpHeaders::Ipv4(ip, Default::default()));
        let mut bytes = Vec::new();
        builder
            .tcp(51234, 8888, 7, 64240)
            .syn()
            .write(&mut bytes, &[])
            .unwrap();
        assert_eq!(
            line("eth0", "", &frame(bytes)),
            "IN=eth0 OUT= MAC=00:16:3e:04:05:06:00:16:3e:01:02:03:08:00 SRC=192.168.18.25 \
             DST=192.168.18.58 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=54321 DF PROTO=TCP SPT=51234 \
             DPT=8888 WINDOW=64240 RES=0x00 SYN URGP=0"
        );
    }

    #[test]
    fn what_was_not_kept_of_a_packet_does_not_matter() {
        let builder = PacketBuilder::ethernet2([0; 6], [0; 6]).ipv6([1; 16], [2; 16], 64);
        let mut bytes = Vec::new();
        builder.udp(53, 4000).write(&mut bytes, &[7; 400]).unwrap();
        let mut frame = frame(bytes);
        frame.bytes.truncate(192);
        let text = line("", "eth1", &frame);
        assert!(
            text.ends_with("LEN=448 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=53 DPT=4000 LEN=408"),
            "{text}"
        );
    }
}
