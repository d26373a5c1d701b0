//! One instance: elections, timers, announcements. Expected times are the RFCs' formulas by hand.

use std::time::Duration;

use vrrp::{
    Announcements, Burst, Input, Invalid, Link, OWNER, Output, Preempt, Settings, State, Version,
};

use crate::world::{Bench, address, advert, ms, priorities, resignation, settings};

fn v3(priority: u8, interval: u64) -> Settings {
    Settings {
        version: Version::V3,
        interval: ms(interval),
        ..settings(priority)
    }
}

fn rounds(outputs: &[Output]) -> u32 {
    let rounds = outputs.iter().map(|output| match output {
        Output::Announce { rounds, .. } => *rounds,
        _ => 0,
    });
    rounds.sum()
}

#[test]
fn version_2_waits_three_intervals_and_its_skew() {
    // RFC 3768, section 6.1: 3 * 1 s + (256 - 100) / 256 s = 3609.375 ms.
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(3609));
    assert_eq!(bench.state(), State::Backup);
    let outputs = bench.pass(ms(1));
    assert_eq!(bench.state(), State::Master);
    assert!(outputs.contains(&Output::Hold {
        instance: "VI_1".to_owned()
    }));
}

#[test]
fn version_3_scales_the_skew_with_the_interval() {
    // RFC 9568, section 6.1: 3 * 10 ms + (256 - 56) * 10 ms / 256 = 37.8125 ms.
    let mut bench = Bench::alone(v3(56, 10));
    bench.pass(ms(37));
    assert_eq!(bench.state(), State::Backup);
    bench.pass(ms(1));
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn version_3_waits_by_the_masters_interval() {
    // A master with 2 s: 3 * 2 s + (256 - 128) * 2 s / 256 = 7 s.
    let mut bench = Bench::alone(v3(128, 10));
    bench.hear(&advert(v3(200, 2000), "192.0.2.2"));
    bench.pass(ms(6999));
    assert_eq!(bench.state(), State::Backup);
    bench.pass(ms(1));
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn an_owner_waits_for_nothing() {
    let mut bench = Bench::alone(settings(OWNER));
    assert_eq!(bench.state(), State::Master);
    let outputs = bench.pass(ms(1000));
    assert_eq!(priorities(&outputs), [OWNER]);
}

#[test]
fn a_master_advertises_every_interval_however_late_it_is_woken() {
    let mut bench = Bench::alone(v3(200, 100));
    bench.pass(ms(500));
    let before = bench.now;
    let mut count = 0;
    // Woken 30 ms late every time: 10 s have a hundred adverts all the same.
    while bench.now < before + ms(10_000) {
        bench.now = bench.router.next_timeout().unwrap().max(bench.now) + ms(30);
        count += priorities(&bench.tell(Input::Timeout)).len();
    }
    assert!((99..=101).contains(&count), "{count} adverts");
}

#[test]
fn a_higher_priority_takes_over_and_a_lower_one_is_answered() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    let outputs = bench.hear(&advert(settings(50), "192.0.2.9"));
    assert_eq!(bench.state(), State::Master);
    assert_eq!(priorities(&outputs), [100]);
    assert_eq!(rounds(&outputs), 5);

    let outputs = bench.hear(&advert(settings(150), "192.0.2.9"));
    assert_eq!(bench.state(), State::Backup);
    assert!(outputs.contains(&Output::Release {
        instance: "VI_1".to_owned()
    }));
    assert_eq!(
        bench.status().last.unwrap().cause.to_string(),
        "192.0.2.9 has priority 150"
    );
}

#[test]
fn rfc_3768_leaves_a_lower_priority_unanswered() {
    let mut bench = Bench::alone(Settings {
        answers_lower: false,
        ..settings(100)
    });
    bench.pass(ms(4000));
    assert_eq!(
        priorities(&bench.hear(&advert(settings(50), "192.0.2.9"))),
        []
    );
}

#[test]
fn between_equal_priorities_the_higher_address_wins() {
    for (other, after) in [("192.0.2.0", State::Master), ("192.0.2.2", State::Backup)] {
        let mut bench = Bench::alone(settings(100));
        bench.pass(ms(4000));
        bench.hear(&advert(settings(100), other));
        assert_eq!(bench.state(), after, "beside {other}");
    }
}

#[test]
fn a_resigning_master_is_followed_after_the_skew_time() {
    let mut bench = Bench::alone(settings(128));
    bench.hear(&resignation(settings(200), "192.0.2.2"));
    bench.pass(ms(499));
    assert_eq!(bench.state(), State::Backup);
    bench.pass(ms(1));
    assert_eq!(bench.state(), State::Master);
    assert_eq!(
        bench.status().last.unwrap().cause.to_string(),
        "192.0.2.2 resigned"
    );
}

#[test]
fn a_master_answers_a_resignation_at_once() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    assert_eq!(
        priorities(&bench.hear(&resignation(settings(50), "192.0.2.2"))),
        [100]
    );
}

/// How long until an instance is master, while a router of priority 50 advertises every second.
fn preempts_after(preempt: Preempt) -> Option<Duration> {
    let mut bench = Bench::alone(Settings {
        preempt,
        ..settings(128)
    });
    let other = advert(settings(50), "192.0.2.2");
    for _ in 0..600 {
        if bench.now.as_millis().is_multiple_of(1000) {
            bench.hear(&other);
        }
        bench.pass(ms(100));
        if bench.state() == State::Master {
            return Some(bench.now);
        }
    }
    None
}

#[test]
fn preemption_waits_as_it_is_told() {
    assert_eq!(
        preempts_after(Preempt::After(Duration::ZERO)),
        Some(ms(3500))
    );
    // Until 10 s every advert was listened to; the last one was that of 9 s: 9 s + 3.5 s.
    assert_eq!(preempts_after(Preempt::After(ms(10_000))), Some(ms(12_500)));
    assert_eq!(preempts_after(Preempt::Never), None);
}

#[test]
fn a_dead_master_is_followed_also_without_preemption() {
    let mut bench = Bench::alone(Settings {
        preempt: Preempt::Never,
        ..settings(128)
    });
    bench.hear(&advert(settings(50), "192.0.2.2"));
    bench.pass(ms(3500));
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn neighbours_are_told_five_times_and_again_after_five_seconds() {
    let mut bench = Bench::alone(settings(100));
    assert_eq!(rounds(&bench.pass(ms(3610))), 5);
    assert_eq!(rounds(&bench.pass(ms(4990))), 0);
    assert_eq!(rounds(&bench.pass(ms(10))), 5);
    assert_eq!(rounds(&bench.pass(ms(60_000))), 0);
}

#[test]
fn neighbours_are_told_by_the_settings() {
    let once = Burst {
        rounds: 3,
        again_after: None,
    };
    let announcements = Announcements {
        takeover: once,
        contested: once,
        refresh: Some(ms(10_000)),
        refresh_rounds: 2,
        extra_refresh: Some(ms(25_000)),
    };
    let mut bench = Bench::alone(Settings {
        announcements,
        ..settings(100)
    });
    let elsewhere = |outputs: &[Output]| {
        let told = |output: &&Output| matches!(output, Output::AnnounceElsewhere { .. });
        outputs.iter().filter(told).count()
    };
    assert_eq!(rounds(&bench.pass(ms(3629))), 3, "at once");
    assert_eq!(rounds(&bench.pass(ms(9960))), 0, "and not again");
    let outputs = bench.pass(ms(40));
    assert_eq!(
        (rounds(&outputs), elsewhere(&outputs)),
        (2, 0),
        "the refresh"
    );
    assert_eq!(elsewhere(&bench.pass(ms(15_000))), 1);
    assert_eq!(elsewhere(&bench.pass(ms(25_000))), 1);
    bench.tell(Input::Stop);
    let outputs = bench.pass(ms(60_000));
    assert_eq!(
        (rounds(&outputs), elsewhere(&outputs)),
        (0, 0),
        "no longer master"
    );
}

#[test]
fn an_interface_that_goes_ends_it_and_one_that_comes_begins_it() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    let link = Link::Unusable("eth0 is down".to_owned());
    let outputs = bench.tell(Input::Link {
        instance: "VI_1",
        link,
    });
    assert_eq!(bench.state(), State::Fault);
    assert!(outputs.contains(&Output::Release {
        instance: "VI_1".to_owned()
    }));
    assert_eq!(
        bench.status().last.unwrap().cause.to_string(),
        "interface eth0 is down"
    );
    bench.pass(ms(60_000));
    assert_eq!(bench.state(), State::Fault);

    let link = Link::Ready(address("192.0.2.1"));
    bench.tell(Input::Link {
        instance: "VI_1",
        link,
    });
    assert_eq!(bench.state(), State::Backup);
    bench.pass(ms(3610));
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn what_is_meant_for_others_is_not_heard() {
    let others = [
        (
            "another number",
            Settings {
                virtual_router: 52,
                ..settings(200)
            },
        ),
        ("another version", v3(200, 1000)),
        (
            "another interval",
            Settings {
                interval: ms(2000),
                ..settings(200)
            },
        ),
        (
            "other addresses",
            Settings {
                addresses: vec![address("192.0.2.101")],
                ..settings(200)
            },
        ),
        (
            "a password",
            Settings {
                authentication: vrrp::Authentication::Password(*b"1111\0\0\0\0"),
                ..settings(200)
            },
        ),
    ];
    for (what, other) in others {
        let mut bench = Bench::alone(settings(100));
        bench.pass(ms(4000));
        bench.hear(&advert(other, "192.0.2.2"));
        assert_eq!(bench.state(), State::Master, "{what}");
    }
}

#[test]
fn an_owner_hears_nobody_where_it_is_told_so() {
    for ignores in [true, false] {
        let mut bench = Bench::alone(Settings {
            owner_ignores_adverts: ignores,
            ..settings(OWNER)
        });
        bench.hear(&advert(settings(OWNER), "192.0.2.2"));
        let expected = if ignores {
            State::Master
        } else {
            State::Backup
        };
        assert_eq!(bench.state(), expected);
    }
}

#[test]
fn its_own_adverts_are_not_heard() {
    let mut bench = Bench::alone(settings(100));
    bench.pass(ms(4000));
    bench.hear(&advert(settings(100), "192.0.2.1"));
    assert_eq!(bench.status().peers, []);
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn a_refusal_is_told_once_as_long_as_it_is_the_same() {
    let mut bench = Bench::alone(settings(100));
    let other = advert(v3(200, 1000), "192.0.2.2");
    assert_eq!(bench.hear(&other).len(), 1);
    assert_eq!(bench.hear(&other), []);
    let status = bench.status();
    assert_eq!(status.refused, 2);
    assert_eq!(
        status.last_refusal.unwrap(),
        "from 192.0.2.2: it is of the other version of VRRP"
    );
}

#[test]
fn a_virtual_router_that_is_not_configured_is_told_of_once() {
    let mut bench = Bench::alone(settings(100));
    let other = Settings {
        virtual_router: 52,
        ..settings(200)
    };
    let unknown = Output::Unknown {
        interface: "eth0".to_owned(),
        source: address("192.0.2.2"),
        virtual_router: 52,
    };
    assert_eq!(bench.hear(&advert(other.clone(), "192.0.2.2")), [unknown]);
    assert_eq!(bench.hear(&advert(other, "192.0.2.2")), []);
    assert_eq!(bench.hear(&advert(settings(200), "192.0.2.2")), []);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let check = |settings: Settings| settings.check().unwrap_err().to_string();
    let interval = check(Settings {
        interval: ms(1500),
        ..settings(100)
    });
    assert!(
        interval.contains("1.5s") && interval.contains("hint:"),
        "{interval}"
    );
    assert!(v3(100, 10).check().is_ok());
    assert!(v3(100, 15).check().is_err());
    assert!(v3(100, 41_000).check().is_err());
    assert!(matches!(
        Settings {
            virtual_router: 0,
            ..settings(100)
        }
        .check(),
        Err(Invalid::VirtualRouter(_))
    ));
    let twice = Settings {
        name: "VI_2".to_owned(),
        ..settings(100)
    };
    let error = vrrp::Router::new(vec![settings(100), twice], vec![]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "VI_1 and VI_2 are both virtual router 51 on eth0"
    );
}
