//! Where packets are told that real servers take connections, for `nat_icmp_send`. Which these are is
//! as `ip_vs_has_real_service` says: destinations of VS/NAT, of any service of theirs.

use std::collections::BTreeSet;

use abi::{RealServerKey, ServiceCell};
use control::{Director, Plane};
use model::{Forwarding, SettingRequest};
use plane_user::Memory;

use crate::common::{Do, add_by, add_service, director, remove, remove_service, words};

const WEB: &str = "TCP 10.0.0.1:80";
const DNS: &str = "UDP 10.0.0.1:53";
const MARKED: &str = "FWM 1";

fn set(director: &mut Director<Memory>, value: &str) {
    director
        .set(&[SettingRequest {
            name: "nat_icmp_send".into(),
            value: value.into(),
        }])
        .unwrap();
}

fn real_server(address: &str, port: u16, protocol: u8) -> RealServerKey {
    RealServerKey {
        address: words(address),
        service: ServiceCell::key(port.to_be(), protocol, false),
    }
}

fn known(director: &Director<Memory>) -> BTreeSet<RealServerKey> {
    let known = director.plane().known_real_servers().unwrap();
    known.into_iter().collect()
}

fn web() -> Director<Memory> {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    director.must(add_by(Forwarding::Masq, WEB, "192.168.0.1:8080"));
    director.must(add_by(Forwarding::Route, WEB, "192.168.0.2:80"));
    director
}

#[test]
fn only_translated_real_servers_are_told_of_and_only_while_the_setting_is_on() {
    let mut director = web();
    assert_eq!(known(&director), BTreeSet::new());
    set(&mut director, "1");
    let tcp = real_server("192.168.0.1", 8080, 6);
    assert_eq!(known(&director), [tcp].into());

    director.must(add_service(DNS, "rr"));
    director.must(add_by(Forwarding::Masq, DNS, "192.168.0.1:53"));
    director.must(add_service(MARKED, "rr"));
    director.must(add_by(Forwarding::Masq, MARKED, "192.168.0.3:443"));
    let udp = real_server("192.168.0.1", 53, 17);
    let marked = real_server("192.168.0.3", 443, 0);
    assert_eq!(known(&director), [tcp, udp, marked].into());

    set(&mut director, "0");
    assert_eq!(known(&director), BTreeSet::new());
}

#[test]
fn a_real_server_is_told_of_as_long_as_any_service_has_it() {
    let mut director = web();
    let other = "TCP 10.0.0.2:80";
    director.must(add_service(other, "rr"));
    director.must(add_by(Forwarding::Masq, other, "192.168.0.1:8080"));
    set(&mut director, "1");
    director.must(remove(WEB, "192.168.0.1:8080"));
    assert_eq!(known(&director).len(), 1);
    director.must(remove_service(other));
    assert_eq!(known(&director), BTreeSet::new());
}

#[test]
fn a_daemon_that_is_restarted_puts_right_what_it_finds() {
    let mut director = web();
    set(&mut director, "1");
    let before = known(&director);
    let stale = real_server("192.168.0.9", 9, 6);
    director.plane().set_real_server(stale, true).unwrap();
    assert_eq!(known(&director.restarted()), before);
}
