//! Whatever is asked for, in whatever order, with whatever traffic and however often the daemon is
//! killed: the tables say what is wanted, and every number is accounted for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use abi::{address_flags, destination_flags};
use control::{Director, Plane};
use model::{Command, ServiceKey};
use plane_user::Memory;
use proptest::prelude::*;

use crate::common::{Do, add, add_service, edit, network_order, remove, remove_service, sizes};
use crate::traffic::{Flag, balancing, client, lan, server};

const SERVICES: [&str; 3] = ["TCP 10.0.0.1:80", "TCP 10.0.0.1:81", "UDP 10.0.0.2:80"];
const SCHEDULERS: [&str; 5] = ["rr", "wrr", "wlc", "lc", "sh"];

#[derive(Debug, Clone)]
enum Step {
    Run(Vec<Command>),
    Packet(u16, bool),
    Wait(u32),
    Sweep,
    Kill,
}

fn end(last: u8) -> String {
    format!("192.168.0.{last}:80")
}

fn command() -> impl Strategy<Value = Command> {
    let service = || prop::sample::select(&SERVICES[..]);
    prop_oneof![
        3 => (service(), prop::sample::select(&SCHEDULERS[..])).prop_map(|(s, by)| add_service(s, by)),
        1 => service().prop_map(remove_service),
        6 => (service(), 1..6u8, 0..4i32).prop_map(|(s, d, w)| add(s, &end(d), w)),
        2 => (service(), 1..6u8, 0..4i32).prop_map(|(s, d, w)| edit(s, &end(d), w)),
        3 => (service(), 1..6u8).prop_map(|(s, d)| remove(s, &end(d))),
        1 => Just(Command::Flush),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(command(), 1..4).prop_map(Step::Run),
        6 => (1..40u16, any::<bool>()).prop_map(|(port, close)| Step::Packet(port, close)),
        1 => (1..200u32).prop_map(Step::Wait),
        2 => Just(Step::Sweep),
        1 => Just(Step::Kill),
    ]
}

/// Flags by address, as both sides of the tables must say.
fn wanted_addresses(director: &Director<Memory>) -> BTreeMap<u32, u32> {
    let mut wanted = BTreeMap::new();
    let mut mark = |address: IpAddr, flag| {
        *wanted
            .entry(network_order(&address.to_string()))
            .or_insert(0) |= flag;
    };
    for service in director.wanted().services() {
        let ServiceKey::Address { address, .. } = service.service().key else {
            continue;
        };
        mark(address, address_flags::VIRTUAL);
        for destination in service.destinations() {
            mark(destination.key.address, address_flags::REAL);
        }
    }
    wanted
}

/// Every destination in the tables is wanted, available and in its place.
fn check(director: &Director<Memory>) {
    let view = director.plane().view();
    let sides = [0, 1].map(|side| view.services_of(side));
    for cells in sides {
        let present = cells.iter().filter(|cell| cell.key.load() != 0).count();
        assert_eq!(present, director.wanted().services().len());
    }
    for wanted in director.wanted().services() {
        let numbered = director.publisher().numbers(&wanted.service().key).unwrap();
        for cells in sides {
            let cell = cells
                .iter()
                .find(|cell| cell.key.load() != 0 && cell.number.load() == numbered.service)
                .unwrap();
            let first = cell.members_first.load() as usize;
            let list = &view.members[first..first + cell.members.load() as usize];
            let expected = wanted.destinations().map(|d| numbered.destinations[&d.key]);
            assert!(list.iter().map(|member| member.number.load()).eq(expected));
        }
        for destination in wanted.destinations() {
            let cell = &view.destinations[numbered.destinations[&destination.key] as usize];
            assert_eq!(cell.flags.load(), destination_flags::AVAILABLE);
            assert_eq!(cell.weight.load(), destination.weight.unsigned_abs());
            assert_eq!(cell.service.load(), numbered.service);
            let address = network_order(&destination.key.address.to_string());
            assert_eq!(cell.address.load(), address);
            assert_ne!(cell.next_hop.load(), abi::NONE);
        }
    }
    for (address, flags) in wanted_addresses(director) {
        for side in [0, 1] {
            let cells = view.addresses_of(side);
            let cell = cells
                .iter()
                .find(|cell| cell.address.load() == address)
                .unwrap();
            assert_eq!(cell.flags.load() & flags, flags);
        }
    }
}

/// The counts of the tables are those of the connections.
fn check_counts(director: &Director<Memory>) {
    let mut counted = BTreeMap::new();
    control::connections::sweep_dead(director.plane());
    for part in 0.. {
        let Some(list) = control::connections::list(director.plane(), part * 64, 64) else {
            break;
        };
        for entry in list {
            *counted
                .entry(network_order(&entry.destination.ip().to_string()))
                .or_insert(0) += 1;
        }
    }
    let view = director.plane().view();
    let mut loads = BTreeMap::new();
    for (destination, load) in view.destinations.iter().zip(view.loads) {
        let total = load.active.load() + load.inactive.load();
        if destination.address.load() != 0 && total > 0 {
            *loads.entry(destination.address.load()).or_insert(0) += total;
        }
    }
    assert_eq!(loads, counted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_tables_say_what_is_wanted(steps in prop::collection::vec(step(), 1..60)) {
        let mut director = balancing("rr", &[&end(1), &end(2)]);
        for step in steps {
            match step {
                Step::Run(commands) => {
                    director.apply(&commands, &lan());
                }
                Step::Packet(port, close) => {
                    client(&director, port, if close { Flag::Fin } else { Flag::Syn });
                    for last in 1..6 {
                        server(&director, last, port, if close { Flag::Fin } else { Flag::SynAck });
                    }
                }
                Step::Wait(seconds) => {
                    director.plane().advance(seconds * Memory::TICKS_PER_SECOND);
                }
                Step::Sweep => director.sweep_all(),
                Step::Kill => {
                    let saved = director.saved();
                    let memory = director.into_plane();
                    director = Director::adopt(memory, sizes(), &saved, &lan()).unwrap();
                }
            }
            check(&director);
            check_counts(&director);
        }
        director.must(Command::Flush);
        director.plane().advance(1000 * Memory::TICKS_PER_SECOND);
        for _ in 0..3 {
            director.sweep_all();
        }
        prop_assert_eq!(director.publisher().usage().map(|(used, _)| used), [0, 0]);
        // The client's is left.
        prop_assert_eq!(director.hops().usage().0, 1);
        let view = director.plane().view();
        prop_assert!(view.addresses.iter().all(|cell| cell.address.load() == 0));
        prop_assert!(view.destinations.iter().all(|cell| cell.address.load() == 0));
    }
}
