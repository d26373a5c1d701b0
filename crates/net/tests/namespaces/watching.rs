//! The watcher in real network namespaces: what changes is seen.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::{Following, Namespace, connect, pair};
use net::{
    Event, LinkKind, Lookup, NeighbourState, NextHop, Resolver, Settings, Snapshot, Vlan, VlanPath,
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The gateway on the way to an address.
fn gateway(snapshot: &Snapshot, to: &str) -> Option<IpAddr> {
    match snapshot.route(ip(to)) {
        Lookup::Unicast(route) => route.gateway,
        _ => None,
    }
}

fn has_name(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.link_named(name).is_some()
}

#[test]
fn the_first_snapshot_shows_what_is_there() {
    let (director, _peer) = pair();
    director.ip("route add 203.0.113.0/24 via 10.0.0.2 mtu 1400 metric 7");
    director.ip("neighbour add 10.0.0.2 dev eth0 lladdr 02:00:00:00:00:99 nud permanent");
    let (mac, eth0) = (director.mac("eth0"), director.ifindex("eth0"));
    director.run(async || {
        let snapshot = Following::start().await.snapshot;
        let link = snapshot.link_named("eth0").unwrap();
        assert_eq!((link.ifindex, link.mac, link.mtu), (eth0, Some(mac), 1500));
        assert_eq!(
            (&link.kind, link.ethernet, link.xdp),
            (&LinkKind::Veth, true, Some(false))
        );
        assert!(link.is_up() && link.lower.is_some() && link.peer_netns.is_some());
        assert_eq!(snapshot.link_named("lo").unwrap().kind, LinkKind::Loopback);
        assert!(snapshot.is_local(ip("10.0.0.1")) && snapshot.is_local(ip("127.8.9.10")));
        assert!(snapshot.is_local(ip("fd00::1")) && !snapshot.is_local(ip("10.0.0.2")));
        assert_eq!(
            snapshot.next_hop(ip("203.0.113.7")),
            NextHop::Resolved {
                ifindex: eth0,
                source: mac,
                destination: "02:00:00:00:00:99".parse().unwrap(),
                vlan: None,
                mtu: 1400,
            }
        );
    });
}

#[test]
fn a_route_that_changes_is_seen() {
    let (director, _peer) = pair();
    director.ip("route add 203.0.113.0/24 via 10.0.0.2");
    director.run(async || {
        let mut following = Following::start().await;
        assert_eq!(
            gateway(&following.snapshot, "203.0.113.7"),
            Some(ip("10.0.0.2"))
        );
        director.ip("route replace 203.0.113.0/24 via 10.0.0.3");
        let is_through = |gateway_wanted: Option<IpAddr>| {
            move |snapshot: &Snapshot| gateway(snapshot, "203.0.113.7") == gateway_wanted
        };
        following
            .until("the route is replaced", is_through(Some(ip("10.0.0.3"))))
            .await;
        director.ip("route add 203.0.113.0/25 via 10.0.0.4");
        following
            .until("a longer one is there", is_through(Some(ip("10.0.0.4"))))
            .await;
        director.ip("route del 203.0.113.0/25");
        following
            .until("the longer one is gone", is_through(Some(ip("10.0.0.3"))))
            .await;
        director.ip("route del 203.0.113.0/24");
        following.until("no route is left", is_through(None)).await;
        assert_eq!(
            following.snapshot.next_hop(ip("203.0.113.7")),
            NextHop::NoRoute
        );
    });
}

#[test]
fn an_address_becomes_local_and_ceases_to_be() {
    let (director, _peer) = pair();
    director.run(async || {
        let mut following = Following::start().await;
        let is_local = |snapshot: &Snapshot| snapshot.is_local(ip("192.0.2.10"));
        director.ip("address add 192.0.2.10/32 dev lo");
        following.until("the address is local", is_local).await;
        director.ip("address del 192.0.2.10/32 dev lo");
        following
            .until("it no longer is", |snapshot| !is_local(snapshot))
            .await;
        director.ip("route add local 192.0.2.0/24 dev lo");
        following.until("a local route covers it", is_local).await;
        director.ip("route del local 192.0.2.0/24 dev lo");
        following
            .until("that is gone", |snapshot| !is_local(snapshot))
            .await;
    });
}

#[test]
fn routes_that_the_kernel_drops_silently_with_their_interface_are_gone() {
    let (director, _peer) = pair();
    director.ip("route add 203.0.113.0/24 via 10.0.0.2");
    let eth0 = director.ifindex("eth0");
    director.run(async || {
        let mut following = Following::start().await;
        director.ip("link set eth0 down");
        let no_route = |snapshot: &Snapshot| {
            snapshot.next_hop(ip("203.0.113.7")) == NextHop::NoRoute
                && snapshot.route(ip("10.0.0.2")) == Lookup::NoRoute
        };
        following.until("both routes are gone", no_route).await;
        assert!(
            following.snapshot.is_local(ip("10.0.0.1")),
            "the kernel keeps the address"
        );
        director.ip("link set eth0 up");
        let on_link = NextHop::Unresolved {
            ifindex: eth0,
            address: ip("10.0.0.2"),
        };
        let is_back = |snapshot: &Snapshot| snapshot.next_hop(ip("10.0.0.2")) == on_link;
        following.until("the subnet's route is back", is_back).await;
        assert_eq!(
            following.snapshot.next_hop(ip("203.0.113.7")),
            NextHop::NoRoute
        );
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

#[test]
fn what_happens_together_is_reported_together() {
    let (director, _peer) = pair();
    let batch = std::env::temp_dir().join(director.name());
    let lines: String = (0..100)
        .map(|n| format!("route add 203.0.113.{n}/32 via 10.0.0.2\n"))
        .collect();
    std::fs::write(&batch, lines).unwrap();
    director.run(async || {
        let settings = Settings {
            coalesce: Duration::from_millis(300),
            ..Settings::default()
        };
        let (mut snapshot, mut changes) = net::Watcher::start_with(settings).await.unwrap();
        director.ip(&format!("-batch {}", batch.display()));
        let mut reports = 0;
        while gateway(&snapshot, "203.0.113.99").is_none() {
            snapshot.apply_change(changes.recv().await.unwrap());
            reports += 1;
        }
        assert!(reports <= 2, "100 routes came in {reports} reports");
    });
    std::fs::remove_file(batch).unwrap();
}

#[test]
fn lost_reports_lead_to_a_resync_that_shows_everything() {
    let (director, _peer) = pair();
    let batch = std::env::temp_dir().join(director.name());
    let lines: String = (0..2000)
        .map(|n| format!("route add 172.16.{}.{}/32 via 10.0.0.2\n", n / 250, n % 250))
        .collect();
    std::fs::write(&batch, lines).unwrap();
    director.run(async || {
        let settings = Settings {
            receive_buffer: 4096,
            ..Settings::default()
        };
        let mut following = Following::start_with(settings).await;
        // On this single-threaded runtime nobody reads the socket while the command runs.
        director.ip(&format!("-batch {}", batch.display()));
        let complete = |snapshot: &Snapshot| {
            snapshot
                .routes()
                .filter(|route| route.prefix.length() == 32)
                .count()
                >= 2000
                && gateway(snapshot, "172.16.7.249").is_some()
        };
        following.until("all routes are there", complete).await;
        assert!(
            following.resyncs >= 1,
            "2000 reports cannot have fitted in 4 KiB"
        );
        // And it goes on to follow.
        director.ip("route add 203.0.113.0/24 via 10.0.0.2");
        let followed = |snapshot: &Snapshot| gateway(snapshot, "203.0.113.7").is_some();
        following.until("a later route is seen", followed).await;
    });
    std::fs::remove_file(batch).unwrap();
}

#[test]
fn a_neighbours_new_ethernet_address_is_seen() {
    let (director, peer) = pair();
    director.sysctl("net.ipv4.ip_forward=0");
    director.run(async || {
        let mut following = Following::start().await;
        peer.send_to("10.0.0.1");
        let is_at = |wanted: net::MacAddress| {
            move |snapshot: &Snapshot| {
                matches!(snapshot.next_hop(ip("10.0.0.2")),
                    NextHop::Resolved { destination, .. } if destination == wanted)
            }
        };
        following
            .until("the peer is known", is_at(peer.mac("eth0")))
            .await;
        peer.ip("link set eth0 down");
        peer.ip("link set eth0 address 02:00:00:00:00:77");
        peer.ip("link set eth0 up");
        peer.send_to("10.0.0.1");
        let moved = is_at("02:00:00:00:00:77".parse().unwrap());
        following.until("its new address is known", moved).await;
    });
}

#[test]
fn a_forgotten_neighbour_is_forgotten() {
    let (director, _peer) = pair();
    let eth0 = director.ifindex("eth0");
    director.ip("neighbour add 10.0.0.9 dev eth0 lladdr 02:00:00:00:00:99 nud stale");
    director.run(async || {
        let mut following = Following::start().await;
        let state = |snapshot: &Snapshot| {
            snapshot
                .neighbour(eth0, ip("10.0.0.9"))
                .map(|neighbour| neighbour.state)
        };
        assert_eq!(state(&following.snapshot), Some(NeighbourState::Stale));
        director.ip("neighbour del 10.0.0.9 dev eth0");
        let gone = |snapshot: &Snapshot| {
            matches!(
                snapshot.next_hop(ip("10.0.0.9")),
                NextHop::Unresolved { .. }
            )
        };
        following.until("the neighbour is gone", gone).await;
    });
}

#[test]
fn a_quiet_network_causes_no_reports() {
    let (director, _peer) = pair();
    director.run(async || {
        let mut following = Following::start().await;
        following.for_a_while(Duration::from_secs(1)).await;
        let events = following.for_a_while(Duration::from_secs(1)).await;
        let of_neighbours =
            |event: &Event| matches!(event, Event::Neighbour(_) | Event::NeighbourGone { .. });
        let others: Vec<&Event> = events
            .iter()
            .filter(|event| !of_neighbours(event))
            .collect();
        assert!(others.is_empty(), "{others:?}");
    });
}
