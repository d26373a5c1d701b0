//! Addresses that come, go and change their worth.

use std::time::Duration;

use net::Snapshot;

use crate::support::{Following, in_both_families, ip, pair};

#[test]
fn an_address_becomes_local_and_ceases_to_be() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        let address = format!("{}/{}", family.behind, family.whole);
        director.run(async || {
            let mut following = Following::start().await;
            let is_local = |snapshot: &Snapshot| snapshot.is_local(ip(family.behind));
            director.ip(&format!("address add {address} dev lo"));
            following.until("the address is local", is_local).await;
            director.ip(&format!("address del {address} dev lo"));
            following
                .until("it no longer is", |snapshot| !is_local(snapshot))
                .await;
            director.ip(&format!("route add local {} dev lo", family.behind_wide));
            following.until("a local route covers it", is_local).await;
            director.ip(&format!("route del local {} dev lo", family.behind_wide));
            following
                .until("that is gone", |snapshot| !is_local(snapshot))
                .await;
        });
    });
}

#[test]
fn an_ipv6_address_is_not_local_before_it_is_known_to_be_the_only_one() {
    let (director, _peer) = pair();
    director.sysctl("net.ipv6.conf.eth0.accept_dad=1");
    director.run(async || {
        let mut following = Following::start().await;
        director.ip("address add fd00::55/64 dev eth0");
        let held = |snapshot: &Snapshot| {
            let mut addresses = snapshot.addresses();
            addresses
                .find(|held| held.address == ip("fd00::55"))
                .copied()
        };
        let is_tentative = |snapshot: &Snapshot| {
            held(snapshot).is_some_and(|held| held.unusable) && !snapshot.is_local(ip("fd00::55"))
        };
        following.until("it is tentative", is_tentative).await;
        let is_usable = |snapshot: &Snapshot| {
            held(snapshot).is_some_and(|held| !held.unusable) && snapshot.is_local(ip("fd00::55"))
        };
        following.until("it is usable", is_usable).await;
    });
}

#[test]
fn a_duplicate_ipv6_address_is_never_local() {
    let (director, peer) = pair();
    director.sysctl("net.ipv6.conf.eth0.accept_dad=1");
    peer.ip("address add fd00::55/64 dev eth0 nodad");
    director.run(async || {
        let mut following = Following::start().await;
        director.ip("address add fd00::55/64 dev eth0");
        following.for_a_while(Duration::from_secs(3)).await;
        let listed = director.ip("-6 address show dev eth0");
        assert!(listed.contains("dadfailed"), "{listed}");
        let mut addresses = following.snapshot.addresses();
        assert!(addresses.any(|held| held.address == ip("fd00::55") && held.unusable));
        assert!(!following.snapshot.is_local(ip("fd00::55")));
    });
}

#[test]
fn a_deprecated_ipv6_address_stays_local_and_is_a_source_no_longer() {
    let (director, _peer) = pair();
    director.ip("address add fd00::55/64 dev eth0 nodad preferred_lft 2 valid_lft 300");
    director.ip("address del fd00::1/64 dev eth0");
    director.ip("address add fd77::1/64 dev eth0 nodad");
    director.run(async || {
        let mut following = Following::start().await;
        let source = |snapshot: &Snapshot| snapshot.source_towards(ip("fd00::2"));
        assert_eq!(source(&following.snapshot), Some(ip("fd00::55")));
        let other = |snapshot: &Snapshot| source(snapshot) == Some(ip("fd77::1"));
        following.until("another is the source", other).await;
        assert!(following.snapshot.is_local(ip("fd00::55")));
    });
}

#[test]
fn a_forwarding_routers_anycast_address_is_local() {
    let (director, _peer) = pair();
    director.run(async || {
        let mut following = Following::start().await;
        assert!(!following.snapshot.is_local(ip("fd00::")));
        director.sysctl("net.ipv6.conf.all.forwarding=1");
        let is_local = |snapshot: &Snapshot| snapshot.is_local(ip("fd00::"));
        following.until("it is local", is_local).await;
    });
}
