//! Neighbours that move and are forgotten.

use net::{NeighbourState, NextHop, Snapshot};

use crate::support::{Following, in_both_families, ip, pair};

#[test]
fn a_neighbours_new_ethernet_address_is_seen() {
    in_both_families(|family| {
        let (director, peer) = pair();
        director.sysctl("net.ipv4.ip_forward=0");
        // Else IPv6 addresses go with their interface.
        peer.sysctl("net.ipv6.conf.eth0.keep_addr_on_down=1");
        director.run(async || {
            let mut following = Following::start().await;
            peer.send_to(family.own);
            let is_at = |wanted: net::MacAddress| {
                move |snapshot: &Snapshot| {
                    matches!(snapshot.next_hop(ip(family.peer)),
                        NextHop::Resolved { destination, .. } if destination == wanted)
                }
            };
            following
                .until("the peer is known", is_at(peer.mac("eth0")))
                .await;
            peer.ip("link set eth0 down");
            peer.ip("link set eth0 address 02:00:00:00:00:77");
            peer.ip("link set eth0 up");
            peer.send_to(family.own);
            let moved = is_at("02:00:00:00:00:77".parse().unwrap());
            following.until("its new address is known", moved).await;
        });
    });
}

#[test]
fn a_forgotten_neighbour_is_forgotten() {
    in_both_families(|family| {
        let (director, _peer) = pair();
        let (eth0, third) = (director.ifindex("eth0"), family.third);
        director.ip(&format!(
            "neighbour add {third} dev eth0 lladdr 02:00:00:00:00:99 nud stale"
        ));
        director.run(async || {
            let mut following = Following::start().await;
            let state = |snapshot: &Snapshot| {
                snapshot
                    .neighbour(eth0, ip(third))
                    .map(|neighbour| neighbour.state)
            };
            assert_eq!(state(&following.snapshot), Some(NeighbourState::Stale));
            director.ip(&format!("neighbour del {third} dev eth0"));
            let gone = |snapshot: &Snapshot| {
                matches!(snapshot.next_hop(ip(third)), NextHop::Unresolved { .. })
            };
            following.until("the neighbour is gone", gone).await;
        });
    });
}
