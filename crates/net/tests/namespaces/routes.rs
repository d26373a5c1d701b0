//! Routes that change, also without a report of the kernel.

use std::net::IpAddr;

use net::{Lookup, NextHop, Snapshot};

use crate::support::{Following, in_both_families, ip, pair};

/// The gateway on the way to an address.
fn gateway(snapshot: &Snapshot, to: &str) -> Option<IpAddr> {
    match snapshot.route(ip(to)) {
        Lookup::Unicast(route) => route.gateway,
        _ => None,
    }
}

#[test]
fn a_route_that_changes_is_seen() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        let (wide, narrow) = (family.behind_wide, family.behind_narrow);
        director.ip(&format!("route add {wide} via {}", family.peer));
        director.run(async || {
            let mut following = Following::start().await;
            assert_eq!(
                gateway(&following.snapshot, family.behind),
                Some(ip(family.peer))
            );
            director.ip(&format!("route replace {wide} via {}", family.third));
            let is_through = |gateway_wanted: Option<IpAddr>| {
                move |snapshot: &Snapshot| gateway(snapshot, family.behind) == gateway_wanted
            };
            following
                .until("the route is replaced", is_through(Some(ip(family.third))))
                .await;
            director.ip(&format!("route add {narrow} via {}", family.peer));
            following
                .until("a longer one is there", is_through(Some(ip(family.peer))))
                .await;
            director.ip(&format!("route del {narrow}"));
            following
                .until("the longer one is gone", is_through(Some(ip(family.third))))
                .await;
            director.ip(&format!("route del {wide}"));
            following.until("no route is left", is_through(None)).await;
            assert_eq!(
                following.snapshot.next_hop(ip(family.behind)),
                NextHop::NoRoute
            );
        });
    });
}

#[test]
fn routes_go_with_their_interface_and_the_subnets_comes_back() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        // Else IPv6 addresses go with their interface as well.
        director.sysctl("net.ipv6.conf.eth0.keep_addr_on_down=1");
        director.ip(&format!(
            "route add {} via {}",
            family.behind_wide, family.peer
        ));
        let eth0 = director.ifindex("eth0");
        director.run(async || {
            let mut following = Following::start().await;
            director.ip("link set eth0 down");
            let no_route = |snapshot: &Snapshot| {
                snapshot.next_hop(ip(family.behind)) == NextHop::NoRoute
                    && snapshot.route(ip(family.peer)) == Lookup::NoRoute
            };
            following.until("both routes are gone", no_route).await;
            director.ip("link set eth0 up");
            let on_link = NextHop::Unresolved {
                ifindex: eth0,
                address: ip(family.peer),
            };
            let is_back = |snapshot: &Snapshot| {
                snapshot.next_hop(ip(family.peer)) == on_link && snapshot.is_local(ip(family.own))
            };
            following.until("the subnet's route is back", is_back).await;
            assert_eq!(
                following.snapshot.next_hop(ip(family.behind)),
                NextHop::NoRoute
            );
        });
    });
}

#[test]
fn ipv6_routes_that_go_without_a_report_are_gone() {
    let (director, _peer) = pair();
    director.sysctl("net.ipv6.route.skip_notify_on_dev_down=1");
    director.ip("route add 2001:db8:113::/48 via fd00::2");
    director.run(async || {
        let mut following = Following::start().await;
        director.ip("link set eth0 down");
        let no_route = |snapshot: &Snapshot| {
            snapshot.next_hop(ip("2001:db8:113::7")) == NextHop::NoRoute
                && snapshot.route(ip("fd00::2")) == Lookup::NoRoute
        };
        following.until("both routes are gone", no_route).await;
    });
}

#[test]
fn a_route_goes_silently_with_its_preferred_source() {
    let (director, _peer) = pair();
    director.ip("address add 192.0.2.10/32 dev eth0");
    director.ip("route add 203.0.113.0/24 via 10.0.0.2 src 192.0.2.10");
    director.run(async || {
        let mut following = Following::start().await;
        assert!(gateway(&following.snapshot, "203.0.113.7").is_some());
        director.ip("address del 192.0.2.10/32 dev eth0");
        let gone = |snapshot: &Snapshot| snapshot.route(ip("203.0.113.7")) == Lookup::NoRoute;
        following.until("the route is gone", gone).await;
    });
}

#[test]
fn an_ipv6_multipath_route_loses_one_leg_and_keeps_the_other() {
    let (director, _peer) = pair();
    director.ip("-6 route add 2001:db8::/32 via fd00::2");
    director.run(async || {
        let mut following = Following::start().await;
        let gateways = |snapshot: &Snapshot| {
            let prefix = net::Prefix::new(ip("2001:db8::"), 32);
            let of_prefix = snapshot.routes().filter(|route| route.prefix == prefix);
            let mut gateways: Vec<IpAddr> = of_prefix
                .flat_map(|route| route.legs.iter().filter_map(|leg| leg.gateway))
                .collect();
            gateways.sort_unstable();
            gateways
        };
        director.ip("-6 route append 2001:db8::/32 via fd00::3");
        let both = |snapshot: &Snapshot| gateways(snapshot) == [ip("fd00::2"), ip("fd00::3")];
        following.until("both gateways are there", both).await;
        director.ip("-6 route del 2001:db8::/32 via fd00::2");
        let other = |snapshot: &Snapshot| gateways(snapshot) == [ip("fd00::3")];
        following.until("one is left", other).await;
    });
}
