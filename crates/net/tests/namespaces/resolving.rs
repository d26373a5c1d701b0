//! The resolver in real network namespaces: the kernel is made to ask.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::support::{Family, Following, Namespace, in_both_families, ip, pair};
use net::{Event, MacAddress, NeighbourState, NextHop, Resolver, Snapshot};

/// How long it may take until a real server that silently got another Ethernet address is found,
/// on a machine that is busy with other things: five seconds, and as much again.
const FOUND_ANEW: Duration = Duration::from_secs(10);

/// Makes a director as strict as a hardened machine: it forwards nothing, and takes packets only
/// from where it would answer to.
fn harden(director: &Namespace) {
    director.sysctl("net.ipv4.ip_forward=0");
    director.sysctl("net.ipv6.conf.all.forwarding=0");
    director.sysctl("net.ipv4.conf.all.rp_filter=1");
    director.sysctl("net.ipv4.conf.default.rp_filter=1");
    director.sysctl("net.ipv4.conf.eth0.rp_filter=1");
}

fn resolver_for(destinations: &[&str]) -> Resolver {
    let mut resolver = Resolver::new().unwrap();
    for destination in destinations {
        resolver.resolve(ip(destination));
    }
    resolver
}

/// Whether an address is resolved, to this Ethernet address.
fn resolved_to(mac: MacAddress, address: &str) -> impl Fn(&Snapshot) -> bool {
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
    in_both_families(|family| {
        let (director, peer) = pair();
        harden(&director);
        let eth0 = director.ifindex("eth0");
        director.run(async || {
            let mut following = Following::start().await;
            let mut resolver = resolver_for(&[family.peer]);
            let holds = resolved_to(peer.mac("eth0"), family.peer);
            let reviews = following
                .resolve_until(&mut resolver, "it is resolved", holds)
                .await;
            let address = ip(family.peer);
            let unresolved = NextHop::Unresolved {
                ifindex: eth0,
                address,
            };
            assert_eq!(reviews[0].changed, [(address, unresolved)]);
            let last = &reviews.last().unwrap().changed;
            assert_eq!(last, &[(address, following.snapshot.next_hop(address))]);
        });
    });
}

#[test]
fn a_gateway_is_resolved_for_what_lies_behind() {
    in_both_families(|family| {
        let (director, peer) = pair();
        director.ip(&format!(
            "route add {} via {}",
            family.behind_wide, family.peer
        ));
        director.run(async || {
            let mut following = Following::start().await;
            let mut resolver = resolver_for(&[family.behind]);
            let holds = resolved_to(peer.mac("eth0"), family.behind);
            following
                .resolve_until(&mut resolver, "it is resolved", holds)
                .await;
        });
    });
}

#[test]
fn gateways_are_resolved_without_a_destination_where_that_is_asked_for() {
    in_both_families(|family| {
        let (director, peer) = pair();
        director.ip(&format!("route add default via {}", family.peer));
        director.run(async || {
            let mut following = Following::start().await;
            let mut resolver = resolver_for(&[]);
            resolver.keep_neighbours(&following.snapshot.gateways());
            let holds = resolved_to(peer.mac("eth0"), family.peer);
            following
                .resolve_until(&mut resolver, "it is resolved", holds)
                .await;
        });
    });
}

#[test]
fn a_link_local_ipv6_gateway_is_resolved() {
    let (director, peer) = pair();
    peer.ip("address add fe80::9/64 dev eth0 nodad");
    director.ip("route add 2001:db8:113::/48 via fe80::9 dev eth0");
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = resolver_for(&["2001:db8:113::7"]);
        let holds = resolved_to(peer.mac("eth0"), "2001:db8:113::7");
        following
            .resolve_until(&mut resolver, "it is resolved", holds)
            .await;
    });
}

#[test]
fn an_ipv4_destination_behind_an_ipv6_gateway_is_reached_by_the_gateways_address() {
    let (director, peer) = pair();
    director.ip("route add 203.0.113.0/24 via inet6 fd00::2 dev eth0");
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = resolver_for(&["203.0.113.7"]);
        let holds = resolved_to(peer.mac("eth0"), "203.0.113.7");
        following
            .resolve_until(&mut resolver, "it is resolved", holds)
            .await;
    });
}

#[test]
fn a_neighbour_that_does_not_answer_is_reported_and_found_when_it_comes() {
    in_both_families(|family| {
        let (director, peer) = pair();
        harden(&director);
        director.run(async || {
            let mut following = Following::start().await;
            let mut resolver = resolver_for(&[family.third]);
            let reviews = following
                .resolve_until(&mut resolver, "it failed", failed(family.third))
                .await;
            let (address, next_hop) = reviews.last().unwrap().changed[0];
            assert_eq!(address, ip(family.third));
            assert!(matches!(next_hop, NextHop::Failed { .. }), "{next_hop:?}");
            peer.ip(&format!(
                "address add {}/{} dev eth0",
                family.third, family.length
            ));
            let found = resolved_to(peer.mac("eth0"), family.third);
            following
                .resolve_until(&mut resolver, "it is found", found)
                .await;
        });
    });
}

#[test]
fn a_known_neighbour_is_confirmed_every_two_seconds_and_stays_resolved() {
    in_both_families(|family| {
        let (director, peer) = pair();
        harden(&director);
        director.run(async || {
            let mut following = Following::start().await;
            let mut resolver = resolver_for(&[family.peer]);
            let holds = resolved_to(peer.mac("eth0"), family.peer);
            following
                .resolve_until(&mut resolver, "it is resolved", &holds)
                .await;
            let events = following
                .resolve_for(&mut resolver, Duration::from_secs(7), |snapshot| {
                    assert!(holds(snapshot), "{:?}", snapshot.next_hop(ip(family.peer)));
                })
                .await;
            let seen = |state: NeighbourState| {
                let of_peer = events.iter().filter(|event| {
                    matches!(event, Event::Neighbour(known)
                        if known.address == ip(family.peer) && known.state == state)
                });
                of_peer.count()
            };
            let (asked, answered) = (seen(NeighbourState::Probe), seen(NeighbourState::Reachable));
            assert!((2..=4).contains(&asked), "asked {asked} times: {events:?}");
            assert!(answered + 1 >= asked, "{answered} of {asked} were answered");
        });
    });
}

/// What a destination's next hop was from one change to the next.
#[derive(Default)]
struct History(RefCell<Vec<NextHop>>);

impl History {
    fn note(&self, next_hop: NextHop) {
        let mut history = self.0.borrow_mut();
        if history.last() != Some(&next_hop) {
            history.push(next_hop);
        }
    }
}

#[test]
fn a_neighbour_that_silently_gets_another_ethernet_address_is_found_within_seconds() {
    in_both_families(|family| {
        let (director, peer) = pair();
        harden(&director);
        director.run(async || {
            let mut following = Following::start().await;
            let mut resolver = resolver_for(&[family.peer]);
            let old = resolved_to(peer.mac("eth0"), family.peer);
            following
                .resolve_until(&mut resolver, "it is resolved", &old)
                .await;
            change_mac_silently(&peer, family);
            let (begin, history) = (Instant::now(), History::default());
            let new = resolved_to(peer.mac("eth0"), family.peer);
            let found = |snapshot: &Snapshot| {
                history.note(snapshot.next_hop(ip(family.peer)));
                new(snapshot)
            };
            following
                .resolve_until(&mut resolver, "it is found anew", found)
                .await;
            let taken = begin.elapsed();
            println!("found anew after {taken:?}");
            assert!(taken < FOUND_ANEW, "it took {taken:?}");
            assert_resolved_until_it_failed(&history.0.into_inner());
        });
    });
}

/// Gives the peer another Ethernet address, of which it tells nobody.
fn change_mac_silently(peer: &Namespace, family: Family) {
    let announce = match family.name {
        "ipv4" => "arp_notify",
        _ => "ndisc_notify",
    };
    peer.sysctl(&format!("net.{}.conf.eth0.{announce}=0", family.name));
    peer.ip("link set eth0 address 02:00:00:00:00:77");
}

/// While the kernel asked at the old address, packets went there.
fn assert_resolved_until_it_failed(history: &[NextHop]) {
    let [before, rest @ ..] = history else {
        panic!("nothing was seen");
    };
    assert!(matches!(before, NextHop::Resolved { .. }), "{history:?}");
    if let Some(second) = rest.first() {
        assert!(
            matches!(second, NextHop::Failed { .. } | NextHop::Resolved { .. }),
            "{history:?}"
        );
    }
}

#[test]
fn a_neighbour_that_falls_silent_fails_although_nobody_sends_to_it() {
    in_both_families(|family| {
        let (director, peer) = pair();
        director.run(async || {
            let mut following = Following::start().await;
            let mut resolver = resolver_for(&[family.peer]);
            let holds = resolved_to(peer.mac("eth0"), family.peer);
            following
                .resolve_until(&mut resolver, "it is resolved", holds)
                .await;
            peer.ip(&format!(
                "address del {}/{} dev eth0",
                family.peer, family.length
            ));
            following
                .resolve_until(&mut resolver, "it failed", failed(family.peer))
                .await;
        });
    });
}

#[test]
fn a_neighbour_is_asked_for_about_once_a_second() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        director.run(async || {
            let following = Following::start().await;
            let mut resolver = resolver_for(&[family.third]);
            let start = Instant::now();
            let review = resolver.drive(&following.snapshot).await.unwrap();
            let pause = review.wakeup - start;
            assert!(
                pause > Duration::from_millis(900) && pause < Duration::from_secs(2),
                "{pause:?}"
            );
            let again = resolver.drive(&following.snapshot).await.unwrap();
            assert!(again.changed.is_empty() && again.wakeup <= review.wakeup + pause);
        });
    });
}

#[test]
fn neighbours_that_others_keep_and_those_nobody_cares_for_are_not_touched() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        for (address, kept) in [
            (family.peer, "nud permanent"),
            (family.third, "nud stale extern_learn"),
        ] {
            director.ip(&format!(
                "neighbour add {address} dev eth0 lladdr 02:00:00:00:00:99 {kept}"
            ));
        }
        let before = director.ip("neighbour show dev eth0");
        director.run(async || {
            let mut following = Following::start().await;
            let mut resolver = resolver_for(&[family.peer, family.third, family.behind]);
            let events = following
                .resolve_for(&mut resolver, Duration::from_secs(3), |_| {})
                .await;
            let about = |event: &&Event| {
                matches!(event, Event::Neighbour(known)
                    if [family.peer, family.third].map(ip).contains(&known.address))
            };
            assert_eq!(events.iter().filter(about).count(), 0, "{events:?}");
        });
        let about = |text: &str| -> Vec<String> {
            let lines = text
                .lines()
                .filter(|line| line.contains("02:00:00:00:00:99"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(
            about(&director.ip("neighbour show dev eth0")),
            about(&before)
        );
        assert_eq!(about(&before).len(), 2, "{before}");
    });
}

#[test]
fn an_ipv6_router_that_is_confirmed_stays_a_router() {
    let (director, peer) = pair();
    peer.sysctl("net.ipv6.conf.all.forwarding=1");
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = resolver_for(&["fd00::2"]);
        let holds = resolved_to(peer.mac("eth0"), "fd00::2");
        following
            .resolve_until(&mut resolver, "it is resolved", holds)
            .await;
        following
            .resolve_for(&mut resolver, Duration::from_secs(3), |_| {})
            .await;
        let known = director.ip("-6 neighbour show fd00::2 dev eth0");
        assert!(known.contains("router"), "{known}");
    });
}
