//! `xvs bench`: packets for a director, counted at both ends.

use serde_json::Value;

use crate::support::{Director, Hook, Network, RS1, RS2, VIP, XVS};

const FLOWS: u64 = 64;
/// The director's.
const MAC: &str = "02:00:00:00:00:21";

#[test]
fn every_flow_of_the_generator_is_one_connection_and_the_director_counts_what_left() {
    let network = Network::new(Hook::Xdp);
    let director = Director::start(&network, Hook::Xdp);
    director.set(&format!("-A -t {VIP}:80 -s rr"));
    for server in [RS1, RS2] {
        director.set(&format!("-a -t {VIP}:80 -r {server}:80 -m"));
    }
    let bench = |words: &str| network.client.say(&format!("{} bench {words}", XVS));
    let words = format!("eth0 {VIP}:80 --mac {MAC} --flows {FLOWS} --seconds 1 --json");
    let said = bench(&words);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let [made, left] = ["made", "left"].map(|name| report[name].as_u64().unwrap());
    assert!(left > FLOWS && left <= made, "{report}");
    let counters = director.counters();
    let connections: Vec<u64> = counters.iter().map(|server| server.connections).collect();
    assert_eq!(connections, [FLOWS / 2; 2]);
    let counted: u64 = counters.iter().map(|server| server.in_packets).sum();
    // What opened the connections is not in the report: the SYNs of one system call.
    assert!(
        counted > FLOWS && counted <= left + (1 << 14),
        "{counted}, {report}"
    );
}

#[test]
fn the_generator_says_what_helps_where_it_cannot_send() {
    let network = Network::new(Hook::Tc);
    let bench = |words: &str| {
        network
            .client
            .say(&format!("{XVS} bench {words} --mac {MAC} --seconds 1"))
    };
    let nowhere = bench(&format!("eth9 {VIP}:80"));
    let none =
        "xvs: there is no interface eth9\nhint: `ip link' lists those of this network namespace\n";
    assert_eq!((nowhere.code, nowhere.err.as_str()), (Some(1), none));
    let mixed = bench(&format!("eth0 {VIP}:80 --from 2001:db8::"));
    assert_eq!(mixed.code, Some(1));
    assert!(mixed.err.contains("hint: without --from"), "{}", mixed.err);
    // The other end of this cable does not poll, so it takes no frames of XDP's.
    let lost = bench(&format!("eth0 {VIP}:80"));
    let warning = "xvs: warning: of 16384 frames eth0 counts ";
    assert!(lost.err.starts_with(warning), "{}", lost.err);
    assert!(lost.err.contains("gro on"), "{}", lost.err);
}
