//! Prints the configuration as the commands that restore it.

use std::io::{self, Write};

use model::{
    ClientAddress, Destination, Family, Forwarding, MaxSegment, Protocol, Service, ServiceKey,
    ServiceStatus, Timeouts, Tunnel, TunnelChecksum, TunnelKind,
};

use crate::address::endpoint_text;
use crate::flags::{common_flags_text, flags_text};
use crate::list::{shown_mask, transport};
use crate::names::{NameTables, Resolver};

/// How commands are written.
#[derive(Clone, Copy)]
pub(crate) struct Style<'a> {
    /// Addresses and ports as numbers.
    pub numeric: bool,
    /// With everything that can be said, not only what `ipvsadm` saves.
    pub complete: bool,
    /// For addresses and ports that are not numbers.
    pub names: &'a dyn Resolver,
}

/// Writes a configuration as commands that `ipvsadm -R` takes, leaving nothing out: other than
/// `ipvsadm -S` with thresholds, timeouts, every scheduler flag, large marks, and in the order that
/// restores the order.
///
/// `services` and their destinations are in the director's order, the newest first.
pub fn save_everything(services: &[ServiceStatus], timeouts: &Timeouts) -> String {
    let names = NameTables::default();
    let style = Style {
        numeric: true,
        complete: true,
        names: &names,
    };
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    let mut text = format!("--set {tcp} {tcp_fin} {udp}\n");
    for status in services.iter().rev() {
        let key = status.service.key;
        let selector = selector(key, style);
        text += &service_command(&selector, &status.service, style);
        text += &local_commands(&selector, status);
        for status in status.destinations.iter().rev() {
            text += &destination_command(&selector, key, &status.destination, style);
        }
    }
    text
}

/// Prints the commands for a service and its destinations.
pub(crate) fn service(
    out: &mut dyn Write,
    status: &ServiceStatus,
    style: Style<'_>,
) -> io::Result<()> {
    let key = status.service.key;
    let selector = selector(key, style);
    out.write_all(service_command(&selector, &status.service, style).as_bytes())?;
    out.write_all(local_commands(&selector, status).as_bytes())?;
    for status in &status.destinations {
        let command = destination_command(&selector, key, &status.destination, style);
        out.write_all(command.as_bytes())?;
    }
    Ok(())
}

/// The option that names the service.
fn selector(key: ServiceKey, style: Style<'_>) -> String {
    match key {
        ServiceKey::Mark { mark, family } => {
            let suffix = if family == Family::Ipv6 { " -6" } else { "" };
            match style.complete {
                true => format!("-f {mark}{suffix}"),
                // What it does not take back, where the mark is large.
                false => format!("-f {}{suffix}", mark.cast_signed()),
            }
        }
        ServiceKey::Address {
            protocol,
            address,
            port,
        } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            let end = endpoint_text(address, port, Some(protocol), style.numeric, style.names);
            format!("{option} {end}")
        }
    }
}

fn service_command(selector: &str, service: &Service, style: Style<'_>) -> String {
    let mut text = format!("-A {selector} -s {}", service.scheduler);
    if let Some(persistence) = service.persistence {
        text += &format!(" -p {}", persistence.timeout);
        if let Some(mask) = shown_mask(persistence.netmask) {
            text += &format!(" -M {mask}");
        }
    }
    if let Some(engine) = service.persistence_engine {
        text += &format!(" --pe {engine}");
    }
    if service.one_packet {
        text += " -o";
    }
    if service.max_segment != MaxSegment::default() {
        text += &format!(" --mss {}", service.max_segment);
    }
    if service.client_address != ClientAddress::default() {
        text += &format!(" --client-address {}", service.client_address);
    }
    let flags = service.scheduler_flags;
    if !flags.is_empty() {
        let names = match style.complete {
            true => common_flags_text(flags),
            false => flags_text(flags, service.scheduler),
        };
        text += &format!(" -b {names}");
    }
    text + "\n"
}

/// The commands for a service's local addresses.
fn local_commands(selector: &str, status: &ServiceStatus) -> String {
    let addresses = status.local_addresses.iter();
    addresses
        .map(|address| format!("--add-laddr {selector} --laddr {address}\n"))
        .collect()
}

fn destination_command(
    selector: &str,
    service: ServiceKey,
    destination: &Destination,
    style: Style<'_>,
) -> String {
    let (address, port) = (destination.key.address, destination.key.port);
    let server = endpoint_text(
        address,
        port,
        transport(service),
        style.numeric,
        style.names,
    );
    let method = match destination.forwarding {
        Forwarding::Masq => "-m",
        Forwarding::Tunnel => "-i",
        Forwarding::Local | Forwarding::Route => "-g",
        Forwarding::FullNat => "--fullnat",
    };
    let mut text = format!(
        "-a {selector} -r {server} {method} -w {}",
        destination.weight
    );
    if destination.forwarding == Forwarding::Tunnel {
        text += &tunnel_options(destination.tunnel);
    }
    if style.complete {
        for (option, value) in [
            ("-x", destination.upper_threshold),
            ("-y", destination.lower_threshold),
        ] {
            if value != 0 {
                text += &format!(" {option} {value}");
            }
        }
    }
    text + "\n"
}

fn tunnel_options(tunnel: Tunnel) -> String {
    let checksum = match tunnel.checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Full => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    };
    let kind = tunnel.kind;
    match kind {
        TunnelKind::Ipip => format!(" --tun-type {kind}"),
        TunnelKind::Gue => format!(" --tun-type {kind} --tun-port {} {checksum}", tunnel.port),
        TunnelKind::Gre => format!(" --tun-type {kind} {checksum}"),
    }
}
