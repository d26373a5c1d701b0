//! Sync groups: together, or not at all.

use vrrp::{Datagram, Group, Input, Link, Output, Settings, State};

use crate::world::{Bench, address, advert, ms, priorities, settings};

fn member(name: &str, virtual_router: u8) -> Settings {
    Settings {
        name: name.to_owned(),
        virtual_router,
        ..settings(100)
    }
}

fn bench() -> Bench {
    let members = vec!["outer".to_owned(), "inner".to_owned()];
    let group = Group {
        name: "VG_1".to_owned(),
        members,
    };
    Bench::start(
        vec![member("outer", 1), member("inner", 2)],
        vec![group],
        "192.0.2.1",
    )
}

fn other(virtual_router: u8, priority: u8) -> Datagram {
    advert(
        Settings {
            virtual_router,
            ..settings(priority)
        },
        "192.0.2.2",
    )
}

fn group_states(outputs: &[Output]) -> Vec<State> {
    let states = outputs.iter().filter_map(|output| match output {
        Output::GroupChanged { state, .. } => Some(*state),
        _ => None,
    });
    states.collect()
}

#[test]
fn a_group_becomes_master_when_all_of_it_would() {
    let mut bench = bench();
    bench.pass(ms(2000));
    bench.hear(&other(2, 200));
    bench.pass(ms(3000));
    assert_eq!(
        bench.states(),
        [State::Backup, State::Backup],
        "inner still hears a master"
    );
    let outputs = bench.pass(ms(700));
    assert_eq!(bench.states(), [State::Master, State::Master]);
    assert_eq!(group_states(&outputs), [State::Master]);
}

#[test]
fn a_member_that_yields_takes_the_group_along() {
    let mut bench = bench();
    bench.pass(ms(5000));
    let outputs = bench.hear(&other(1, 200));
    assert_eq!(bench.states(), [State::Backup, State::Backup]);
    assert_eq!(group_states(&outputs), [State::Backup]);
    assert_eq!(
        priorities(&outputs),
        [0],
        "inner resigns, so that nobody waits for it"
    );
}

#[test]
fn a_member_in_fault_takes_the_group_along_and_back() {
    let mut bench = bench();
    bench.pass(ms(5000));
    let link = Link::Unusable("eth1 is down".to_owned());
    let outputs = bench.tell(Input::Link {
        instance: "inner",
        link,
    });
    assert_eq!(bench.states(), [State::Fault, State::Fault]);
    assert_eq!(group_states(&outputs), [State::Fault]);
    bench.pass(ms(10_000));
    let link = Link::Ready(address("192.0.2.1"));
    bench.tell(Input::Link {
        instance: "inner",
        link,
    });
    assert_eq!(bench.states(), [State::Backup, State::Backup]);
    bench.pass(ms(3700));
    assert_eq!(bench.states(), [State::Master, State::Master]);
}

#[test]
fn a_group_ends_with_its_members() {
    let mut bench = bench();
    bench.pass(ms(5000));
    let outputs = bench.tell(Input::Stop);
    assert_eq!(bench.states(), [State::Initialize, State::Initialize]);
    assert_eq!(priorities(&outputs), [0, 0]);
    assert_eq!(group_states(&outputs), [State::Initialize]);
}

#[test]
fn a_group_of_strangers_is_refused() {
    let group = |members: &[&str]| Group {
        name: "VG_1".to_owned(),
        members: members.iter().map(|name| (*name).to_owned()).collect(),
    };
    let refused = |groups| vrrp::Router::new(vec![member("outer", 1)], groups).unwrap_err();
    let error = refused(vec![group(&["outer", "nobody"])]);
    assert_eq!(
        error.to_string(),
        "sync group VG_1: there is no instance nobody"
    );
    let error = refused(vec![group(&["outer"]), group(&["outer"])]);
    assert_eq!(error.to_string(), "instance outer is in two sync groups");
}
