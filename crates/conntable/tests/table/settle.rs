//! Several processors make the same connection at once: every order of their steps.

use crate::support::{Slots, buckets, claim, connection, live, query, table};
use conntable::{Claim, Claimed, Died, Found, Slot as _, SlotV4, Word};

const KEY: u32 = 1;
const HASH: u32 = 0;

/// One processor that makes the connection: it has claimed and written a slot.
struct Maker<'t> {
    claimed: Claimed<'t, SlotV4>,
    published: Option<Word>,
}

impl<'t> Maker<'t> {
    fn claim(table: &Slots<'t>, destination: u32) -> Self {
        let Claim::Slot(claimed, None) = claim(table, HASH, (0, 9)) else {
            panic!("a slot that nobody had");
        };
        claimed.entry.write(&connection(KEY, destination));
        Self {
            claimed,
            published: None,
        }
    }

    /// Publishes, or, where that was done, settles: then it returns the destination to use.
    fn step(&mut self, table: &Slots<'t>, died: &mut Vec<Died>) -> Option<u32> {
        let Some(word) = self.published else {
            self.published = table.publish(&self.claimed, 1, false, 99);
            assert!(self.published.is_some());
            return None;
        };
        let Claimed {
            entry, position, ..
        } = self.claimed;
        let own = Found {
            entry,
            word,
            position,
        };
        if table.is_alone(HASH, &own) {
            return Some(own.entry.destination());
        }
        let kept = table.settle(HASH, own, 0, |lost| died.push(lost));
        Some(kept.entry.destination())
    }
}

/// All orders of two steps each of `makers`.
fn orders(makers: usize) -> Vec<Vec<usize>> {
    fn extend(left: &mut [u8], order: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if left.iter().all(|&steps| steps == 0) {
            all.push(order.clone());
        }
        for maker in 0..left.len() {
            if left[maker] > 0 {
                left[maker] -= 1;
                order.push(maker);
                extend(left, order, all);
                order.pop();
                left[maker] += 1;
            }
        }
    }
    let mut all = Vec::new();
    extend(&mut vec![2; makers], &mut Vec::new(), &mut all);
    all
}

/// Runs every order with `crowd` other connections in the table; `crowd` of 1 to 6 puts some of
/// the makers' slots into another bucket.
fn every_order(makers: u32, crowd: u32) {
    for order in orders(makers as usize) {
        let buckets = buckets(4);
        let table = table(&buckets);
        for other in 0..crowd {
            let Claim::Slot(claimed, None) = claim(&table, HASH, (0, 9)) else {
                panic!("room for the crowd");
            };
            claimed.entry.write(&connection(100 + other, 100 + other));
            assert!(table.publish(&claimed, 1, false, 99).is_some());
        }
        let mut makers: Vec<Maker> = (0..makers)
            .map(|destination| Maker::claim(&table, destination))
            .collect();
        let mut died = Vec::new();
        let mut used = None;
        for &maker in &order {
            used = makers[maker].step(&table, &mut died).or(used);
        }

        let mut ended: Vec<u32> = died.iter().map(|died| died.destination).collect();
        ended.sort_unstable();
        ended.dedup();
        assert_eq!(ended.len(), died.len(), "{order:?}: one ended twice");
        let kept: Vec<u32> = live(&buckets)
            .iter()
            .map(|entry| entry.destination())
            .filter(|&destination| destination < 100)
            .collect();
        assert_eq!(kept.len(), 1, "{order:?}: left {kept:?}");
        assert_eq!(died.len() + 1, makers.len(), "{order:?}");
        let found = table
            .find(HASH, &query(KEY), 0)
            .map(|found| found.entry.destination());
        assert_eq!(found, Some(kept[0]), "{order:?}");
        assert_eq!(
            used,
            Some(kept[0]),
            "{order:?}: what the last to settle goes on with"
        );
    }
}

#[test]
fn of_two_that_make_the_same_connection_one_stays_in_every_order() {
    every_order(2, 0);
}

#[test]
fn of_three_and_of_four_one_stays_in_every_order() {
    every_order(3, 0);
    every_order(4, 0);
}

#[test]
fn one_stays_where_some_are_in_another_bucket() {
    for crowd in 1..=9 {
        every_order(2, crowd);
        every_order(3, crowd);
    }
}

#[test]
fn settling_leaves_other_connections_alone() {
    let buckets = buckets(4);
    let table = table(&buckets);
    let mut makers = [Maker::claim(&table, 0), Maker::claim(&table, 1)];
    // Another client's connection in a slot between and behind.
    for key in [2, 3] {
        let Claim::Slot(claimed, None) = claim(&table, HASH, (0, 9)) else {
            panic!("room");
        };
        claimed.entry.write(&connection(key, key));
        assert!(table.publish(&claimed, 1, false, 99).is_some());
    }
    let mut died = Vec::new();
    for maker in [0, 1, 0, 1] {
        makers[maker].step(&table, &mut died);
    }
    assert_eq!(died.len(), 1);
    assert!(table.find(HASH, &query(2), 0).is_some());
    assert!(table.find(HASH, &query(3), 0).is_some());
}
