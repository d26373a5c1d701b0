//! Routes and rules that a master holds, and somebody else who meddles with them.

use std::net::IpAddr;
use std::time::Duration;

use config::model::{RouteKind, RuleAction, VirtualRoute, VirtualRule};
use vrrp::State;
use vrrp_host::{Instance, VirtualAddress};

use crate::addresses::quick;
use crate::support::{Host, Ours, Segment, address, until};

const VIP: &str = "10.9.0.100";

fn route(destination: &str, length: u8, gateway: Option<&str>) -> VirtualRoute {
    VirtualRoute {
        kind: match gateway {
            Some(_) => RouteKind::Unicast,
            None => RouteKind::Blackhole,
        },
        gateway: gateway.map(address),
        ..VirtualRoute::new((address(destination), length))
    }
}

fn rule(text: &str, from: &str, length: u8, table: u32) -> VirtualRule {
    let from: IpAddr = address(from);
    VirtualRule {
        text: text.to_owned(),
        is_ipv6: from.is_ipv6(),
        from: Some((from, length)),
        action: RuleAction::Table(table),
        preference: Some(1234),
        ..VirtualRule::default()
    }
}

/// A master of both families' addresses with these routes and rules, once it holds its address.
fn master(host: &Host, routes: Vec<VirtualRoute>, rules: Vec<VirtualRule>) -> Ours {
    let instance = Instance {
        routes,
        rules,
        ..quick(&[VIP])
    };
    let ours = Ours::start(host, vec![instance]);
    until("the address is there", || host.holds(VIP));
    ours
}

#[test]
fn a_masters_routes_are_put_back_when_somebody_removes_or_replaces_them() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let mut sourced = route("203.0.113.0", 24, Some("10.9.0.7"));
    sourced.source = Some(address(VIP));
    sourced.metric = Some(5);
    let mut elsewhere = route("0.0.0.0", 0, Some("10.9.0.7"));
    elsewhere.table = Some(1000);
    let mut black = route("2001:db8:1::", 48, None);
    black.table = Some(100);
    let ipv6 = route("2001:db8:2::", 48, Some("2001:db8::7"));
    let ours = master(host, vec![sourced, elsewhere, black, ipv6], vec![]);
    let cases = [
        (
            "-4 route show 203.0.113.0/24",
            "via 10.9.0.7 dev eth0 proto keepalived src 10.9.0.100 metric 5",
            "route delete 203.0.113.0/24 metric 5",
            "route replace 203.0.113.0/24 via 10.9.0.8 metric 5",
        ),
        (
            "-4 route show table 1000",
            "default via 10.9.0.7 dev eth0 proto keepalived",
            "route delete default table 1000",
            "route replace unreachable default table 1000",
        ),
        (
            "-6 route show table 100",
            "blackhole 2001:db8:1::/48",
            "-6 route delete 2001:db8:1::/48 table 100",
            "-6 route flush table 100",
        ),
        (
            "-6 route show 2001:db8:2::/48",
            "via 2001:db8::7 dev eth0 proto keepalived",
            "-6 route delete 2001:db8:2::/48",
            "-6 route replace 2001:db8:2::/48 via 2001:db8::8",
        ),
    ];
    for (show, shown, ..) in cases {
        until(shown, || host.ip(show).contains(shown));
    }
    for (show, shown, remove, replace) in cases {
        for meddling in [remove, replace] {
            host.ip(meddling);
            until(&format!("{shown} is back after {meddling}"), || {
                host.ip(show).contains(shown)
            });
            assert_eq!(host.ip(show).lines().count(), 1, "{}", host.ip(show));
        }
    }
    assert_eq!(ours.state(), State::Master);
    ours.stop();
    for (show, ..) in cases {
        assert_eq!(host.ip(show), "");
    }
}

#[test]
fn a_masters_rules_are_put_back_when_somebody_removes_them() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let rules = vec![
        VirtualRule {
            mark: Some((7, None)),
            ..rule("from 192.0.2.0/24 fwmark 7", "192.0.2.0", 24, 100)
        },
        rule("from 2001:db8:3::/48 table 300", "2001:db8:3::", 48, 300),
    ];
    let ours = master(host, vec![], rules);
    let cases = [
        (
            "-4 rule show",
            "from 192.0.2.0/24 fwmark 0x7 lookup 100 proto keepalived",
            "-4 rule delete preference 1234",
        ),
        (
            "-6 rule show",
            "from 2001:db8:3::/48 lookup 300 proto keepalived",
            "-6 rule delete from 2001:db8:3::/48 table 300",
        ),
    ];
    for (show, shown, remove) in cases {
        until(shown, || host.ip(show).contains(shown));
        for _ in 0..3 {
            host.ip(remove);
            until(&format!("{shown} is back"), || {
                host.ip(show).contains(shown)
            });
        }
        assert_eq!(host.ip(show).matches(shown).count(), 1);
    }
    ours.stop();
    for (show, shown, _) in cases {
        assert!(!host.ip(show).contains(shown));
    }
}

#[test]
fn routes_that_vanish_with_an_interface_are_back_with_it() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    host.ip("link add inside type veth peer name beyond");
    host.ip("link set beyond up");
    host.ip("address add 10.8.0.1/24 dev inside");
    host.ip("link set inside up");
    let mut inward = route("198.51.100.0", 24, Some("10.8.0.7"));
    inward.interface = Some("inside".to_owned());
    let ours = master(host, vec![inward], vec![]);
    let there = || !host.ip("route show 198.51.100.0/24").is_empty();
    until("the route is there", there);
    host.ip("link set inside down");
    until("the route is gone", || !there());
    host.ip("link set inside up");
    until("the route is back", there);
    assert_eq!(ours.state(), State::Master);
}

#[test]
fn who_removes_something_of_no_track_has_his_way() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let mut instance = quick(&[VIP]);
    instance.addresses.push(VirtualAddress {
        no_track: true,
        ..VirtualAddress::new(address("10.9.0.101"), Some(24))
    });
    instance.routes.push(VirtualRoute {
        no_track: true,
        ..route("203.0.113.0", 24, Some("10.9.0.7"))
    });
    instance
        .routes
        .push(route("198.51.100.0", 24, Some("10.9.0.7")));
    instance.rules.push(VirtualRule {
        no_track: true,
        ..rule("from 192.0.2.0/24 table 100", "192.0.2.0", 24, 100)
    });
    let ours = Ours::start(host, vec![instance]);
    let rule_is_there = || host.ip("rule show").contains("192.0.2.0/24");
    until("all is there", || {
        rule_is_there() && host.holds("10.9.0.101")
    });
    std::thread::sleep(Duration::from_millis(200));
    host.ip("address delete 10.9.0.101/24 dev eth0");
    host.ip("route delete 203.0.113.0/24");
    host.ip("rule delete from 192.0.2.0/24 table 100");
    host.ip("route delete 198.51.100.0/24");
    until("what is tracked is back", || {
        !host.ip("route show 198.51.100.0/24").is_empty()
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(!host.holds("10.9.0.101") && !rule_is_there());
    assert_eq!(host.ip("route show 203.0.113.0/24"), "");
    assert_eq!(ours.state(), State::Master);
}

#[test]
fn what_is_there_already_is_taken_over() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    host.ip("address add 10.9.0.100/24 dev eth0");
    host.ip("route add 203.0.113.0/24 via 10.9.0.8");
    host.ip("rule add from 192.0.2.0/24 table 100 preference 1234 protocol keepalived");
    let rules = vec![rule("from 192.0.2.0/24 table 100", "192.0.2.0", 24, 100)];
    let routes = vec![route("203.0.113.0", 24, Some("10.9.0.7"))];
    let ours = master(host, routes, rules);
    until("the route leads where it should", || {
        host.ip("route show 203.0.113.0/24")
            .contains("via 10.9.0.7")
    });
    assert_eq!(host.ip("route show 203.0.113.0/24").lines().count(), 1);
    until("one rule is there", || {
        host.ip("rule show").matches("192.0.2.0/24").count() == 1
    });
    assert!(host.holds(VIP));
    ours.stop();
    assert!(!host.holds(VIP) && !host.ip("rule show").contains("192.0.2.0/24"));
    assert_eq!(host.ip("route show 203.0.113.0/24"), "");
}
