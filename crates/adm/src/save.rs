//! Prints the configuration as the commands that restore it.

use std::io::{self, Write};

use model::{
    Destination, Family, Forwarding, Protocol, Service, ServiceKey, ServiceStatus, Tunnel,
    TunnelChecksum, TunnelKind,
};

use crate::address::endpoint_text;
use crate::flags::flags_text;
use crate::list::{shown_mask, transport};
use crate::names::Resolver;

/// Prints the commands for a service and its destinations.
pub(crate) fn service(
    out: &mut dyn Write,
    status: &ServiceStatus,
    numeric: bool,
    names: &dyn Resolver,
) -> io::Result<()> {
    let key = status.service.key;
    let selector = selector(key, numeric, names);
    writeln!(out, "-A {selector} {}", service_options(&status.service))?;
    for status in &status.destinations {
        let destination = &status.destination;
        let (address, port) = (destination.key.address, destination.key.port);
        let server = endpoint_text(address, port, transport(key), numeric, names);
        writeln!(
            out,
            "-a {selector} -r {server} {}",
            destination_options(destination)
        )?;
    }
    Ok(())
}

/// The option that names the service.
fn selector(key: ServiceKey, numeric: bool, names: &dyn Resolver) -> String {
    match key {
        ServiceKey::Mark { mark, family } => {
            let suffix = if family == Family::Ipv6 { " -6" } else { "" };
            format!("-f {}{suffix}", mark.cast_signed())
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
            let end = endpoint_text(address, port, Some(protocol), numeric, names);
            format!("{option} {end}")
        }
    }
}

fn service_options(service: &Service) -> String {
    let mut text = format!("-s {}", service.scheduler);
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
    if !service.scheduler_flags.is_empty() {
        text += &format!(
            " -b {}",
            flags_text(service.scheduler_flags, service.scheduler)
        );
    }
    text
}

/// The thresholds are not among them: `ipvsadm` does not save those.
fn destination_options(destination: &Destination) -> String {
    let method = match destination.forwarding {
        Forwarding::Masq => "-m",
        Forwarding::Tunnel => "-i",
        Forwarding::Local | Forwarding::Route => "-g",
    };
    let mut text = format!("{method} -w {}", destination.weight);
    if destination.forwarding == Forwarding::Tunnel {
        text += &tunnel_options(destination.tunnel);
    }
    text
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
