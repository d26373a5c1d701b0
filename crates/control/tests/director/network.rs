//! What packets see of the network.

use std::net::IpAddr;

use abi::{NeighbourKey, NextHopCell, RouteValue, hop_state};
use cell::Cell32;
use conntable::{Hop, Kind, Name, NewConnection, Position, Slot};
use control::interfaces::{self, Interface};
use control::{Director, Plane};
use plane_user::Memory;

use crate::common::{
    Do, IFINDEX, Lan, add, add_service, director, load, remove_service, sizes, words,
};

const WEB: &str = "TCP 10.0.0.1:80";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What every slot keeps of the way to its client.
fn kept_hops(memory: &Memory) -> Vec<&Cell32> {
    let v4 = memory.connections().iter().flat_map(|bucket| &bucket.0);
    let v6 = memory.connections_v6().iter().flat_map(|bucket| &bucket.0);
    v4.map(Slot::client_hop)
        .chain(v6.map(Slot::client_hop))
        .collect()
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
        .find(|cell| load(&cell.address) == words(&format!("192.168.0.{last}")))
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
    let gateway = words("10.0.0.254");
    assert_eq!(
        memory.route(false, words("203.0.113.5")),
        Some(RouteValue {
            ifindex: IFINDEX,
            gateway_family: 4,
            gateway
        })
    );
    let key = NeighbourKey {
        ifindex: IFINDEX,
        family: 4,
        address: gateway,
    };
    let index = memory.neighbour(&key).unwrap();
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
    assert_ne!(director.plane().neighbour(&key), Some(index));

    director.follow(&Lan::default()).unwrap();
    assert_eq!(director.plane().route(false, words("203.0.113.5")), None);
    assert_eq!(director.plane().neighbour(&key), None);
}

/// There are fewer numbers for generations than a connection may sleep through.
#[test]
fn a_generation_that_comes_back_finds_no_connection_that_kept_a_way_in_it() {
    let mut lan = Lan::default();
    let mut director = serving(&lan);
    // What others keep there stays.
    let (template, lasts) = (&director.plane().connections()[0].0[0], Hop::new(7, 7).0);
    template.write(&NewConnection {
        client: 1,
        client_port: 0,
        virtual_address: 2,
        virtual_port: 3,
        keeps_port: false,
        protocol: 6,
        method: 0,
        kind: Kind::Template,
        destination: 0,
        control: 0,
        client_hop: lasts,
    });
    let name = Name::of(Position { bucket: 1, slot: 0 }, true).0;
    director.plane().connections()[0].0[1]
        .client_hop()
        .store(name);
    let mut seen = 0;
    for change in 0..2 * Hop::GENERATIONS as usize {
        let generation = director.plane().view().globals.routing_generation.load();
        let hops = &kept_hops(director.plane())[2..];
        let is_kept = |hop: &&&Cell32| Hop(hop.load()).generation() == generation;
        assert_eq!(hops.iter().filter(is_kept).count(), 0, "{generation}");
        hops[change % hops.len()].store(Hop::new(generation, 9).0);
        seen = seen.max(generation);
        if lan.routes.remove(&(ip("10.9.0.0"), 16)).is_none() {
            lan.routes.insert((ip("10.9.0.0"), 16), (IFINDEX, None));
        }
        director.follow(&lan).unwrap();
    }
    assert_eq!(seen, Hop::GENERATIONS - 1);
    let memory = director.plane();
    assert_eq!(memory.connections()[0].0[0].client_hop().load(), lasts);
    assert_eq!(memory.connections()[0].0[1].client_hop().load(), name);
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
    assert_eq!(memory.route(false, words("10.9.1.1")), None);
    let key = NeighbourKey {
        ifindex: IFINDEX,
        family: 4,
        address: words("10.0.0.254"),
    };
    assert_eq!(memory.neighbour(&key), None);
    assert_eq!(hop(&director, 2).1.macs[0].load().to_ne_bytes()[0], 6);
    assert_ne!(memory.view().globals.routing_generation.load(), generation);
    assert_eq!(director.hops().usage().0, 2);
}

#[test]
fn ipv6_routes_and_neighbours_follow_the_network_as_well() {
    let mut lan = Lan::default();
    let mut director = serving(&lan);
    lan.routes
        .insert((ip("::"), 0), (IFINDEX, Some(ip("fe80::1"))));
    lan.routes.insert((ip("2001:db8:1::"), 48), (IFINDEX, None));
    lan.neighbours.insert(ip("fe80::1"));
    director.follow(&lan).unwrap();
    let value = |gateway_family, gateway| {
        Some(RouteValue {
            ifindex: IFINDEX,
            gateway_family,
            gateway,
        })
    };
    let memory = director.plane();
    let route = |to| memory.route(true, words(to));
    assert_eq!(route("2001:db8:2::5"), value(6, words("fe80::1")));
    assert_eq!(route("2001:db8:1::5"), value(0, [0; 4]));
    assert_eq!(memory.route(false, words("192.0.2.1")), None);
    let key = NeighbourKey {
        ifindex: IFINDEX,
        family: 6,
        address: words("fe80::1"),
    };
    let index = memory.neighbour(&key).unwrap();
    let cell = &memory.view().next_hops[index as usize];
    assert_eq!(cell.state.load(), hop_state::RESOLVED);

    // What a killed daemon left is put right by the next one.
    let saved = director.saved();
    lan.routes.remove(&(ip("2001:db8:1::"), 48));
    lan.neighbours.clear();
    let director = Director::adopt(director.into_plane(), sizes(), &saved, &lan).unwrap();
    let memory = director.plane();
    let route = |to| memory.route(true, words(to));
    assert_eq!(route("2001:db8:1::5"), value(6, words("fe80::1")));
    assert_eq!(memory.neighbour(&key), None);
}

/// RFC 8950: the next hop of an IPv4 prefix may have an IPv6 address.
#[test]
fn an_ipv4_route_may_have_an_ipv6_gateway() {
    let mut lan = Lan::default();
    let mut director = serving(&lan);
    lan.routes
        .insert((ip("203.0.113.0"), 24), (IFINDEX, Some(ip("fe80::1"))));
    director.follow(&lan).unwrap();
    let found = director.plane().route(false, words("203.0.113.9"));
    let expected = RouteValue {
        ifindex: IFINDEX,
        gateway_family: 6,
        gateway: words("fe80::1"),
    };
    assert_eq!(found, Some(expected));
}

#[test]
fn an_interface_is_published_with_its_addresses_of_both_families() {
    let director = serving(&Lan::default());
    let view = director.plane().view();
    let interface = Interface {
        ifindex: IFINDEX,
        xdp: true,
        mac: Some([2, 0, 0, 0, 0, 1]),
        address: Some([192, 168, 0, 254].into()),
        address_v6: Some("2001:db8::fe".parse().unwrap()),
        mtu: 1500,
    };
    assert_eq!(interfaces::publish(&view, &[interface]), 0);
    let mut cells = view.interfaces.iter();
    let cell = cells.find(|cell| cell.ifindex.load() == IFINDEX).unwrap();
    assert_eq!(cell.address.load(), words("192.168.0.254")[0]);
    assert_eq!(load(&cell.address_v6), words("2001:db8::fe"));
    let without = Interface {
        address: None,
        address_v6: None,
        ..interface
    };
    assert_eq!(interfaces::publish(&view, &[without]), 0);
    assert_eq!(cell.address.load(), 0);
    assert_eq!(load(&cell.address_v6), [0; 4]);
}
