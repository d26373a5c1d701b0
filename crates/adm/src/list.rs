//! Prints services, destinations and settings.

use std::io::{self, Write};

use model::{
    DestinationStatus, DirectorInfo, Family, Forwarding, Netmask, Protocol, Rates, Service,
    ServiceKey, ServiceStatus, Stats, SyncDaemon, Timeouts, Tunnel, TunnelChecksum, TunnelKind,
};

use crate::address::{address_text, cut, endpoint_text};
use crate::flags::flags_text;
use crate::invocation::{Format, View};
use crate::names::Resolver;
use crate::sort::{sort_destinations, sort_services};

/// The widths of the first column: services, and destinations after their arrow.
const SERVICE_WIDTH: usize = 33;
const DESTINATION_WIDTH: usize = 28;

/// Prints the line above the titles of a whole table.
pub(crate) fn header(out: &mut dyn Write, info: DirectorInfo) -> io::Result<()> {
    let (major, minor, patch) = info.version;
    let size = info.connection_table_size;
    writeln!(
        out,
        "IP Virtual Server version {major}.{minor}.{patch} (size={size})"
    )
}

/// Puts services and their destinations into the order asked for.
pub(crate) fn arrange(services: Vec<ServiceStatus>, unsorted: bool) -> Vec<ServiceStatus> {
    if unsorted {
        return services;
    }
    let mut sorted = sort_services(services, |status| status.service.key);
    for status in &mut sorted {
        let destinations = std::mem::take(&mut status.destinations);
        status.destinations = sort_destinations(destinations, |d| d.destination.key);
    }
    sorted
}

/// Prints the titles of the columns.
pub(crate) fn titles(out: &mut dyn Write, view: View) -> io::Result<()> {
    let first = "Prot LocalAddress:Port";
    let second = "  -> RemoteAddress:Port";
    match view {
        View::Plain | View::TunnelInfo => {
            writeln!(out, "{first} Scheduler Flags")?;
            let tunnel = if view == View::TunnelInfo {
                "TunnelInfo    "
            } else {
                ""
            };
            writeln!(
                out,
                "{second}           Forward {tunnel}Weight ActiveConn InActConn"
            )
        }
        View::Stats | View::Rate => {
            let names = match view {
                View::Stats => ["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"],
                _ => ["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"],
            };
            write!(out, "{first:<SERVICE_WIDTH$}")?;
            names
                .iter()
                .try_for_each(|name| write!(out, " {name:>8}"))?;
            writeln!(out, "\n{second}")
        }
        View::Thresholds => writeln!(
            out,
            "{first:<SERVICE_WIDTH$} {:<10} {:<10} {:<10} {:<10}\n{second}",
            "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
        ),
        View::PersistentConn => writeln!(
            out,
            "{first:<SERVICE_WIDTH$} {:<9} {:<11} {:<10} {:<10}\n{second}",
            "Weight", "PersistConn", "ActiveConn", "InActConn"
        ),
    }
}

/// Prints a service and its destinations.
pub(crate) fn service(
    out: &mut dyn Write,
    status: &ServiceStatus,
    format: Format,
    names: &dyn Resolver,
) -> io::Result<()> {
    let key = status.service.key;
    let name = service_name(key, format.numeric, names);
    match format.view {
        View::Stats => {
            write!(out, "{name:<SERVICE_WIDTH$}")?;
            counters(out, stats_columns(status.stats), format.exact)?;
        }
        View::Rate => {
            write!(out, "{name:<SERVICE_WIDTH$}")?;
            counters(out, rates_columns(status.rates), format.exact)?;
        }
        _ => write!(out, "{name} {}", service_settings(&status.service))?,
    }
    writeln!(out)?;
    status
        .destinations
        .iter()
        .try_for_each(|d| destination(out, d, key, format, names))
}

fn service_name(key: ServiceKey, numeric: bool, names: &dyn Resolver) -> String {
    match key {
        ServiceKey::Mark { mark, family } => {
            let suffix = if family == Family::Ipv6 { " IPv6" } else { "" };
            format!("FWM  {}{suffix}", mark.cast_signed())
        }
        ServiceKey::Address {
            protocol,
            address,
            port,
        } => {
            let end = endpoint_text(address, port, Some(protocol), numeric, names);
            let name = format!("{protocol:<4} {end}");
            match address.is_ipv4() {
                true => cut(&name, SERVICE_WIDTH).to_owned(),
                false => name,
            }
        }
    }
}

/// The scheduler and what follows it.
fn service_settings(service: &Service) -> String {
    let mut text = service.scheduler.to_string();
    if !service.scheduler_flags.is_empty() {
        text += &format!(
            " ({})",
            flags_text(service.scheduler_flags, service.scheduler)
        );
    }
    if let Some(persistence) = service.persistence {
        text += &format!(" persistent {}", persistence.timeout);
        if let Some(mask) = shown_mask(persistence.netmask) {
            text += &format!(" mask {mask}");
        }
        if let Some(engine) = service.persistence_engine {
            text += &format!(" pe {engine}");
        }
    }
    if service.one_packet {
        text += " ops";
    }
    text
}

/// The mask, unless it is the usual one.
pub(crate) fn shown_mask(mask: Netmask) -> Option<Netmask> {
    (!mask.is_full()).then_some(mask)
}

fn destination(
    out: &mut dyn Write,
    status: &DestinationStatus,
    service: ServiceKey,
    format: Format,
    names: &dyn Resolver,
) -> io::Result<()> {
    let destination = &status.destination;
    let key = destination.key;
    let name = endpoint_text(
        key.address,
        key.port,
        transport(service),
        format.numeric,
        names,
    );
    let name = match key.address.is_ipv4() {
        true => cut(&name, DESTINATION_WIDTH),
        false => &name,
    };
    write!(out, "  -> {name:<DESTINATION_WIDTH$}")?;
    let (active, inactive) = (status.active_connections, status.inactive_connections);
    let forward = destination.forwarding.as_str();
    let weight = destination.weight;
    match format.view {
        View::Plain => write!(out, " {forward:<7} {weight:<6} {active:<10} {inactive:<10}")?,
        View::TunnelInfo => {
            let tunnel = tunnel_info(destination.forwarding, destination.tunnel);
            write!(
                out,
                " {forward:<7} {tunnel:<13} {weight:<6} {active:<10} {inactive:<10}"
            )?;
        }
        View::Stats => counters(out, stats_columns(status.stats), format.exact)?,
        View::Rate => {
            let [connections, in_packets, out_packets, bytes @ ..] = rates_columns(status.rates);
            write!(out, " {connections:>8} {in_packets:>8} {out_packets:>8}")?;
            counters(out, bytes, format.exact)?;
        }
        View::Thresholds => {
            let (upper, lower) = (destination.upper_threshold, destination.lower_threshold);
            write!(out, " {upper:<10} {lower:<10} {active:<10} {inactive:<10}")?;
        }
        View::PersistentConn => {
            let persistent = status.persistent_connections;
            write!(
                out,
                " {weight:<9} {persistent:<11} {active:<10} {inactive:<10}"
            )?;
        }
    }
    writeln!(out)
}

/// The protocol by which the names of a service's ports are looked up; a mark has none.
pub(crate) fn transport(service: ServiceKey) -> Option<Protocol> {
    match service {
        ServiceKey::Address { protocol, .. } => Some(protocol),
        ServiceKey::Mark { .. } => None,
    }
}

fn tunnel_info(forwarding: Forwarding, tunnel: Tunnel) -> String {
    let checksum = match tunnel.checksum {
        TunnelChecksum::None => "-c",
        TunnelChecksum::Full => "+c",
        TunnelChecksum::Remote => "r+c",
    };
    match (forwarding, tunnel.kind) {
        (Forwarding::Tunnel, TunnelKind::Ipip) => "ipip".to_owned(),
        (Forwarding::Tunnel, TunnelKind::Gue) => format!("gue:{}:{checksum}", tunnel.port),
        (Forwarding::Tunnel, TunnelKind::Gre) => format!("gre:{checksum}"),
        _ => "n/a".to_owned(),
    }
}

/// Counters from left to right.
pub(crate) fn stats_columns(stats: Stats) -> [u64; 5] {
    [
        stats.connections,
        stats.in_packets,
        stats.out_packets,
        stats.in_bytes,
        stats.out_bytes,
    ]
}

/// Rates from left to right.
pub(crate) fn rates_columns(rates: Rates) -> [u64; 5] {
    [
        rates.connections,
        rates.in_packets,
        rates.out_packets,
        rates.in_bytes,
        rates.out_bytes,
    ]
}

/// Prints counters nine columns wide each.
fn counters<const N: usize>(out: &mut dyn Write, values: [u64; N], exact: bool) -> io::Result<()> {
    values
        .into_iter()
        .try_for_each(|value| counter(out, value, exact))
}

/// Prints a counter. Unless it is to be exact, a large one is cut to thousands, millions and so on.
fn counter(out: &mut dyn Write, value: u64, exact: bool) -> io::Result<()> {
    let (divisor, unit) = match value {
        _ if exact => return write!(out, " {value:>8}"),
        0..100_000_000 => return write!(out, "{value:>9}"),
        100_000_000..1_000_000_000 => (1_000, 'K'),
        1_000_000_000..100_000_000_000 => (1_000_000, 'M'),
        100_000_000_000..100_000_000_000_000 => (1_000_000_000, 'G'),
        _ => (1_000_000_000_000, 'T'),
    };
    write!(out, "{:>8}{unit}", value / divisor)
}

/// Prints the timeouts.
pub(crate) fn timeouts(out: &mut dyn Write, timeouts: Timeouts) -> io::Result<()> {
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    writeln!(out, "Timeout (tcp tcpfin udp): {tcp} {tcp_fin} {udp}")
}

/// Prints a sync daemon.
pub(crate) fn daemon(out: &mut dyn Write, daemon: &SyncDaemon) -> io::Result<()> {
    let SyncDaemon {
        role,
        interface,
        sync_id,
        max_length,
        group,
        port,
        ttl,
    } = daemon;
    let group = address_text(*group);
    writeln!(
        out,
        "{role} sync daemon (mcast={interface}, syncid={sync_id}, maxlen={max_length}, \
         group={group}, port={port}, ttl={ttl})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(value: u64, exact: bool) -> String {
        let mut out = Vec::new();
        counter(&mut out, value, exact).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn large_counters_are_cut_to_eight_digits_and_a_unit() {
        for (value, text) in [
            (0, "        0"),
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (282_473_928, "  282473K"),
            (999_999_999, "  999999K"),
            (1_000_000_000, "    1000M"),
            (99_999_999_999, "   99999M"),
            (100_000_000_000, "     100G"),
            (99_999_999_999_999, "   99999G"),
            (100_000_000_000_000, "     100T"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(counted(value, false), text);
        }
    }

    #[test]
    fn exact_counters_keep_a_space_before_them_however_long() {
        assert_eq!(counted(0, true), "        0");
        assert_eq!(counted(282_473_928, true), " 282473928");
        assert_eq!(counted(u64::MAX, true), " 18446744073709551615");
    }
}
