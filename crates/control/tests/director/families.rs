//! Services and connections over IPv6, and between the families.

use std::net::{IpAddr, SocketAddr};

use abi::{Reason, address_flags, destination_flags};
use control::{Director, Plane};
use model::{DestinationStatus, Forwarding};
use plane_user::Memory;

use crate::common::{
    Do, Lan, add, add_by, add_service, director, flags_on, load, remove, remove_service, words,
};
use crate::packets::{Flag, listed, reason, serve, tcp};

const WEB: &str = "TCP [fd00:10::21]:80";
const WEB_V4: &str = "TCP 10.0.0.1:80";
const ONE: &str = "[fd00:100::1]:80";
const TWO: &str = "[fd00:100::2]:80";
const CLIENT: &str = "[2001:db8::7]:40001";
const CLIENT_V4: &str = "198.51.100.7:40001";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A director with an address of either family, whose clients are on its link.
fn lan() -> Lan {
    let mut lan = Lan::default();
    for own in ["fd00:10::21", "10.0.0.1"] {
        lan.local.insert(ip(own));
    }
    for everybody in ["::", "0.0.0.0"] {
        lan.routes
            .insert((ip(everybody), 0), (crate::common::IFINDEX, None));
    }
    for client in [CLIENT, CLIENT_V4] {
        lan.neighbours
            .insert(client.parse::<SocketAddr>().unwrap().ip());
    }
    lan
}

fn balancing(servers: &[&str]) -> Director<Memory> {
    let mut director = director();
    director.must_in(&lan(), add_service(WEB, "rr"));
    for server in servers {
        director.must_in(&lan(), add(WEB, server, 1));
    }
    serve(&mut director, &lan());
    director
}

/// Sends a segment; the ends as in `"[2001:db8::7]:40001"`.
fn send(director: &Director<Memory>, from: &str, to: &str, flag: Flag) -> Reason {
    let frame = tcp(from.parse().unwrap(), to.parse().unwrap(), flag);
    reason(director, &frame)
}

fn to_service(director: &Director<Memory>, flag: Flag) -> Reason {
    send(director, CLIENT, "[fd00:10::21]:80", flag)
}

fn open(director: &Director<Memory>, server: &str) {
    assert_eq!(to_service(director, Flag::Syn), Reason::Forwarded);
    assert_eq!(
        send(director, server, CLIENT, Flag::SynAck),
        Reason::Replied
    );
    assert_eq!(to_service(director, Flag::Ack), Reason::Forwarded);
}

fn lines(director: &Director<Memory>) -> Vec<String> {
    let line = |entry: &model::ConnectionEntry| {
        format!(
            "{} {} {} {}",
            entry.state, entry.client, entry.virtual_address, entry.destination
        )
    };
    listed(director).iter().map(line).collect()
}

fn status(director: &Director<Memory>, service: &str, server: &str) -> DestinationStatus {
    let key = server.parse().unwrap();
    let destinations = director.status(service).destinations;
    *destinations
        .iter()
        .find(|status| status.destination.key == key)
        .unwrap()
}

fn counts(director: &Director<Memory>, server: &str) -> (u32, u32) {
    let status = status(director, WEB, server);
    (status.active_connections, status.inactive_connections)
}

#[test]
fn an_ipv6_service_is_published_with_its_addresses_on_both_sides() {
    let director = balancing(&[ONE]);
    let local = address_flags::LOCAL;
    for side in [0, 1] {
        let flags = |address| flags_on(director.plane(), side, ip(address));
        assert_eq!(flags("fd00:10::21"), address_flags::VIRTUAL | local);
        assert_eq!(flags("fd00:100::1"), address_flags::REAL);
        assert_eq!(flags("fd00:100::2"), 0);
    }
    let cell = director.cell(WEB, ONE);
    assert_eq!(load(&cell.address), words("fd00:100::1"));
    let expected = destination_flags::AVAILABLE | destination_flags::IPV6;
    assert_eq!(cell.flags.load(), expected);
}

#[test]
fn an_ipv6_connection_is_listed_counted_and_freed() {
    let mut director = balancing(&[ONE]);
    open(&director, ONE);
    let line = "ESTABLISHED [2001:db8::7]:40001 [fd00:10::21]:80 [fd00:100::1]:80";
    assert_eq!(lines(&director), [line]);
    assert_eq!(counts(&director, ONE), (1, 0));
    director.sweep_all();
    let census = director.census().unwrap();
    assert_eq!((census.v4.entries, census.v6.entries), (0, 1));
    assert!((1..=8).contains(&census.v6.longest_probe), "{census:?}");
    director.plane().advance(901 * Memory::TICKS_PER_SECOND);
    assert_eq!(counts(&director, ONE), (0, 0));
    assert!(lines(&director).is_empty());
}

#[test]
fn the_ipv6_connections_of_a_removed_destination_wait_for_it() {
    let mut director = balancing(&[ONE]);
    open(&director, ONE);
    director.must_in(&lan(), remove(WEB, ONE));
    assert_eq!(
        to_service(&director, Flag::Ack),
        Reason::DestinationUnavailable
    );
    director.sweep_all();
    director.sweep_all();
    assert_eq!(lines(&director).len(), 1);
    director.must_in(&lan(), add(WEB, ONE, 1));
    assert_eq!(to_service(&director, Flag::Ack), Reason::Forwarded);
    assert_eq!(counts(&director, ONE), (1, 0));
}

#[test]
fn ended_connections_of_both_families_leave_the_counts() {
    let mut director = balancing(&[ONE]);
    open(&director, ONE);
    director.must_in(&lan(), add_service(WEB_V4, "rr"));
    director.must_in(&lan(), add(WEB_V4, "192.168.0.1:80", 1));
    let syn = send(&director, CLIENT_V4, "10.0.0.1:80", Flag::Syn);
    assert_eq!(syn, Reason::Forwarded);
    assert_eq!(listed(&director).len(), 2);
    control::connections::end_connections(director.plane(), |_| true);
    assert!(listed(&director).is_empty());
    assert_eq!(counts(&director, ONE), (0, 0));
    let v4 = status(&director, WEB_V4, "192.168.0.1:80");
    assert_eq!((v4.active_connections, v4.inactive_connections), (0, 0));
}

#[test]
fn a_killed_daemon_is_followed_by_one_that_knows_the_ipv6_tables() {
    let director = balancing(&[ONE, TWO]);
    // The newest destination is the first in the list.
    open(&director, TWO);
    let (saved, listed) = (director.saved(), lines(&director));
    let cells = |director: &Director<Memory>| {
        let of = |server| director.cell(WEB, server) as *const _ as usize;
        [of(ONE), of(TWO)]
    };
    let before = cells(&director);
    director.plane().advance(1);
    let mut director = restarted(director);
    assert_eq!((director.saved(), lines(&director)), (saved, listed));
    assert_eq!(cells(&director), before);
    assert_eq!(counts(&director, TWO), (1, 0));
    assert_eq!(to_service(&director, Flag::Ack), Reason::Forwarded);
    director.must_in(&lan(), remove_service(WEB));
    // A connection says whose the destination was.
    let mut director = restarted(director);
    director.must_in(&lan(), add_service(WEB, "rr"));
    director.must_in(&lan(), add(WEB, TWO, 1));
    assert_eq!(counts(&director, TWO), (1, 0));
    assert_eq!(to_service(&director, Flag::Ack), Reason::Forwarded);
}

/// The daemon was killed while it changed the half that does not count.
#[test]
fn a_change_that_was_never_published_is_undone_by_the_next_daemon() {
    let mut director = balancing(&[ONE]);
    director.must_in(&lan(), add_service(WEB_V4, "rr"));
    director.must_in(&lan(), add(WEB_V4, "192.168.0.1:80", 1));
    let snapshot = |director: &Director<Memory>| {
        let view = director.plane().view();
        let side = |side| {
            let v4 = view.addresses_of(side).iter();
            let v6 = view.addresses_v6_of(side).iter();
            let services = view.services_of(side).iter();
            let v4: Vec<_> = v4.map(|c| (c.address.load(), c.flags.load())).collect();
            let v6: Vec<_> = v6.map(|c| (load(&c.address), c.flags.load())).collect();
            let services = services.map(|c| (load(&c.address), c.key.load(), c.number.load()));
            let filter = view.address_filter_of(side).iter();
            let filter: Vec<u64> = filter.map(|word| word.0.load()).collect();
            (v4, v6, filter, services.collect::<Vec<_>>())
        };
        [side(0), side(1)]
    };
    let before = snapshot(&director);
    let view = director.plane().view();
    let idle = view.globals.side.load() ^ 1;
    for cell in view.addresses_of(idle) {
        cell.flags.store(7);
    }
    for cell in view.addresses_v6_of(idle) {
        cell.flags.store(7);
    }
    for word in view.address_filter_of(idle) {
        word.0.store(7);
    }
    for cell in view.services_of(idle) {
        cell.number.store(7);
    }
    assert_ne!(snapshot(&director), before);
    assert_eq!(snapshot(&restarted(director)), before);
}

fn restarted(director: Director<Memory>) -> Director<Memory> {
    let saved = director.saved();
    Director::adopt(
        director.into_plane(),
        crate::common::sizes(),
        &saved,
        &lan(),
    )
    .unwrap()
}

#[test]
fn a_tunnel_leads_from_either_family_to_the_other() {
    let mut director = director();
    for (service, to) in [(WEB, "192.168.0.9:80"), (WEB_V4, ONE)] {
        director.must_in(&lan(), add_service(service, "rr"));
        director.must_in(&lan(), add_by(Forwarding::Tunnel, service, to));
    }
    serve(&mut director, &lan());
    assert_eq!(to_service(&director, Flag::Syn), Reason::Tunnelled);
    let syn = send(&director, CLIENT_V4, "10.0.0.1:80", Flag::Syn);
    assert_eq!(syn, Reason::Tunnelled);
    let mut lines = lines(&director);
    lines.sort();
    assert_eq!(
        lines,
        [
            "SYN_RECV 198.51.100.7:40001 10.0.0.1:80 [fd00:100::1]:80",
            "SYN_RECV [2001:db8::7]:40001 [fd00:10::21]:80 192.168.0.9:80",
        ]
    );
    let flags = |service, to| director.cell(service, to).flags.load();
    let available = destination_flags::AVAILABLE;
    assert_eq!(flags(WEB, "192.168.0.9:80"), available);
    assert_eq!(flags(WEB_V4, ONE), available | destination_flags::IPV6);
}

#[test]
fn ipv6_numbers_are_free_again_when_nothing_refers_to_them() {
    let mut director = balancing(&[ONE, TWO]);
    open(&director, TWO);
    director.must_in(&lan(), remove_service(WEB));
    director.sweep_all();
    director.sweep_all();
    let used = |director: &Director<Memory>| director.publisher().usage().map(|(used, _)| used);
    assert_eq!(used(&director), [1, 1]);
    director.plane().advance(901 * Memory::TICKS_PER_SECOND);
    director.sweep_all();
    director.sweep_all();
    assert_eq!(used(&director), [0, 0]);
    for side in [0, 1] {
        assert_eq!(flags_on(director.plane(), side, ip("fd00:10::21")), 0);
        assert_eq!(flags_on(director.plane(), side, ip("fd00:100::2")), 0);
    }
}
