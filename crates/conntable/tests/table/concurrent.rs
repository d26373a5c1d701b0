//! Threads that make, find, move, end and sweep connections at once.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Barrier, RwLock};
use std::thread;

use crate::support::{
    LONGER, Random, Slots, buckets, claim, connection, doubt, key_of, live, needed, query, table,
    take_back,
};
use conntable::{Claim, Found, Slot as _, SlotV4};

const THREADS: u32 = 4;

/// A destination's number that belongs to one key alone: a mixed-up entry shows.
fn destination(key: u32) -> u32 {
    (key.wrapping_mul(0x0101_0101) ^ 0x5555) & 0x7f_ffff
}

fn hash(key: u32) -> u32 {
    key.wrapping_mul(0x9e37_79b1).rotate_left(13)
}

/// What a director counts: connections made less those that died.
#[derive(Default)]
struct Counts {
    alive: AtomicI64,
    refused: AtomicI64,
}

/// A packet of `key`: finds its connection, or makes it and settles.
fn packet<'t>(
    table: &Slots<'t>,
    key: u32,
    now: u32,
    lifetime: u32,
    counts: &Counts,
) -> Option<Found<'t, SlotV4>> {
    if let Some(found) = table.find(hash(key), &query(key), now) {
        return Some(found);
    }
    let times = (now, now.wrapping_add(1_000_000));
    let Claim::Slot(claimed, died) = claim(table, hash(key), times) else {
        counts.refused.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    if died.is_some() {
        counts.alive.fetch_sub(1, Ordering::Relaxed);
    }
    claimed.entry.write(&connection(key, destination(key)));
    let word = table
        .publish(&claimed, 1, false, now.wrapping_add(lifetime))
        .expect("the claim counts far longer than the test takes");
    counts.alive.fetch_add(1, Ordering::Relaxed);
    let own = Found {
        entry: claimed.entry,
        word,
        position: claimed.position,
    };
    if table.is_alone(hash(key), &own) {
        return Some(own);
    }
    let kept = table.settle(hash(key), own, now, |_| {
        counts.alive.fetch_sub(1, Ordering::Relaxed);
    });
    Some(kept)
}

/// One thread's share of everything that happens to a table.
fn mix(table: &Slots<'_>, clock: &AtomicU32, seed: u64, keys: u32, counts: &Counts) {
    let mut random = Random(seed);
    let bury = |_| {
        counts.alive.fetch_sub(1, Ordering::Relaxed);
    };
    for _ in 0..30_000 {
        let now = clock.load(Ordering::Relaxed);
        let key = random.below(keys);
        match random.below(16) {
            0 => {
                clock.fetch_add(1, Ordering::Relaxed);
            }
            1 => {
                if let Some(found) = table.find(hash(key), &query(key), now) {
                    table.end(&found).into_iter().for_each(bury);
                }
            }
            2 | 3 => table.sweep(random.below(16), (now, LONGER), bury),
            4..=6 => {
                if let Some(found) = table.find(hash(key), &query(key), now) {
                    let expiry = now.wrapping_add(20);
                    table.update(&found, |word| {
                        word.moved((word.state() + 1) & 7, false, expiry)
                    });
                }
            }
            _ => {
                packet(table, key, now, 1 + random.below(40), counts);
            }
        }
    }
}

#[test]
fn made_less_died_is_what_lives_after_any_turmoil() {
    for (seed, keys) in [(1, 20), (2, 100), (3, 400)] {
        let buckets = buckets(16);
        let table = table(&buckets);
        let (clock, counts) = (AtomicU32::new(u32::MAX - 500), Counts::default());
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (clock, counts) = (&clock, &counts);
                scope.spawn(move || {
                    mix(&table, clock, seed * 100 + u64::from(number), keys, counts)
                });
            }
        });
        let alive = counts.alive.load(Ordering::Relaxed);
        let left = live(&buckets);
        assert_eq!(left.len() as i64, alive, "{keys} keys");
        for entry in left {
            let key = key_of(entry);
            assert_eq!(
                entry.destination(),
                destination(key),
                "an entry of two connections"
            );
            assert_eq!(entry.client(), query(key).client);
        }
    }
}

#[test]
fn a_connection_that_is_found_is_the_one_asked_for_whoever_takes_its_slot() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let (clock, counts) = (AtomicU32::new(0), Counts::default());
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (clock, counts) = (&clock, &counts);
            scope.spawn(move || {
                let mut random = Random(u64::from(number));
                for _ in 0..60_000 {
                    let now = clock.fetch_add(1, Ordering::Relaxed);
                    let key = random.below(64);
                    let Some(found) = packet(&table, key, now, 8, counts) else {
                        continue;
                    };
                    let entry = found.entry;
                    let read = (entry.client(), entry.destination());
                    if table.at(found.handle(), now).is_some() {
                        assert_eq!(read, (query(key).client, destination(key)));
                    }
                }
            });
        }
    });
}

#[test]
fn no_connection_is_lost_while_marks_are_taken_back() {
    let buckets = buckets(8);
    let table = table(&buckets);
    // Whoever inserts holds it for reading; who doubts waits until nobody does, as a data plane waits
    // for the packets that it works on.
    let readers = RwLock::new(());
    let taken_back = AtomicU32::new(0);
    let running = AtomicU32::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (readers, running, counts) = (&readers, &running, Counts::default());
            scope.spawn(move || {
                let mut random = Random(u64::from(number));
                for round in 0..30_000 {
                    // Each thread has keys of its own: nobody else ends what it made.
                    let key = random.below(10) * THREADS + number;
                    {
                        let _reading = readers.read();
                        packet(&table, key, 0, 1_000_000, &counts);
                    }
                    let found = table.find(hash(key), &query(key), 0);
                    let found = found.unwrap_or_else(|| panic!("{key} in round {round}"));
                    assert!(table.end(&found).is_some());
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) != 0 {
                doubt(&buckets);
                drop(readers.write());
                let needed = needed(&buckets, |entry| hash(key_of(entry)));
                take_back(&buckets, &needed);
                taken_back.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    assert!(taken_back.into_inner() > 10);
}

#[test]
fn threads_that_make_the_same_connection_at_once_end_with_one() {
    const ROUNDS: u32 = 3_000;
    let buckets = buckets(4);
    let table = table(&buckets);
    let counts = Counts::default();
    let (begin, end) = (
        Barrier::new(THREADS as usize),
        Barrier::new(THREADS as usize),
    );
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (buckets, begin, end, counts) = (&buckets, &begin, &end, &counts);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    begin.wait();
                    packet(&table, round, round, 1, counts);
                    end.wait();
                    if number == 0 {
                        assert_eq!(counts.alive.load(Ordering::Relaxed), 1, "round {round}");
                        assert!(table.find(hash(round), &query(round), round).is_some());
                        for bucket in 0..4 {
                            table.sweep(bucket, (round + 1, LONGER), |_| {
                                counts.alive.fetch_sub(1, Ordering::Relaxed);
                            });
                        }
                        assert!(live(buckets).is_empty(), "round {round}");
                    }
                }
            });
        }
    });
    assert_eq!(counts.refused.load(Ordering::Relaxed), 0);
}

#[test]
fn each_connection_ends_once_however_many_end_it() {
    const CONNECTIONS: u32 = 2_000;
    let buckets = buckets(1024);
    let table = table(&buckets);
    let counts = Counts::default();
    for key in 0..CONNECTIONS {
        assert!(packet(&table, key, 0, 10, &counts).is_some());
    }
    let died = AtomicU32::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let died = &died;
            scope.spawn(move || {
                let count = |_| {
                    died.fetch_add(1, Ordering::Relaxed);
                };
                if number % 2 == 0 {
                    (0..1024).for_each(|bucket| table.sweep(bucket, (10, LONGER), count));
                } else {
                    for key in 0..CONNECTIONS {
                        if let Some(found) = table.find(hash(key), &query(key), 9) {
                            table.end(&found).into_iter().for_each(count);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(died.into_inner(), CONNECTIONS);
    assert!(live(&buckets).is_empty());
}
