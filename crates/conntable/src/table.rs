//! The table, and what becomes of the connections in it.

use cell::element;

use crate::position::{LAST_SLOT, Position};
use crate::search::Found;
use crate::word::{Life, Word};
use crate::{BUCKET_SLOTS, Buckets, Entry, Kind, TOGETHER};

/// How often a compare-and-swap is tried again after another processor changed the word.
pub(crate) const TRIES: u32 = 4;

/// What ended with a slot: the caller takes it out of its destination's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Died {
    /// Destination's number.
    pub destination: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// What it was: a [`crate::Kind`] as a number.
    pub kind: u8,
    /// State in which it ended.
    pub state: u8,
    /// The template that it went by, to be [released](Table::release); 0 for none.
    pub control: u32,
}

/// The table as one packet, or one sweep, sees it.
#[derive(Clone, Copy)]
pub struct Table<B> {
    pub(crate) buckets: B,
    count: u32,
}

impl<'t, B: Buckets<'t>> Table<B> {
    /// How many buckets a connection may be in: its home, and neighbours of one other.
    pub(crate) const BUCKETS: u32 = 1 + TOGETHER;

    /// A table of so many buckets, a multiple of [`TOGETHER`](crate::TOGETHER).
    #[inline(always)]
    pub const fn new(buckets: B, count: u32) -> Self {
        Self { buckets, count }
    }

    /// The buckets.
    #[inline(always)]
    pub const fn buckets(&self) -> &B {
        &self.buckets
    }

    /// The home bucket of a hash: as far into the table as the hash is into all numbers, so that the
    /// table may be of any size.
    #[inline(always)]
    pub const fn home(&self, hash: u32) -> u32 {
        ((hash as u64 * self.count as u64) >> 32) as u32
    }

    /// One of the [`Self::BUCKETS`] of a hash, in the order of the search. All but the home are in
    /// one page of memory.
    #[inline(always)]
    pub(crate) const fn bucket_of(&self, hash: u32, number: u32) -> u32 {
        if number == 0 {
            return self.home(hash);
        }
        self.far_bucket(self.far(hash), number)
    }

    /// The first bucket of a hash behind its home. In a small table, the home may be among those
    /// that follow.
    #[inline(always)]
    pub(crate) const fn far(&self, hash: u32) -> u32 {
        let far = self.home(hash.rotate_left(15).wrapping_mul(0x9e37_79b1));
        far ^ (far == self.home(hash)) as u32
    }

    /// Bucket `number`, from 1 on, of a hash whose first one is `far`.
    #[inline(always)]
    pub(crate) const fn far_bucket(&self, far: u32, number: u32) -> u32 {
        far ^ (number - 1) & (TOGETHER - 1)
    }

    /// How many places a search looks at, at most.
    pub(crate) const TURNS: u32 = Self::BUCKETS * BUCKET_SLOTS as u32;

    /// The bucket that a search looks into in its turn `turn`.
    #[inline(always)]
    pub(crate) const fn bucket_of_turn(&self, hash: u32, turn: u32) -> u32 {
        self.bucket_of(hash, turn / BUCKET_SLOTS as u32)
    }

    /// The slot there.
    #[inline(always)]
    pub(crate) const fn slot_of_turn(hash: u32, turn: u32) -> u32 {
        (Self::start(hash) ^ turn) & LAST_SLOT
    }

    /// Where in its buckets a connection would like to be: by the bits that say least of which
    /// buckets they are.
    #[inline(always)]
    pub(crate) const fn start(hash: u32) -> u32 {
        hash & LAST_SLOT
    }

    /// How many slots a search for a connection of this hash looks at, at most, until it comes to
    /// `position`.
    pub fn probes(&self, hash: u32, position: Position) -> u32 {
        let number = self.number_of(hash, position.bucket);
        number.unwrap_or(Self::BUCKETS) * BUCKET_SLOTS as u32 + Self::further(hash, position) + 1
    }

    /// Which of the buckets of a hash it is; `None` where it is none of them.
    pub(crate) fn number_of(&self, hash: u32, bucket: u32) -> Option<u32> {
        (0..Self::BUCKETS).find(|&number| self.bucket_of(hash, number) == bucket)
    }

    /// How many slots a position is behind where searches for a hash begin.
    pub(crate) const fn further(hash: u32, position: Position) -> u32 {
        (position.slot ^ Self::start(hash)) & LAST_SLOT
    }

    /// Moves a found connection to a state and an expiry; `None` where it is gone. Another
    /// processor's change of the same connection is taken into account: `next` is asked again
    /// with the newer word. Where others change it again and again, this gives up, with `None` too.
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

    /// Puts off the end of a found template, for a connection that will go by it; `longer` as in
    /// [`Self::sweep`]. Whether it is still there.
    #[inline(always)]
    pub fn renew(&self, template: &Found<'t, B::Entry>, (now, longer): (u32, u32)) -> bool {
        if template.word.is_past(now) {
            template.entry.lasts().store(longer);
        }
        let lasts = template.entry.lasts().load();
        let renewed = |word: Word| word.put_off(now.wrapping_add(lasts));
        self.update(template, renewed).is_some()
    }

    /// A connection goes by a template from now on. To be called while the template lasts: it will
    /// not be freed before it is [released](Self::release).
    #[inline(always)]
    pub fn hold(&self, template: u32) {
        if let Some(entry) = self.numbered(template) {
            entry.control().add(1);
        }
    }

    /// A connection that went by a template, 0 for none, has ended.
    #[inline(always)]
    pub fn release(&self, template: u32) {
        if template == 0 {
            return;
        }
        if let Some(entry) = self.numbered(template)
            && entry.is_held() != 0
        {
            entry.control().add(u32::MAX);
        }
    }

    /// The state of a template, by its number, becomes another.
    #[inline(always)]
    pub fn set_state(&self, template: u32, state: u8) {
        let Some(entry) = self.numbered(template) else {
            return;
        };
        let word = Word(entry.word().load());
        if word.is_live() && word.state() != state && entry.is_held() != 0 {
            // Whoever changes it at the same time puts off its end; the next packet tries again.
            let next = word.moved(state, word.one_way(), word.expiry());
            entry.word().compare_and_swap(word.0, next.0);
        }
    }

    #[inline(always)]
    fn numbered(&self, number: u32) -> Option<&'t B::Entry> {
        let position = Position::of_number(number);
        let bucket = self.buckets.bucket(position.bucket)?;
        Some(element(&bucket.0, position.slot))
    }

    /// Ends a found connection. `None` where somebody else did.
    #[inline(always)]
    pub fn end(&self, found: &Found<'t, B::Entry>) -> Option<Died> {
        free(found.entry, found.word.epoch())
    }

    /// Frees what is past its time in one bucket and tells `died` of each. Templates that
    /// connections go by last for `longer` ticks more, and from then on as long after each use.
    #[inline(always)]
    pub fn sweep(&self, index: u32, (now, longer): (u32, u32), mut died: impl FnMut(Died)) {
        let Some(bucket) = self.buckets.bucket(index) else {
            return;
        };
        for entry in &bucket.0 {
            let word = Word(entry.word().load());
            if word.life() == Life::Free || !word.is_past(now) {
                continue;
            }
            if word.is_live() && entry.is_held() != 0 {
                let expiry = word.expiry().wrapping_add(longer);
                let next = word.moved(word.state(), word.one_way(), expiry);
                if entry.word().compare_and_swap(word.0, next.0) {
                    entry.lasts().store(longer);
                }
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
pub(crate) fn record<E: Entry>(entry: &E, word: Word) -> Died {
    let load = entry.load();
    // Without a branch: a template's is a count, and an alias' something else.
    let is_other = (load.kind as u32 ^ load.kind as u32 >> 1) & 1;
    const { assert!(Kind::Connection as u32 == 0 && Kind::OnePacket as u32 == 3) };
    Died {
        destination: load.destination,
        protocol: load.protocol,
        kind: load.kind,
        state: word.state(),
        control: entry.control().load() & is_other.wrapping_sub(1),
    }
}

#[inline(always)]
pub(crate) fn free<E: Entry>(entry: &E, epoch: u16) -> Option<Died> {
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
