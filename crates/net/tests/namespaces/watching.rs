//! The watcher in real network namespaces: nothing is missed, and nothing told twice.

use std::net::IpAddr;
use std::time::Duration;

use net::{Event, LinkKind, Lookup, NextHop, Settings, Snapshot};

use crate::support::{Following, in_both_families, ip, pair};

/// The gateway on the way to an address.
fn gateway(snapshot: &Snapshot, to: &str) -> Option<IpAddr> {
    match snapshot.route(ip(to)) {
        Lookup::Unicast(route) => route.gateway,
        _ => None,
    }
}

#[test]
fn the_first_snapshot_shows_what_is_there() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        director.ip(&format!(
            "route add {} via {} mtu lock 1400 metric 7",
            family.behind_wide, family.peer
        ));
        director.ip(&format!(
            "neighbour add {} dev eth0 lladdr 02:00:00:00:00:99 nud permanent",
            family.peer
        ));
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
            assert!(snapshot.is_local(ip("127.8.9.10")) && snapshot.is_local(ip("::1")));
            assert!(snapshot.is_local(ip(family.own)) && !snapshot.is_local(ip(family.peer)));
            assert_eq!(
                snapshot.next_hop(ip(family.behind)),
                NextHop::Resolved {
                    ifindex: eth0,
                    source: mac,
                    destination: "02:00:00:00:00:99".parse().unwrap(),
                    vlan: None,
                    mtu: 1400,
                }
            );
        });
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
