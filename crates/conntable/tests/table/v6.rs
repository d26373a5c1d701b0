//! Connections over IPv6.

use crate::support::claim;
use conntable::{
    Bucket, Buckets, Claim, End, Found, Kind, NewConnection, Query, Slot, SlotV6, Table,
};

/// Real servers by number.
const SERVERS: [[u32; 4]; 2] = [[0xb80d_0120, 0, 0, 1], [0xb80d_0120, 0, 0, 2]];
const CLIENT: [u32; 4] = [0xb80d_0120, 1, 2, 3];
const VIRTUAL: [u32; 4] = [0xb80d_0120, 9, 9, 9];
const HASH: u32 = 5;

struct Farm<'t>(&'t [Bucket<SlotV6>]);

impl<'t> Buckets<'t> for &Farm<'t> {
    type Entry = SlotV6;

    fn bucket(&self, index: u32) -> Option<&'t Bucket<SlotV6>> {
        self.0.get(index as usize)
    }

    fn server(&self, destination: u32) -> Option<([u32; 4], u16)> {
        Some((*SERVERS.get(destination as usize)?, 8080))
    }
}

fn query(end: End, address: [u32; 4], port: u16) -> Query<[u32; 4]> {
    Query {
        client: CLIENT,
        client_port: 4000,
        protocol: 6,
        kind: Kind::Connection,
        end,
        address,
        port,
    }
}

fn make<'t>(table: &Table<&Farm<'t>>, destination: u32) -> Found<'t, SlotV6> {
    let Claim::Slot(claimed, _) = claim(table, HASH, (0, 10)) else {
        panic!("the table is empty");
    };
    claimed.entry.write(&NewConnection {
        client: CLIENT,
        client_port: 4000,
        virtual_address: VIRTUAL,
        virtual_port: 80,
        keeps_port: false,
        protocol: 6,
        method: 0,
        kind: Kind::Connection,
        destination,
        control: 0,
        client_hop: 0,
    });
    let word = table.publish(&claimed, 1, false, 100).expect("our claim");
    Found {
        entry: claimed.entry,
        word,
        position: claimed.position,
    }
}

#[test]
fn both_directions_find_the_connection() {
    let buckets: Vec<Bucket<SlotV6>> = (0..4).map(|_| Bucket::default()).collect();
    let farm = Farm(&buckets);
    let table = Table::new(&farm, 4);
    let made = make(&table, 1).position;
    let find = |query| table.find(HASH, &query, 0).map(|found| found.position);
    assert_eq!(find(query(End::Virtual, VIRTUAL, 80)), Some(made));
    assert_eq!(find(query(End::Server, SERVERS[1], 8080)), Some(made));
}

#[test]
fn another_server_port_protocol_kind_or_client_is_another_connection() {
    let buckets: Vec<Bucket<SlotV6>> = (0..4).map(|_| Bucket::default()).collect();
    let farm = Farm(&buckets);
    let table = Table::new(&farm, 4);
    make(&table, 1);
    let to_server = query(End::Virtual, VIRTUAL, 80);
    let mut others = vec![
        query(End::Server, SERVERS[0], 8080),
        query(End::Server, SERVERS[1], 80),
        query(End::Server, VIRTUAL, 80),
        query(End::Virtual, VIRTUAL, 8080),
        query(End::Virtual, SERVERS[1], 80),
        Query {
            protocol: 17,
            ..to_server
        },
        Query {
            kind: Kind::Template,
            ..to_server
        },
        Query {
            client_port: 4001,
            ..to_server
        },
    ];
    for word in 0..4 {
        let mut client = CLIENT;
        client[word] ^= 0x0100_0000;
        others.push(Query {
            client,
            ..to_server
        });
        let mut address = VIRTUAL;
        address[word] ^= 1;
        others.push(Query {
            address,
            ..to_server
        });
    }
    for other in others {
        assert!(table.find(HASH, &other, 0).is_none(), "{other:?}");
    }
}

#[test]
fn a_server_that_nobody_knows_answers_to_nothing() {
    let buckets: Vec<Bucket<SlotV6>> = (0..4).map(|_| Bucket::default()).collect();
    let farm = Farm(&buckets);
    let table = Table::new(&farm, 4);
    let made = make(&table, 7);
    assert!(
        table
            .find(HASH, &query(End::Server, [0; 4], 8080), 0)
            .is_none()
    );
    assert!(table.at(made.handle(), 0).is_some());
    assert_eq!(made.entry.client(), CLIENT);
}
