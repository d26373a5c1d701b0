//! Prints connections.

use std::io::{self, Write};
use std::net::SocketAddr;

use model::{ConnectionEntry, ConnectionProtocol, Protocol};

use crate::address::endpoint_text;
use crate::invocation::Format;
use crate::names::Resolver;

/// Prints the titles of the columns.
pub(crate) fn titles(out: &mut dyn Write, format: Format) -> io::Result<()> {
    writeln!(out, "IPVS connection entries")?;
    write!(
        out,
        "pro expire {:<11} {:<18} {:<18} ",
        "state", "source", "virtual"
    )?;
    if format.engine_data {
        writeln!(out, "{:<18} {:<16} pe_data", "destination", "pe name")
    } else {
        writeln!(out, "destination")
    }
}

/// Prints one connection.
pub(crate) fn entry(
    out: &mut dyn Write,
    entry: &ConnectionEntry,
    format: Format,
    names: &dyn Resolver,
) -> io::Result<()> {
    let protocol = match entry.protocol {
        ConnectionProtocol::Tcp => Some(Protocol::Tcp),
        ConnectionProtocol::Udp => Some(Protocol::Udp),
        ConnectionProtocol::Ip | ConnectionProtocol::Sctp => None,
    };
    let end =
        |end: SocketAddr| endpoint_text(end.ip(), end.port(), protocol, format.numeric, names);
    let expires = format!("{:02}:{:02}", entry.expires / 60, entry.expires % 60);
    write!(
        out,
        "{:<3} {expires:<6} {:<11} {:<18} {:<18} ",
        entry.protocol,
        entry.state,
        end(entry.client),
        end(entry.virtual_address),
    )?;
    let destination = end(entry.destination);
    match &entry.engine_data {
        Some(found) if format.engine_data => {
            writeln!(out, "{destination:<16} {:<18} {}", found.engine, found.data)
        }
        _ => writeln!(out, "{destination}"),
    }
}
