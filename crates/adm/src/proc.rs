//! What the kernel shows of IPVS under `/proc/net`, for programs that read it there.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use model::{
    ConnectionEntry, DestinationStatus, DirectorInfo, Family, Netmask, Rates, Service, ServiceKey,
    Stats,
};

use crate::director::{Director, DirectorError};
use crate::list;

/// A file under `/proc/net`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcFile {
    /// `ip_vs`: services and destinations.
    Services,
    /// `ip_vs_conn`: connections.
    Connections,
    /// `ip_vs_conn_sync`: connections, and whether another director told of them.
    SyncedConnections,
    /// `ip_vs_stats`: what was counted for all services together.
    Stats,
}

impl ProcFile {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Services,
        Self::Connections,
        Self::SyncedConnections,
        Self::Stats,
    ];

    /// Its name under `/proc/net`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Services => "ip_vs",
            Self::Connections => "ip_vs_conn",
            Self::SyncedConnections => "ip_vs_conn_sync",
            Self::Stats => "ip_vs_stats",
        }
    }
}

/// A file cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum ProcError {
    /// The director does not tell.
    #[error(transparent)]
    Director(#[from] DirectorError),
    /// It cannot be written.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Prints a file as the kernel would.
///
/// # Errors
/// When the director cannot be reached, or nobody takes the text.
pub fn print(
    out: &mut dyn Write,
    file: ProcFile,
    director: &mut dyn Director,
) -> Result<(), ProcError> {
    match file {
        ProcFile::Services => services(out, director),
        ProcFile::Connections | ProcFile::SyncedConnections => connections(out, file, director),
        ProcFile::Stats => {
            let info = director.info()?;
            Ok(stats(out, info.stats, info.rates)?)
        }
    }
}

fn services(out: &mut dyn Write, director: &mut dyn Director) -> Result<(), ProcError> {
    let info = director.info()?;
    list::header(out, info)?;
    writeln!(out, "Prot LocalAddress:Port Scheduler Flags")?;
    writeln!(
        out,
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn"
    )?;
    for status in director.services()? {
        service(out, &status.service, info)?;
        for destination in &status.destinations {
            self::destination(out, destination)?;
        }
    }
    Ok(())
}

fn service(out: &mut dyn Write, service: &Service, info: DirectorInfo) -> io::Result<()> {
    let scheduler = service.scheduler;
    let one_packet = if service.one_packet { "ops " } else { "" };
    match service.key {
        ServiceKey::Mark { mark, .. } => write!(out, "FWM  {mark:08X} {scheduler} {one_packet}")?,
        ServiceKey::Address {
            protocol,
            address,
            port,
        } => {
            let end = end_text(SocketAddr::new(address, port));
            write!(out, "{protocol}  {end} {scheduler} {one_packet}")?;
            if address.is_ipv4() {
                write!(out, " ")?;
            }
        }
    }
    let Some(persistence) = service.persistence else {
        return writeln!(out);
    };
    let ticks = u64::from(persistence.timeout) * u64::from(info.ticks_per_second);
    let mask = match persistence.netmask {
        Netmask::V4(mask) => mask.to_bits(),
        // A number that the kernel takes for one in network byte order.
        Netmask::V6(length) => length.to_be(),
    };
    writeln!(out, "persistent {ticks} {mask:08X}")
}

fn destination(out: &mut dyn Write, status: &DestinationStatus) -> io::Result<()> {
    let destination = &status.destination;
    let end = end_text(SocketAddr::new(
        destination.key.address,
        destination.key.port,
    ));
    writeln!(
        out,
        "  -> {end}      {:<7} {:<6} {:<10} {:<10}",
        destination.forwarding.as_str(),
        destination.weight,
        status.active_connections,
        status.inactive_connections
    )
}

fn connections(
    out: &mut dyn Write,
    file: ProcFile,
    director: &mut dyn Director,
) -> Result<(), ProcError> {
    let is_sync = file == ProcFile::SyncedConnections;
    let last = match is_sync {
        true => "Origin Expires",
        false => "Expires PEName PEData",
    };
    writeln!(
        out,
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       {last}"
    )?;
    for entry in director.connections()? {
        connection(out, &entry?, is_sync)?;
    }
    Ok(())
}

fn connection(out: &mut dyn Write, entry: &ConnectionEntry, is_sync: bool) -> io::Result<()> {
    let [client, service, server] =
        [entry.client, entry.virtual_address, entry.destination].map(columns_text);
    write!(
        out,
        "{:<3} {client} {service} {server} {:<11} ",
        entry.protocol, entry.state
    )?;
    if is_sync {
        return writeln!(out, "{:<6} {:>7}", "LOCAL", entry.expires);
    }
    write!(out, "{:>7}", entry.expires)?;
    if let Some(found) = &entry.engine_data {
        write!(out, " {} {}", found.engine, found.data)?;
    }
    writeln!(out)
}

/// The counters of all services, in hexadecimal digits.
fn stats(out: &mut dyn Write, stats: Stats, rates: Rates) -> io::Result<()> {
    writeln!(
        out,
        "   Total Incoming Outgoing         Incoming         Outgoing"
    )?;
    writeln!(
        out,
        "   Conns  Packets  Packets            Bytes            Bytes"
    )?;
    let [connections, in_packets, out_packets, in_bytes, out_bytes] = list::stats_columns(stats);
    writeln!(
        out,
        "{connections:8X} {in_packets:8X} {out_packets:8X} {in_bytes:16X} {out_bytes:16X}\n"
    )?;
    writeln!(
        out,
        " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s"
    )?;
    let [connections, in_packets, out_packets, in_bytes, out_bytes] = list::rates_columns(rates);
    writeln!(
        out,
        "{connections:8X} {in_packets:8X} {out_packets:8X} {in_bytes:16X} {out_bytes:16X}"
    )
}

/// Address and port as services and destinations have them.
fn end_text(end: SocketAddr) -> String {
    let port = end.port();
    let address = address_text(end.ip());
    match Family::of(end.ip()) {
        Family::Ipv4 => format!("{address}:{port:04X}"),
        Family::Ipv6 => format!("[{address}]:{port:04X}"),
    }
}

/// Address and port as connections have them.
fn columns_text(end: SocketAddr) -> String {
    format!("{} {:04X}", address_text(end.ip()), end.port())
}

/// An address in hexadecimal digits, none left out.
fn address_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{:08X}", address.to_bits()),
        IpAddr::V6(address) => address
            .segments()
            .map(|group| format!("{group:04x}"))
            .join(":"),
    }
}
