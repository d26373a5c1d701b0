//! Rules that give packets marks, and whom such packets go to.

use std::net::SocketAddr;

use abi::{MARK_RULES, Reason};
use control::{Director, Plane};
use model::{Family, MarkChange, MarkError, MarkRule, Protocol};
use plane_user::Memory;

use crate::common::{Do, IFINDEX, Lan, add, add_service, director};
use crate::packets::{Flag, lan, listed, reason, serve, tcp};

const ONE: u8 = 1;
const TWO: u8 = 2;

/// A director with a service for each of two marks; the first has one server, the second another.
fn marking(rules: Vec<MarkRule>) -> Director<Memory> {
    let mut director = director();
    for mark in [ONE, TWO] {
        let service = format!("FWM {mark}");
        director.must(add_service(&service, "rr"));
        director.must(add(&service, &format!("192.168.0.{mark}:0"), 1));
    }
    serve(&mut director, &lan());
    let change = MarkChange::Replace { rules };
    director.mark(&change, &lan()).unwrap();
    director
}

fn rule(mark: u8) -> MarkRule {
    MarkRule {
        mark: mark.into(),
        ..MarkRule::default()
    }
}

/// Which server gets a connection from a client, 0 for none.
fn taken(director: &Director<Memory>, client: &str, service: &str) -> u8 {
    let client: SocketAddr = client.parse().unwrap();
    let frame = tcp(client, service.parse().unwrap(), Flag::Syn);
    if reason(director, &frame) != Reason::Forwarded {
        return 0;
    }
    let entries = listed(director);
    let entry = entries.iter().find(|entry| entry.client == client).unwrap();
    let SocketAddr::V4(server) = entry.destination else {
        panic!("the servers have IPv4 addresses");
    };
    server.ip().octets()[3]
}

const CLIENT: &str = "198.51.100.7:40001";
const VIP: &str = "10.0.0.1:80";

#[test]
fn each_thing_that_a_rule_names_must_fit() {
    let with = |change: fn(&mut MarkRule)| {
        let mut rule = rule(ONE);
        change(&mut rule);
        taken(&marking(vec![rule]), CLIENT, VIP)
    };
    assert_eq!(taken(&marking(Vec::new()), CLIENT, VIP), 0);
    assert_eq!(with(|_| {}), ONE);
    assert_eq!(with(|rule| rule.mark = 0), 0);
    assert_eq!(with(|rule| rule.family = Some(Family::Ipv4)), ONE);
    assert_eq!(with(|rule| rule.family = Some(Family::Ipv6)), 0);
    assert_eq!(with(|rule| rule.protocol = Some(Protocol::Tcp)), ONE);
    assert_eq!(with(|rule| rule.protocol = Some(Protocol::Udp)), 0);
    for (prefix, expected) in [
        ("10.0.0.1", ONE),
        ("10.0.0.0/30", ONE),
        ("0.0.0.0/0", ONE),
        ("10.0.0.2", 0),
        ("10.0.0.2/31", 0),
        ("::/0", 0),
    ] {
        let mut rule = rule(ONE);
        rule.to = Some(prefix.parse().unwrap());
        assert_eq!(
            taken(&marking(vec![rule]), CLIENT, VIP),
            expected,
            "{prefix}"
        );
    }
    assert_eq!(
        with(|rule| rule.from = Some("198.51.100.0/24".parse().unwrap())),
        ONE
    );
    assert_eq!(
        with(|rule| rule.from = Some("198.51.101.0/24".parse().unwrap())),
        0
    );
    for (ports, expected) in [
        ("80", ONE),
        ("0-80", ONE),
        ("80-65535", ONE),
        ("81-90", 0),
        ("1-79", 0),
    ] {
        let mut rule = rule(ONE);
        rule.ports = Some(ports.parse().unwrap());
        assert_eq!(
            taken(&marking(vec![rule]), CLIENT, VIP),
            expected,
            "{ports}"
        );
    }
}

#[test]
fn the_first_rule_that_fits_counts() {
    let mut narrow = rule(TWO);
    narrow.from = Some("198.51.100.7".parse().unwrap());
    let director = marking(vec![narrow, rule(ONE)]);
    assert_eq!(taken(&director, CLIENT, VIP), TWO);
    assert_eq!(taken(&director, "198.51.100.8:40001", VIP), ONE);
}

#[test]
fn a_rule_of_an_interface_that_is_not_there_fits_nothing_until_it_comes() {
    let mut named = rule(ONE);
    named.interface = Some("eth7".to_owned());
    let mut director = marking(vec![named, rule(TWO)]);
    assert_eq!(taken(&director, "198.51.100.7:40001", VIP), TWO);
    let mut with = lan();
    with.interfaces.insert("eth7".to_owned(), IFINDEX);
    director.follow(&with).unwrap();
    assert_eq!(taken(&director, "198.51.100.7:40002", VIP), ONE);
    with.interfaces.insert("eth7".to_owned(), IFINDEX + 1);
    director.follow(&with).unwrap();
    assert_eq!(taken(&director, "198.51.100.7:40003", VIP), TWO);
}

#[test]
fn rules_outlive_a_daemon_and_what_differs_is_put_right() {
    let director = marking(vec![rule(TWO)]);
    let rules = director.marks().clone();
    for cell in director.plane().view().mark_rules {
        cell.mark.store(ONE.into());
    }
    let director = director.restarted();
    assert_eq!(director.marks(), &rules);
    for side in director
        .plane()
        .view()
        .mark_rules
        .chunks(MARK_RULES as usize)
    {
        assert_eq!(side[0].mark.load(), TWO.into());
        let used = side.iter().filter(|rule| rule.is_used.load() == 1);
        assert_eq!(used.count(), 1);
    }
}

#[test]
fn there_is_room_for_so_many_rules_and_no_more() {
    let mut director = marking(vec![rule(ONE); MARK_RULES as usize - 1]);
    let one = MarkChange::Insert {
        at: Some(1),
        rules: vec![rule(TWO)],
    };
    director.mark(&one, &Lan::default()).unwrap();
    assert_eq!(taken(&director, CLIENT, VIP), TWO);
    let refused = director.mark(&one, &Lan::default());
    let limit = MARK_RULES as usize;
    assert_eq!(refused, Err(MarkError::TooMany { limit }));
    let all = MarkChange::Replace { rules: Vec::new() };
    director.mark(&all, &Lan::default()).unwrap();
    assert_eq!(taken(&director, "198.51.100.7:40009", VIP), 0);
}
