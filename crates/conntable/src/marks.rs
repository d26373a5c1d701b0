//! Taking back the marks that no connection needs any more.
//!
//! An insertion that finds its place taken marks where its connection went; when that ends, the mark
//! is idle, and costs every search that begins there a look at one more cache line. Only somebody who
//! goes through the whole table can tell. That takes two rounds, and no packet waits for them:
//!
//! 1. [`Table::doubt_marks`] of every bucket; then a wait until everybody who was inserting has
//!    published or given up.
//! 2. [`Table::needed_marks`] of every connection, which are noted down; then
//!    [`Table::take_marks_back`] of every bucket, but for those.
//!
//! # Why no mark is lost that is needed
//! An insertion claims its slot, then sees to its marks, then publishes. Where it finds a mark set it
//! also wants to find it wanted, which is what doubt takes away; else it sets both. So an insertion
//! that saw to its marks
//! - before they were doubted, has published before the second round, which finds its connection;
//! - after that, has made them wanted again, and then they are left alone. Who takes marks back does
//!   it by compare-and-swap of the whole word, and so learns of insertions up to that moment.

use cell::element;

use crate::position::LAST_SLOT;
use crate::word::Word;
use crate::{Buckets, Entry, Position, Table};

impl<'t, B: Buckets<'t>> Table<B> {
    /// Doubts the marks of a bucket's slots: says that they are not wanted, until an insertion says
    /// otherwise. What cannot be doubted, since its slot changes at the same time, stays wanted.
    pub fn doubt_marks(&self, index: u32) {
        let Some(bucket) = self.buckets.bucket(index) else {
            return;
        };
        for entry in &bucket.0 {
            let word = Word(entry.word().load());
            if word.is_wanted() {
                entry.word().compare_and_swap(word.0, word.doubted().0);
            }
        }
    }

    /// The marks that a connection of this hash needs where it is: tells `needs` of slots, and of
    /// their marks as [`Self::take_marks_back`] wants them.
    pub fn needed_marks(&self, hash: u32, position: Position, mut needs: impl FnMut(Position, u8)) {
        let Some(number) = self.number_of(hash, position.bucket) else {
            return;
        };
        let begin = |number| Position {
            bucket: self.bucket_of(hash, number),
            slot: Self::start(hash),
        };
        for passed in 0..number {
            needs(begin(passed), Word::WENT_ON);
        }
        let further = Self::further(hash, position);
        if further != 0 {
            needs(begin(number), Word::place(further));
        }
    }

    /// Takes back the marks of a slot that are doubted and not `needed`.
    pub fn take_marks_back(&self, position: Position, needed: u8) {
        let Some(bucket) = self.buckets.bucket(position.bucket) else {
            return;
        };
        let entry = element(&bucket.0, position.slot & LAST_SLOT);
        let word = Word(entry.word().load());
        let kept = word.with_marks_of(needed);
        if !word.is_wanted() && kept != word {
            entry.word().compare_and_swap(word.0, kept.0);
        }
    }
}
