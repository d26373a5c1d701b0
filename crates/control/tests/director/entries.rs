//! What the entries of the connection tables that are no connections count for.

use abi::{Address, hash_connection, hash_connection_v6, method};
use conntable::{Bucket, Claim, Crowding, Kind, NewConnection, Slot, Table};
use control::{Director, Plane, connections};
use model::Forwarding;
use plane_user::Memory;

use crate::common::{Do, add_by, add_service, director, words};

const WEB: &str = "TCP 10.0.0.1:80";
const WEB_V6: &str = "TCP [fd00:10::21]:80";
const REAL: &str = "192.168.0.1:80";
const REAL_V6: &str = "[fd00:100::1]:80";
const TCP: u8 = 6;
const KINDS: [Kind; 3] = [Kind::Connection, Kind::Template, Kind::Alias];

/// Puts an entry of TCP, state 1, into a table, as a packet does.
fn put<S: Slot>(
    memory: &Memory,
    buckets: &[Bucket<S>],
    hash: u32,
    new: &NewConnection<S::Address>,
) {
    let table = Table::new(buckets, buckets.len() as u32);
    let now = memory.now();
    let calm = Crowding(&memory.view().carries[0].crowding[0]);
    let Claim::Slot(claimed, None) = table.claim(hash, (now, now + 1000), calm) else {
        panic!("the table is not full");
    };
    claimed.entry.write(new);
    let ends = now + 10 * Memory::TICKS_PER_SECOND;
    table.publish(&claimed, 1, false, ends).unwrap();
    let load = &memory.view().loads[new.destination as usize];
    match new.kind {
        Kind::Connection => load.active.add(1),
        Kind::Template => load.persistent.add(1),
        Kind::Alias | Kind::OnePacket => {}
    }
}

fn new<A>(addresses: [A; 2], kind: Kind, destination: u32) -> NewConnection<A> {
    let [client, virtual_address] = addresses;
    let client_port = if kind == Kind::Template { 0 } else { 40001 };
    NewConnection {
        client,
        client_port: u16::to_be(client_port),
        virtual_address,
        virtual_port: 80u16.to_be(),
        keeps_port: false,
        protocol: TCP,
        method: method::MASQUERADE,
        kind,
        destination,
        control: 0,
        client_hop: 0,
    }
}

/// A director of a service of each family, with an entry of each kind in each.
fn filled() -> Director<Memory> {
    let mut director = director();
    for (service, real) in [(WEB, REAL), (WEB_V6, REAL_V6)] {
        director.must(add_service(service, "rr"));
        director.must(add_by(Forwarding::Masq, service, real));
    }
    let number = |service: &str, real: &str| {
        let numbered = director.publisher().numbers(&service.parse().unwrap());
        numbered.unwrap().destinations[&real.parse().unwrap()]
    };
    let memory = director.plane();
    let seed = memory.view().globals.hash_seed.load();
    for kind in KINDS {
        let v4 = ["198.51.100.7", "10.0.0.1"].map(|text| words(text)[0]);
        let new_v4 = new(v4, kind, number(WEB, REAL));
        let hash = hash_connection(v4[0], new_v4.client_port, TCP, seed);
        put(memory, memory.connections(), hash, &new_v4);
        let v6: [Address; 2] = ["2001:db8::7", "fd00:10::21"].map(words);
        let new_v6 = new(v6, kind, number(WEB_V6, REAL_V6));
        let hash = hash_connection_v6(v6[0], new_v6.client_port, TCP, seed);
        put(memory, memory.connections_v6(), hash, &new_v6);
    }
    director
}

/// Active, inactive and persistent connections of a service's only destination.
fn counts(director: &Director<Memory>, service: &str) -> [u32; 3] {
    let status = director.status(service).destinations[0];
    [
        status.active_connections,
        status.inactive_connections,
        status.persistent_connections,
    ]
}

#[test]
fn a_template_counts_as_persistent_only_and_an_alias_for_nothing() {
    let director = filled();
    for service in [WEB, WEB_V6] {
        assert_eq!(counts(&director, service), [1, 0, 1]);
    }
    director.plane().advance(11 * Memory::TICKS_PER_SECOND);
    for service in [WEB, WEB_V6] {
        assert_eq!(counts(&director, service), [0, 0, 0]);
    }
}

#[test]
fn a_template_is_listed_with_its_own_states_and_an_alias_is_not() {
    let director = filled();
    let all = connections::list(director.plane(), 0, u32::MAX).unwrap();
    let mut lines: Vec<String> = all
        .iter()
        .map(|entry| {
            format!(
                "{} {} {} {}",
                entry.state, entry.client, entry.virtual_address, entry.destination
            )
        })
        .collect();
    lines.sort();
    // As in the oracle's 23-persist-nat.
    assert_eq!(
        lines,
        [
            "ASSURED 198.51.100.7:0 10.0.0.1:80 192.168.0.1:80",
            "ASSURED [2001:db8::7]:0 [fd00:10::21]:80 [fd00:100::1]:80",
            "ESTABLISHED 198.51.100.7:40001 10.0.0.1:80 192.168.0.1:80",
            "ESTABLISHED [2001:db8::7]:40001 [fd00:10::21]:80 [fd00:100::1]:80",
        ]
    );
}

#[test]
fn templates_keep_the_numbers_they_refer_to_and_an_alias_goes_with_its_connection() {
    let mut director = filled();
    let census = |director: &mut Director<Memory>| {
        director.sweep_all();
        director.census().unwrap().clone()
    };
    let found = census(&mut director);
    // The aliases name no connection.
    assert_eq!((found.v4.entries, found.v6.entries), (2, 2));
    assert_eq!(found.by_destination[..2], [2, 2]);
    director.plane().advance(11 * Memory::TICKS_PER_SECOND);
    let found = census(&mut director);
    assert_eq!((found.v4.entries, found.v6.entries), (0, 0));
}

#[test]
fn wrong_counts_of_every_kind_are_put_right_by_a_recount() {
    let director = filled();
    let view = director.plane().view();
    for load in &view.loads[..2] {
        load.active.add(5);
        load.inactive.add(6);
        load.persistent.add(7);
    }
    assert_eq!(control::loads::recount(director.plane()), 2);
    for service in [WEB, WEB_V6] {
        assert_eq!(counts(&director, service), [1, 0, 1]);
    }
}

#[test]
fn a_large_table_is_listed_in_parts_of_any_size() {
    let director = filled();
    let all = connections::list(director.plane(), 0, u32::MAX).unwrap();
    let buckets = connections::buckets(director.plane());
    for size in [1, 3, 64, buckets - 1, buckets] {
        let parts = (0..).map_while(|part| connections::list(director.plane(), part * size, size));
        let listed: Vec<_> = parts.flatten().collect();
        assert_eq!(listed, all, "parts of {size} buckets");
    }
    assert!(connections::list(director.plane(), buckets, 1).is_none());
}
