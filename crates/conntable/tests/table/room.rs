//! Where connections find room: the home bucket and the others, the marks, the last slot.

use std::collections::BTreeMap;

use crate::support::{self, LONGER, Slots, buckets, connection, query, reply, table};
use cell::Cell32;
use conntable::{Bucket, Claim, Claimed, Crowding, Died, Entry as _, Slot as _, SlotV4, Word};

/// Makes connection `key`, which dies at `expiry`.
fn insert<'t>(table: &Slots<'t>, hash: u32, key: u32, now: u32, expiry: u32) -> Option<Died> {
    let (claimed, died) = claim(table, hash, now).expect("room");
    claimed.entry.write(&connection(key, key));
    assert!(table.publish(&claimed, 1, false, expiry).is_some());
    died
}

fn claim<'t>(
    table: &Slots<'t>,
    hash: u32,
    now: u32,
) -> Option<(Claimed<'t, SlotV4>, Option<Died>)> {
    match support::claim(table, hash, (now, now.wrapping_add(10))) {
        Claim::Slot(claimed, died) => Some((claimed, died)),
        Claim::Full => None,
    }
}

/// Whether it is behind the home bucket, the first.
fn is_far(claimed: &Claimed<'_, SlotV4>) -> bool {
    claimed.position.bucket != 0
}

/// What the slot where searches for a hash begin says of a bucket.
fn marks(bucket: &Bucket<SlotV4>, hash: u32) -> Word {
    Word(bucket.0[(hash & 7) as usize].word().load())
}

#[test]
fn a_connection_is_found_from_both_sides() {
    let buckets = buckets(4);
    let table = table(&buckets);
    insert(&table, 6, 5, 0, 100);
    for query in [query(5), reply(5, 5)] {
        let found = table.find(6, &query, 0).expect("the connection");
        assert_eq!(found.entry.destination(), 5);
    }
    assert!(table.find(6, &query(4), 0).is_none(), "another client");
    assert!(table.find(6, &reply(4, 5), 0).is_none(), "another client");
    let other_service = conntable::Query {
        port: 81,
        ..query(5)
    };
    assert!(table.find(6, &other_service, 0).is_none());
    let other_protocol = conntable::Query {
        protocol: 17,
        ..query(5)
    };
    assert!(table.find(6, &other_protocol, 0).is_none());
}

#[test]
fn connections_of_one_hash_fill_five_buckets_to_the_last_slot() {
    for hash in [17, 0x0540_0001, 0xffff_ffff, 0x1234_5678] {
        for (count, room) in [(4, 32), (1024, 40), (100_000, 40)] {
            let buckets = buckets(count);
            let table = table(&buckets);
            for key in 0..room {
                assert_eq!(insert(&table, hash, key, 0, 100), None);
            }
            assert!(claim(&table, hash, 0).is_none(), "no slot is left");
            for key in 0..room {
                let found = table.find(hash, &query(key), 0).expect("every one of them");
                assert_eq!(found.entry.destination(), key);
            }
        }
    }
}

#[test]
fn the_slot_where_a_search_begins_says_where_else_it_has_to_look() {
    const HASH: u32 = 3;
    let buckets = buckets(1024);
    let table = table(&buckets);
    let (mut places, mut went_on) = (1, false);
    for key in 0..40 {
        let (claimed, _) = claim(&table, HASH, 0).expect("room");
        claimed.entry.write(&connection(key, key));
        assert!(table.publish(&claimed, 1, false, 100).is_some());
        if is_far(&claimed) {
            went_on = true;
        } else {
            places |= 1 << (claimed.position.slot ^ 3);
        }
        let marks = marks(&buckets[0], HASH);
        assert_eq!(
            (marks.places(), marks.went_on()),
            (places, went_on),
            "{key}"
        );
    }
    assert_eq!((places, went_on), (0xff, true));
    let of_others = (0..8).filter(|&slot| slot != 3);
    for slot in of_others {
        let word = Word(buckets[0].0[slot].word().load());
        assert_eq!((word.places(), word.went_on()), (1, false), "{slot}");
    }
}

#[test]
fn a_connection_of_another_hash_in_the_way_is_no_reason_to_look_further() {
    let buckets = buckets(1024);
    let table = table(&buckets);
    // Begins at slot 0 of the bucket where the other begins at slot 1.
    let (first, second) = (7 << 22, 7 << 22 | 1);
    insert(&table, first, 1, 0, 100);
    insert(&table, first, 2, 0, 100);
    insert(&table, second, 3, 0, 100);
    let begins = |hash| marks(&buckets[7], hash);
    assert_eq!(
        (begins(first).places(), begins(second).places()),
        (0b11, 0b101)
    );
    for (hash, key) in [(first, 1), (first, 2), (second, 3)] {
        assert!(table.find(hash, &query(key), 0).is_some(), "{key}");
    }
    insert(&table, 7 << 22 | 4, 4, 0, 100);
    assert_eq!(begins(7 << 22 | 4).places(), 1);
}

#[test]
fn a_home_with_room_enough_is_preferred_to_an_emptier_bucket() {
    let buckets = buckets(4);
    let table = table(&buckets);
    for near in 0..5 {
        let (claimed, _) = claim(&table, 0, 0).expect("room");
        assert_eq!((claimed.position.bucket, claimed.position.slot), (0, near));
    }
    let (claimed, _) = claim(&table, 0, 0).expect("room");
    assert!(is_far(&claimed), "three slots are not enough");
}

#[test]
fn the_last_slots_of_a_bucket_are_kept_while_another_has_room_enough() {
    let buckets = buckets(1024);
    let table = table(&buckets);
    let mut taken = BTreeMap::new();
    for _ in 0..32 {
        let (claimed, _) = claim(&table, 0x1234_5678, 0).expect("room");
        *taken.entry(claimed.position.bucket).or_insert(0) += 1;
    }
    assert!(
        taken.len() == 5 && taken.values().all(|taken| *taken < 8),
        "{taken:?}"
    );
}

#[test]
fn in_a_crowded_table_the_emptier_bucket_is_preferred_at_once() {
    let buckets = buckets(1024);
    let table = table(&buckets);
    let crowding = Cell32::new(0);
    let far_of = |count: u32, hash: u32| {
        let claims = (0..count).map(|_| table.claim(hash, (0, 10), Crowding(&crowding)));
        claims.fold(0, |far, claim| match claim {
            Claim::Slot(claimed, _) => far + (claimed.position.bucket != hash >> 22) as u32,
            Claim::Full => panic!("room"),
        })
    };
    // The last connection finds its slot taken, the two nearest free, and one other.
    let far_of_the_last = |bucket: u32| {
        for start in [0, 1, 2, 3, 7] {
            assert_eq!(far_of(1, bucket << 22 | start), 0);
        }
        far_of(1, bucket << 22 | 7)
    };
    assert_eq!(far_of_the_last(0), 0, "nobody found his place taken yet");
    // 19 of 20 find their place taken, again and again.
    for hash in 1..20 {
        far_of(20, hash << 22);
    }
    assert_eq!(far_of_the_last(30), 1);
    // And after so many that find it free, the table is not crowded any more.
    for alone in 100..1000 {
        far_of(1, alone << 22);
    }
    assert_eq!(far_of_the_last(40), 0);
}

#[test]
fn what_is_in_another_bucket_is_found_when_the_first_has_emptied() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for key in 0..10 {
        let (claimed, _) = claim(&table, 0, 0).expect("room");
        let expiry = if is_far(&claimed) { 1_000 } else { 100 };
        claimed.entry.write(&connection(key, key));
        assert!(table.publish(&claimed, 1, false, expiry).is_some());
        if is_far(&claimed) {
            second.push(key)
        } else {
            first.push(key)
        }
    }
    assert!(!second.is_empty());
    let check = || {
        assert!(
            first
                .iter()
                .all(|&key| table.find(0, &query(key), 100).is_none())
        );
        assert!(
            second
                .iter()
                .all(|&key| table.find(0, &query(key), 100).is_some())
        );
    };
    table.sweep(0, (100, LONGER), |_| ());
    check();
    insert(&table, 0, 10, 100, 1_000);
    check();
}

/// Doubts all marks, lets `meanwhile` happen, and takes those back that nobody needs.
fn tidy(buckets: &[Bucket<SlotV4>], hash: u32, meanwhile: impl FnOnce()) {
    support::doubt(buckets);
    let needed = support::needed(buckets, |_| hash);
    meanwhile();
    support::take_back(buckets, &needed);
}

#[test]
fn marks_are_taken_back_when_no_connection_needs_them_any_more() {
    const HASH: u32 = 3;
    let buckets = buckets(1024);
    let table = table(&buckets);
    for key in 0..40 {
        insert(&table, HASH, key, 0, if key == 2 { 1_000 } else { 100 });
    }
    tidy(&buckets, HASH, || ());
    let begins = marks(&buckets[0], HASH);
    assert_eq!(
        (begins.places(), begins.went_on()),
        (0xff, true),
        "all live"
    );
    (0..1024).for_each(|bucket| table.sweep(bucket, (100, LONGER), |_| ()));
    tidy(&buckets, HASH, || ());
    let begins = marks(&buckets[0], HASH);
    assert_eq!((begins.places(), begins.went_on()), (0b101, false), "one");
    assert!(table.find(HASH, &query(2), 100).is_some());
    let all = || buckets.iter().flat_map(|bucket| &bucket.0);
    let marked = |slot: &&SlotV4| {
        let word = Word(slot.word().load());
        word.went_on() || word.places() != 1
    };
    assert_eq!(all().filter(marked).count(), 1);
    table.sweep(0, (1_000, LONGER), |_| ());
    tidy(&buckets, HASH, || ());
    assert_eq!(all().filter(marked).count(), 0, "nothing");
}

#[test]
fn a_mark_that_a_connection_wants_meanwhile_stays() {
    const HASH: u32 = 3;
    let buckets = buckets(1024);
    let table = table(&buckets);
    for key in 0..40 {
        insert(&table, HASH, key, 0, 100);
    }
    (0..1024).for_each(|bucket| table.sweep(bucket, (100, LONGER), |_| ()));
    insert(&table, HASH, 40, 100, 1_000);
    tidy(&buckets, HASH, || {
        (41..80).for_each(|key| assert_eq!(insert(&table, HASH, key, 100, 1_000), None));
    });
    for key in 40..80 {
        assert!(table.find(HASH, &query(key), 100).is_some(), "{key}");
    }
}

#[test]
fn what_is_past_its_time_makes_room_and_is_told_of_once() {
    let buckets = buckets(4);
    let table = table(&buckets);
    for key in 0..32 {
        insert(&table, 0, key, 0, 100);
    }
    let mut died: Vec<u32> = Vec::new();
    for key in 32..36 {
        let ended = insert(&table, 0, key, 100, 200).expect("one that was past");
        assert_eq!((ended.protocol, ended.state), (6, 1));
        died.push(ended.destination);
    }
    for bucket in 0..4 {
        table.sweep(bucket, (100, LONGER), |ended| died.push(ended.destination));
    }
    died.sort_unstable();
    assert_eq!(died, (0..32).collect::<Vec<_>>());
}

#[test]
fn a_claim_that_ran_out_makes_room_and_nobody_is_told() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let claims: Vec<_> = (0..32)
        .map(|_| claim(&table, 0, 0).expect("room").0)
        .collect();
    assert!(claim(&table, 0, 9).is_none(), "all claims count still");
    let (_, died) = claim(&table, 0, 10).expect("a claim that ran out");
    assert_eq!(died, None);
    for bucket in 0..4 {
        table.sweep(bucket, (10, LONGER), |died| panic!("{died:?} never lived"));
    }
    let late = claims
        .iter()
        .filter(|claim| table.publish(claim, 1, false, 99).is_some());
    assert_eq!(late.count(), 0, "a slot given away is not published");
}

#[test]
fn a_claim_that_ran_out_is_published_still_while_nobody_took_the_slot() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let (claimed, _) = claim(&table, 0, 0).expect("room");
    claimed.entry.write(&connection(1, 1));
    assert!(table.publish(&claimed, 1, false, 99).is_some());
    assert!(table.find(0, &query(1), 50).is_some());
}

#[test]
fn a_reference_outlives_neither_its_connection_nor_the_next_in_its_slot() {
    let buckets = buckets(4);
    let table = table(&buckets);
    insert(&table, 0, 1, 0, 100);
    let first = table.find(0, &query(1), 0).expect("the connection");
    let handle = first.handle();
    assert!(table.at(handle, 99).is_some());
    assert!(table.at(handle, 100).is_none(), "past its time");

    insert(&table, 0, 2, 100, 200);
    let second = table.find(0, &query(2), 100).expect("the next connection");
    assert_eq!(second.position, first.position, "in the same slot");
    assert!(table.at(handle, 100).is_none());
    assert!(
        table
            .update(&first, |word| word.moved(2, false, 999))
            .is_none()
    );
    assert!(table.end(&first).is_none());
    let second = table.find(0, &query(2), 100).expect("untouched");
    assert_eq!((second.word.state(), second.word.expiry()), (1, 200));
}

#[test]
fn an_epoch_comes_back_after_65536_claims_of_its_slot_and_not_before() {
    let buckets = buckets(4);
    let table = table(&buckets);
    insert(&table, 0, 1, 0, 1);
    let first = table.find(0, &query(1), 0).expect("the connection");
    for round in 1..=0x1_0000 {
        insert(&table, 0, 1, round, round + 1);
        let seen = table.at(first.handle(), round).is_some();
        assert_eq!(seen, round == 0x1_0000, "claim {round}");
    }
}

#[test]
fn indices_past_the_table_find_nothing() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let beyond = conntable::Position { bucket: 4, slot: 0 };
    assert!(table.at(conntable::Handle::new(beyond, 0), 0).is_none());
    table.sweep(4, (0, LONGER), |died| panic!("{died:?} out of nowhere"));
}
