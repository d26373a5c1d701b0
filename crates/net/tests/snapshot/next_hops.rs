//! Which frame carries a packet along its route.

use net::{Event, Link, LinkKind, NeighbourState, NextHop, Snapshot, Vlan, VlanPath};

use crate::network::{INSIDE, OUTSIDE, add, director, ip, link, mac, neighbour, route};

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
    assert!(!snapshot.apply(Event::Link(unplugged)).in_doubt);
    assert_eq!(snapshot.next_hop(ip("10.0.0.2")), down);
    snapshot.apply(Event::Link(link(INSIDE, "inside")));
    assert_ne!(snapshot.next_hop(ip("10.0.0.2")), down);
    let switched_off = Link {
        admin_up: false,
        carrier: false,
        ..link(INSIDE, "inside")
    };
    assert!(snapshot.apply(Event::Link(switched_off)).in_doubt);
    assert_eq!(snapshot.next_hop(ip("10.0.0.2")), down);
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
