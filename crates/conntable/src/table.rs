//! Finding, claiming, publishing and freeing slots.

use crate::word::{Life, Word};
use crate::{BUCKET_SLOTS, Bucket, Buckets, Entry};

/// How often a compare-and-swap is tried again after another processor changed the word.
const TRIES: u32 = 4;

/// Where a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Index of the bucket.
    pub bucket: u32,
    /// Index in the bucket.
    pub slot: u32,
}

/// A connection that a packet asked for.
pub struct Found<'t, E> {
    /// The entry.
    pub entry: &'t E,
    /// Its word when it was found.
    pub word: Word,
    /// Where it is.
    pub position: Position,
}

/// A slot that this processor may write.
pub struct Claimed<'t, E> {
    /// The entry to write, then to publish.
    pub entry: &'t E,
    /// The word of the claim.
    pub word: Word,
    /// Where it is.
    pub position: Position,
    /// Whether it is in the second bucket.
    pub second: bool,
}

/// What ended with a slot: the caller takes it out of its destination's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Died {
    /// Destination's number.
    pub destination: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// State in which it ended.
    pub state: u8,
}

/// Outcome of asking for a slot.
pub enum Claim<'t, E> {
    /// A slot, and what had died in it.
    Slot(Claimed<'t, E>, Option<Died>),
    /// Both buckets are full of living connections.
    Full,
}

/// The table as one packet, or one sweep, sees it.
#[derive(Clone, Copy)]
pub struct Table<B> {
    buckets: B,
    mask: u32,
}

impl<'t, B: Buckets<'t>> Table<B> {
    /// A table of `mask + 1` buckets, a power of two.
    #[inline(always)]
    pub const fn new(buckets: B, mask: u32) -> Self {
        Self { buckets, mask }
    }

    /// Home and second bucket of a hash; always two different ones.
    #[inline(always)]
    fn homes(&self, hash: u32) -> (u32, u32) {
        let home = hash & self.mask;
        let second = (hash.rotate_left(15).wrapping_mul(0x9e37_79b1) >> 5) & self.mask;
        (
            home,
            if second == home {
                home ^ (1 & self.mask)
            } else {
                second
            },
        )
    }

    /// Where in its bucket a connection would like to be.
    #[inline(always)]
    const fn start(hash: u32) -> u32 {
        hash >> 29
    }

    /// The living connection that `query` asks for.
    #[inline(always)]
    pub fn find(
        &self,
        hash: u32,
        query: &<B::Entry as Entry>::Query,
        now: u32,
    ) -> Option<Found<'t, B::Entry>> {
        let (home, second) = self.homes(hash);
        let bucket = self.buckets.bucket(home)?;
        if let Some(found) = search(bucket, home, Self::start(hash), query, now, None) {
            return Some(found);
        }
        if !Word(bucket.0[0].word().load()).overflowed() {
            return None;
        }
        let bucket = self.buckets.bucket(second)?;
        search(bucket, second, Self::start(hash), query, now, None)
    }

    /// The entry at a position, if the slot still has the epoch that the caller knows.
    #[inline(always)]
    pub fn at(&self, position: Position, epoch: u16, now: u32) -> Option<Found<'t, B::Entry>> {
        let bucket = self.buckets.bucket(position.bucket)?;
        let entry = &bucket.0[position.slot as usize & (BUCKET_SLOTS - 1)];
        let word = Word(entry.word().load());
        (word.is_live() && word.epoch() == epoch && !word.is_past(now)).then_some(Found {
            entry,
            word,
            position,
        })
    }

    /// Takes a slot for a new connection; the claim counts until `claim_ends`.
    #[inline(always)]
    pub fn claim(&self, hash: u32, now: u32, claim_ends: u32) -> Claim<'t, B::Entry> {
        let (home, second) = self.homes(hash);
        let Some(bucket) = self.buckets.bucket(home) else {
            return Claim::Full;
        };
        if let Some((claimed, died)) = take(bucket, home, Self::start(hash), now, claim_ends, false)
        {
            return Claim::Slot(claimed, died);
        }
        let first = &bucket.0[0];
        if !mark_overflow(first) {
            return Claim::Full;
        }
        let Some(bucket) = self.buckets.bucket(second) else {
            return Claim::Full;
        };
        match take(bucket, second, Self::start(hash), now, claim_ends, true) {
            Some((claimed, died)) => Claim::Slot(claimed, died),
            None => Claim::Full,
        }
    }

    /// Makes a claimed and written slot a connection. Returns its word, or `None` where the claim
    /// had run out.
    #[inline(always)]
    pub fn publish(
        &self,
        claimed: &Claimed<'t, B::Entry>,
        state: u8,
        one_way: bool,
        expiry: u32,
    ) -> Option<Word> {
        let cell = claimed.entry.word();
        for _ in 0..TRIES {
            let word = Word(cell.load());
            if word.epoch() != claimed.word.epoch() || word.life() != Life::Claimed {
                return None;
            }
            let live = word.published(state, one_way, expiry);
            if cell.compare_and_swap(word.0, live.0) {
                return Some(live);
            }
        }
        None
    }

    /// Looks for another entry of the same connection, made by another processor at the same
    /// time. The earlier one in search order stays; the other is freed, by whoever sees both.
    ///
    /// Call it after [`Self::publish`]. Returns the entry to use and what was freed.
    #[inline(always)]
    pub fn settle(
        &self,
        hash: u32,
        query: &<B::Entry as Entry>::Query,
        own: Found<'t, B::Entry>,
        now: u32,
    ) -> (Found<'t, B::Entry>, Option<Died>) {
        let (home, second) = self.homes(hash);
        let start = Self::start(hash);
        let Some(other) = self.other(home, second, start, query, own.position, now) else {
            return (own, None);
        };
        let rank =
            |p: Position| (u32::from(p.bucket != home) << 3) | (p.slot.wrapping_sub(start) & 7);
        let (kept, lost) = if rank(other.position) < rank(own.position) {
            (other, own)
        } else {
            (own, other)
        };
        let died = free(lost.entry, lost.word.epoch());
        (kept, died)
    }

    #[inline(always)]
    fn other(
        &self,
        home: u32,
        second: u32,
        start: u32,
        query: &<B::Entry as Entry>::Query,
        own: Position,
        now: u32,
    ) -> Option<Found<'t, B::Entry>> {
        let bucket = self.buckets.bucket(home)?;
        if let Some(found) = search(bucket, home, start, query, now, Some(own)) {
            return Some(found);
        }
        if !Word(bucket.0[0].word().load()).overflowed() {
            return None;
        }
        let bucket = self.buckets.bucket(second)?;
        search(bucket, second, start, query, now, Some(own))
    }

    /// Moves a found connection to a state and an expiry; `None` where it is gone. Another
    /// processor's change of the same connection is taken into account: `next` is asked again
    /// with the newer word.
    #[inline(always)]
    pub fn update(
        &self,
        found: &Found<'t, B::Entry>,
        next: impl Fn(Word) -> Word,
    ) -> Option<(Word, Word)> {
        let cell = found.entry.word();
        let mut word = found.word;
        for _ in 0..TRIES {
            let new = next(word);
            if new == word || cell.compare_and_swap(word.0, new.0) {
                return Some((word, new));
            }
            word = Word(cell.load());
            if !word.is_live() || word.epoch() != found.word.epoch() {
                return None;
            }
        }
        None
    }

    /// Ends a found connection. `None` where somebody else did.
    #[inline(always)]
    pub fn end(&self, found: &Found<'t, B::Entry>) -> Option<Died> {
        free(found.entry, found.word.epoch())
    }

    /// Frees what is past its time in one bucket and tells `died` of each.
    #[inline(always)]
    pub fn sweep(&self, index: u32, now: u32, mut died: impl FnMut(Died)) {
        let Some(bucket) = self.buckets.bucket(index) else {
            return;
        };
        for entry in &bucket.0 {
            let word = Word(entry.word().load());
            if word.life() == Life::Free || !word.is_past(now) {
                continue;
            }
            let record = record(entry, word);
            if entry.word().compare_and_swap(word.0, word.freed().0) && word.is_live() {
                died(record);
            }
        }
    }
}

#[inline(always)]
fn record<E: Entry>(entry: &E, word: Word) -> Died {
    let (destination, protocol) = entry.load();
    Died {
        destination,
        protocol,
        state: word.state(),
    }
}

/// One pass over a bucket for a living entry, leaving out the slot `but`.
#[inline(always)]
fn search<'t, E: Entry>(
    bucket: &'t Bucket<E>,
    index: u32,
    start: u32,
    query: &E::Query,
    now: u32,
    but: Option<Position>,
) -> Option<Found<'t, E>> {
    for step in 0..BUCKET_SLOTS as u32 {
        let slot = (start + step) & (BUCKET_SLOTS as u32 - 1);
        let position = Position {
            bucket: index,
            slot,
        };
        let entry = &bucket.0[slot as usize];
        let word = Word(entry.word().load());
        if !word.is_live() || word.is_past(now) || !entry.answers(query) || but == Some(position) {
            continue;
        }
        // The slot may have been given to another connection while its fields were compared.
        if Word(entry.word().load()).epoch() == word.epoch() {
            return Some(Found {
                entry,
                word,
                position,
            });
        }
    }
    None
}

/// Claims the first slot of a bucket that is free or past its time.
#[inline(always)]
fn take<'t, E: Entry>(
    bucket: &'t Bucket<E>,
    index: u32,
    start: u32,
    now: u32,
    claim_ends: u32,
    second: bool,
) -> Option<(Claimed<'t, E>, Option<Died>)> {
    for step in 0..BUCKET_SLOTS as u32 {
        let slot = (start + step) & (BUCKET_SLOTS as u32 - 1);
        let entry = &bucket.0[slot as usize];
        let word = Word(entry.word().load());
        if word.life() != Life::Free && !word.is_past(now) {
            continue;
        }
        let record = record(entry, word);
        let claim = word.claimed(claim_ends);
        if entry.word().compare_and_swap(word.0, claim.0) {
            let position = Position {
                bucket: index,
                slot,
            };
            let died = word.is_live().then_some(record);
            return Some((
                Claimed {
                    entry,
                    word: claim,
                    position,
                    second,
                },
                died,
            ));
        }
    }
    None
}

#[inline(always)]
fn mark_overflow<E: Entry>(first: &E) -> bool {
    for _ in 0..TRIES {
        let word = Word(first.word().load());
        if word.overflowed()
            || first
                .word()
                .compare_and_swap(word.0, word.with_overflow().0)
        {
            return true;
        }
    }
    false
}

#[inline(always)]
fn free<E: Entry>(entry: &E, epoch: u16) -> Option<Died> {
    for _ in 0..TRIES {
        let word = Word(entry.word().load());
        if !word.is_live() || word.epoch() != epoch {
            return None;
        }
        let record = record(entry, word);
        if entry.word().compare_and_swap(word.0, word.freed().0) {
            return Some(record);
        }
    }
    None
}
