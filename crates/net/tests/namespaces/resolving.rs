//! The resolver in real network namespaces: the kernel is made to ask.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::{Following, Namespace, pair};
use net::{Event, NeighbourState, NextHop, Resolver, Snapshot};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Makes a director as strict as a hardened machine: it forwards nothing, and takes packets only
/// from where it would answer to.
fn harden(director: &Namespace) {
    director.sysctl("net.ipv4.ip_forward=0");
    director.sysctl("net.ipv4.conf.all.rp_filter=1");
    director.sysctl("net.ipv4.conf.default.rp_filter=1");
    director.sysctl("net.ipv4.conf.eth0.rp_filter=1");
}

/// Lets neighbours be reachable for half to one and a half of 200 ms, then stale; once used, they
/// are probed at once.
fn grow_stale_quickly(director: &Namespace) {
    director.sysctl("net.ipv4.neigh.eth0.base_reachable_time_ms=200");
    director.sysctl("net.ipv4.neigh.eth0.delay_first_probe_time=0");
}

/// Whether an address is resolved, to this Ethernet address.
fn resolved_to(mac: net::MacAddress, address: &str) -> impl Fn(&Snapshot) -> bool {
    let address = ip(address);
    move |snapshot| {
        matches!(snapshot.next_hop(address),
            NextHop::Resolved { destination, .. } if destination == mac)
    }
}

fn failed(address: &str) -> impl Fn(&Snapshot) -> bool {
    let address = ip(address);
    move |snapshot| matches!(snapshot.next_hop(address), NextHop::Failed { .. })
}

#[test]
fn a_neighbour_is_resolved_without_a_packet_of_ours() {
    let (director, peer) = pair();
    harden(&director);
    let eth0 = director.ifindex("eth0");
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        resolver.resolve(ip("10.0.0.2"));
        let holds = resolved_to(peer.mac("eth0"), "10.0.0.2");
        let reviews = following
            .resolve_until(&mut resolver, "it is resolved", holds)
            .await;
        let unresolved = NextHop::Unresolved {
            ifindex: eth0,
            address: ip("10.0.0.2"),
        };
        assert_eq!(reviews[0].changed, [(ip("10.0.0.2"), unresolved)]);
        let last = &reviews.last().unwrap().changed;
        assert_eq!(
            last,
            &[(ip("10.0.0.2"), following.snapshot.next_hop(ip("10.0.0.2")))]
        );
    });
}

#[test]
fn an_ipv6_neighbour_and_a_gateway_are_resolved() {
    let (director, peer) = pair();
    director.ip("route add 203.0.113.0/24 via 10.0.0.2");
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        resolver.resolve(ip("fd00::2"));
        resolver.resolve(ip("203.0.113.7"));
        let mac = peer.mac("eth0");
        let (v6, behind) = (resolved_to(mac, "fd00::2"), resolved_to(mac, "203.0.113.7"));
        let both = |snapshot: &Snapshot| v6(snapshot) && behind(snapshot);
        following
            .resolve_until(&mut resolver, "both are resolved", both)
            .await;
    });
}

#[test]
fn a_neighbour_that_does_not_answer_is_reported_and_found_when_it_comes() {
    let (director, peer) = pair();
    harden(&director);
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        resolver.resolve(ip("10.0.0.3"));
        let reviews = following
            .resolve_until(&mut resolver, "it failed", failed("10.0.0.3"))
            .await;
        let (address, next_hop) = reviews.last().unwrap().changed[0];
        assert_eq!(address, ip("10.0.0.3"));
        assert!(matches!(next_hop, NextHop::Failed { .. }), "{next_hop:?}");
        peer.ip("address add 10.0.0.3/24 dev eth0");
        let found = resolved_to(peer.mac("eth0"), "10.0.0.3");
        following
            .resolve_until(&mut resolver, "it is found", found)
            .await;
    });
}

#[test]
fn a_neighbour_that_grows_stale_is_confirmed_without_traffic() {
    let (director, peer) = pair();
    harden(&director);
    let eth0 = director.ifindex("eth0");
    grow_stale_quickly(&director);
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        resolver.resolve(ip("10.0.0.2"));
        let is = |state: NeighbourState| {
            move |snapshot: &Snapshot| {
                snapshot
                    .neighbour(eth0, ip("10.0.0.2"))
                    .is_some_and(|known| known.state == state)
            }
        };
        let (reachable, stale) = (NeighbourState::Reachable, NeighbourState::Stale);
        for round in 1..=2 {
            let what = format!("it is confirmed, round {round}");
            following
                .resolve_until(&mut resolver, &what, is(reachable))
                .await;
            following.until("it is stale", is(stale)).await;
            assert!(resolved_to(peer.mac("eth0"), "10.0.0.2")(
                &following.snapshot
            ));
        }
    });
}

#[test]
fn a_neighbour_that_falls_silent_fails_although_nobody_sends_to_it() {
    let (director, peer) = pair();
    grow_stale_quickly(&director);
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        resolver.resolve(ip("10.0.0.2"));
        let holds = resolved_to(peer.mac("eth0"), "10.0.0.2");
        following
            .resolve_until(&mut resolver, "it is resolved", holds)
            .await;
        peer.sysctl("net.ipv4.conf.eth0.arp_ignore=8");
        following
            .resolve_until(&mut resolver, "it failed", failed("10.0.0.2"))
            .await;
    });
}

#[test]
fn a_neighbour_is_asked_for_about_once_a_second() {
    let (director, _peer) = pair();
    director.run(async || {
        let following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        resolver.resolve(ip("10.0.0.3"));
        let start = std::time::Instant::now();
        let review = resolver.drive(&following.snapshot).await.unwrap();
        let pause = review.wakeup - start;
        assert!(
            pause > Duration::from_millis(900) && pause < Duration::from_secs(2),
            "{pause:?}"
        );
        let again = resolver.drive(&following.snapshot).await.unwrap();
        assert!(again.changed.is_empty() && again.wakeup <= review.wakeup + pause);
    });
}

#[test]
fn the_resolver_touches_no_permanent_neighbour_and_none_that_nobody_cares_for() {
    let (director, _peer) = pair();
    let eth0 = director.ifindex("eth0");
    director.ip("neighbour add 10.0.0.9 dev eth0 lladdr 02:00:00:00:00:99 nud permanent");
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        resolver.resolve(ip("10.0.0.9"));
        resolver.resolve(ip("10.0.0.3"));
        resolver.forget(ip("10.0.0.3"));
        resolver.drive(&following.snapshot).await.unwrap();
        let events = following.for_a_while(Duration::from_millis(500)).await;
        let about = |event: &&Event| match event {
            Event::Neighbour(neighbour) => neighbour.address.is_ipv4(),
            _ => false,
        };
        assert_eq!(events.iter().filter(about).count(), 0, "{events:?}");
        let known = following.snapshot.neighbour(eth0, ip("10.0.0.9")).unwrap();
        assert_eq!(known.state, NeighbourState::Permanent);
    });
}
