//! Which route a packet takes.

use std::net::IpAddr;

use net::{
    Effect, Event, Insertion, Leg, Link, Lookup, NeighbourState, NextHop, RouteEntry, RouteKind,
    Snapshot, Table,
};

use crate::network::{
    INSIDE, LO, OUTSIDE, add, director, ip, leg, link, local, neighbour, route, way,
};

#[test]
fn the_longest_prefix_wins_whatever_its_metric() {
    let mut snapshot = director();
    let narrow = RouteEntry {
        metric: 900,
        ..route("203.0.113.0/25", INSIDE, Some("10.0.0.9"))
    };
    add(
        &mut snapshot,
        route("203.0.113.0/24", OUTSIDE, Some("192.0.2.9")),
    );
    add(&mut snapshot, narrow);
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((INSIDE, Some(ip("10.0.0.9"))))
    );
    assert_eq!(
        way(&snapshot, "203.0.113.200"),
        Some((OUTSIDE, Some(ip("192.0.2.9"))))
    );
    assert_eq!(
        way(&snapshot, "198.51.100.1"),
        Some((OUTSIDE, Some(ip("192.0.2.254"))))
    );
}

#[test]
fn of_one_prefix_the_lowest_metric_wins_and_the_next_follows_when_it_goes() {
    let mut snapshot = director();
    let best = RouteEntry {
        metric: 10,
        ..route("203.0.113.0/24", INSIDE, Some("10.0.0.9"))
    };
    add(&mut snapshot, best.clone());
    let second = RouteEntry {
        metric: 20,
        ..route("203.0.113.0/24", OUTSIDE, Some("192.0.2.9"))
    };
    add(&mut snapshot, second);
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((INSIDE, Some(ip("10.0.0.9"))))
    );
    assert_eq!(
        snapshot.apply(Event::RouteGone(best)),
        Effect {
            routing: true,
            ..Effect::default()
        }
    );
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((OUTSIDE, Some(ip("192.0.2.9"))))
    );
}

#[test]
fn a_replaced_route_is_gone_and_an_appended_one_stands_behind() {
    let mut snapshot = director();
    let to = "203.0.113.0/24";
    add(&mut snapshot, route(to, OUTSIDE, Some("192.0.2.9")));
    let other = route(to, INSIDE, Some("10.0.0.9"));
    snapshot.apply(Event::Route(other.clone(), Insertion::Back));
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((OUTSIDE, Some(ip("192.0.2.9"))))
    );
    snapshot.apply(Event::Route(
        route(to, OUTSIDE, Some("192.0.2.8")),
        Insertion::Replace,
    ));
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((OUTSIDE, Some(ip("192.0.2.8"))))
    );
    snapshot.apply(Event::RouteGone(route(to, OUTSIDE, Some("192.0.2.8"))));
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((INSIDE, Some(ip("10.0.0.9"))))
    );
}

#[test]
fn without_a_route_there_is_no_next_hop() {
    let mut snapshot = director();
    snapshot.apply(Event::RouteGone(route(
        "0.0.0.0/0",
        OUTSIDE,
        Some("192.0.2.254"),
    )));
    assert_eq!(snapshot.next_hop(ip("203.0.113.7")), NextHop::NoRoute);
    assert_eq!(snapshot.next_hop(ip("2001:db8::1")), NextHop::NoRoute);
}

#[test]
fn a_route_that_rejects_hides_shorter_ones() {
    let mut snapshot = director();
    let hole = RouteEntry {
        kind: RouteKind::Blackhole,
        legs: Vec::new(),
        ..route("203.0.113.0/24", OUTSIDE, None)
    };
    add(&mut snapshot, hole);
    assert_eq!(
        snapshot.route(ip("203.0.113.7")),
        Lookup::Rejected(RouteKind::Blackhole)
    );
    assert_eq!(snapshot.next_hop(ip("203.0.113.7")), NextHop::NoRoute);
}

#[test]
fn an_address_of_an_interface_is_local_and_so_is_all_that_a_local_route_covers() {
    let mut snapshot = director();
    let block = RouteEntry {
        table: Table::Local,
        kind: RouteKind::Local,
        ..route("198.51.100.0/24", LO, None)
    };
    add(&mut snapshot, block);
    for address in ["192.0.2.1", "198.51.100.1", "198.51.100.77"] {
        assert!(snapshot.is_local(ip(address)), "{address}");
        assert_eq!(snapshot.next_hop(ip(address)), NextHop::Local, "{address}");
    }
    assert!(!snapshot.is_local(ip("192.0.2.2")));
}

#[test]
fn of_a_multipath_route_the_first_leg_whose_interface_is_up_is_taken() {
    let mut snapshot = director();
    let to_both = RouteEntry {
        legs: vec![
            leg(INSIDE, Some("10.0.0.9")),
            leg(OUTSIDE, Some("192.0.2.9")),
        ],
        ..route("203.0.113.0/24", INSIDE, None)
    };
    add(&mut snapshot, to_both);
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((INSIDE, Some(ip("10.0.0.9"))))
    );
    snapshot.apply(Event::Link(Link {
        carrier: false,
        ..link(INSIDE, "inside")
    }));
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((OUTSIDE, Some(ip("192.0.2.9"))))
    );
    snapshot.apply(Event::Link(Link {
        carrier: false,
        ..link(OUTSIDE, "outside")
    }));
    assert_eq!(
        snapshot.next_hop(ip("203.0.113.7")),
        NextHop::LinkDown { ifindex: INSIDE }
    );
}

#[test]
fn a_route_whose_legs_are_all_dead_is_passed_over() {
    let mut snapshot = director();
    let dead = RouteEntry {
        legs: vec![Leg {
            dead: true,
            ..leg(INSIDE, Some("10.0.0.9"))
        }],
        ..route("203.0.113.0/24", INSIDE, None)
    };
    add(&mut snapshot, dead);
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((OUTSIDE, Some(ip("192.0.2.254"))))
    );
}

#[test]
fn routes_for_a_type_of_service_and_tunnels_are_not_for_plain_packets() {
    let mut snapshot = director();
    add(
        &mut snapshot,
        RouteEntry {
            tos: 16,
            ..route("203.0.113.0/24", INSIDE, Some("10.0.0.9"))
        },
    );
    assert_eq!(
        way(&snapshot, "203.0.113.7"),
        Some((OUTSIDE, Some(ip("192.0.2.254"))))
    );
    let tunnelled = RouteEntry {
        legs: vec![Leg {
            encapsulated: true,
            ..leg(INSIDE, Some("10.0.0.9"))
        }],
        ..route("203.0.113.0/24", INSIDE, None)
    };
    add(&mut snapshot, tunnelled);
    assert_eq!(snapshot.next_hop(ip("203.0.113.7")), NextHop::NoRoute);
}

#[test]
fn the_mtu_is_the_routes_own_where_that_is_smaller_than_the_interfaces() {
    let mut snapshot = director();
    let mtu = |snapshot: &Snapshot, to: &str| match snapshot.route(ip(to)) {
        Lookup::Unicast(route) => route.mtu,
        other => panic!("{other:?}"),
    };
    add(
        &mut snapshot,
        RouteEntry {
            mtu: Some(1400),
            ..route("10.1.0.0/16", INSIDE, None)
        },
    );
    add(
        &mut snapshot,
        RouteEntry {
            mtu: Some(9000),
            ..route("10.2.0.0/16", INSIDE, None)
        },
    );
    assert_eq!(mtu(&snapshot, "10.1.0.1"), 1400);
    assert_eq!(mtu(&snapshot, "10.2.0.1"), 1500);
    assert_eq!(mtu(&snapshot, "10.0.0.2"), 1500);
}

#[test]
fn the_interfaces_towards_addresses_are_those_that_hold_or_reach_them() {
    let mut snapshot = director();
    let towards = |snapshot: &Snapshot, addresses: &[&str]| {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| ip(address)).collect();
        snapshot.interfaces_towards(&addresses)
    };
    assert_eq!(
        towards(&snapshot, &["192.0.2.1", "10.0.0.2", "10.0.0.3"]),
        [OUTSIDE, INSIDE]
    );
    assert_eq!(towards(&snapshot, &["10.0.0.2"]), [INSIDE]);
    assert_eq!(
        towards(&snapshot, &["192.0.2.50"]),
        [OUTSIDE],
        "not held yet, but on its link"
    );
    assert!(towards(&snapshot, &[]).is_empty());
    // An address on the loopback interface is reached through where the rest of the world is.
    add(&mut snapshot, local("198.51.100.1", LO));
    assert_eq!(towards(&snapshot, &["198.51.100.1"]), [OUTSIDE]);
}

#[test]
fn ipv6_routes_and_neighbours_are_looked_up_as_ipv4_ones() {
    let mut snapshot = director();
    add(
        &mut snapshot,
        route("2001:db8:1::/48", INSIDE, Some("fe80::1")),
    );
    add(&mut snapshot, route("::/0", OUTSIDE, Some("fe80::2")));
    assert_eq!(
        way(&snapshot, "2001:db8:1::7"),
        Some((INSIDE, Some(ip("fe80::1"))))
    );
    assert_eq!(
        way(&snapshot, "2001:db8:2::7"),
        Some((OUTSIDE, Some(ip("fe80::2"))))
    );
    snapshot.apply(Event::Neighbour(neighbour(
        "fe80::1",
        INSIDE,
        NeighbourState::Stale,
    )));
    assert!(matches!(
        snapshot.next_hop(ip("2001:db8:1::7")),
        NextHop::Resolved { .. }
    ));
    let joining = route("2001:db8:1::/48", OUTSIDE, Some("fe80::9"));
    assert!(
        add(&mut snapshot, joining).in_doubt,
        "it may have become a leg"
    );
}
