//! What packets see of the network.

use std::net::IpAddr;

use abi::{NeighbourKey, NextHopCell, RouteValue, hop_state};
use control::{Director, Plane};
use plane_user::Memory;

use crate::common::{
    Do, IFINDEX, Lan, add, add_service, director, network_order, remove_service, sizes,
};

const WEB: &str = "TCP 10.0.0.1:80";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn serving(lan: &Lan) -> Director<Memory> {
    let mut director = director();
    let commands = [
        add_service(WEB, "rr"),
        add(WEB, "192.168.0.1:80", 1),
        add(WEB, "192.168.0.2:80", 1),
    ];
    assert!(director.apply(&commands, lan).iter().all(Result::is_ok));
    director
}

/// The next hop of the destination with this last byte.
fn hop(director: &Director<Memory>, last: u8) -> (u32, &NextHopCell) {
    let view = director.plane().view();
    let cell = view
        .destinations
        .iter()
        .find(|cell| cell.address.load() == network_order(&format!("192.168.0.{last}")))
        .unwrap();
    let index = cell.next_hop.load();
    (index, &view.next_hops[index as usize])
}

#[test]
fn a_destination_is_published_with_the_way_to_it() {
    let director = serving(&Lan::default());
    let (_, cell) = hop(&director, 1);
    assert_eq!(
        (cell.state.load(), cell.ifindex.load(), cell.mtu.load()),
        (hop_state::RESOLVED, IFINDEX, 1500)
    );
    let bytes: Vec<u8> = cell
        .macs
        .iter()
        .flat_map(|word| word.load().to_ne_bytes())
        .collect();
    assert_eq!(bytes, [2, 0, 192, 168, 0, 1, 2, 0, 0, 0, 0, 1]);
}

#[test]
fn a_neighbour_with_another_mac_gets_another_next_hop_and_the_old_is_not_touched_before() {
    let mut lan = Lan::default();
    let mut director = serving(&lan);
    let (before, _) = hop(&director, 1);
    let (other, _) = hop(&director, 2);
    lan.moved.insert(ip("192.168.0.1"));
    director.follow(&lan).unwrap();
    let (after, cell) = hop(&director, 1);
    assert_ne!(after, before);
    assert_eq!(cell.macs[0].load().to_ne_bytes()[0], 6);
    assert_eq!(hop(&director, 2).0, other);
    let old = &director.plane().view().next_hops[before as usize];
    assert_eq!(old.state.load(), hop_state::EMPTY);
}

#[test]
fn a_neighbour_that_does_not_answer_is_told_to_packets() {
    let mut lan = Lan::default();
    let mut director = serving(&lan);
    lan.failed.insert(ip("192.168.0.2"));
    director.follow(&lan).unwrap();
    assert_eq!(hop(&director, 2).1.state.load(), hop_state::FAILED);
    assert_eq!(hop(&director, 1).1.state.load(), hop_state::RESOLVED);
}

#[test]
fn next_hops_that_change_for_ever_do_not_use_up_the_table() {
    let mut lan = Lan::default();
    let mut director = serving(&lan);
    for round in 0..3 * sizes().next_hops {
        if round % 2 == 0 {
            lan.moved.insert(ip("192.168.0.1"));
        } else {
            lan.moved.clear();
        }
        director.follow(&lan).unwrap();
    }
    assert_eq!(director.hops().usage().0, 2);
}

#[test]
fn the_next_hop_of_a_forgotten_destination_is_free_again() {
    let mut director = serving(&Lan::default());
    director.must(remove_service(WEB));
    director.sweep_all();
    director.sweep_all();
    assert_eq!(director.hops().usage().0, 0);
}

#[test]
fn routes_and_neighbours_of_clients_follow_the_network() {
    let mut lan = Lan::default();
    let mut director = serving(&lan);
    let generation =
        |director: &Director<Memory>| director.plane().view().globals.routing_generation.load();
    lan.routes
        .insert((ip("0.0.0.0"), 0), (IFINDEX, Some(ip("10.0.0.254"))));
    lan.routes.insert((ip("10.0.0.0"), 24), (IFINDEX, None));
    lan.neighbours.insert(ip("10.0.0.254"));
    let before = generation(&director);
    director.follow(&lan).unwrap();
    assert_ne!(generation(&director), before);
    let memory = director.plane();
    let gateway = network_order("10.0.0.254");
    assert_eq!(
        memory.route(network_order("203.0.113.5")),
        Some(RouteValue {
            ifindex: IFINDEX,
            gateway
        })
    );
    let key = NeighbourKey {
        ifindex: IFINDEX,
        address: gateway,
    };
    let index = memory.neighbour(key).unwrap();
    assert_eq!(
        memory.view().next_hops[index as usize].state.load(),
        hop_state::RESOLVED
    );

    let before = generation(&director);
    director.follow(&lan).unwrap();
    assert_eq!(generation(&director), before, "nothing changed");

    lan.moved.insert(ip("10.0.0.254"));
    director.follow(&lan).unwrap();
    assert_ne!(generation(&director), before);
    assert_ne!(director.plane().neighbour(key), Some(index));

    director.follow(&Lan::default()).unwrap();
    assert_eq!(director.plane().route(network_order("203.0.113.5")), None);
    assert_eq!(director.plane().neighbour(key), None);
}

#[test]
fn what_changed_while_no_daemon_ran_is_put_right_by_the_next() {
    let mut lan = Lan::default();
    let mut director = serving(&lan);
    lan.routes.insert((ip("10.9.0.0"), 16), (IFINDEX, None));
    lan.neighbours.insert(ip("10.0.0.254"));
    director.follow(&lan).unwrap();
    let generation = director.plane().view().globals.routing_generation.load();
    let saved = director.saved();
    let memory = director.into_plane();
    lan.routes.clear();
    lan.neighbours.clear();
    lan.moved.insert(ip("192.168.0.2"));
    let director = Director::adopt(memory, sizes(), &saved, &lan).unwrap();
    let memory = director.plane();
    assert_eq!(memory.route(network_order("10.9.1.1")), None);
    let key = NeighbourKey {
        ifindex: IFINDEX,
        address: network_order("10.0.0.254"),
    };
    assert_eq!(memory.neighbour(key), None);
    assert_eq!(hop(&director, 2).1.macs[0].load().to_ne_bytes()[0], 6);
    assert_ne!(memory.view().globals.routing_generation.load(), generation);
    assert_eq!(director.hops().usage().0, 2);
}
