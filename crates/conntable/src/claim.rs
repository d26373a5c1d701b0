//! Claiming slots, publishing what they hold, and settling who made a connection first.

use cell::{Cell32, blurred, element};

use crate::position::LAST_SLOT;
use crate::search::{Found, alive, found, is_still, marks};
use crate::table::{TRIES, free, record};
use crate::word::{Life, Word};
use crate::{BUCKET_SLOTS, Bucket, Buckets, Died, Entry, Handle, Position, Table};

/// The most slots in which a new connection is [at home](Crowding).
const NEAR: u32 = 3;
/// The share of taken places up to which it is in all of them: three eighths.
const FEW: u32 = 3 << 13;
/// The share up to which it is in two of them: half.
const HALF: u32 = 1 << 15;

/// Free slots of its home bucket that are enough for a new connection, wherever else there is room.
const ENOUGH_AT_HOME: u32 = 4;
/// The same of another bucket. Even a crowded table has few buckets without.
const ENOUGH: u32 = 2;

/// A slot that this processor may write.
pub struct Claimed<'t, E> {
    /// The entry to write, then to publish.
    pub entry: &'t E,
    /// The word of the claim.
    pub word: Word,
    /// Where it is.
    pub position: Position,
}

/// Outcome of asking for a slot.
pub enum Claim<'t, E> {
    /// A slot, and what had died in it.
    Slot(Claimed<'t, E>, Option<Died>),
    /// All buckets of the hash are full of living connections.
    Full,
}

/// How full a table is, as new connections of one processor find it: the share of the last few
/// hundred of them, in 65,536ths, that found the slot where searches begin taken.
#[derive(Clone, Copy, Debug)]
pub struct Crowding<'c>(pub &'c Cell32);

impl Crowding<'_> {
    /// In how many slots from where its search begins on a new connection is at home: it goes there
    /// without a look at how much room is elsewhere. That is fast, but fills buckets unevenly, which
    /// a full table has to make up for.
    #[inline(always)]
    fn near(self) -> u32 {
        let share = self.0.load();
        NEAR - (share > FEW) as u32 - (share > HALF) as u32
    }

    /// One more has found it taken, or not. An exponential average.
    #[inline(always)]
    fn note(self, is_taken: bool) {
        let before = self.0.load();
        self.0
            .store(before - (before >> 8) + ((is_taken as u32) << 8));
    }
}

impl<'t, E> From<Found<'t, E>> for Claimed<'t, E> {
    #[inline(always)]
    fn from(found: Found<'t, E>) -> Self {
        Self {
            entry: found.entry,
            word: found.word,
            position: found.position,
        }
    }
}

impl<E> Claimed<'_, E> {
    /// The slot in one word.
    #[inline(always)]
    pub const fn handle(&self) -> Handle {
        Handle::new(self.position, self.word.epoch())
    }
}

impl<'t, B: Buckets<'t>> Table<B> {
    /// The slot of a handle, while the claim that the handle tells of lasts.
    #[inline(always)]
    pub fn claimed_at(&self, handle: Handle) -> Option<Claimed<'t, B::Entry>> {
        let found = self.named(handle)?;
        (found.word.life() == Life::Claimed).then(|| Claimed::from(found))
    }

    /// Takes a slot for a new connection; the claim counts until `claim_ends`.
    ///
    /// The slot where searches begin, where nobody has it, which is one cache line touched; then,
    /// unless the table is crowded, one of the next; else what [`Buckets::claim_further`] finds.
    #[inline(always)]
    pub fn claim(
        &self,
        hash: u32,
        (now, claim_ends): (u32, u32),
        crowding: Crowding<'_>,
    ) -> Claim<'t, B::Entry> {
        let home = self.home(hash);
        let Some(bucket) = self.buckets.bucket(home) else {
            return Claim::Full;
        };
        let start = Self::start(hash);
        let near = crowding.near();
        let mut hit = NEAR;
        let mut before = Word::default();
        for further in 0..NEAR {
            if further == near {
                break;
            }
            let entry = element(&bucket.0, start ^ further);
            before = Word(entry.word().load());
            if take(entry, before, now, claim_ends) {
                hit = further;
                break;
            }
        }
        crowding.note(hit != 0);
        // From here on, the kernel's verifier does not care which.
        let hit = blurred(hit, before.expiry());
        if hit == NEAR {
            return B::claim_further(self, hash, (now, claim_ends));
        }
        if hit != 0 {
            mark(element(&bucket.0, start), Word::place(hit));
        }
        taken(bucket, (home, start ^ hit), before, claim_ends)
    }

    /// Which bucket of a hash a new connection should try first, where the slots at which
    /// [`Self::claim`] looks are somebody's: its home, where that has room enough, else the first of
    /// the others that has, else whichever has most.
    #[inline(always)]
    pub fn roomiest(&self, hash: u32, now: u32) -> u32 {
        let mut roomiest = 0;
        let mut most = self.room(self.home(hash), now);
        for number in 1..Self::BUCKETS {
            let enough = if number == 1 { ENOUGH_AT_HOME } else { ENOUGH };
            if most >= enough {
                break;
            }
            let room = self.room(self.bucket_of(hash, number), now);
            if room > most {
                (roomiest, most) = (number, room);
            }
        }
        roomiest
    }

    /// Takes a slot wherever there is one, in bucket number `first` of the hash before any other.
    #[inline(always)]
    pub fn claim_from(
        &self,
        hash: u32,
        (now, claim_ends): (u32, u32),
        first: u32,
    ) -> Claim<'t, B::Entry> {
        let mut hit = Self::TURNS;
        let mut before = Word::default();
        for turn in 0..Self::TURNS {
            let turn = Self::swapped(turn, first);
            let Some(bucket) = self.buckets.bucket(self.bucket_of_turn(hash, turn)) else {
                break;
            };
            let entry = element(&bucket.0, Self::slot_of_turn(hash, turn));
            before = Word(entry.word().load());
            if take(entry, before, now, claim_ends) {
                hit = turn;
                break;
            }
        }
        // From here on, the kernel's verifier does not care which.
        let hit = blurred(hit, before.expiry());
        if hit == Self::TURNS {
            return Claim::Full;
        }
        let (number, further) = (hit / BUCKET_SLOTS as u32, hit & LAST_SLOT);
        for passed in 0..Self::BUCKETS {
            let Some(bucket) = self.buckets.bucket(self.bucket_of(hash, passed)) else {
                break;
            };
            let begin = element(&bucket.0, Self::start(hash));
            if passed < number {
                mark(begin, Word::WENT_ON);
            } else if passed == number && further != 0 {
                mark(begin, Word::place(further));
            }
        }
        let index = self.bucket_of_turn(hash, hit);
        let Some(bucket) = self.buckets.bucket(index) else {
            return Claim::Full;
        };
        let slot = Self::slot_of_turn(hash, hit);
        taken(bucket, (index, slot), before, claim_ends)
    }

    /// How many slots of a bucket are free or past their time.
    #[inline(always)]
    fn room(&self, index: u32, now: u32) -> u32 {
        let mut room = 0;
        if let Some(bucket) = self.buckets.bucket(index) {
            for entry in &bucket.0 {
                room += Word(entry.word().load()).is_takeable(now) as u32;
            }
        }
        room
    }

    /// The turn of a claim in whose place another comes, where bucket `first` of the hash and its home
    /// take each other's.
    #[inline(always)]
    const fn swapped(turn: u32, first: u32) -> u32 {
        let number = turn / BUCKET_SLOTS as u32;
        if number == 0 || number == first {
            turn ^ (first * BUCKET_SLOTS as u32)
        } else {
            turn
        }
    }

    /// Makes a claimed and written slot a connection. Returns its word, or `None` where the claim
    /// had run out and the slot was taken back. A claim that ran out, but that nobody took back,
    /// is published like any other.
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

    /// Looks for other entries of the same connection, made by other processors at the same time.
    /// The earliest in search order stays; the others are freed, and each is told to `died`.
    ///
    /// To be called after [`Self::publish`]; returns the entry to use.
    ///
    /// # Why one stays
    /// Everybody publishes, which is a full barrier, and then looks. So of any two owners at least
    /// one sees the other's entry: the one who published last. An owner who sees an earlier entry
    /// gives its own up. An owner who sees later ones frees *all* of them: the owner of one may
    /// have settled before this entry was published, and nobody else will look at it again. So
    /// beside the earliest entry no other lasts, and that one is freed by nobody.
    #[inline(always)]
    pub fn settle(
        &self,
        hash: u32,
        own: Found<'t, B::Entry>,
        now: u32,
        mut died: impl FnMut(Died),
    ) -> Found<'t, B::Entry> {
        let mut own_is_passed = false;
        for turn in 0..Self::TURNS {
            let index = self.bucket_of_turn(hash, turn);
            let Some(bucket) = self.buckets.bucket(index) else {
                break;
            };
            let marks = marks(bucket, Self::start(hash));
            let slot = Self::slot_of_turn(hash, turn);
            let position = Position {
                bucket: index,
                slot,
            };
            if position == own.position {
                own_is_passed = true;
            } else if marks.places() >> (turn & LAST_SLOT) & 1 != 0 {
                let entry = element(&bucket.0, slot);
                let word = alive(entry, (now, false));
                // An owner who was held up for longer than its connection lived compares with
                // another's: its slot's epoch tells.
                if word.is_live()
                    && entry.is_same(own.entry)
                    && is_still(entry, word)
                    && is_still(own.entry, own.word)
                {
                    let (later, its) = if own_is_passed {
                        (entry, word)
                    } else {
                        (own.entry, own.word)
                    };
                    if let Some(lost) = free(later, its.epoch()) {
                        died(lost);
                    }
                    if !own_is_passed {
                        return found(bucket, index, slot, word);
                    }
                }
            }
            if turn & LAST_SLOT == LAST_SLOT && !marks.went_on() {
                break;
            }
        }
        own
    }

    /// Whether there can be no other entry of a published connection, so that there is nothing to
    /// [settle](Self::settle): what can be said by a look at its home.
    #[inline(always)]
    pub fn is_alone(&self, hash: u32, own: &Found<'t, B::Entry>) -> bool {
        let Some(bucket) = self.buckets.bucket(own.position.bucket) else {
            return false;
        };
        let start = Self::start(hash);
        let marks = marks(bucket, start);
        let places = marks.places();
        let is_elsewhere =
            own.position.bucket != self.home(hash) || marks.went_on() || places >> NEAR != 0;
        if is_elsewhere {
            return false;
        }
        if places == 1 {
            return true;
        }
        // Without a branch, for the kernel's verifier.
        let mut others = 0;
        for further in 0..NEAR {
            // In place of one without mark the first, which was looked at already.
            let slot = (start ^ (further * (places >> further & 1))) & LAST_SLOT;
            let entry = element(&bucket.0, slot);
            let is_live = Word(entry.word().load()).is_live() as u32;
            let is_other = (slot != own.position.slot) as u32;
            others |= is_live & is_other & entry.is_same(own.entry) as u32;
        }
        others == 0
    }
}

/// Sets a mark of a place, for a slot that was claimed and is to be published. Where it is set and
/// known to be wanted nothing needs to be written, as nobody [takes it back](crate::marks) then.
#[inline(always)]
fn mark<E: Entry>(begin: &E, mark: u8) {
    let bits = Word::wanting(mark);
    if begin.word().load() & bits != bits {
        begin.word().set_bits(bits);
    }
}

/// Claims a slot that is free or past its time; whether that came off. `before` is its word.
#[inline(always)]
fn take<E: Entry>(entry: &E, before: Word, now: u32, claim_ends: u32) -> bool {
    before.is_takeable(now) as u32 & !(before.is_live() as u32 & entry.is_held()) != 0
        && entry
            .word()
            .compare_and_swap(before.0, before.claimed(claim_ends).0)
}

/// A slot that was claimed, and what had died in it: nobody has written there since.
#[inline(always)]
fn taken<'t, E: Entry>(
    bucket: &'t Bucket<E>,
    (index, slot): (u32, u32),
    before: Word,
    claim_ends: u32,
) -> Claim<'t, E> {
    let found = found(bucket, index, slot, before.claimed(claim_ends));
    let died = before.is_live().then(|| record(found.entry, before));
    Claim::Slot(Claimed::from(found), died)
}
