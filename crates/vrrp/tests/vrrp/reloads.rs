//! Other settings for routers that run.

use vrrp::{Input, Output, Reading, Settings, State, Tracked};

use crate::world::{Bench, address, advert, at, ms, priorities, sent, settings};

fn reload(bench: &mut Bench, settings: Vec<Settings>) -> Vec<Output> {
    bench
        .router
        .reload(settings, vec![], at(bench.now))
        .unwrap();
    std::iter::from_fn(|| bench.router.poll()).collect()
}

#[test]
fn a_master_stays_one_and_tells_its_new_addresses() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    let addresses = vec![address("192.0.2.100"), address("192.0.2.101")];
    let outputs = reload(
        &mut bench,
        vec![Settings {
            addresses,
            ..settings(100)
        }],
    );
    assert_eq!(bench.state(), State::Master);
    assert!(outputs.contains(&Output::Hold {
        instance: "VI_1".to_owned()
    }));
    assert!(
        !outputs
            .iter()
            .any(|output| matches!(output, Output::Changed { .. }))
    );
    let adverts = sent(&bench.pass(ms(1000)));
    assert_eq!(adverts[0].bytes()[20 + 3], 2, "it counts two addresses");
}

#[test]
fn a_changed_priority_counts_with_the_next_advert() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    reload(&mut bench, vec![settings(150)]);
    bench.hear(&advert(settings(120), "192.0.2.9"));
    assert_eq!(bench.state(), State::Master);
    assert_eq!(priorities(&bench.pass(ms(1000))), [150]);
}

#[test]
fn what_is_newly_tracked_does_not_end_a_master_before_it_was_looked_at() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    let (name, initial) = ("check".to_owned(), Reading::Unknown);
    let tracked = vec![Tracked {
        name,
        weight: 0,
        reverse: false,
        initial,
    }];
    reload(
        &mut bench,
        vec![Settings {
            tracked,
            ..settings(100)
        }],
    );
    assert_eq!(bench.state(), State::Master);
    bench.tell(Input::Reading {
        tracked: "check",
        reading: Reading::Down,
    });
    assert_eq!(bench.state(), State::Fault);
}

#[test]
fn what_is_no_more_resigns_and_what_is_new_begins() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    let other = Settings {
        name: "VI_2".to_owned(),
        virtual_router: 52,
        ..settings(100)
    };
    let outputs = reload(&mut bench, vec![other]);
    assert_eq!(priorities(&outputs), [0]);
    assert!(outputs.contains(&Output::Release {
        instance: "VI_1".to_owned()
    }));
    let link = vrrp::Link::Ready(address("192.0.2.1"));
    bench.tell(Input::Link {
        instance: "VI_2",
        link,
    });
    assert_eq!(bench.states(), [State::Backup]);
    bench.pass(ms(4000));
    assert_eq!(bench.states(), [State::Master]);
}

#[test]
fn settings_that_cannot_work_change_nothing() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    let wrong = Settings {
        interval: ms(1500),
        ..settings(100)
    };
    assert!(
        bench
            .router
            .reload(vec![wrong], vec![], at(bench.now))
            .is_err()
    );
    assert_eq!(bench.state(), State::Master);
    assert_eq!(priorities(&bench.pass(ms(1000))), [100]);
}
