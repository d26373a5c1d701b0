//! The state of a director as facts, from xvs's own listings. [`crate::oracle`] makes the same of the kernel's.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use control::{Director, Plane, connections};
use model::{ServiceStatus, Stats};

use crate::facts::Fact;

/// Services, destinations and connections.
pub fn state<P: Plane>(director: &Director<P>) -> Vec<Fact> {
    let services = director.services();
    let mut facts: Vec<Fact> = services.iter().flat_map(service).collect();
    facts.extend(connections_of(director.plane()));
    facts.sort_unstable();
    facts
}

fn service(status: &ServiceStatus) -> Vec<Fact> {
    let key = status.service.key;
    let destinations = status.destinations.iter().map(|status| {
        let destination = status.destination;
        let (active, inactive) = (status.active_connections, status.inactive_connections);
        let (to, weight) = (destination.key, destination.weight);
        let forwarding = destination.forwarding;
        Fact::new(format!(
            "{key} -> {to} {forwarding} {weight} {active} {inactive}"
        ))
    });
    let scheduler = status.service.scheduler;
    std::iter::once(Fact::new(format!("{key} {scheduler}")))
        .chain(destinations)
        .collect()
}

fn connections_of(plane: &impl Plane) -> Vec<Fact> {
    let all = connections::list(plane, 0, connections::buckets(plane)).unwrap_or_default();
    let fact = |entry: &model::ConnectionEntry| Fact {
        text: format!(
            "{} {} {} {} {}",
            entry.protocol, entry.client, entry.virtual_address, entry.destination, entry.state
        ),
        seconds: Some(entry.expires),
    };
    all.iter().map(fact).collect()
}

/// What was counted, as events: lines, sorted.
pub fn counted<P: Plane>(director: &Director<P>) -> Vec<String> {
    let mut lines = Vec::new();
    for status in director.services() {
        let key = status.service.key;
        lines.push(stats(&key.to_string(), &status.stats));
        for status in &status.destinations {
            let name = format!("{key} -> {}", status.destination.key);
            lines.push(stats(&name, &status.stats));
            let templates = status.persistent_connections;
            lines.push(format!("{name} templates {templates}"));
        }
    }
    lines.sort_unstable();
    lines
}

fn stats(name: &str, stats: &Stats) -> String {
    format!(
        "{name} counted {} {} {} {} {}",
        stats.connections, stats.in_packets, stats.out_packets, stats.in_bytes, stats.out_bytes
    )
}

/// The real server and its port that a client's connection to a virtual address goes to.
pub fn server_of(
    plane: &impl Plane,
    client: SocketAddrV4,
    to: SocketAddrV4,
) -> Option<(Ipv4Addr, u16)> {
    let all = connections::list(plane, 0, connections::buckets(plane))?;
    let found = all
        .iter()
        .find(|entry| entry.client == client.into() && entry.virtual_address == to.into())?;
    match found.destination.ip() {
        IpAddr::V4(address) => Some((address, found.destination.port())),
        IpAddr::V6(_) => None,
    }
}
