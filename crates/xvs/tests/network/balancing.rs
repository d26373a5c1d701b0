//! Many connections, and what the counters say of them.

use crate::support::{
    Counters, Director, Hook, Network, RS1, RS2, Row, SOON, VIP, WebServer, eventually, get,
    many_at_once,
};

#[test]
fn ten_thousand_requests_in_a_row_are_answered_and_counted_on_tc() {
    requests_in_a_row(Hook::Tc);
}

#[test]
fn ten_thousand_requests_in_a_row_are_answered_and_counted_on_xdp() {
    requests_in_a_row(Hook::Xdp);
}

#[test]
fn a_thousand_connections_at_once_are_answered_and_counted_on_tc() {
    connections_at_once(Hook::Tc);
}

#[test]
fn a_thousand_connections_at_once_are_answered_and_counted_on_xdp() {
    connections_at_once(Hook::Xdp);
}

fn requests_in_a_row(hook: Hook) {
    let network = Network::new(hook);
    let _servers = [
        WebServer::start(&network.rs1, "rs1"),
        WebServer::start(&network.rs2, "rs2"),
    ];
    let director = Director::start(&network, hook);
    director.set_up_web();
    let answers: Vec<String> = network
        .client
        .within(|| (10_000..20_000).map(|port| get(port).unwrap()).collect());
    assert_divided(&answers, 4_000, 6_000);
    assert_counted(&director, 4_000, 6_000);
}

fn connections_at_once(hook: Hook) {
    let network = Network::new(hook);
    let _servers = [
        WebServer::start(&network.rs1, "rs1"),
        WebServer::start(&network.rs2, "rs2"),
    ];
    let director = Director::start(&network, hook);
    director.set_up_web();
    let answers = network.client.within(|| {
        many_at_once(10_000..11_000, || {
            eventually("all connections are active", SOON, || {
                (director.rows() == [row(RS2, 600, 0), row(RS1, 400, 0)]).then_some(())
            });
        })
    });
    assert_divided(&answers, 400, 600);
    assert_counted(&director, 400, 600);
}

fn row(server: &str, active: u64, inactive: u64) -> Row {
    Row {
        destination: format!("{server}:80"),
        active,
        inactive,
    }
}

fn assert_divided(answers: &[String], rs1: usize, rs2: usize) {
    let from = |name| answers.iter().filter(|answer| *answer == name).count();
    assert_eq!(
        (from("rs1"), from("rs2"), answers.len()),
        (rs1, rs2, rs1 + rs2)
    );
}

/// Every connection is counted once, has ended, and is in the table still.
fn assert_counted(director: &Director, rs1: u64, rs2: u64) {
    let ended = [row(RS2, 0, rs2), row(RS1, 0, rs1)];
    let mut last = Vec::new();
    let begin = std::time::Instant::now();
    while last != ended && begin.elapsed() < SOON {
        last = director.rows();
    }
    assert_eq!(last, ended);
    let counted: Vec<(String, u64)> = director
        .counters()
        .into_iter()
        .map(
            |Counters {
                 destination,
                 connections,
                 ..
             }| (destination, connections),
        )
        .collect();
    assert_eq!(
        counted,
        [(format!("{RS2}:80"), rs2), (format!("{RS1}:80"), rs1)]
    );
    let listed = director.set("-lnc");
    let entries = listed
        .lines()
        .filter(|line| line.contains(&format!(" {VIP}:80 ")));
    assert_eq!(
        entries.count() as u64,
        rs1 + rs2,
        "{}",
        director.xvs("status").out
    );
}
