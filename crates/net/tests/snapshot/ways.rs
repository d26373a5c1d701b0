//! The map of all ways.

use std::net::IpAddr;

use net::{
    Event, Link, LinkKind, NeighbourState, NextHop, Prefix, RouteEntry, RouteKind, Table, Way,
};

use crate::network::{INSIDE, LO, OUTSIDE, add, director, ip, link, neighbour, route};

/// What a lookup by longest prefix in the map of all ways finds, in the words of `next_hop`.
fn by_the_map(ways: &std::collections::BTreeMap<Prefix, Way>, address: IpAddr) -> NextHop {
    let found = ways.iter().filter(|(prefix, _)| prefix.contains(address));
    match found.max_by_key(|(prefix, _)| prefix.length()) {
        None => NextHop::NoRoute,
        Some((_, Way::Via(next_hop))) => *next_hop,
        Some((_, Way::OnLink { ifindex, .. })) => NextHop::Unresolved {
            ifindex: *ifindex,
            address,
        },
    }
}

#[test]
fn a_lookup_in_the_map_of_all_ways_finds_what_next_hop_answers() {
    use NeighbourState::{Failed, Reachable};
    let mut snapshot = director();
    let tunnel = Link {
        ethernet: false,
        mac: None,
        no_arp: true,
        ..link(7, "tunl1")
    };
    let sink = Link {
        kind: LinkKind::Dummy,
        no_arp: true,
        ..link(8, "dummy0")
    };
    let down = Link {
        carrier: false,
        ..link(9, "down")
    };
    for link in [tunnel, sink, down] {
        snapshot.apply(Event::Link(link));
    }
    let of_kind = |table, kind, to| RouteEntry {
        table,
        kind,
        ..route(to, LO, None)
    };
    for route in [
        route("10.1.0.0/16", INSIDE, Some("10.0.0.9")),
        route("10.1.2.0/24", OUTSIDE, Some("192.0.2.9")),
        route("10.1.3.3/32", INSIDE, None),
        route("10.2.0.0/16", 7, None),
        route("10.3.0.0/16", 8, None),
        route("10.4.0.0/16", 9, None),
        route("10.5.0.0/24", INSIDE, None),
        RouteEntry {
            metric: 5,
            ..route("10.5.0.0/24", OUTSIDE, None)
        },
        RouteEntry {
            tos: 8,
            ..route("10.6.0.0/16", INSIDE, None)
        },
        of_kind(Table::Main, RouteKind::Blackhole, "10.1.4.0/24"),
        of_kind(Table::Main, RouteKind::Throw, "10.1.5.0/24"),
        of_kind(Table::Local, RouteKind::Local, "10.7.0.0/16"),
        route("10.7.1.0/24", INSIDE, None),
        of_kind(Table::Local, RouteKind::Broadcast, "10.0.0.255/32"),
        of_kind(Table::Local, RouteKind::Throw, "10.7.2.0/24"),
        route("10.7.2.128/25", INSIDE, None),
    ] {
        add(&mut snapshot, route);
    }
    for (address, ifindex, state) in [
        ("10.0.0.2", INSIDE, Reachable),
        ("10.0.0.3", INSIDE, Failed),
        ("10.0.0.9", INSIDE, Reachable),
        ("10.0.0.1", INSIDE, Reachable),
        ("10.1.3.3", INSIDE, Reachable),
        ("10.1.9.9", INSIDE, Reachable),
        ("10.5.0.2", OUTSIDE, Reachable),
        ("10.4.0.2", 9, Reachable),
        ("192.0.2.254", OUTSIDE, Failed),
    ] {
        snapshot.apply(Event::Neighbour(neighbour(address, ifindex, state)));
    }
    let ways = snapshot.ways();
    let in_detail = (0..8_u32).flat_map(|second| {
        (0..=0xffff_u32)
            .step_by(if second < 2 || second == 7 { 1 } else { 97 })
            .map(move |rest| {
                IpAddr::from(std::net::Ipv4Addr::from_bits(
                    10 << 24 | second << 16 | rest,
                ))
            })
    });
    for address in in_detail.chain(["192.0.2.254", "192.0.2.1", "8.8.8.8", "::1"].map(ip)) {
        assert_eq!(
            by_the_map(&ways, address),
            snapshot.next_hop(address),
            "{address}"
        );
    }
}
