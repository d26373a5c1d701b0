//! A cut that is healed: two masters become one, and the neighbours know which.

use std::time::Duration;

use vrrp::{Settings, State, Version};

use crate::keepalived::Keepalived;
use crate::support::{Host, Ours, Segment, address, instance, until};

const VIPS: [&str; 2] = ["10.9.0.100", "2001:db8::100"];

enum Router {
    Ours(Ours),
    Keepalived(Keepalived),
}

fn start(ours: bool, host: &Host, priority: u8) -> Router {
    if ours {
        let settings = Settings::new("VI_1", "eth0", 51, vec![address(VIPS[0])]);
        let mut both = instance(Settings {
            version: Version::V3,
            interval: Duration::from_millis(100),
            priority,
            ..settings
        });
        let excluded = vrrp_host::VirtualAddress::new(address(VIPS[1]), Some(64));
        both.addresses.push(excluded);
        return Router::Ours(Ours::start(host, vec![both]));
    }
    let [first, second] = VIPS;
    Router::Keepalived(Keepalived::start(
        host,
        &format!(
            "vrrp_instance VI_1 {{\n  interface eth0\n  version 3\n  virtual_router_id 51\n  priority {priority}\n  advert_int 0.1\n  virtual_ipaddress {{\n    {first}/24\n  }}\n  virtual_ipaddress_excluded {{\n    {second}/64\n  }}\n}}\n"
        ),
    ))
}

fn mac(host: &Host) -> String {
    let line = host.ip("-o link show eth0");
    let mut words = line.split_whitespace();
    words.find(|word| *word == "link/ether").unwrap();
    words.next().unwrap().to_owned()
}

/// The better router and the other one are cut off from each other, and a client from the better one. Both
/// are masters, and the client knows the other one. Once the cut is healed, one yields.
fn is_healed(better_is_ours: bool, other_is_ours: bool) {
    let segment = Segment::new(3);
    let [better, other, client] = &segment.hosts[..] else {
        panic!("three hosts")
    };
    let first = start(better_is_ours, better, 200);
    until("the better one is master", || better.holds(VIPS[1]));
    let second = start(other_is_ours, other, 100);
    let knows = |vip: &str, whom: &Host| {
        let known = client.ip(&format!("neighbour show {vip} dev eth0"));
        known.contains(&mac(whom))
    };
    let ask_until_it_knows = |whom: &Host| {
        for vip in VIPS {
            until(&format!("the client knows {} of {vip}", whom.name), || {
                client.send_to(vip);
                knows(vip, whom)
            });
        }
    };
    ask_until_it_knows(better);

    segment.bridge.ip("link set port1 nomaster");
    until("both are masters", || other.holds(VIPS[1]));
    assert!(better.holds(VIPS[1]));
    ask_until_it_knows(other);

    segment.bridge.ip("link set port1 master br0");
    until("the other one yields", || !other.holds(VIPS[0]));
    // The client asks nobody: it is told.
    for vip in VIPS {
        until("the client is told of the better one", || {
            knows(vip, better)
        });
    }
    assert!(better.holds(VIPS[0]) && better.holds(VIPS[1]));
    for router in [first, second] {
        match router {
            Router::Ours(ours) => {
                assert!(matches!(ours.state(), State::Master | State::Backup));
                ours.stop();
            }
            Router::Keepalived(theirs) => theirs.stop(),
        }
    }
}

#[test]
fn after_a_cut_is_healed_neighbours_know_the_one_master_of_two_of_ours() {
    is_healed(true, true);
}

#[test]
fn after_a_cut_is_healed_neighbours_know_ours_beside_keepalived() {
    is_healed(true, false);
}

#[test]
fn after_a_cut_is_healed_neighbours_know_keepalived_beside_ours() {
    is_healed(false, true);
}
