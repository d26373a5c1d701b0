//! Interfaces that come, go and are of many kinds.

use std::time::Duration;

use net::{LinkKind, Lookup, NextHop, Resolver, Snapshot, Vlan, VlanPath};

use crate::support::{Following, Namespace, connect, ip, pair};

fn has_name(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.link_named(name).is_some()
}

#[test]
fn a_link_whose_carrier_goes_and_comes_is_down_and_up() {
    let (director, peer) = pair();
    let eth0 = director.ifindex("eth0");
    director.run(async || {
        let mut following = Following::start().await;
        let is_down = |snapshot: &Snapshot| {
            snapshot.next_hop(ip("10.0.0.2")) == NextHop::LinkDown { ifindex: eth0 }
        };
        assert!(!is_down(&following.snapshot));
        peer.ip("link set eth0 down");
        following.until("the carrier is lost", is_down).await;
        peer.ip("link set eth0 up");
        following
            .until("the carrier is back", |snapshot| !is_down(snapshot))
            .await;
    });
}

#[test]
fn an_interface_that_appears_later_is_seen_with_all_that_belongs_to_it() {
    let (director, peer) = (Namespace::new("director"), Namespace::new("peer"));
    director.run(async || {
        let mut following = Following::start().await;
        assert!(!has_name(&following.snapshot, "late0"));
        connect(&director, &peer, "late0");
        let ifindex = director.ifindex("late0");
        let complete = |snapshot: &Snapshot| {
            snapshot.interfaces_towards(&[ip("10.0.0.2"), ip("10.0.0.1")]) == [ifindex]
                && snapshot.is_local(ip("fd00::1"))
                && snapshot.link(ifindex).is_some_and(|link| link.is_up())
        };
        following.until("the interface is complete", complete).await;
        director.ip("link set late0 down");
        director.ip("link set late0 name renamed0");
        following
            .until("its new name is known", |snapshot| {
                has_name(snapshot, "renamed0")
            })
            .await;
        assert!(!has_name(&following.snapshot, "late0"));
        director.ip("link del renamed0");
        let gone = |snapshot: &Snapshot| {
            snapshot.links().count() == 1 && snapshot.route(ip("10.0.0.2")) == Lookup::NoRoute
        };
        following.until("nothing of it is left", gone).await;
    });
}

#[test]
fn kinds_of_interfaces_are_told_apart() {
    let (director, _peer) = pair();
    let eth0 = director.ifindex("eth0");
    director.run(async || {
        let mut following = Following::start().await;
        for link in [
            "name br0 type bridge",
            "name mac0 link eth0 type macvlan",
            "name ifb0 type ifb",
            "name vx0 type vxlan id 5 dstport 4789",
        ] {
            director.ip(&format!("link add {link}"));
        }
        director.ip("link set vx0 master br0");
        let port = |snapshot: &Snapshot| {
            snapshot
                .link_named("vx0")
                .is_some_and(|link| link.master.is_some())
        };
        following.until("all are there", port).await;
        let snapshot = &following.snapshot;
        let kind = |name| snapshot.link_named(name).unwrap().kind.clone();
        assert_eq!(kind("br0"), LinkKind::Bridge);
        assert_eq!(kind("mac0"), LinkKind::Macvlan);
        assert_eq!(kind("ifb0"), LinkKind::Other("ifb".to_owned()));
        assert_eq!(kind("vx0"), LinkKind::Other("vxlan".to_owned()));
        let macvlan = snapshot.link_named("mac0").unwrap();
        assert_eq!((macvlan.lower, macvlan.peer_netns), (Some(eth0), None));
    });
}

#[test]
fn a_port_that_leaves_its_bridge_stays_an_interface() {
    let (director, _peer) = pair();
    director.ip("link add br0 type bridge");
    director.ip("link set eth0 master br0");
    let bridge = director.ifindex("br0");
    director.run(async || {
        let mut following = Following::start().await;
        let ports: Vec<_> = following
            .snapshot
            .ports_of(bridge)
            .map(|link| &link.name)
            .collect();
        assert_eq!(ports, ["eth0"]);
        // The bridge reports the end of a port as the end of an interface, in its own family.
        director.ip("link set eth0 nomaster");
        let free = |snapshot: &Snapshot| snapshot.ports_of(bridge).count() == 0;
        following.until("the port is free", free).await;
        following.for_a_while(Duration::from_millis(200)).await;
        assert!(has_name(&following.snapshot, "eth0"));
        let mut addresses = following.snapshot.addresses();
        assert!(
            addresses.any(|held| held.address == ip("10.0.0.1")),
            "it keeps its addresses"
        );
    });
}

#[test]
fn a_bridge_itself_is_the_way_out_with_its_own_address() {
    let (director, _peer) = pair();
    director.ip("link add br0 type bridge");
    director.ip("link set eth0 master br0");
    director.ip("address add 10.9.0.1/24 dev br0");
    director.ip("link set br0 up");
    director.run(async || {
        let mut following = Following::start().await;
        director.ip("neighbour add 10.9.0.2 dev br0 lladdr 02:00:00:00:00:99 nud permanent");
        let (bridge, mac) = (director.ifindex("br0"), director.mac("br0"));
        following
            .until("the bridge leads there", |snapshot| {
                matches!(snapshot.next_hop(ip("10.9.0.2")),
                    NextHop::Resolved { ifindex, source, .. } if ifindex == bridge && source == mac)
            })
            .await;
    });
}

#[test]
#[ignore = "needs a kernel with 802.1Q interfaces: there, run with --include-ignored"]
fn a_vlan_interface_is_followed_and_leads_to_its_neighbours() {
    let (director, peer) = pair();
    for (host, namespace) in [(1, &director), (2, &peer)] {
        namespace.ip("link add link eth0 name eth0.42 type vlan id 42");
        namespace.ip(&format!("address add 10.42.0.{host}/24 dev eth0.42"));
        namespace.ip("link set eth0.42 up");
    }
    let (vlan, below) = (director.ifindex("eth0.42"), director.ifindex("eth0"));
    director.run(async || {
        let mut following = Following::start().await;
        let mut resolver = Resolver::new().unwrap();
        resolver.resolve(ip("10.42.0.2"));
        let resolved = |snapshot: &Snapshot| {
            matches!(snapshot.next_hop(ip("10.42.0.2")), NextHop::Resolved { .. })
        };
        following
            .resolve_until(&mut resolver, "it is resolved", resolved)
            .await;
        let tag = Vlan {
            id: 42,
            protocol: 0x8100,
        };
        let NextHop::Resolved {
            ifindex,
            vlan: path,
            ..
        } = following.snapshot.next_hop(ip("10.42.0.2"))
        else {
            panic!("it was resolved");
        };
        assert_eq!(
            (ifindex, path),
            (
                vlan,
                Some(VlanPath {
                    vlan: tag,
                    lower: Some(below)
                })
            )
        );
        director.ip("link set eth0 down");
        let down = |snapshot: &Snapshot| {
            !matches!(snapshot.next_hop(ip("10.42.0.2")), NextHop::Resolved { .. })
        };
        following
            .until("the VLAN goes with what lies below", down)
            .await;
    });
}
