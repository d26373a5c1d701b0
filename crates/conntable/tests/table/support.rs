//! A table on the heap, and connections to put in it.

use conntable::{Bucket, Direction, NewConnection, Query, SlotV4, Table};

/// Buckets on the heap.
pub fn buckets(count: usize) -> Vec<Bucket<SlotV4>> {
    assert!(count.is_power_of_two());
    std::iter::repeat_with(Bucket::default)
        .take(count)
        .collect()
}

/// The table over them.
pub fn table(buckets: &[Bucket<SlotV4>]) -> Table<&[Bucket<SlotV4>]> {
    Table::new(buckets, buckets.len() as u32 - 1)
}

/// What a client's packet of connection `key` asks for.
pub fn query(key: u32) -> Query {
    Query {
        client: 0x0a00_0000 | key,
        client_port: 40_000 + (key % 1000) as u16,
        protocol: 6,
        direction: Direction::ToServer,
        address: 0x5000_0001,
        port: 80,
    }
}

/// What the real server's packet of connection `key` asks for.
pub fn reply(key: u32) -> Query {
    Query {
        direction: Direction::ToClient,
        address: server(key),
        port: 8080,
        ..query(key)
    }
}

/// Connection `key`, towards a destination.
pub fn connection(key: u32, destination: u32) -> NewConnection {
    let query = query(key);
    NewConnection {
        client: query.client,
        client_port: query.client_port,
        virtual_address: query.address,
        virtual_port: query.port,
        destination_address: server(key),
        destination_port: 8080,
        protocol: query.protocol,
        method: 0,
        service: key ^ 0xffff,
        destination,
    }
}

fn server(key: u32) -> u32 {
    0xc0a8_0000 | key & 0xffff
}

/// Entries that are connections, alive or past their time.
pub fn live(buckets: &[Bucket<SlotV4>]) -> Vec<&SlotV4> {
    use conntable::{Entry, Word};
    buckets
        .iter()
        .flat_map(|bucket| &bucket.0)
        .filter(|entry| Word(entry.word().load()).is_live())
        .collect()
}

/// Well mixed numbers from a seed: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        (self.next() % u64::from(limit)) as u32
    }
}
