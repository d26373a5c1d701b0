//! Finding living connections.

use cell::{blurred, element};

use crate::position::LAST_SLOT;
use crate::word::Word;
use crate::{BUCKET_SLOTS, Bucket, Buckets, Entry, Handle, Kind, Position, Query, Question, Table};

/// A connection that a packet asked for.
pub struct Found<'t, E> {
    /// The entry.
    pub entry: &'t E,
    /// Its word when it was found.
    pub word: Word,
    /// Where it is.
    pub position: Position,
}

impl<E> Found<'_, E> {
    /// The entry in one word.
    #[inline(always)]
    pub const fn handle(&self) -> Handle {
        Handle::new(self.position, self.word.epoch())
    }
}

impl<'t, B: Buckets<'t>> Table<B> {
    /// The living connection that `query` asks for.
    #[inline(always)]
    pub fn find(
        &self,
        hash: u32,
        query: &Query<<B::Entry as Entry>::Address>,
        now: u32,
    ) -> Option<Found<'t, B::Entry>> {
        let (home, start) = (self.home(hash), Self::start(hash));
        let bucket = self.buckets.bucket(home)?;
        if let Some(found) = search(&self.buckets, bucket, home, (start, now), query) {
            return Some(found);
        }
        if !marks(bucket, start).went_on() {
            return None;
        }
        B::find_far(self, hash, query, now)
    }

    /// The living connection that is asked for, behind its home bucket.
    ///
    /// One loop, not two, and little kept from one turn to the next: BPF's stack is small.
    #[inline(always)]
    pub fn find_far(
        &self,
        hash: u32,
        question: &impl Question,
        now: u32,
    ) -> Option<Found<'t, B::Entry>> {
        let far = self.far(hash);
        let bucket_of = |turn| self.far_bucket(far, turn / BUCKET_SLOTS as u32);
        let mut turn = BUCKET_SLOTS as u32;
        let word = loop {
            if turn == Self::TURNS {
                return None;
            }
            let bucket = self.buckets.bucket(bucket_of(turn))?;
            let marks = marks(bucket, Self::start(hash));
            if marks.places() >> (turn & LAST_SLOT) & 1 != 0 {
                let entry = element(&bucket.0, Self::slot_of_turn(hash, turn));
                let word = living(&self.buckets, entry, question, now);
                if word.is_live() {
                    break word;
                }
            }
            if turn & LAST_SLOT == LAST_SLOT && !marks.went_on() {
                return None;
            }
            turn += 1;
        };
        let turn = blurred(turn, word.expiry());
        let index = bucket_of(turn);
        let slot = Self::slot_of_turn(hash, turn);
        Some(found(self.buckets.bucket(index)?, index, slot, word))
    }

    /// The entry of a handle, if its slot still holds the same connection, alive.
    #[inline(always)]
    pub fn at(&self, handle: Handle, now: u32) -> Option<Found<'t, B::Entry>> {
        self.held_at(handle)
            .filter(|found| !found.word.is_past(now))
    }

    /// The entry of a handle, if its slot still holds the same connection, be it past its time.
    #[inline(always)]
    pub fn held_at(&self, handle: Handle) -> Option<Found<'t, B::Entry>> {
        self.named(handle).filter(|found| found.word.is_live())
    }

    /// What the slot of a handle holds, while nobody else has claimed it.
    #[inline(always)]
    pub(crate) fn named(&self, handle: Handle) -> Option<Found<'t, B::Entry>> {
        self.at_position(handle.position())
            .filter(|found| found.word.epoch() == handle.epoch())
    }

    /// What a slot holds, whatever that is.
    #[inline(always)]
    pub(crate) fn at_position(&self, position: Position) -> Option<Found<'t, B::Entry>> {
        let bucket = self.buckets.bucket(position.bucket)?;
        let entry = element(&bucket.0, position.slot);
        Some(Found {
            entry,
            word: Word(entry.word().load()),
            position,
        })
    }
}

/// What the slot where a search begins says of where to look.
#[inline(always)]
pub(crate) fn marks<E: Entry>(bucket: &Bucket<E>, start: u32) -> Word {
    Word(element(&bucket.0, start).word().load())
}

/// One pass over the places of a bucket where a connection that begins at `start` may be.
#[inline(always)]
fn search<'t, B: Buckets<'t>>(
    buckets: &B,
    bucket: &'t Bucket<B::Entry>,
    index: u32,
    (start, now): (u32, u32),
    query: &Query<<B::Entry as Entry>::Address>,
) -> Option<Found<'t, B::Entry>> {
    let places = marks(bucket, start).places();
    let (mut hit, mut word) = (NOWHERE, Word::default());
    for step in 0..BUCKET_SLOTS as u32 {
        let left = places >> step;
        if left == 0 {
            break;
        }
        if left & 1 == 0 {
            continue;
        }
        let slot = (start ^ step) & LAST_SLOT;
        word = living(buckets, element(&bucket.0, slot), query, now);
        if word.is_live() {
            hit = slot;
            break;
        }
    }
    (hit != NOWHERE).then(|| self::found(bucket, index, hit, word))
}

/// No slot of a bucket.
pub(crate) const NOWHERE: u32 = BUCKET_SLOTS as u32;

/// What was found in a slot. From here on, the kernel's verifier does not care in which.
#[inline(always)]
pub(crate) fn found<E>(bucket: &Bucket<E>, index: u32, slot: u32, word: Word) -> Found<'_, E> {
    let slot = blurred(slot, word.expiry()) & LAST_SLOT;
    Found {
        entry: element(&bucket.0, slot),
        word,
        position: Position {
            bucket: index,
            slot,
        },
    }
}

/// The entry's word, if it is the living connection that is asked for; else a free slot's.
#[inline(always)]
fn living<'t, B: Buckets<'t>>(
    buckets: &B,
    entry: &B::Entry,
    question: &impl Question,
    now: u32,
) -> Word {
    let is_template = question.kind() == Kind::Template as u32;
    let word = alive(entry, (now, is_template));
    let server = |destination| buckets.server(destination);
    if word.is_live() && entry.answers(question, server) && is_still(entry, word) {
        word
    } else {
        Word::default()
    }
}

/// The entry's word, if it is alive; else a free slot's. `is_template`: a template may be wanted,
/// which outlives its time while it is held.
#[inline(always)]
pub(crate) fn alive<E: Entry>(entry: &E, (now, is_template): (u32, bool)) -> Word {
    let word = Word(entry.word().load());
    if !word.is_live() || word.is_past(now) && !(is_template && entry.is_held() != 0) {
        return Word::default();
    }
    word
}

/// Whether a slot still holds what it held when its word was `word`: it may have been given to
/// another connection while its fields were compared.
#[inline(always)]
pub(crate) fn is_still<E: Entry>(entry: &E, word: Word) -> bool {
    Word(entry.word().load()).epoch() == word.epoch()
}
