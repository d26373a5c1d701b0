//! A slot that changes hands while a search reads it.

use cell::{Cell32, Cell64};
use conntable::{Bucket, Entry, Load, Position, Query, Question, Table, Word};

use crate::support::query;

/// An entry of one field, and a thief who takes its slot in the midst of a comparison.
#[derive(Default)]
struct Contested {
    word: Cell64,
    key: Cell32,
    /// Whom the thief takes the slot for; 0 while there is no thief.
    thief: Cell32,
    control: Cell32,
    lasts: Cell32,
}

impl Entry for Contested {
    type Address = u32;

    fn word(&self) -> &Cell64 {
        &self.word
    }

    fn answers(&self, query: &impl Question, _server: impl Fn(u32) -> Option<(u32, u16)>) -> bool {
        let thief = self.thief.load();
        if thief != 0 {
            let stolen = Word(self.word.load()).claimed(50);
            self.word.store(stolen.0);
            self.key.store(thief);
            self.word.store(stolen.published(1, false, 50).0);
            self.thief.store(0);
        }
        self.key.load() == query.client(0)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.key.load() == other.key.load()
    }

    fn load(&self) -> Load {
        Load {
            destination: self.key.load(),
            protocol: 6,
            kind: 0,
        }
    }

    fn control(&self) -> &Cell32 {
        &self.control
    }

    fn lasts(&self) -> &Cell32 {
        &self.lasts
    }
}

fn asked(key: u32) -> Query<u32> {
    Query {
        client: key,
        ..query(0)
    }
}

fn with_connection(key: u32) -> Vec<Bucket<Contested>> {
    let buckets: Vec<Bucket<Contested>> = (0..2).map(|_| Bucket::default()).collect();
    let entry = &buckets[0].0[0];
    entry.key.store(key);
    let live = Word(0).claimed(9).published(1, false, 50);
    entry.word.store(live.0);
    buckets
}

#[test]
fn a_slot_that_was_given_away_during_the_comparison_is_not_found() {
    let buckets = with_connection(7);
    let table = Table::new(&buckets[..], 4);
    assert!(table.find(0, &asked(7), 0).is_some());

    buckets[0].0[0].thief.store(8);
    // The fields that were compared are the new owner's, the word that was read is the old one's.
    assert!(table.find(0, &asked(8), 0).is_none());
    let found = table
        .find(0, &asked(8), 0)
        .expect("the new owner's connection, from now on");
    assert_eq!(found.position, Position { bucket: 0, slot: 0 });
    assert!(table.find(0, &asked(7), 0).is_none());
}

#[test]
fn a_state_that_changes_during_the_comparison_does_not_hide_the_connection() {
    let buckets = with_connection(7);
    let table = Table::new(&buckets[..], 4);
    let found = table.find(0, &asked(7), 0).expect("the connection");
    let moved = found.word.moved(4, true, 60);
    found.entry.word.store(moved.0);
    let (old, new) = table
        .update(&found, |word| {
            word.moved(word.state() + 1, word.one_way(), 70)
        })
        .expect("still the same connection");
    assert_eq!(
        (old, new.state(), new.one_way(), new.expiry()),
        (moved, 5, true, 70)
    );
}
