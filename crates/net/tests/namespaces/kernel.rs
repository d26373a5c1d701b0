//! Answers compared with the kernel's own: `ip route get`, `ethtool -k`.

use std::net::IpAddr;

use net::{Lookup, Snapshot};

use crate::support::{Following, Namespace, connect};

/// A director with two networks and every sort of route that lookups distinguish.
fn crossroads() -> (Namespace, [Namespace; 2]) {
    let director = Namespace::new("director");
    let peers = [Namespace::new("peer0"), Namespace::new("peer1")];
    connect(&director, &peers[0], "eth0");
    director.ip(&format!(
        "link add eth1 type veth peer name eth1 netns {}",
        peers[1].name()
    ));
    peers[1].ip("link set eth1 up");
    director.ip("link set eth1 up mtu 1400");
    for line in [
        "address add 192.0.2.1/24 dev eth1",
        "address add 192.0.2.129/25 dev eth1",
        "address add 192.0.2.5/24 dev eth1",
        "address add 198.51.100.1/32 dev lo",
        "address add 172.31.0.1 peer 172.31.0.2/32 dev eth1",
        "address add fd01::1/64 dev eth1 nodad",
        "route add default via 192.0.2.254",
        "route add 203.0.113.0/24 via 10.0.0.2 metric 50",
        "route add 203.0.113.0/24 via 192.0.2.9 metric 20",
        "route add 203.0.113.64/26 dev eth0 scope link src 198.51.100.1",
        "route add 203.0.113.128/25 via 10.0.0.7 mtu 1300",
        "route add 203.0.113.200/32 via 10.0.0.8 onlink dev eth1",
        "route add blackhole 100.64.0.0/10",
        "route add 100.64.1.0/24 via 10.0.0.2",
        "route add unreachable 100.65.0.0/16",
        "route add throw 100.66.0.0/16",
        "route add local 100.67.0.0/16 dev lo",
        "route add 100.67.1.0/24 via 10.0.0.2",
        "route add 100.68.0.0/16 via 10.0.0.2 tos 0x10",
        "route add 100.69.0.0/16 via inet6 fd00::2 dev eth0",
        "route add 100.70.0.0/16 via 10.0.0.2 table 100",
        "-6 route add default via fd01::2",
        "-6 route add 2001:db8::/32 via fd00::2 metric 50",
        "-6 route add 2001:db8:1::/48 via fe80::1 dev eth1",
        "-6 route add unreachable 2001:db8:2::/48",
        // Addresses among which a source is chosen.
        "address add 169.254.7.7/16 dev eth1 scope link",
        "address add 2001:db8:a::1/64 dev eth1 nodad",
        "address add 2001:db8:a::2/64 dev eth1 nodad preferred_lft 0",
        "address add 2001:db8:b:1::1/48 dev eth0 nodad preferred_lft 0",
        "address add 2001:db8:b:2::1/64 dev eth0 nodad",
        "address add 2002:c000:201::1/48 dev lo",
        "address add fe80::77/64 dev eth1 nodad",
        "address add 2001:db8:ffff::1/128 dev lo",
        "-6 route add 2001:db8:c::/48 via fd01::2 src 2001:db8:ffff::1",
        "-6 route add blackhole 2001:db8:e::/48",
        "-6 route add local 2001:db8:f::/48 dev lo",
        "-6 route add 2001:db8:10::/48 via fe80::2 dev eth0 metric 9",
        "-6 route add 2001:db8:10::/48 via fe80::3 dev eth0 metric 8",
        "-6 route add 2001:db8:11::/48 via fd00::2 table 100",
        "-6 route add 2002::/16 via fd01::2",
    ] {
        director.ip(line);
    }
    (director, peers)
}

/// What `ip route get` says: interface, gateway, source; or "local", or "none".
fn kernels_answer(director: &Namespace, destination: &str) -> String {
    let output = std::process::Command::new("ip")
        .args(["-n", director.name(), "-o", "route", "get", destination])
        .output()
        .unwrap();
    if !output.status.success() {
        return "none".to_owned();
    }
    let line = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[0] {
        "local" => return "local".to_owned(),
        "broadcast" | "unreachable" | "blackhole" | "prohibit" => return "none".to_owned(),
        _ => {}
    }
    let after = |key: &str| {
        let position = words.iter().position(|word| *word == key)?;
        words.get(position + 1).copied()
    };
    let gateway = match after("via") {
        Some("inet6") => after("inet6"),
        gateway => gateway,
    };
    let (out, source) = (after("dev").unwrap(), after("src").unwrap());
    format!("dev {out} via {} src {source}", gateway.unwrap_or("itself"))
}

fn our_answer(snapshot: &Snapshot, destination: IpAddr) -> String {
    match snapshot.route(destination) {
        Lookup::Unicast(route) => {
            let out = &snapshot.link(route.ifindex).unwrap().name;
            let gateway = route
                .gateway
                .map_or("itself".to_owned(), |gateway| gateway.to_string());
            format!("dev {out} via {gateway} src {}", route.source.unwrap())
        }
        Lookup::Local => "local".to_owned(),
        Lookup::Rejected(_) | Lookup::NoRoute => "none".to_owned(),
    }
}

#[test]
fn routes_are_found_as_the_kernel_finds_them() {
    let (director, _peers) = crossroads();
    director.run(async || {
        let snapshot = Following::start().await.snapshot;
        for destination in [
            "10.0.0.1",
            "10.0.0.2",
            "10.0.0.255",
            "10.0.0.99",
            "10.0.1.1",
            "192.0.2.1",
            "192.0.2.5",
            "192.0.2.9",
            "192.0.2.130",
            "192.0.2.254",
            "198.51.100.1",
            "198.51.100.2",
            "127.0.0.1",
            "127.9.9.9",
            "8.8.8.8",
            "172.31.0.1",
            "172.31.0.2",
            "172.31.0.3",
            "203.0.113.1",
            "203.0.113.65",
            "203.0.113.127",
            "203.0.113.129",
            "203.0.113.200",
            "100.64.0.1",
            "100.64.1.1",
            "100.65.0.1",
            "100.66.0.1",
            "100.67.0.1",
            "100.68.0.1",
            "100.69.0.1",
            "100.70.0.1",
            "fd00::1",
            "fd00::2",
            "fd01::1",
            "fd01::77",
            "2001:db8::1",
            "2001:db8:1::1",
            "2001:db8:2::1",
            "2001:4860::1",
            "::1",
            "169.254.1.1",
            "fd00::77",
            "fd77::1",
            "fd01::",
            "2001:db8:a::1",
            "2001:db8:a::7",
            "2001:db8:b:1::7",
            "2001:db8:b:2::7",
            "2001:db8:b:3::7",
            "2001:db8:b:9::7",
            "2001:db8:c::7",
            "2001:db8:e::7",
            "2001:db8:f::7",
            "2001:db8:10::7",
            "2001:db8:11::7",
            "2002:c000:299::7",
            "2a00::7",
        ] {
            assert_eq!(
                our_answer(&snapshot, destination.parse().unwrap()),
                kernels_answer(&director, destination),
                "the way to {destination}"
            );
        }
    });
}

#[test]
fn offloads_are_those_that_ethtool_prints() {
    let (director, _peers) = crossroads();
    director.run(async || {
        let snapshot = Following::start().await.snapshot;
        let link = snapshot.link_named("eth0").unwrap();
        for switched in ["gro on", "gro off tx off", "tx on tso on rxvlan off"] {
            director.exec(&format!("ethtool -K eth0 {switched}"));
            let printed = director.exec("ethtool -k eth0");
            let on = |feature: &str| {
                let line = printed
                    .lines()
                    .find(|line| line.trim().starts_with(feature));
                Some(line.unwrap().split_whitespace().nth(1).unwrap() == "on")
            };
            let offloads = net::offloads(link).await.unwrap();
            assert_eq!(offloads.driver.as_deref(), Some("veth"));
            assert_eq!(offloads.tx_checksum, on("tx-checksumming:"), "{switched}");
            assert_eq!(offloads.tso, on("tx-tcp-segmentation:"), "{switched}");
            assert_eq!(
                offloads.gso,
                on("generic-segmentation-offload:"),
                "{switched}"
            );
            assert_eq!(offloads.gro, on("generic-receive-offload:"), "{switched}");
            assert_eq!(offloads.lro, on("large-receive-offload:"), "{switched}");
            assert_eq!(offloads.rx_vlan, on("rx-vlan-offload:"), "{switched}");
        }
    });
}

#[test]
fn an_interface_that_is_gone_has_no_offloads() {
    let (director, _peers) = crossroads();
    director.run(async || {
        let snapshot = Following::start().await.snapshot;
        let mut link = snapshot.link_named("eth0").unwrap().clone();
        link.name = "nosuch0".to_owned();
        let error = net::offloads(&link).await.unwrap_err().to_string();
        assert!(error.contains("nosuch0"), "{error}");
    });
}
