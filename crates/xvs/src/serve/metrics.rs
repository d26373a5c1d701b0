//! The daemon's metrics in Prometheus' text format.

use std::sync::atomic::AtomicU64;

use api::Status;
use model::{ServiceStatus, Stats};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Counters<L> = Family<L, Counter<u64, AtomicU64>>;
type Gauges<L> = Family<L, Gauge<i64>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: String,
    abi: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Interface {
    interface: String,
    hook: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    outcome: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Table {
    table: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Service {
    service: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Destination {
    service: String,
    destination: String,
}

/// The metrics of a director.
pub fn text(status: &Status, services: &[ServiceStatus], transactions: u64) -> String {
    let mut registry = Registry::with_prefix("xvs");
    register_daemon(&mut registry, status, transactions);
    register_tables(&mut registry, status);
    register_packets(&mut registry, status);
    register_services(&mut registry, services);
    register_destinations(&mut registry, services);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}

fn register_daemon(registry: &mut Registry, status: &Status, transactions: u64) {
    let build = Gauges::default();
    let labels = Build {
        version: status.version.clone(),
        abi: status.abi.to_string(),
    };
    build.get_or_create(&labels).set(1);
    registry.register(
        "build_info",
        "Version of the daemon and of its tables",
        build,
    );
    let uptime: Gauge = Gauge::default();
    uptime.set(status.uptime.cast_signed());
    registry.register("uptime_seconds", "For how long the daemon has run", uptime);
    let changes: Counter = Counter::default();
    changes.inc_by(transactions);
    registry.register("transactions", "Changes of the configuration", changes);
    let interfaces = Gauges::default();
    for interface in &status.interfaces {
        let labels = Interface {
            interface: interface.name.clone(),
            hook: interface.hook.clone(),
        };
        interfaces.get_or_create(&labels).set(1);
    }
    registry.register("interface_info", "Where packets are taken", interfaces);
}

fn register_tables(registry: &mut Registry, status: &Status) {
    let (used, size) = (Gauges::default(), Gauges::default());
    let connections = &status.connections;
    let configured = status
        .tables
        .iter()
        .map(|table| (table.name.as_str(), table.used, table.size));
    let v6 = &status.connections_v6;
    let all = [
        ("connections", connections.used, connections.size),
        ("connections_v6", v6.used, v6.size),
    ]
    .into_iter()
    .chain(configured);
    for (name, in_use, room) in all {
        let labels = Table {
            table: name.to_owned(),
        };
        used.get_or_create(&labels).set(in_use.into());
        size.get_or_create(&labels).set(room.into());
    }
    registry.register("table_used", "Entries of a table in use", used);
    registry.register("table_size", "Entries that a table has room for", size);
    let probe: Gauge = Gauge::default();
    probe.set(connections.longest_probe.max(v6.longest_probe).into());
    registry.register(
        "connections_longest_probe",
        "The most slots that a search looks at",
        probe,
    );
}

fn register_packets(registry: &mut Registry, status: &Status) {
    let packets = Counters::default();
    for reason in &status.reasons {
        let labels = Reason {
            outcome: reason.outcome.clone(),
            reason: reason.name.clone(),
        };
        packets.get_or_create(&labels).inc_by(reason.count);
    }
    registry.register("packets", "Packets by what became of them and why", packets);
}

/// The five counters of services or destinations.
fn register_stats<L>(registry: &mut Registry, kind: &str, all: impl Iterator<Item = (L, Stats)>)
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
{
    let families: [Counters<L>; 5] = std::array::from_fn(|_| Counters::default());
    for (labels, stats) in all {
        let values = [
            stats.connections,
            stats.in_packets,
            stats.out_packets,
            stats.in_bytes,
            stats.out_bytes,
        ];
        for (family, value) in families.iter().zip(values) {
            family.get_or_create(&labels).inc_by(value);
        }
    }
    let names = [
        ("connections", "Connections scheduled"),
        ("in_packets", "Packets from clients"),
        ("out_packets", "Packets to clients"),
        ("in_bytes", "Bytes from clients, from the IP header on"),
        ("out_bytes", "Bytes to clients, from the IP header on"),
    ];
    for (family, (name, help)) in families.into_iter().zip(names) {
        registry.register(format!("{kind}_{name}"), help, family);
    }
}

fn register_services(registry: &mut Registry, services: &[ServiceStatus]) {
    let all = services.iter().map(|status| {
        (
            Service {
                service: status.service.key.to_string(),
            },
            status.stats,
        )
    });
    register_stats(registry, "service", all);
}

fn register_destinations(registry: &mut Registry, services: &[ServiceStatus]) {
    let all: Vec<_> = services
        .iter()
        .flat_map(|status| {
            let service = status.service.key.to_string();
            status.destinations.iter().map(move |destination| {
                let labels = Destination {
                    service: service.clone(),
                    destination: destination.destination.key.to_string(),
                };
                (labels, destination)
            })
        })
        .collect();
    let (active, inactive, weight) = (Gauges::default(), Gauges::default(), Gauges::default());
    for (labels, status) in &all {
        active
            .get_or_create(labels)
            .set(status.active_connections.into());
        inactive
            .get_or_create(labels)
            .set(status.inactive_connections.into());
        weight
            .get_or_create(labels)
            .set(status.destination.weight.into());
    }
    registry.register(
        "destination_active_connections",
        "As ActiveConn of ipvsadm",
        active,
    );
    registry.register(
        "destination_inactive_connections",
        "As InActConn of ipvsadm",
        inactive,
    );
    registry.register("destination_weight", "Weight", weight);
    let stats = all
        .into_iter()
        .map(|(labels, status)| (labels, status.stats));
    register_stats(registry, "destination", stats);
}
