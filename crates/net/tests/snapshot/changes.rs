//! What a change does, and what it means.

use net::{Effect, Event, Neighbour, NeighbourState, NextHop, RouteEntry};

use crate::network::{
    INSIDE, OUTSIDE, add, director, held, ip, link, local, mac, neighbour, route, way,
};

#[test]
fn an_address_that_is_taken_away_is_no_longer_local_once_its_route_is_gone() {
    let mut snapshot = director();
    let effect = snapshot.apply(Event::AddressGone(held(
        "192.0.2.1",
        "192.0.2.0/24",
        OUTSIDE,
    )));
    assert!(effect.routing && effect.in_doubt);
    snapshot.apply(Event::RouteGone(local("192.0.2.1", OUTSIDE)));
    assert!(!snapshot.is_local(ip("192.0.2.1")));
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
fn an_interface_that_is_gone_takes_its_addresses_routes_and_neighbours_along() {
    let mut snapshot = director();
    snapshot.apply(Event::Neighbour(neighbour(
        "10.0.0.2",
        INSIDE,
        NeighbourState::Reachable,
    )));
    let effect = snapshot.apply(Event::LinkGone(INSIDE));
    assert!(effect.routing && effect.neighbours && effect.in_doubt);
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
