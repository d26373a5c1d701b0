//! What a master holds, and what becomes of it.

use std::time::Duration;

use config::model::VirtualRoute;
use vrrp::{Settings, State, Version};
use vrrp_host::{Instance, Plan, VirtualAddress, Vmac};

use crate::support::{Ours, Segment, address, instance, until};

const VIP: &str = "10.9.0.100";

pub fn quick(vips: &[&str]) -> Instance {
    let addresses = vips.iter().map(|vip| address(vip)).collect();
    let settings = Settings::new("VI_1", "eth0", 51, addresses);
    let interval = Duration::from_millis(50);
    instance(Settings {
        version: Version::V3,
        interval,
        ..settings
    })
}

#[test]
fn a_masters_address_is_put_back_when_somebody_removes_it() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let ours = Ours::start(host, vec![quick(&[VIP])]);
    until("the address is there", || host.holds(VIP));
    for _ in 0..3 {
        // The daemon must have seen it in place first.
        std::thread::sleep(Duration::from_millis(100));
        host.ip("address delete 10.9.0.100/24 dev eth0");
        until("the address is back", || host.holds(VIP));
    }
    assert_eq!(ours.state(), State::Master);
}

#[test]
fn what_an_earlier_run_left_behind_is_removed_from_a_backup() {
    let segment = Segment::new(2);
    let [host, other] = &segment.hosts[..] else {
        panic!("two hosts")
    };
    let mut better = quick(&[VIP]);
    better.settings.priority = 200;
    let _master = Ours::start(other, vec![better]);
    until("the other one is master", || other.holds(VIP));
    host.ip("address add 10.9.0.100/24 dev eth0");
    host.ip("route add 203.0.113.0/24 via 10.9.0.7 proto keepalived");
    host.ip("route add 198.51.100.0/24 via 10.9.0.7");
    let mut backup = quick(&[VIP]);
    for destination in ["203.0.113.0", "198.51.100.0"] {
        backup.routes.push(VirtualRoute {
            gateway: Some(address("10.9.0.7")),
            ..VirtualRoute::new((address(destination), 24))
        });
    }
    let _backup = Ours::start(host, vec![backup]);
    until("the leftovers are gone", || {
        !host.holds(VIP) && host.ip("route show 203.0.113.0/24").is_empty()
    });
    let of_others = host.ip("route show 198.51.100.0/24");
    assert!(of_others.contains("via 10.9.0.7"), "{of_others}");
}

#[test]
fn a_master_whose_interface_goes_down_is_one_again_when_it_is_back() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let ours = Ours::start(host, vec![quick(&[VIP])]);
    until("the address is there", || host.holds(VIP));
    host.ip("link set eth0 down");
    ours.until(State::Fault);
    assert_eq!(
        ours.status().last.unwrap().cause.to_string(),
        "interface eth0 is down"
    );
    host.ip("link set eth0 up");
    ours.until(State::Master);
    until("the address is there again", || host.holds(VIP));
}

#[test]
fn packets_to_addresses_that_are_not_accepted_are_dropped_and_neighbours_answered() {
    let segment = Segment::new(2);
    let [host, other] = &segment.hosts[..] else {
        panic!("two hosts")
    };
    // A port that nobody listens on is answered with an error, if the packet gets as far.
    let reached = |to: &str| {
        let to = address(to);
        other.enter(|| {
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = std::net::UdpSocket::bind(any).unwrap();
            socket.connect((to, 9)).unwrap();
            socket.send(b"packet").unwrap();
            let patience = Some(Duration::from_millis(500));
            socket.set_read_timeout(patience).unwrap();
            let error = socket.recv(&mut [0; 9]).unwrap_err();
            error.kind() == std::io::ErrorKind::ConnectionRefused
        })
    };
    let mut master = quick(&[VIP]);
    let excluded = VirtualAddress::new(address("2001:db8::100"), Some(64));
    master.addresses.push(excluded);
    master.accepts = false;
    let ours = Ours::start(host, vec![master.clone()]);
    until("the addresses are there", || host.holds("2001:db8::100"));
    assert!(reached("10.9.0.1") && reached("2001:db8::1"));
    assert!(!reached(VIP) && !reached("2001:db8::100"));
    let known = other.ip("neighbour show");
    for address in [VIP, "2001:db8::100"] {
        let line = known.lines().find(|line| line.starts_with(address));
        assert!(line.is_some_and(|line| line.contains("lladdr")), "{known}");
    }

    master.accepts = true;
    ours.reload(vec![master]).unwrap();
    until("they are taken", || {
        reached(VIP) && reached("2001:db8::100")
    });
    ours.stop();
}

#[test]
fn an_instance_fails_while_the_address_that_it_sends_from_is_not_there() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let mut tracking = quick(&[VIP]);
    tracking.source = Some(address("10.9.0.77"));
    tracking.tracks_source = true;
    let ours = Ours::start(host, vec![tracking]);
    ours.until(State::Fault);
    host.ip("address add 10.9.0.77/24 dev eth0");
    ours.until(State::Master);
    host.ip("address delete 10.9.0.77/24 dev eth0");
    ours.until(State::Fault);
}

#[test]
fn after_its_startup_delay_it_begins() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let began = std::time::Instant::now();
    let delay = Duration::from_millis(700);
    let ours = Ours::start_plan(
        host,
        Plan {
            instances: vec![quick(&[VIP])],
            startup_delay: delay,
            ..Plan::default()
        },
    );
    assert_eq!(ours.state(), State::Initialize);
    until("the address is there", || host.holds(VIP));
    assert!(began.elapsed() > delay + Duration::from_millis(150));
}

#[test]
fn an_interface_that_is_made_later_is_used_then() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    host.ip("link delete eth0");
    let ours = Ours::start(host, vec![quick(&[VIP])]);
    ours.until(State::Fault);
    host.ip("link add eth0 type veth peer name eth1");
    host.ip("link set eth1 up");
    host.ip("address add 10.9.0.1/24 dev eth0");
    host.ip("link set eth0 up");
    ours.until(State::Master);
    until("the address is there", || host.holds(VIP));
}

#[test]
fn addresses_of_both_families_and_routes_come_and_go_together() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let mut both = quick(&[VIP]);
    both.addresses.push(vrrp_host::VirtualAddress::new(
        address("2001:db8::100"),
        Some(64),
    ));
    both.routes.push(VirtualRoute {
        gateway: Some(address("10.9.0.7")),
        interface: Some("eth0".to_owned()),
        source: Some(address(VIP)),
        metric: Some(5),
        ..VirtualRoute::new((address("203.0.113.0"), 24))
    });
    let ours = Ours::start(host, vec![both]);
    until("all is there", || {
        let route = host.ip("route show 203.0.113.0/24");
        host.holds(VIP)
            && host.holds("2001:db8::100")
            && route.contains("via 10.9.0.7 dev eth0")
            && route.contains("src 10.9.0.100 metric 5")
    });
    ours.stop();
    assert!(!host.holds(VIP) && !host.holds("2001:db8::100"));
    assert_eq!(host.ip("route show 203.0.113.0/24").trim(), "");
}

#[test]
fn other_addresses_for_a_master_need_no_election() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let ours = Ours::start(host, vec![quick(&[VIP, "10.9.0.101"])]);
    until("both are there", || {
        host.holds(VIP) && host.holds("10.9.0.101")
    });
    let since = ours.status().last;
    ours.reload(vec![quick(&[VIP, "10.9.0.102"])]).unwrap();
    until("the third came", || host.holds("10.9.0.102"));
    until("the second went", || !host.holds("10.9.0.101"));
    assert!(host.holds(VIP));
    assert_eq!(ours.status().last, since, "no change of state");

    let mut wrong = quick(&[VIP]);
    wrong.settings.interval = Duration::from_micros(7);
    let refused = ours.reload(vec![wrong]).unwrap_err().to_string();
    assert!(refused.contains("hint: version 2 has"), "{refused}");
    assert!(host.holds("10.9.0.102"), "nothing is half applied");

    ours.reload(vec![]).unwrap();
    until("all is gone", || {
        !host.holds(VIP) && !host.holds("10.9.0.102")
    });
}

#[test]
fn other_addresses_survive_the_first_of_their_subnet_where_that_is_wanted() {
    let segment = Segment::new(1);
    let host = &segment.hosts[0];
    let promotes = || {
        let path = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries";
        host.enter(|| std::fs::read_to_string(path).unwrap().trim() == "1")
    };
    assert!(!promotes());
    let mut promoting = quick(&["10.7.0.100", "10.7.0.101"]);
    promoting.promotes_secondaries = true;
    let ours = Ours::start(host, vec![promoting.clone()]);
    until("both are there", || host.holds("10.7.0.101"));
    assert!(promotes());
    promoting.addresses.remove(0);
    promoting.settings.addresses.remove(0);
    ours.reload(vec![promoting]).unwrap();
    until("the first is gone", || !host.holds("10.7.0.100"));
    assert!(host.holds("10.7.0.101"));
    ours.reload(vec![quick(&["10.7.0.101"])]).unwrap();
    assert!(!promotes(), "as it was before");
    ours.stop();
}

#[test]
fn neighbours_learn_of_a_new_master_at_once() {
    let segment = Segment::new(3);
    let [first, second, client] = &segment.hosts[..] else {
        panic!("three hosts")
    };
    let vips = [VIP, "2001:db8::100"];
    let with_both = |priority| {
        let mut both = quick(&[VIP]);
        both.addresses
            .push(vrrp_host::VirtualAddress::new(address(vips[1]), Some(64)));
        both.settings.priority = priority;
        both
    };
    let mac = |host: &crate::support::Host| {
        let line = host.ip("-o link show eth0");
        line.split_whitespace()
            .skip_while(|word| *word != "link/ether")
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let known = |vip: &str| client.ip(&format!("neighbour show {vip} dev eth0"));
    let master = Ours::start(first, vec![with_both(200)]);
    until("the first is master", || {
        first.holds(VIP) && first.holds(vips[1])
    });
    for vip in vips {
        client.send_to(vip);
        until("the client knows of the first", || {
            known(vip).contains(&mac(first))
        });
    }
    let _backup = Ours::start(second, vec![with_both(100)]);
    master.stop();
    for vip in vips {
        until("the client knows of the second", || {
            known(vip).contains(&mac(second))
        });
    }
}

#[test]
fn a_virtual_mac_is_where_the_address_is() {
    let segment = Segment::new(2);
    let [host, client] = &segment.hosts[..] else {
        panic!("two hosts")
    };
    for (vips, mac) in [
        (&[VIP][..], "00:00:5e:00:01:33"),
        (&["fe80::100", "2001:db8::100"], "00:00:5e:00:02:33"),
    ] {
        let mut virtual_mac = quick(vips);
        let name = "vrrp.51".to_owned();
        virtual_mac.vmac = Some(Vmac {
            name,
            mac: None,
            base_transmits: false,
        });
        let ours = Ours::start(host, vec![virtual_mac]);
        ours.until(State::Master);
        let vip = vips.last().unwrap();
        until("the macvlan holds it", || {
            host.ip("-o address show dev vrrp.51").contains(vip)
        });
        client.send_to(vip);
        until("the client knows the virtual MAC address", || {
            client
                .ip(&format!("neighbour show {vip} dev eth0"))
                .contains(mac)
        });
        ours.stop();
        assert!(
            !host.ip("-o link show").contains("vrrp.51"),
            "the macvlan goes with it"
        );
    }
}
