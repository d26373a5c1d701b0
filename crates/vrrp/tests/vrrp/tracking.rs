//! What is tracked, by keepalived.conf's rules for weights.

use vrrp::{Input, OWNER, Output, Reading, Settings, State, Tracked};

use crate::world::{Bench, ms, settings};

fn tracked(weight: i32, reverse: bool) -> Tracked {
    Tracked {
        name: "check".to_owned(),
        weight,
        reverse,
        initial: Reading::Unknown,
    }
}

fn bench(base: u8, tracked: Tracked) -> Bench {
    Bench::alone(Settings {
        tracked: vec![tracked],
        ..settings(base)
    })
}

fn after(bench: &mut Bench, reading: Reading) -> (State, u8) {
    bench.tell(Input::Reading {
        tracked: "check",
        reading,
    });
    let status = bench.status();
    (status.state, status.priority)
}

#[test]
fn without_a_weight_down_is_a_fault() {
    let mut bench = bench(100, tracked(0, false));
    assert_eq!(bench.state(), State::Initialize, "not looked at yet");
    assert_eq!(after(&mut bench, Reading::Up), (State::Backup, 100));
    bench.pass(ms(4000));
    assert_eq!(after(&mut bench, Reading::Down).0, State::Fault);
    assert_eq!(
        bench.status().last.unwrap().cause.to_string(),
        "check is down"
    );
    assert_eq!(after(&mut bench, Reading::Up), (State::Backup, 100));
}

#[test]
fn weights_raise_what_is_up_and_lower_what_is_down() {
    let table = [
        (20, false, Reading::Up, 120),
        (20, false, Reading::Down, 100),
        (-20, false, Reading::Up, 100),
        (-20, false, Reading::Down, 80),
        (20, true, Reading::Up, 100),
        (20, true, Reading::Down, 120),
        (-20, true, Reading::Up, 80),
        (-253, false, Reading::Down, 1),
        (253, false, Reading::Up, 254),
        (2, false, Reading::Value(-10), 80),
        (2, true, Reading::Value(-10), 120),
    ];
    for (weight, reverse, reading, priority) in table {
        let mut bench = bench(100, tracked(weight, reverse));
        let found = after(&mut bench, reading);
        assert_eq!(
            found,
            (State::Backup, priority),
            "{weight} {reverse} {reading:?}"
        );
    }
}

#[test]
fn a_files_value_below_minus_253_is_a_fault() {
    let mut bench = bench(100, tracked(1, false));
    assert_eq!(after(&mut bench, Reading::Value(-253)), (State::Backup, 1));
    assert_eq!(after(&mut bench, Reading::Value(-254)).0, State::Fault);
}

#[test]
fn an_owners_priority_stays() {
    let mut bench = bench(OWNER, tracked(-20, false));
    assert_eq!(after(&mut bench, Reading::Down), (State::Master, OWNER));
}

#[test]
fn a_changed_priority_is_told_and_advertised() {
    let mut bench = bench(100, tracked(-20, false));
    bench.tell(Input::Reading {
        tracked: "check",
        reading: Reading::Up,
    });
    bench.pass(ms(4000));
    let outputs = bench.tell(Input::Reading {
        tracked: "check",
        reading: Reading::Down,
    });
    let (instance, state) = ("VI_1".to_owned(), State::Master);
    assert_eq!(
        outputs,
        [Output::PriorityChanged {
            instance,
            state,
            priority: 80
        }]
    );
    assert_eq!(crate::world::priorities(&bench.pass(ms(1000))), [80]);
}
