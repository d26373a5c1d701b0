//! Whatever is asked for, in whatever order, with whatever traffic, however often the daemon is
//! killed and the network changes: the tables say what is wanted, and every number is accounted
//! for.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use abi::{Address, address_flags, destination_flags, hop_state};
use control::nexthops::Network;
use control::{Director, Plane};
use model::{Command, Destination, Forwarding, ServiceKey};
use plane_user::Memory;
use proptest::prelude::*;

use crate::common::{
    Do, IFINDEX, Lan, add_service, check_filter, director, flags_on, key, load, remove,
    remove_service, sizes, words,
};
use crate::packets::{Flag, reason, serve, tcp};

const SERVICES: [&str; 5] = [
    "TCP 10.0.0.1:80",
    "TCP 10.0.0.1:81",
    "UDP 10.0.0.2:80",
    "TCP [fd00:10::1]:80",
    "UDP [fd00:10::1]:80",
];
const SCHEDULERS: [&str; 5] = ["rr", "wrr", "wlc", "lc", "sh"];
const FORWARDING: [Forwarding; 4] = [
    Forwarding::Masq,
    Forwarding::Route,
    Forwarding::Tunnel,
    Forwarding::Local,
];
const CLIENTS: [&str; 2] = ["198.51.100.7", "2001:db8::7"];

#[derive(Debug, Clone)]
enum Step {
    Run(Vec<Command>),
    Packet {
        port: u16,
        v6: bool,
        close: bool,
    },
    Network {
        virtual_local: bool,
        real_local: bool,
    },
    Wait(u32),
    Sweep,
    Kill,
}

fn end(v6: bool, last: u8) -> String {
    if v6 {
        format!("[fd00:100::{last}]:80")
    } else {
        format!("192.168.0.{last}:80")
    }
}

/// A destination, in the family of the service or in the other one.
fn destination() -> impl Strategy<Value = Destination> {
    let by = prop::sample::select(&FORWARDING[..]);
    (any::<bool>(), 1..6u8, 0..4i32, by).prop_map(|(v6, last, weight, forwarding)| Destination {
        weight,
        ..Destination::new(end(v6, last).parse().unwrap(), forwarding)
    })
}

fn command() -> impl Strategy<Value = Command> {
    let service = || prop::sample::select(&SERVICES[..]);
    let scheduler = prop::sample::select(&SCHEDULERS[..]);
    prop_oneof![
        3 => (service(), scheduler).prop_map(|(service, by)| add_service(service, by)),
        1 => service().prop_map(remove_service),
        9 => (service(), destination()).prop_map(|(service, destination)| {
            Command::AddDestination { service: key(service), destination }
        }),
        4 => (service(), destination()).prop_map(|(service, destination)| {
            Command::EditDestination { service: key(service), destination }
        }),
        4 => (service(), any::<bool>(), 1..6u8)
            .prop_map(|(service, v6, last)| remove(service, &end(v6, last))),
        1 => Just(Command::Flush),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let flag = any::<bool>;
    prop_oneof![
        8 => prop::collection::vec(command(), 1..4).prop_map(Step::Run),
        8 => (1..40u16, flag(), flag())
            .prop_map(|(port, v6, close)| Step::Packet { port, v6, close }),
        2 => (flag(), flag()).prop_map(|(virtual_local, real_local)| Step::Network {
            virtual_local,
            real_local
        }),
        1 => (1..200u32).prop_map(Step::Wait),
        2 => Just(Step::Sweep),
        1 => Just(Step::Kill),
    ]
}

/// A network in which the services' first addresses are the director's, or not, and one address
/// of the real servers.
fn lan(virtual_local: bool, real_local: bool) -> Lan {
    let own = [
        ("10.0.0.1", virtual_local),
        ("fd00:10::1", virtual_local),
        ("192.168.0.5", real_local),
        ("fd00:100::5", real_local),
    ];
    let parsed = |text: &str| -> IpAddr { text.parse().unwrap() };
    let mut lan = Lan::default();
    let local = own.into_iter().filter(|(_, is_local)| *is_local);
    lan.local.extend(local.map(|(address, _)| parsed(address)));
    for all in ["0.0.0.0", "::"] {
        lan.routes.insert((parsed(all), 0), (IFINDEX, None));
    }
    lan.neighbours.extend(CLIENTS.map(parsed));
    lan
}

/// Flags by address, as both sides of the tables must say at least.
fn wanted_addresses(director: &Director<Memory>) -> BTreeMap<IpAddr, u32> {
    let mut wanted = BTreeMap::new();
    let mut mark = |address: IpAddr, flag| {
        *wanted.entry(address).or_insert(0) |= flag;
    };
    for service in director.wanted().services() {
        let ServiceKey::Address { address, .. } = service.service().key else {
            continue;
        };
        mark(address, address_flags::VIRTUAL);
        for destination in service.destinations() {
            if destination.forwarding == Forwarding::Masq {
                mark(destination.key.address, address_flags::REAL);
            }
        }
    }
    wanted
}

/// Every destination in the tables is wanted, available and in its place.
fn check(director: &Director<Memory>, lan: &Lan) {
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
            let number = numbered.destinations[&destination.key];
            assert_eq!(
                view.destinations[number as usize].service.load(),
                numbered.service
            );
            check_destination(director, number, destination, lan);
        }
    }
    for (address, flags) in wanted_addresses(director) {
        for side in [0, 1] {
            let found = flags_on(director.plane(), side, address);
            assert_eq!(found & flags, flags);
            let is_local = found & address_flags::LOCAL != 0;
            assert_eq!(is_local, lan.is_local(address));
        }
    }
}

fn check_destination(
    director: &Director<Memory>,
    number: u32,
    destination: &Destination,
    lan: &Lan,
) {
    let view = director.plane().view();
    let cell = &view.destinations[number as usize];
    let address = destination.key.address;
    let flag = |is: bool, flag| if is { flag } else { 0 };
    let flags = destination_flags::AVAILABLE
        | flag(lan.is_local(address), destination_flags::LOCAL)
        | flag(address.is_ipv6(), destination_flags::IPV6);
    assert_eq!(cell.flags.load(), flags);
    assert_eq!(cell.weight.load(), destination.weight.unsigned_abs());
    assert_eq!(load(&cell.address), words(&address.to_string()));
    let source = lan.source_towards(address);
    let source_words = source.map_or([0; 4], |source| words(&source.to_string()));
    assert_eq!(load(&cell.tunnel_source), source_words);
    let hop = &view.next_hops[cell.next_hop.load() as usize];
    let is_tunnelled = destination.forwarding == Forwarding::Tunnel;
    let state = if is_tunnelled && source.is_none() {
        hop_state::NO_ROUTE
    } else {
        hop_state::RESOLVED
    };
    assert_eq!(hop.state.load(), state);
}

/// The counts of the tables are those of the connections.
fn check_counts(director: &Director<Memory>) {
    let mut counted: BTreeMap<Address, u32> = BTreeMap::new();
    control::connections::sweep_dead(director.plane());
    for part in 0.. {
        let Some(list) = control::connections::list(director.plane(), part * 64, 64) else {
            break;
        };
        for entry in list {
            *counted
                .entry(words(&entry.destination.ip().to_string()))
                .or_insert(0) += 1;
        }
    }
    let view = director.plane().view();
    let mut loads = BTreeMap::new();
    for (destination, counts) in view.destinations.iter().zip(view.loads) {
        let total = counts.active.load() + counts.inactive.load();
        let address = load(&destination.address);
        if address != [0; 4] && total > 0 {
            *loads.entry(address).or_insert(0) += total;
        }
    }
    assert_eq!(loads, counted);
}

/// A segment of the client's, and one of every real server's.
fn exchange(director: &Director<Memory>, port: u16, v6: bool, close: bool) {
    let parsed = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let client = SocketAddr::new(CLIENTS[usize::from(v6)].parse().unwrap(), port);
    let service = parsed(if v6 { "[fd00:10::1]:80" } else { "10.0.0.1:80" });
    let flag = if close { Flag::Fin } else { Flag::Syn };
    reason(director, &tcp(client, service, flag));
    let flag = if close { Flag::Fin } else { Flag::SynAck };
    for last in 1..6 {
        reason(director, &tcp(parsed(&end(v6, last)), client, flag));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_tables_say_what_is_wanted(steps in prop::collection::vec(step(), 1..60)) {
        let (mut director, mut network) = (director(), lan(true, false));
        serve(&mut director, &network);
        for service in [SERVICES[0], SERVICES[3]] {
            director.must_in(&network, add_service(service, "rr"));
        }
        for step in steps {
            match step {
                Step::Run(commands) => {
                    director.apply(&commands, &network);
                }
                Step::Packet { port, v6, close } => exchange(&director, port, v6, close),
                Step::Network { virtual_local, real_local } => {
                    network = lan(virtual_local, real_local);
                    director.follow(&network).unwrap();
                }
                Step::Wait(seconds) => {
                    director.plane().advance(seconds * Memory::TICKS_PER_SECOND);
                }
                Step::Sweep => director.sweep_all(),
                Step::Kill => {
                    let saved = director.saved();
                    let memory = director.into_plane();
                    director = Director::adopt(memory, sizes(), &saved, &network).unwrap();
                }
            }
            check(&director, &network);
            check_filter(director.plane());
            check_counts(&director);
        }
        director.must(Command::Flush);
        director.plane().advance(1000 * Memory::TICKS_PER_SECOND);
        for _ in 0..3 {
            director.sweep_all();
        }
        prop_assert_eq!(director.publisher().usage().map(|(used, _)| used), [0, 0]);
        // The clients' are left.
        prop_assert_eq!(director.hops().usage().0, 2);
        let view = director.plane().view();
        prop_assert!(view.addresses.iter().all(|cell| cell.address.load() == 0));
        prop_assert!(view.addresses_v6.iter().all(|cell| load(&cell.address) == [0; 4]));
        prop_assert!(view.address_filter.iter().all(|word| word.0.load() == 0));
        prop_assert!(view.destinations.iter().all(|cell| load(&cell.address) == [0; 4]));
    }
}
