//! Packets for people.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Result;
use lab::packet::{Packet, Transport};
use model::{TraceDirection, TraceHook, TraceVerdict, TracedConnection, TracedPacket};

use super::frame;
use super::remedy::remedy;

/// Writes what a packet was, what became of it, and why.
pub fn write(out: &mut dyn Write, traced: &TracedPacket) -> Result<()> {
    let before = frame::packet(&traced.before);
    let what = before
        .as_ref()
        .map_or_else(|| "a frame".to_owned(), summary);
    writeln!(out, "{} {} {what}", frame::time(traced.at), way(traced))?;
    if let Some(recognised) = recognised(traced) {
        writeln!(out, "    {recognised}")?;
    }
    let after = traced.after.as_ref().and_then(frame::packet);
    if let (Some(before), Some(after)) = (&before, &after)
        && traced.verdict != TraceVerdict::Answer
    {
        writeln!(
            out,
            "    rewrote {}",
            lab::journey::rewritten(before, after)
        )?;
    } else if let Some(after) = &after {
        writeln!(out, "    answered {}", summary(after))?;
    }
    writeln!(out, "    {}: {}", traced.reason, traced.sentence)?;
    if let Some(remedy) = remedy(&traced.reason) {
        writeln!(out, "    hint: {remedy}")?;
    }
    Ok(())
}

/// Where it came in, and where it went.
fn way(traced: &TracedPacket) -> String {
    let from = match (&traced.entered_by, traced.hook) {
        (Some(interface), TraceHook::Xdp) => format!("{interface} (xdp)"),
        (Some(interface), _) => interface.clone(),
        (None, _) => "this host".to_owned(),
    };
    let to = match (&traced.left_by, traced.verdict, traced.hook) {
        (_, TraceVerdict::Drop, _) => "DROPPED",
        (_, TraceVerdict::Pass, TraceHook::Xdp) => "tc",
        (None, TraceVerdict::Pass, _) => "this host",
        (Some(interface), ..) => interface,
        (None, ..) => "?",
    };
    format!("{from} → {to}")
}

/// From where to where, and what.
fn summary(packet: &Packet) -> String {
    let ends = match (packet.endpoints(), packet.ip) {
        (Some((source, destination)), _) => format!("{source} > {destination} "),
        (None, Some(ip)) => format!("{} > {} ", ip.source, ip.destination),
        (None, None) => String::new(),
    };
    let what = match &packet.transport {
        Transport::Tcp(tcp) if tcp.payload > 0 => {
            format!("TCP {}, {} bytes", tcp.flags, tcp.payload)
        }
        Transport::Tcp(tcp) => format!("TCP {}", tcp.flags),
        Transport::Udp { .. } => "UDP".to_owned(),
        Transport::Icmp { message } => format!("ICMP {message}"),
        Transport::Other { name } => name.clone(),
    };
    let ttl = packet
        .ip
        .map_or_else(String::new, |ip| format!(" ttl {}", ip.ttl));
    let mut text = format!("{ends}{what}{ttl}");
    if let Some(outer) = &packet.outer {
        let ends = (outer.ip.source, outer.ip.destination);
        // Writing to a string cannot fail.
        let _ = write!(text, " in {} {} > {}", outer.tunnel, ends.0, ends.1);
    }
    text
}

/// The service and the connection.
fn recognised(traced: &TracedPacket) -> Option<String> {
    let mark = match traced.mark {
        0 => String::new(),
        mark => format!("mark {mark}, "),
    };
    let service = traced.service.map(|service| format!("service {service}"));
    let connection = traced.connection.as_ref().map(connection);
    let parts: Vec<String> = service.into_iter().chain(connection).collect();
    (!parts.is_empty()).then(|| format!("{mark}{}", parts.join(", ")))
}

fn connection(connection: &TracedConnection) -> String {
    let TracedConnection {
        client,
        destination,
        forwarding,
        before,
        after,
        ..
    } = connection;
    let ends = match connection.direction {
        TraceDirection::ToServer => format!("{client} → {destination} ({forwarding})"),
        TraceDirection::ToClient => format!("{client} ← {destination} ({forwarding})"),
    };
    let state = match (before, after) {
        (None, Some(after)) => format!("new, {after}"),
        (Some(before), Some(after)) if before == after => after.clone(),
        (Some(before), Some(after)) => format!("{before} → {after}"),
        (Some(before), None) => format!("{before}, ended"),
        (None, None) => "ended".to_owned(),
    };
    format!("connection {ends} {state}")
}
