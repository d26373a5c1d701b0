//! Sessions with other implementations, bird's and keepalived's, in network namespaces. Needs root.

mod support;

use std::time::{Duration, Instant};

use bfd::{Diagnostic, Settings, State};
use support::{Bird, Keepalived, Link, Ours, SOON};

fn settings(neighbor: &str) -> Settings {
    Settings {
        min_rx: Duration::from_millis(50),
        min_tx: Duration::from_millis(50),
        multiplier: 3,
        ..Settings::new("peer", neighbor.parse().expect("an address"))
    }
}

#[test]
fn bird_and_we_come_up_and_agree_on_intervals_in_both_families() {
    let link = Link::new("both");
    let bird = Bird::start(
        &link,
        "neighbor 10.9.0.1 dev \"peer0\"; neighbor 2001:db8::1 dev \"peer0\";",
    );
    let mut ours = Ours::start(&link);
    ours.run(vec![
        settings("10.9.0.2"),
        Settings {
            name: "six".to_owned(),
            ..settings("2001:db8::2")
        },
    ]);
    assert!(ours.next(SOON).is_up);
    assert!(ours.next(SOON).is_up);
    // bird bears a packet each 100 ms, and sends one each 200 ms.
    let agreed = |status: &bfd::Status| {
        (status.transmit_interval, status.detection_time)
            == (
                Some(Duration::from_millis(100)),
                Some(Duration::from_millis(600)),
            )
    };
    ours.until("both agree", |all| all.iter().all(agreed));
    let shown = bird.sessions();
    let up = shown.lines().filter(|line| line.contains("Up")).count();
    assert_eq!(up, 2, "{shown}");
    // What bird makes of ours: it sends each 200 ms, and misses us after three of our 100 ms.
    assert!(
        shown.contains("0.200") && shown.contains("0.300"),
        "{shown}"
    );
}

#[test]
fn a_bird_that_stops_is_lost_within_the_detection_time_and_found_again() {
    let link = Link::new("stops");
    let bird = Bird::start(&link, "neighbor 10.9.0.1 dev \"peer0\";");
    let mut ours = Ours::start(&link);
    ours.run(vec![settings("10.9.0.2")]);
    assert!(ours.next(SOON).is_up);
    ours.until("intervals hold", |all| {
        all[0].detection_time == Some(Duration::from_millis(600))
    });
    bird.signal("STOP");
    let began = Instant::now();
    let lost = ours.next(SOON);
    let took = began.elapsed();
    assert_eq!((lost.is_up, lost.diagnostic), (false, Diagnostic::EXPIRED));
    // Up to an interval of 200 ms had passed when it stopped; the machine may be busy.
    let expected = Duration::from_millis(390)..Duration::from_millis(1500);
    assert!(expected.contains(&took), "{took:?}");
    bird.signal("CONT");
    assert!(ours.next(SOON).is_up);
    assert_eq!(ours.status()[0].losses, 1);
}

#[test]
fn a_session_that_ends_says_so_to_the_other() {
    let link = Link::new("ends");
    let bird = Bird::start(&link, "neighbor 10.9.0.1 dev \"peer0\";");
    let mut ours = Ours::start(&link);
    ours.run(vec![settings("10.9.0.2")]);
    assert!(ours.next(SOON).is_up);
    bird.until("it is up", |shown| shown.contains("Up"));
    let began = Instant::now();
    ours.run(Vec::new());
    bird.until("it is told", |shown| shown.contains("Down"));
    // Without a word bird would have waited for its detection time of at least 300 ms; asking it
    // takes a while as well.
    assert!(began.elapsed() < Duration::from_secs(1));
    ours.run(vec![settings("10.9.0.2")]);
    assert!(ours.next(SOON).is_up);
}

#[test]
fn over_several_hops_the_other_port_is_spoken() {
    let link = Link::new("far");
    let _bird = Bird::start(&link, "neighbor 10.9.0.1 local 10.9.0.2 multihop yes;");
    let mut ours = Ours::start(&link);
    ours.run(vec![Settings {
        multihop: true,
        max_hops: None,
        source: Some("10.9.0.1".parse().expect("an address")),
        ..settings("10.9.0.2")
    }]);
    assert!(ours.next(SOON).is_up);
}

#[test]
fn keepalived_and_we_come_up_and_notice_each_others_end() {
    let link = Link::new("keepalived");
    let mut keepalived = Keepalived::start(&link);
    let mut ours = Ours::start(&link);
    ours.run(vec![settings("10.9.0.2")]);
    assert!(ours.next(SOON).is_up);
    let status = ours.status();
    assert_eq!(status[0].remote_state, State::Up);
    keepalived.kill();
    assert!(!ours.next(SOON).is_up);
}

#[test]
fn a_neighbour_that_is_not_there_is_told_after_as_many_seconds_as_packets_may_be_missed() {
    let link = Link::new("nobody");
    let mut ours = Ours::start(&link);
    let began = Instant::now();
    ours.run(vec![settings("10.9.0.2")]);
    assert!(!ours.next(SOON).is_up);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_secs(6),
        "{took:?}"
    );
}
