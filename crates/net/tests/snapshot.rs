//! What a snapshot answers, without a socket: made-up networks, and where packets go in them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use net::{
    Effect, Event, Insertion, InterfaceAddress, Leg, Link, LinkKind, Lookup, MacAddress, Neighbour,
    NeighbourState, NextHop, Prefix, RouteEntry, RouteKind, Snapshot, Table, Vlan, VlanPath,
};

const LO: u32 = 1;
const OUTSIDE: u32 = 2;
const INSIDE: u32 = 3;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn mac(text: &str) -> MacAddress {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix::new(ip(address), length.parse().unwrap())
}

fn link(ifindex: u32, name: &str) -> Link {
    Link {
        ifindex,
        name: name.to_owned(),
        kind: LinkKind::Physical,
        ethernet: true,
        mac: Some(MacAddress::new([2, 0, 0, 0, 0, ifindex as u8])),
        mtu: 1500,
        admin_up: true,
        carrier: true,
        no_arp: false,
        master: None,
        lower: None,
        peer_netns: None,
        xdp: Some(false),
        parent_device: None,
    }
}

fn loopback() -> Link {
    Link {
        kind: LinkKind::Loopback,
        ethernet: false,
        mac: None,
        mtu: 65536,
        ..link(LO, "lo")
    }
}

fn route(to: &str, ifindex: u32, gateway: Option<&str>) -> RouteEntry {
    RouteEntry {
        table: Table::Main,
        prefix: prefix(to),
        kind: RouteKind::Unicast,
        metric: 0,
        tos: 0,
        from: None,
        preferred_source: None,
        mtu: None,
        legs: vec![leg(ifindex, gateway)],
    }
}

fn leg(ifindex: u32, gateway: Option<&str>) -> Leg {
    Leg {
        ifindex,
        gateway: gateway.map(ip),
        dead: false,
        encapsulated: false,
    }
}

fn local(address: &str, ifindex: u32) -> RouteEntry {
    RouteEntry {
        table: Table::Local,
        kind: RouteKind::Local,
        ..route(&format!("{address}/32"), ifindex, None)
    }
}

fn held(address: &str, subnet: &str, ifindex: u32) -> InterfaceAddress {
    InterfaceAddress {
        ifindex,
        address: ip(address),
        subnet: prefix(subnet),
        scope: 0,
        secondary: false,
        unusable: false,
    }
}

fn neighbour(address: &str, ifindex: u32, state: NeighbourState) -> Neighbour {
    Neighbour {
        ifindex,
        address: ip(address),
        mac: Some(mac("02:00:00:00:ff:01")),
        state,
    }
}

/// A director with a network outside (192.0.2.0/24, the default route's) and one inside
/// (10.0.0.0/24).
fn director() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for link in [loopback(), link(OUTSIDE, "outside"), link(INSIDE, "inside")] {
        snapshot.apply(Event::Link(link));
    }
    for address in [
        held("192.0.2.1", "192.0.2.0/24", OUTSIDE),
        held("10.0.0.1", "10.0.0.0/24", INSIDE),
    ] {
        snapshot.apply(Event::Address(address));
    }
    for route in [
        local("192.0.2.1", OUTSIDE),
        local("10.0.0.1", INSIDE),
        route("192.0.2.0/24", OUTSIDE, None),
        route("10.0.0.0/24", INSIDE, None),
        route("0.0.0.0/0", OUTSIDE, Some("192.0.2.254")),
    ] {
        add(&mut snapshot, route);
    }
    snapshot
}

fn add(snapshot: &mut Snapshot, route: RouteEntry) -> Effect {
    snapshot.apply(Event::Route(route, Insertion::Front))
}

/// The interface and gateway that packets for an address take.
fn way(snapshot: &Snapshot, to: &str) -> Option<(u32, Option<IpAddr>)> {
    match snapshot.route(ip(to)) {
        Lookup::Unicast(route) => Some((route.ifindex, route.gateway)),
        _ => None,
    }
}

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
fn an_address_that_is_taken_away_is_no_longer_local_once_its_route_is_gone() {
    let mut snapshot = director();
    let effect = snapshot.apply(Event::AddressGone(held(
        "192.0.2.1",
        "192.0.2.0/24",
        OUTSIDE,
    )));
    assert!(effect.routing && effect.routes_in_doubt);
    snapshot.apply(Event::RouteGone(local("192.0.2.1", OUTSIDE)));
    assert!(!snapshot.is_local(ip("192.0.2.1")));
}

#[test]
fn a_neighbour_on_the_link_is_sent_to_directly() {
    let mut snapshot = director();
    assert_eq!(
        snapshot.next_hop(ip("10.0.0.2")),
        NextHop::Unresolved {
            ifindex: INSIDE,
            address: ip("10.0.0.2")
        }
    );
    snapshot.apply(Event::Neighbour(neighbour(
        "10.0.0.2",
        INSIDE,
        NeighbourState::Reachable,
    )));
    assert_eq!(
        snapshot.next_hop(ip("10.0.0.2")),
        NextHop::Resolved {
            ifindex: INSIDE,
            source: mac("02:00:00:00:00:03"),
            destination: mac("02:00:00:00:ff:01"),
            vlan: None,
            mtu: 1500,
        }
    );
}

#[test]
fn behind_a_gateway_it_is_the_gateway_that_counts() {
    let mut snapshot = director();
    snapshot.apply(Event::Neighbour(neighbour(
        "203.0.113.7",
        OUTSIDE,
        NeighbourState::Reachable,
    )));
    assert_eq!(
        snapshot.next_hop(ip("203.0.113.7")),
        NextHop::Unresolved {
            ifindex: OUTSIDE,
            address: ip("192.0.2.254")
        }
    );
    snapshot.apply(Event::Neighbour(neighbour(
        "192.0.2.254",
        OUTSIDE,
        NeighbourState::Stale,
    )));
    assert!(matches!(
        snapshot.next_hop(ip("203.0.113.7")),
        NextHop::Resolved {
            ifindex: OUTSIDE,
            ..
        }
    ));
}

#[test]
fn every_state_in_which_the_kernel_would_send_is_resolved() {
    use NeighbourState::{Delay, Failed, Incomplete, None, Permanent, Probe, Reachable, Stale};
    let mut snapshot = director();
    for state in [Reachable, Stale, Delay, Probe, Permanent] {
        snapshot.apply(Event::Neighbour(neighbour("10.0.0.2", INSIDE, state)));
        let next_hop = snapshot.next_hop(ip("10.0.0.2"));
        assert!(matches!(next_hop, NextHop::Resolved { .. }), "{state:?}");
    }
    for state in [None, Incomplete] {
        snapshot.apply(Event::Neighbour(neighbour("10.0.0.2", INSIDE, state)));
        let next_hop = snapshot.next_hop(ip("10.0.0.2"));
        assert!(matches!(next_hop, NextHop::Unresolved { .. }), "{state:?}");
    }
    snapshot.apply(Event::Neighbour(neighbour("10.0.0.2", INSIDE, Failed)));
    assert_eq!(
        snapshot.next_hop(ip("10.0.0.2")),
        NextHop::Failed {
            ifindex: INSIDE,
            address: ip("10.0.0.2")
        }
    );
}

#[test]
fn a_neighbour_that_grows_old_changes_nothing_and_a_new_ethernet_address_does() {
    let mut snapshot = director();
    let reachable = neighbour("10.0.0.2", INSIDE, NeighbourState::Reachable);
    let neighbours_changed = Effect {
        neighbours: true,
        ..Effect::default()
    };
    assert_eq!(
        snapshot.apply(Event::Neighbour(reachable)),
        neighbours_changed
    );
    let stale = Neighbour {
        state: NeighbourState::Stale,
        ..reachable
    };
    assert!(snapshot.apply(Event::Neighbour(stale)).is_none());
    let moved = Neighbour {
        mac: Some(mac("02:00:00:00:ff:02")),
        ..stale
    };
    assert_eq!(snapshot.apply(Event::Neighbour(moved)), neighbours_changed);
    let gone = Event::NeighbourGone {
        ifindex: INSIDE,
        address: ip("10.0.0.2"),
    };
    assert_eq!(snapshot.apply(gone), neighbours_changed);
    assert!(matches!(
        snapshot.next_hop(ip("10.0.0.2")),
        NextHop::Unresolved { .. }
    ));
}

#[test]
fn a_link_that_is_down_or_without_carrier_leads_nowhere() {
    let mut snapshot = director();
    snapshot.apply(Event::Neighbour(neighbour(
        "10.0.0.2",
        INSIDE,
        NeighbourState::Reachable,
    )));
    let down = NextHop::LinkDown { ifindex: INSIDE };
    let unplugged = Link {
        carrier: false,
        ..link(INSIDE, "inside")
    };
    assert!(!snapshot.apply(Event::Link(unplugged)).routes_in_doubt);
    assert_eq!(snapshot.next_hop(ip("10.0.0.2")), down);
    snapshot.apply(Event::Link(link(INSIDE, "inside")));
    assert_ne!(snapshot.next_hop(ip("10.0.0.2")), down);
    let switched_off = Link {
        admin_up: false,
        carrier: false,
        ..link(INSIDE, "inside")
    };
    assert!(snapshot.apply(Event::Link(switched_off)).routes_in_doubt);
    assert_eq!(snapshot.next_hop(ip("10.0.0.2")), down);
}

#[test]
fn an_interface_that_is_gone_takes_its_addresses_routes_and_neighbours_along() {
    let mut snapshot = director();
    snapshot.apply(Event::Neighbour(neighbour(
        "10.0.0.2",
        INSIDE,
        NeighbourState::Reachable,
    )));
    let effect = snapshot.apply(Event::LinkGone(INSIDE));
    assert!(effect.routing && effect.neighbours && effect.routes_in_doubt);
    assert_eq!(
        way(&snapshot, "10.0.0.2"),
        Some((OUTSIDE, Some(ip("192.0.2.254"))))
    );
    assert!(
        snapshot
            .addresses()
            .all(|address| address.ifindex != INSIDE)
    );
    assert_eq!(snapshot.neighbours().count(), 0);
    assert!(snapshot.apply(Event::LinkGone(INSIDE)).is_none());
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
fn a_vlan_interface_is_sent_through_as_it_is_and_names_its_tag_and_what_lies_below() {
    let mut snapshot = director();
    let tag = Vlan {
        id: 42,
        protocol: 0x8100,
    };
    let vlan = Link {
        kind: LinkKind::Vlan(tag),
        lower: Some(INSIDE),
        ..link(9, "inside.42")
    };
    snapshot.apply(Event::Link(vlan.clone()));
    add(&mut snapshot, route("10.42.0.0/24", 9, None));
    snapshot.apply(Event::Neighbour(neighbour(
        "10.42.0.2",
        9,
        NeighbourState::Reachable,
    )));
    let path = |snapshot: &Snapshot| match snapshot.next_hop(ip("10.42.0.2")) {
        NextHop::Resolved {
            ifindex: 9, vlan, ..
        } => vlan,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        path(&snapshot),
        Some(VlanPath {
            vlan: tag,
            lower: Some(INSIDE)
        })
    );
    // The number below counts in another namespace: it means nothing here.
    snapshot.apply(Event::Link(Link {
        peer_netns: Some(0),
        ..vlan
    }));
    assert_eq!(
        path(&snapshot),
        Some(VlanPath {
            vlan: tag,
            lower: None
        })
    );
}

#[test]
fn a_tunnel_has_no_ethernet_header_to_fill_in() {
    let mut snapshot = director();
    let tunnel = Link {
        kind: LinkKind::Other("ipip".to_owned()),
        ethernet: false,
        mac: None,
        mtu: 1480,
        no_arp: true,
        ..link(7, "tunl1")
    };
    snapshot.apply(Event::Link(tunnel));
    add(&mut snapshot, route("172.16.0.0/12", 7, None));
    assert_eq!(
        snapshot.next_hop(ip("172.16.0.1")),
        NextHop::NoLinkLayer {
            ifindex: 7,
            mtu: 1480
        }
    );
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
        add(&mut snapshot, joining).routes_in_doubt,
        "it may have become a leg"
    );
}

#[test]
fn an_event_that_is_known_already_changes_nothing() {
    let mut snapshot = director();
    let before = snapshot.clone();
    assert!(
        snapshot
            .apply(Event::Link(link(INSIDE, "inside")))
            .is_none()
    );
    assert!(add(&mut snapshot, route("10.0.0.0/24", INSIDE, None)).is_none());
    let known = held("10.0.0.1", "10.0.0.0/24", INSIDE);
    assert!(snapshot.apply(Event::Address(known)).is_none());
    assert_eq!(snapshot, before);
}

#[test]
fn routes_read_anew_replace_all_others() {
    let mut snapshot = director();
    let all: Vec<RouteEntry> = snapshot.routes().cloned().collect();
    assert!(snapshot.apply(Event::Routes(all)).is_none());
    let effect = snapshot.apply(Event::Routes(vec![route("10.0.0.0/24", INSIDE, None)]));
    assert!(effect.routing);
    assert_eq!(snapshot.routes().count(), 1);
    assert_eq!(snapshot.next_hop(ip("203.0.113.7")), NextHop::NoRoute);
}
