//! Connections made by real packets: counted, swept, listed, and kept by destinations that come
//! back.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use abi::Reason;
use conntable::{Entry as _, Word};
use control::{Director, Plane};
use model::{Command, ConnectionEntry, Destination, DestinationStatus};
use plane_user::Memory;

use crate::common::{
    Do, add, add_persistent, add_service, destination, director, key, remove, remove_service,
};
use crate::packets::{Flag, balancing, client, lan, listed, reason, serve, server, tcp};

const WEB: &str = "TCP 10.0.0.1:80";
const DNS: &str = "UDP 10.0.0.1:53";

/// Opens a connection from a port; returns the real server's last byte.
fn open(director: &Director<Memory>, port: u16) -> u8 {
    assert_eq!(client(director, port, Flag::Syn), Reason::Forwarded);
    let entry = listed(director)
        .into_iter()
        .find(|entry| entry.client.port() == port)
        .unwrap();
    let SocketAddr::V4(end) = entry.destination else {
        panic!("the destination is an IPv4 one");
    };
    let last = end.ip().octets()[3];
    assert_eq!(server(director, last, port, Flag::SynAck), Reason::Replied);
    assert_eq!(client(director, port, Flag::Ack), Reason::Forwarded);
    last
}

fn counts(director: &Director<Memory>, server: &str) -> (u32, u32) {
    let status = of(director, server);
    (status.active_connections, status.inactive_connections)
}

fn of(director: &Director<Memory>, server: &str) -> DestinationStatus {
    let key = server.parse().unwrap();
    let status = director.status(WEB);
    *status
        .destinations
        .iter()
        .find(|status| status.destination.key == key)
        .unwrap()
}

const ONE: &str = "192.168.0.1:80";
const TWO: &str = "192.168.0.2:80";

#[test]
fn connections_are_listed_with_their_states_and_remaining_time() {
    let director = balancing("rr", &[ONE]);
    open(&director, 40001);
    director.plane().advance(Memory::TICKS_PER_SECOND / 2);
    assert_eq!(client(&director, 40002, Flag::Syn), Reason::Forwarded);
    let mut list: Vec<String> = listed(&director)
        .iter()
        .map(|e| {
            format!(
                "{} {} {} {} {}",
                e.expires, e.state, e.client, e.virtual_address, e.destination
            )
        })
        .collect();
    list.sort();
    // ESTABLISHED lasts 900 s, SYN_RECV 60 s (ip_vs_proto_tcp.c); half a second has passed.
    assert_eq!(
        list,
        [
            "60 SYN_RECV 198.51.100.7:40002 10.0.0.1:80 192.168.0.1:80",
            "899 ESTABLISHED 198.51.100.7:40001 10.0.0.1:80 192.168.0.1:80",
        ]
    );
}

#[test]
fn a_closed_connection_is_inactive_and_one_that_died_unseen_is_none() {
    let director = balancing("rr", &[ONE]);
    open(&director, 40001);
    open(&director, 40002);
    assert_eq!(counts(&director, ONE), (2, 0));
    client(&director, 40001, Flag::Fin);
    server(&director, 1, 40001, Flag::Fin);
    client(&director, 40001, Flag::Ack);
    assert_eq!(counts(&director, ONE), (1, 1));
    director.plane().advance(121 * Memory::TICKS_PER_SECOND);
    assert_eq!(counts(&director, ONE), (1, 0));
    director.plane().advance(900 * Memory::TICKS_PER_SECOND);
    assert_eq!(counts(&director, ONE), (0, 0));
    assert!(listed(&director).is_empty());
}

/// The steps of the oracle's 34-del-dest: the packet to the removed server is lost, its
/// connection stays, and goes on when the server comes back.
#[test]
fn the_connections_of_a_removed_destination_wait_for_it_and_count_again() {
    let mut director = balancing("rr", &[ONE, TWO]);
    let (first, second) = (open(&director, 40001), open(&director, 40002));
    assert_eq!((first, second), (2, 1));
    director.must(remove(WEB, ONE));
    assert_eq!(client(&director, 40001, Flag::Ack), Reason::Forwarded);
    assert_eq!(
        client(&director, 40002, Flag::Ack),
        Reason::DestinationUnavailable
    );
    assert_eq!(listed(&director).len(), 2);
    assert_eq!(director.status(WEB).destinations.len(), 1);
    director.sweep_all();
    director.sweep_all();
    director.must(add(WEB, ONE, 1));
    assert_eq!(counts(&director, ONE), (1, 0));
    let stats = of(&director, ONE).stats;
    assert_eq!(
        (stats.connections, stats.in_packets, stats.out_packets),
        (1, 2, 1)
    );
    assert_eq!(client(&director, 40002, Flag::Ack), Reason::Forwarded);
}

#[test]
fn the_connections_of_a_removed_service_wait_for_it_too() {
    let mut director = balancing("rr", &[ONE]);
    open(&director, 40001);
    director.must(remove_service(WEB));
    director.sweep_all();
    director.sweep_all();
    assert_eq!(
        client(&director, 40001, Flag::Ack),
        Reason::DestinationUnavailable
    );
    director.must(add_service(WEB, "rr"));
    director.must(add(WEB, ONE, 1));
    assert_eq!(client(&director, 40001, Flag::Ack), Reason::Forwarded);
    assert_eq!(counts(&director, ONE), (1, 0));
    // It is another service to IPVS: what the old one counted is not its own.
    let status = director.status(WEB);
    assert_eq!((status.stats.connections, status.stats.in_packets), (0, 1));
    assert_eq!(of(&director, ONE).stats, status.stats);
}

#[test]
fn numbers_are_used_again_when_the_last_connection_has_died_and_not_before() {
    let mut director = balancing("rr", &[ONE]);
    let used = |director: &Director<Memory>| director.publisher().usage().map(|(used, _)| used);
    open(&director, 40001);
    director.must(remove_service(WEB));
    for _ in 0..5 {
        director.sweep_all();
    }
    assert_eq!(used(&director), [1, 1]);
    director.plane().advance(901 * Memory::TICKS_PER_SECOND);
    director.sweep_all();
    director.sweep_all();
    assert_eq!(used(&director), [0, 0]);
}

#[test]
fn a_service_keeps_what_its_removed_destinations_counted() {
    let mut director = balancing("rr", &[ONE, TWO]);
    open(&director, 40001);
    open(&director, 40002);
    let before = director.status(WEB).stats;
    assert_eq!(
        (before.connections, before.in_packets, before.out_packets),
        (2, 4, 2)
    );
    director.must(remove(WEB, ONE));
    assert_eq!(director.status(WEB).stats, before);
    director.plane().advance(901 * Memory::TICKS_PER_SECOND);
    director.sweep_all();
    director.sweep_all();
    // It is remembered for two minutes after its last connection, then forgotten.
    director.plane().advance(121 * Memory::TICKS_PER_SECOND);
    director.sweep_all();
    director.sweep_all();
    assert_eq!(director.publisher().usage()[1].0, 1);
    assert_eq!(director.status(WEB).stats, before);
    director.must(add(WEB, ONE, 1));
    assert_eq!(of(&director, ONE).stats.connections, 0);
    assert_eq!(director.status(WEB).stats, before);
}

#[test]
fn zeroed_counters_begin_again_from_zero() {
    let mut director = balancing("rr", &[ONE, TWO]);
    open(&director, 40001);
    open(&director, 40002);
    director.must(remove(WEB, ONE));
    director.zero(Some(&key(WEB))).unwrap();
    let status = director.status(WEB);
    assert_eq!(status.stats, model::Stats::default());
    assert_eq!(status.destinations[0].stats, model::Stats::default());
    client(&director, 40001, Flag::Ack);
    assert_eq!(director.status(WEB).stats.in_packets, 1);
    assert_eq!(of(&director, TWO).stats.in_packets, 1);
    assert!(director.zero(Some(&key(DNS))).is_err());
}

#[test]
fn rates_follow_the_traffic_and_fade() {
    let mut director = balancing("rr", &[ONE]);
    for port in 40001..40021 {
        client(&director, port, Flag::Syn);
    }
    director.estimate();
    // 20 connections in 2 s count a quarter: 10 / 4 connections per second.
    let status = director.status(WEB);
    assert_eq!(
        (
            status.rates.connections,
            status.destinations[0].rates.connections
        ),
        (2, 2)
    );
    assert_eq!(status.rates.in_bytes, 20 * 40 / 2 / 4);
    for _ in 0..20 {
        director.estimate();
    }
    assert_eq!(director.status(WEB).rates, model::Rates::default());
}

#[test]
fn what_was_counted_before_a_restart_is_no_rate() {
    let director = balancing("rr", &[ONE, TWO]);
    for port in 40001..40021 {
        client(&director, port, Flag::Syn);
    }
    let mut director = director.restarted();
    director.estimate();
    let status = director.status(WEB);
    assert_eq!(status.stats.connections, 20);
    assert_eq!(status.rates, model::Rates::default());
    assert_eq!(status.destinations[0].rates, model::Rates::default());
}

#[test]
fn an_overloaded_destination_takes_connections_again_when_enough_have_died() {
    let mut director = balancing("rr", &[ONE]);
    let limited = Destination {
        upper_threshold: 4,
        lower_threshold: 2,
        ..destination(ONE, 1)
    };
    director.must(Command::EditDestination {
        service: key(WEB),
        destination: limited,
    });
    for port in 1..=4 {
        assert_eq!(client(&director, port, Flag::Syn), Reason::Forwarded);
        director.plane().advance(10 * Memory::TICKS_PER_SECOND);
    }
    assert_eq!(client(&director, 5, Flag::Syn), Reason::NoDestination);
    // Two of the half-open connections are over after 60 s, and two are too many still.
    director.plane().advance(35 * Memory::TICKS_PER_SECOND);
    director.sweep_all();
    assert_eq!(counts(&director, ONE), (2, 0));
    assert_eq!(client(&director, 5, Flag::Syn), Reason::NoDestination);
    director.plane().advance(10 * Memory::TICKS_PER_SECOND);
    director.sweep_all();
    assert_eq!(client(&director, 5, Flag::Syn), Reason::Forwarded);
}

#[test]
fn a_killed_daemon_is_followed_by_one_that_knows_every_connection_and_counter() {
    let mut director = balancing("wrr", &[ONE, TWO]);
    for port in 40001..40011 {
        open(&director, port);
    }
    director.must(remove(WEB, ONE));
    let (status, list) = (director.status(WEB), listed(&director));
    let mut director = director.restarted();
    assert_eq!(director.status(WEB), status);
    assert_eq!(listed(&director), list);
    director.must(add(WEB, ONE, 1));
    assert_eq!(counts(&director, ONE), (5, 0));
    assert_eq!(of(&director, ONE).stats.connections, 5);
}

#[test]
fn a_daemon_killed_after_removing_a_service_is_followed_by_one_that_can_revive_it() {
    let mut director = balancing("rr", &[ONE]);
    open(&director, 40001);
    director.must(remove_service(WEB));
    let mut director = director.restarted();
    director.sweep_all();
    director.sweep_all();
    director.must(add_service(WEB, "rr"));
    director.must(add(WEB, ONE, 1));
    assert_eq!(counts(&director, ONE), (1, 0));
    assert_eq!(director.publisher().usage().map(|(used, _)| used), [1, 1]);
}

#[test]
fn a_count_that_a_killed_daemon_left_wrong_is_put_right() {
    let director = balancing("rr", &[ONE]);
    open(&director, 40001);
    director.plane().view().loads[0].active.add(7);
    director.plane().view().loads[0].inactive.add(3);
    let director = director.restarted();
    assert_eq!(counts(&director, ONE), (1, 0));
}

#[test]
fn a_full_sweep_says_how_full_the_table_is() {
    let mut director = balancing("rr", &[ONE, TWO]);
    for port in 1001..=1100 {
        client(&director, port, Flag::Syn);
    }
    director.sweep_all();
    let census = director.census().unwrap();
    assert_eq!((census.v4.entries, census.v6.entries), (100, 0));
    assert_eq!(census.by_destination[..2], [50, 50]);
    assert!((1..=16).contains(&census.v4.longest_probe), "{census:?}");
    client(&director, 1001, Flag::Rst);
    director.plane().advance(61 * Memory::TICKS_PER_SECOND);
    director.sweep_all();
    assert_eq!(director.census().unwrap().v4.entries, 0);
}

/// Slots of the table that say that connections are elsewhere.
fn marked(director: &Director<Memory>) -> usize {
    let slots = director.plane().connections().iter().flat_map(|b| &b.0);
    let words = slots.map(|slot| Word(slot.word().load()));
    words
        .filter(|word| word.went_on() || word.places() != 1)
        .count()
}

#[test]
fn marks_of_connections_that_have_ended_are_taken_back_by_the_sweep_and_no_others() {
    let mut director = balancing("rr", &[ONE, TWO]);
    let open = |director: &Director<Memory>, every: u16| {
        for port in (2001..=2700).filter(|port| port % every == 0) {
            assert_eq!(client(director, port, Flag::Syn), Reason::Forwarded);
        }
    };
    let made = |director: &Director<Memory>| director.status(WEB).stats.connections;
    open(&director, 1);
    let full = marked(&director);
    director.plane().advance(50 * Memory::TICKS_PER_SECOND);
    open(&director, 7);
    director.plane().advance(11 * Memory::TICKS_PER_SECOND);
    (0..4).for_each(|_| director.sweep_all());
    let few = marked(&director);
    assert!(0 < few && few < full / 4, "{few} of {full}");
    assert_eq!(listed(&director).len(), 100);
    open(&director, 7);
    assert_eq!(made(&director), 700, "none of them anew");
    director.plane().advance(61 * Memory::TICKS_PER_SECOND);
    (0..4).for_each(|_| director.sweep_all());
    assert_eq!(marked(&director), 0);
}

#[test]
fn clients_of_a_persistent_service_keep_their_real_server_while_marks_are_taken_back() {
    let mut director = director();
    director.must(add_persistent(WEB, 300));
    director.must(add(WEB, ONE, 1));
    director.must(add(WEB, TWO, 1));
    serve(&mut director, &lan());
    let open = |director: &Director<Memory>, port: u16| {
        let to = SocketAddr::from(([10, 0, 0, 1], 80));
        for client in 0..300u16 {
            let [high, low] = client.to_be_bytes();
            let from = SocketAddr::from(([198, 51, high, low], port));
            let reason = reason(director, &tcp(from, to, Flag::Syn));
            assert_eq!(reason, Reason::Forwarded, "{from}");
        }
    };
    let servers = |director: &Director<Memory>, port: u16| -> BTreeMap<IpAddr, SocketAddr> {
        let of_port = |entry: &ConnectionEntry| entry.client.port() == port;
        let entries = listed(director).into_iter().filter(of_port);
        entries
            .map(|entry| (entry.client.ip(), entry.destination))
            .collect()
    };
    open(&director, 40_001);
    let first = servers(&director, 40_001);
    director.plane().advance(61 * Memory::TICKS_PER_SECOND);
    (0..4).for_each(|_| director.sweep_all());
    assert!(marked(&director) > 0, "templates are elsewhere too");
    assert_eq!(listed(&director).len(), 300, "the templates alone are left");
    open(&director, 40_002);
    assert_eq!(servers(&director, 40_002), first);
}
