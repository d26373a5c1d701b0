//! The same virtual router, ours on one host and keepalived's on the other.

use std::collections::BTreeMap;
use std::time::Duration;

use vrrp::{Authentication, Peers, Preempt, Settings, State, Version};

use crate::keepalived::Keepalived;
use crate::support::{Host, Ours, Segment, address, instance, until};

/// A virtual router in both words.
struct Case {
    settings: Settings,
    /// keepalived's, but for the priority.
    configuration: String,
}

const OURS: usize = 0;
const THEIRS: usize = 1;

fn case(vips: &[&str], version: Version, interval: u64) -> Case {
    let addresses = vips.iter().map(|vip| address(vip)).collect();
    let interval = Duration::from_millis(interval);
    let settings = Settings {
        version,
        interval,
        ..Settings::new("VI_1", "eth0", 51, addresses)
    };
    let length = if settings.is_ipv6() { 64 } else { 24 };
    let vips: String = vips
        .iter()
        .map(|vip| format!("    {vip}/{length}\n"))
        .collect();
    let number = if version == Version::V2 { 2 } else { 3 };
    let configuration = format!(
        "  interface eth0\n  virtual_router_id 51\n  version {number}\n  advert_int {}\n  virtual_ipaddress {{\n{vips}  }}\n",
        interval.as_secs_f64(),
    );
    Case {
        settings,
        configuration,
    }
}

impl Case {
    fn authenticated(mut self, kind: &str, secret: &str) -> Self {
        let mut key = [0; 8];
        key[..secret.len()].copy_from_slice(secret.as_bytes());
        self.settings.authentication = match kind {
            "PASS" => Authentication::Password(key),
            _ => Authentication::AuthenticationHeader(key),
        };
        self.configuration +=
            &format!("  authentication {{\n    auth_type {kind}\n    auth_pass {secret}\n  }}\n");
        self
    }

    fn unicast(mut self, ours: &str, theirs: &str) -> Self {
        self.settings.peers = Peers::Unicast {
            peers: vec![address(theirs)],
            hop_limit: 255,
            only: true,
            hop_limits: BTreeMap::new(),
        };
        self.configuration +=
            &format!("  unicast_src_ip {theirs}\n  unicast_peer {{\n    {ours}\n  }}\n");
        self
    }

    fn vip(&self) -> String {
        self.settings.addresses.last().unwrap().to_string()
    }

    fn ours(&self, host: &Host, priority: u8) -> Ours {
        let mut ours = instance(Settings {
            priority,
            ..self.settings.clone()
        });
        if matches!(self.settings.peers, Peers::Unicast { .. }) {
            ours.source = Some(address(if self.settings.is_ipv6() {
                "2001:db8::1"
            } else {
                "10.9.0.1"
            }));
        }
        Ours::start(host, vec![ours])
    }

    fn theirs(&self, host: &Host, priority: u8) -> Keepalived {
        let instance = format!(
            "vrrp_instance VI_1 {{\n  priority {priority}\n{}}}\n",
            self.configuration
        );
        Keepalived::start(host, &instance)
    }

    /// Each is master beside the other, resigns, takes over and preempts. Never do both hold the
    /// address but while it changes hands.
    fn plays_both_parts(&self) {
        let segment = Segment::new(2);
        let (here, there) = (&segment.hosts[OURS], &segment.hosts[THEIRS]);
        let vip = self.vip();

        let theirs = self.theirs(there, 200);
        until("keepalived is master", || there.holds(&vip));
        let ours = self.ours(here, 100);
        until("ours hears keepalived", || {
            ours.status()
                .peers
                .first()
                .is_some_and(|peer| peer.priority == 200)
        });
        std::thread::sleep(self.settings.interval * 5);
        assert_eq!(
            ours.state(),
            State::Backup,
            "beside a master of higher priority"
        );
        assert!(!here.holds(&vip));
        assert_eq!(ours.status().refused, 0, "{:?}", ours.status().last_refusal);

        theirs.stop();
        ours.until(State::Master);
        until("ours holds the address", || here.holds(&vip));
        assert!(!there.holds(&vip));

        let theirs = self.theirs(there, 200);
        ours.until(State::Backup);
        until("keepalived holds the address", || there.holds(&vip));
        until("ours released the address", || !here.holds(&vip));
        ours.stop();
        theirs.stop();

        let theirs = self.theirs(there, 50);
        until("keepalived is master alone", || there.holds(&vip));
        let ours = self.ours(here, 150);
        ours.until(State::Master);
        until("keepalived released the address", || !there.holds(&vip));
        until("ours holds the address", || here.holds(&vip));
        std::thread::sleep(self.settings.interval * 5);
        assert!(
            !there.holds(&vip),
            "keepalived does not listen to ours: {}",
            theirs.log()
        );
        ours.stop();
        assert!(!here.holds(&vip), "a stopped router holds nothing");
        until("keepalived took over", || there.holds(&vip));
    }
}

const VIP4: &[&str] = &["10.9.0.100"];
const VIP6: &[&str] = &["fe80::100", "2001:db8::100"];

#[test]
fn version_2_multicast_with_a_password() {
    case(VIP4, Version::V2, 1000)
        .authenticated("PASS", "1111")
        .plays_both_parts();
}

#[test]
fn version_2_multicast_with_an_authentication_header() {
    case(VIP4, Version::V2, 1000)
        .authenticated("AH", "secretah")
        .plays_both_parts();
}

#[test]
fn version_2_unicast_with_a_password() {
    let case = case(VIP4, Version::V2, 1000).authenticated("PASS", "12345678");
    case.unicast("10.9.0.1", "10.9.0.2").plays_both_parts();
}

#[test]
fn version_3_multicast() {
    case(VIP4, Version::V3, 100).plays_both_parts();
}

#[test]
fn version_3_unicast() {
    case(VIP4, Version::V3, 100)
        .unicast("10.9.0.1", "10.9.0.2")
        .plays_both_parts();
}

#[test]
fn version_3_multicast_over_ipv6() {
    case(VIP6, Version::V3, 100).plays_both_parts();
}

#[test]
fn version_3_unicast_over_ipv6() {
    case(VIP6, Version::V3, 100)
        .unicast("2001:db8::1", "2001:db8::2")
        .plays_both_parts();
}

#[test]
fn keepalived_is_left_in_place_without_preemption_and_after_a_delay_preempted() {
    let segment = Segment::new(2);
    let mut case = case(VIP4, Version::V3, 100);
    let theirs = case.theirs(&segment.hosts[THEIRS], 50);
    until("keepalived is master", || {
        segment.hosts[THEIRS].holds("10.9.0.100")
    });

    case.settings.preempt = Preempt::Never;
    let ours = case.ours(&segment.hosts[OURS], 200);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(ours.state(), State::Backup, "nopreempt");
    ours.stop();

    case.settings.preempt = Preempt::After(Duration::from_secs(2));
    let ours = case.ours(&segment.hosts[OURS], 200);
    let waited = ours.until(State::Master);
    assert!(
        waited > Duration::from_millis(2100),
        "preempt_delay was {waited:?}"
    );
    until("keepalived yields", || {
        !segment.hosts[THEIRS].holds("10.9.0.100")
    });
    drop(theirs);
}
