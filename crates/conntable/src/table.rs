//! Finding, claiming, publishing and freeing slots.

use cell::{blurred, element};

use crate::word::{Life, Word};
use crate::{BUCKET_SLOTS, Bucket, Buckets, Entry, Kind, Query};

/// A slot's greatest index in its bucket.
const LAST_SLOT: u32 = BUCKET_SLOTS as u32 - 1;
/// With so many slots left, a new connection goes to its home bucket without a look at the other.
const ROOM_TO_SPARE: u32 = 5;
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

impl Position {
    /// The position in one number that is never 0, for tables of less than 2^29 buckets.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        (self.bucket << 3 | self.slot & LAST_SLOT).wrapping_add(1)
    }

    #[inline(always)]
    const fn of_number(number: u32) -> Self {
        let place = number.wrapping_sub(1);
        Self {
            bucket: place >> 3,
            slot: place & LAST_SLOT,
        }
    }
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

/// A found entry in one word: its position and the epoch of its slot, so that it is found again
/// only as long as the slot still holds the same connection. Bit 63 is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(pub u64);

impl<E> Found<'_, E> {
    /// The entry in one word.
    #[inline(always)]
    pub const fn handle(&self) -> Handle {
        Handle::new(self.position, self.word.epoch())
    }
}

impl Handle {
    /// The entry at a position, of an epoch.
    #[inline(always)]
    pub const fn new(position: Position, epoch: u16) -> Self {
        let place = (position.bucket as u64) << 3 | (position.slot & LAST_SLOT) as u64;
        Self((epoch as u64) << EPOCH_SHIFT | place)
    }

    /// Where the entry is.
    #[inline(always)]
    pub const fn position(self) -> Position {
        Position {
            bucket: (self.0 >> 3) as u32,
            slot: self.0 as u32 & LAST_SLOT,
        }
    }

    #[inline(always)]
    pub(crate) const fn epoch(self) -> u16 {
        (self.0 >> EPOCH_SHIFT) as u16
    }
}

/// Where the epoch stands in a [`Handle`]; bucket and slot are below, and take 35 bits.
const EPOCH_SHIFT: u32 = 40;

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
    pub(crate) buckets: B,
    mask: u32,
}

impl<'t, B: Buckets<'t>> Table<B> {
    /// A table of `mask + 1` buckets, a power of two.
    #[inline(always)]
    pub const fn new(buckets: B, mask: u32) -> Self {
        Self { buckets, mask }
    }

    /// Home and second bucket of a hash: two different ones, where the table has two.
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

    /// How many slots a search for a connection of this hash looks at until it comes to
    /// `position`.
    pub fn probes(&self, hash: u32, position: Position) -> u32 {
        let (home, _) = self.homes(hash);
        let in_bucket =
            (position.slot.wrapping_sub(Self::start(hash)) & (BUCKET_SLOTS as u32 - 1)) + 1;
        if position.bucket == home {
            in_bucket
        } else {
            BUCKET_SLOTS as u32 + in_bucket
        }
    }

    /// The living connection that `query` asks for.
    #[inline(always)]
    pub fn find(
        &self,
        hash: u32,
        query: &Query<<B::Entry as Entry>::Address>,
        now: u32,
    ) -> Option<Found<'t, B::Entry>> {
        let (home, second) = self.homes(hash);
        let bucket = self.buckets.bucket(home)?;
        if let Some(found) = search(&self.buckets, bucket, home, (Self::start(hash), now), query) {
            return Some(found);
        }
        if !Word(bucket.0[0].word().load()).overflowed() {
            return None;
        }
        let bucket = self.buckets.bucket(second)?;
        search(
            &self.buckets,
            bucket,
            second,
            (Self::start(hash), now),
            query,
        )
    }

    /// The entry of a handle, if its slot still holds the same connection, alive.
    #[inline(always)]
    pub fn at(&self, handle: Handle, now: u32) -> Option<Found<'t, B::Entry>> {
        let (position, epoch) = (handle.position(), handle.epoch());
        let bucket = self.buckets.bucket(position.bucket)?;
        let entry = element(&bucket.0, position.slot);
        let word = Word(entry.word().load());
        (word.is_live() && word.epoch() == epoch && !word.is_past(now)).then_some(Found {
            entry,
            word,
            position,
        })
    }

    /// Takes a slot for a new connection; the claim counts until `claim_ends`.
    ///
    /// The home bucket serves while it has room to spare, then whichever of the two has more of it.
    /// That puts the first refusals off to about three quarters of all slots, where spilling only
    /// from full buckets would refuse one in 4000 at half of them already.
    #[inline(always)]
    pub fn claim(&self, hash: u32, now: u32, claim_ends: u32) -> Claim<'t, B::Entry> {
        let (home, second) = self.homes(hash);
        let Some(home_bucket) = self.buckets.bucket(home) else {
            return Claim::Full;
        };
        let (mut index, mut bucket) = (home, home_bucket);
        let room = room(home_bucket, now);
        if room < ROOM_TO_SPARE {
            let Some(second_bucket) = self.buckets.bucket(second) else {
                return Claim::Full;
            };
            if self::room(second_bucket, now) > room {
                if !mark_overflow(&home_bucket.0[0]) {
                    return Claim::Full;
                }
                (index, bucket) = (second, second_bucket);
            }
        }
        // A bucket without room means that both are full. One that filled up since it was looked
        // at is not worth a second loop: the sender repeats the packet.
        match take(bucket, index, Self::start(hash), now, claim_ends) {
            Some((claimed, died)) => {
                let second = index != home;
                Claim::Slot(Claimed { second, ..claimed }, died)
            }
            None => Claim::Full,
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
        let (home, second) = self.homes(hash);
        let mut own_is_passed = false;
        let mut index = home;
        for _ in 0..2 {
            let Some(bucket) = self.buckets.bucket(index) else {
                break;
            };
            for step in 0..BUCKET_SLOTS as u32 {
                let slot = (Self::start(hash) + step) & LAST_SLOT;
                let position = Position {
                    bucket: index,
                    slot,
                };
                if position == own.position {
                    own_is_passed = true;
                    continue;
                }
                let entry = element(&bucket.0, slot);
                // An owner who was held up for longer than its connection lived compares with
                // another's: its slot's epoch tells.
                let word = alive(entry, (now, false), || {
                    entry.is_same(own.entry)
                        && Word(own.entry.word().load()).epoch() == own.word.epoch()
                });
                if !word.is_live() {
                    continue;
                }
                let lost = if own_is_passed {
                    free(entry, word.epoch())
                } else {
                    free(own.entry, own.word.epoch())
                };
                if let Some(lost) = lost {
                    died(lost);
                }
                if !own_is_passed {
                    return found(bucket, index, slot, word);
                }
            }
            if index == second || !Word(bucket.0[0].word().load()).overflowed() {
                break;
            }
            index = second;
        }
        own
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
            template.entry.lasts().store(longer as u64);
        }
        let lasts = template.entry.lasts().load() as u32;
        let renewed =
            |word: Word| word.moved(word.state(), word.one_way(), now.wrapping_add(lasts));
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
                    entry.lasts().store(longer as u64);
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
fn record<E: Entry>(entry: &E, word: Word) -> Died {
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

/// One pass over a bucket for a living entry.
#[inline(always)]
fn search<'t, B: Buckets<'t>>(
    buckets: &B,
    bucket: &'t Bucket<B::Entry>,
    index: u32,
    (start, now): (u32, u32),
    query: &Query<<B::Entry as Entry>::Address>,
) -> Option<Found<'t, B::Entry>> {
    let (mut hit, mut word) = (NOWHERE, Word::default());
    for step in 0..BUCKET_SLOTS as u32 {
        let slot = (start + step) & LAST_SLOT;
        word = living(buckets, element(&bucket.0, slot), query, now);
        if word.is_live() {
            hit = slot;
            break;
        }
    }
    (hit != NOWHERE).then(|| found(bucket, index, hit, word))
}

/// No slot of a bucket.
const NOWHERE: u32 = BUCKET_SLOTS as u32;

/// What was found in a slot. From here on, the kernel's verifier does not care in which.
#[inline(always)]
fn found<E>(bucket: &Bucket<E>, index: u32, slot: u32, word: Word) -> Found<'_, E> {
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

/// The entry's word, if it is the living connection that `query` asks for; else a free slot's.
#[inline(always)]
fn living<'t, B: Buckets<'t>>(
    buckets: &B,
    entry: &B::Entry,
    query: &Query<<B::Entry as Entry>::Address>,
    now: u32,
) -> Word {
    let server = |destination| buckets.server(destination);
    let is_template = matches!(query.kind, Kind::Template);
    alive(entry, (now, is_template), || entry.answers(query, server))
}

/// The entry's word, if it is alive and the one that is wanted; else a free slot's.
/// `is_template`: a template may be wanted, which outlives its time while it is held.
#[inline(always)]
fn alive<E: Entry>(
    entry: &E,
    (now, is_template): (u32, bool),
    is_wanted: impl FnOnce() -> bool,
) -> Word {
    let word = Word(entry.word().load());
    if !word.is_live() {
        return Word::default();
    }
    if word.is_past(now) && !(is_template && entry.is_held() != 0) {
        return Word::default();
    }
    if !is_wanted() {
        return Word::default();
    }
    // The slot may have been given to another connection while its fields were compared.
    if Word(entry.word().load()).epoch() != word.epoch() {
        return Word::default();
    }
    word
}

/// How many slots of a bucket are free or past their time.
#[inline(always)]
fn room<E: Entry>(bucket: &Bucket<E>, now: u32) -> u32 {
    let mut room = 0;
    for entry in &bucket.0 {
        room += Word(entry.word().load()).is_takeable(now) as u32;
    }
    room
}

/// Claims the first slot of a bucket that is free or past its time. One that changes meanwhile is
/// passed over.
#[inline(always)]
fn take<'t, E: Entry>(
    bucket: &'t Bucket<E>,
    index: u32,
    start: u32,
    now: u32,
    claim_ends: u32,
) -> Option<(Claimed<'t, E>, Option<Died>)> {
    let (mut hit, mut before) = (NOWHERE, Word::default());
    let mut record = Died::default();
    for step in 0..BUCKET_SLOTS as u32 {
        let slot = (start + step) & LAST_SLOT;
        let entry = element(&bucket.0, slot);
        let word = Word(entry.word().load());
        if word.is_takeable(now) as u32 & !(word.is_live() as u32 & entry.is_held()) == 0 {
            continue;
        }
        record = self::record(entry, word);
        if entry
            .word()
            .compare_and_swap(word.0, word.claimed(claim_ends).0)
        {
            (hit, before) = (slot, word);
            break;
        }
    }
    if hit == NOWHERE {
        return None;
    }
    let taken = found(bucket, index, hit, before.claimed(claim_ends));
    let claimed = Claimed {
        entry: taken.entry,
        word: taken.word,
        position: taken.position,
        second: false,
    };
    Some((claimed, before.is_live().then_some(record)))
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
