//! 40 connections in a row: the picks are those of IPVS itself. See ../golden/README.md.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::director::{Connection, Director, connection};
use crate::golden::{lines, servers};
use crate::service::Service;
use sched::threshold::overloaded;

const PICKS: &str = include_str!("../golden/picks.csv");
const ADDRESSED: &str = include_str!("../golden/addressed.csv");
const THRESHOLDS: &str = include_str!("../golden/thresholds.csv");

/// Where the real servers of the recordings listened, in the service's family.
fn end(server: u32, is_v6: bool) -> SocketAddr {
    let host = [39, 23, 31][server as usize - 1];
    let ip = if is_v6 {
        format!("fd00:100::{host}")
    } else {
        format!("192.168.100.{host}")
    };
    SocketAddr::new(ip.parse().unwrap(), 80)
}

#[test]
fn rr_and_wrr_pick_in_the_kernels_order() {
    let mut cases = 0;
    for [case, scheduler, weights, _, picks] in lines::<5>(PICKS) {
        if !matches!(scheduler, "rr" | "wrr") {
            continue;
        }
        let mut service = Service::new(scheduler);
        for (name, weight) in (1..).zip(weights.split(':')) {
            service.add(name, weight.parse().unwrap());
        }
        for (n, wanted) in servers(picks).enumerate() {
            assert_eq!(service.pick(), wanted, "{case}, connection {n}");
        }
        cases += 1;
    }
    assert_eq!(cases, 9);
}

/// Replays a case: servers of these weights, then connections one after the other.
fn replay(
    case: &str,
    mut director: Director,
    weights: &str,
    mode: &str,
    connections: &[Connection],
    picks: &str,
) {
    let is_v6 = connections[0].client.is_ipv6();
    for (server, weight) in (1..).zip(weights.split(':')) {
        director.add(server, end(server, is_v6), weight.parse().unwrap(), 0);
    }
    let mut open = VecDeque::new();
    for (n, (connection, wanted)) in connections.iter().zip(servers(picks)).enumerate() {
        let picked = director.pick(*connection);
        assert_eq!(picked, wanted, "{case}, connection {n}");
        open.extend(picked);
        let ends = match mode {
            "keep" => false,
            "close" => true,
            "mix" => n % 2 == 1,
            other => panic!("unknown mode {other}"),
        };
        if ends && let Some(oldest) = open.pop_front() {
            director.ended(oldest);
        }
    }
}

#[test]
fn lc_wlc_sed_nq_fo_and_ovf_pick_in_the_kernels_order() {
    let anybody = Connection {
        client: SocketAddr::from(([172, 16, 10, 40], 20_000)),
        virtual_address: IpAddr::from([172, 16, 10, 21]),
    };
    let mut cases = 0;
    for [case, scheduler, weights, mode, picks] in lines::<5>(PICKS) {
        if !matches!(scheduler, "rr" | "wrr") {
            let director = Director::new(scheduler, "");
            replay(case, director, weights, mode, &[anybody; 40], picks);
            cases += 1;
        }
    }
    assert_eq!(cases, 47);
}

#[test]
fn sh_mh_dh_lblc_and_lblcr_pick_by_the_same_addresses_and_ports_as_the_kernel() {
    let mut cases = 0;
    for [case, scheduler, flags, weights, mode, connections, picks] in lines::<7>(ADDRESSED) {
        let director = Director::new(scheduler, flags);
        let connections: Vec<Connection> = connections.split(' ').map(connection).collect();
        assert_eq!(connections.len(), 40);
        replay(case, director, weights, mode, &connections, picks);
        cases += 1;
    }
    assert_eq!(cases, 30);
}

#[test]
fn thresholds_mark_and_clear_as_in_the_kernel() {
    let (mut upper, mut lower, mut was) = (0, 0, false);
    // Of two equal destinations, the younger is first in the list.
    let (mut total, mut next) = (0, 2);
    for [operation, given_upper, given_lower, picks] in lines::<4>(THRESHOLDS) {
        if operation == "edit" {
            (upper, lower) = (given_upper.parse().unwrap(), given_lower.parse().unwrap());
            was = overloaded(total, upper, lower, was);
            continue;
        }
        for wanted in servers(picks) {
            let picked = if was { 2 } else { next };
            assert_eq!(
                Some(picked),
                wanted,
                "{total} connections, thresholds {upper} and {lower}"
            );
            next = 3 - picked;
            if picked == 1 {
                total += 1;
                was = overloaded(total, upper, lower, was);
            }
        }
    }
    assert_eq!(total, 8);
}
