//! A table on the heap, and connections to put in it.

use std::collections::HashMap;

use cell::Cell32;
use conntable::{
    BUCKET_SLOTS, Bucket, Buckets, Claim, Crowding, End, Entry as _, Kind, NewConnection, Position,
    Query, Slot, SlotV4, TOGETHER, Table, Word,
};

/// Ticks that a template lasts longer while connections go by it.
pub const LONGER: u32 = 60;

/// Buckets on the heap.
pub fn buckets(count: usize) -> Vec<Bucket<SlotV4>> {
    assert!(count.is_multiple_of(TOGETHER as usize));
    std::iter::repeat_with(Bucket::default)
        .take(count)
        .collect()
}

/// Buckets, and the real servers of every destination.
#[derive(Clone, Copy)]
pub struct Farm<'t>(&'t [Bucket<SlotV4>]);

impl<'t> Buckets<'t> for Farm<'t> {
    type Entry = SlotV4;

    fn bucket(&self, index: u32) -> Option<&'t Bucket<SlotV4>> {
        self.0.get(index as usize)
    }

    fn server(&self, destination: u32) -> Option<(u32, u16)> {
        Some(server(destination))
    }
}

/// A table on the heap.
pub type Slots<'t> = Table<Farm<'t>>;

/// The table over them.
pub fn table(buckets: &[Bucket<SlotV4>]) -> Slots<'_> {
    Table::new(Farm(buckets), buckets.len() as u32)
}

/// Takes a slot in a table that is not crowded, until `claim_ends`.
pub fn claim<'t, B: Buckets<'t>>(
    table: &Table<B>,
    hash: u32,
    (now, claim_ends): (u32, u32),
) -> Claim<'t, B::Entry> {
    table.claim(hash, (now, claim_ends), Crowding(&Cell32::new(0)))
}

/// What a client's packet of connection `key` asks for.
pub fn query(key: u32) -> Query<u32> {
    Query {
        client: 0x0a00_0000 | key,
        client_port: 40_000 + (key % 1000) as u16,
        protocol: 6,
        kind: Kind::Connection,
        end: End::Virtual,
        address: 0x5000_0001,
        port: 80,
    }
}

/// What the packet of a destination's real server asks for, of connection `key`.
pub fn reply(key: u32, destination: u32) -> Query<u32> {
    let (address, port) = server(destination);
    Query {
        end: End::Server,
        address,
        port,
        ..query(key)
    }
}

/// Connection `key`, towards a destination.
pub fn connection(key: u32, destination: u32) -> NewConnection<u32> {
    let query = query(key);
    NewConnection {
        client: query.client,
        client_port: query.client_port,
        virtual_address: query.address,
        virtual_port: query.port,
        keeps_port: false,
        protocol: query.protocol,
        method: 0,
        kind: Kind::Connection,
        destination,
        control: 0,
        client_hop: 0,
    }
}

/// The real server of a destination.
fn server(destination: u32) -> (u32, u16) {
    (0xc0a8_0000 | destination & 0xffff, !destination as u16)
}

/// The marks that connections need, by their hashes: by bucket and slot.
pub fn needed(
    buckets: &[Bucket<SlotV4>],
    hash: impl Fn(&SlotV4) -> u32,
) -> HashMap<(u32, u32), u8> {
    let table = table(buckets);
    let mut needed = HashMap::new();
    for (bucket, slots) in (0..).zip(buckets) {
        for (slot, entry) in (0..).zip(&slots.0) {
            if Word(entry.word().load()).is_live() {
                table.needed_marks(hash(entry), Position { bucket, slot }, |begin, marks| {
                    *needed.entry((begin.bucket, begin.slot)).or_default() |= marks;
                });
            }
        }
    }
    needed
}

/// Doubts all marks.
pub fn doubt(buckets: &[Bucket<SlotV4>]) {
    (0..buckets.len() as u32).for_each(|bucket| table(buckets).doubt_marks(bucket));
}

/// Takes all marks back but the needed ones.
pub fn take_back(buckets: &[Bucket<SlotV4>], needed: &HashMap<(u32, u32), u8>) {
    for bucket in 0..buckets.len() as u32 {
        for slot in 0..BUCKET_SLOTS as u32 {
            let needed = needed.get(&(bucket, slot)).copied().unwrap_or_default();
            table(buckets).take_marks_back(Position { bucket, slot }, needed);
        }
    }
}

/// Entries that are connections, alive or past their time.
pub fn live(buckets: &[Bucket<SlotV4>]) -> Vec<&SlotV4> {
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

/// The key of an entry, by its client.
pub fn key_of(entry: &SlotV4) -> u32 {
    entry.client() & 0x00ff_ffff
}
