//! The word that decides over a slot.

/// Whether a slot holds a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Nothing; may be claimed.
    Free,
    /// Being written by one processor.
    Claimed,
    /// A connection, alive or past its time.
    Live,
}

/// State, expiry and epoch of a slot, and marks about its place.
///
/// ```text
///  63        48 47            40 39  38 37 36 35    32 31              0
/// +------------+----------------+------+--+--+--------+-----------------+
/// |   epoch    |     marks      | life |1W|WD| state  |  expiry (tick)  |
/// +------------+----------------+------+--+--+--------+-----------------+
/// ```
/// 1W: only the client's packets have been seen (IPVS's NOOUTPUT).
///
/// The marks belong to the place, whoever has the slot, and say where the connections are whose
/// search begins at it: bit 40 that some went on to the next bucket of their search, bit 40 + n
/// that some are n steps away, in the slot of this bucket whose index is this one's, exclusive-ored
/// with n. WD: one of them was wanted since they were last [doubted](crate::Table::doubt_marks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Word(pub u64);

const STATE_SHIFT: u32 = 32;
const STATE_MASK: u64 = 15 << STATE_SHIFT;
const WANTED: u64 = 1 << 36;
const ONE_WAY: u64 = 1 << 37;
const LIFE_SHIFT: u32 = 38;
const LIFE_MASK: u64 = 3 << LIFE_SHIFT;
const CLAIMED: u64 = 1 << LIFE_SHIFT;
const LIVE: u64 = 2 << LIFE_SHIFT;
const MARKS_SHIFT: u32 = 40;
const MARKS: u64 = 0xff << MARKS_SHIFT;
/// What belongs to the place.
const OF_PLACE: u64 = MARKS | WANTED;
const EPOCH_SHIFT: u32 = 48;
const EPOCH_ONE: u64 = 1 << EPOCH_SHIFT;

impl Word {
    /// Whether the slot holds a connection.
    #[inline(always)]
    pub const fn life(self) -> Life {
        match self.0 & LIFE_MASK {
            LIVE => Life::Live,
            0 => Life::Free,
            _ => Life::Claimed,
        }
    }

    /// Whether the slot holds a connection, alive or past its time.
    #[inline(always)]
    pub const fn is_live(self) -> bool {
        self.0 & LIFE_MASK == LIVE
    }

    /// The tick at which the connection dies.
    #[inline(always)]
    pub const fn expiry(self) -> u32 {
        self.0 as u32
    }

    /// The connection's state, below 16, numbered as the kernel numbers its protocol's states.
    #[inline(always)]
    pub const fn state(self) -> u8 {
        (self.0 >> STATE_SHIFT) as u8 & 15
    }

    /// Whether only the client's packets have been seen.
    #[inline(always)]
    pub const fn one_way(self) -> bool {
        self.0 & ONE_WAY != 0
    }

    /// How often the slot has been claimed, modulo 2^16.
    #[inline(always)]
    pub const fn epoch(self) -> u16 {
        (self.0 >> EPOCH_SHIFT) as u16
    }

    /// Whether connections that begin here went on to the next bucket of their search.
    #[inline(always)]
    pub const fn went_on(self) -> bool {
        self.marks() & Self::WENT_ON != 0
    }

    /// Which slots of the bucket hold connections that begin here, or did: bit n for the one n steps
    /// away. Bit 0, the slot itself, is always set.
    #[inline(always)]
    pub const fn places(self) -> u32 {
        (self.0 >> MARKS_SHIFT) as u32 & 0xff | 1
    }

    /// The mark of a connection that went on to the next bucket.
    pub(crate) const WENT_ON: u8 = 1;

    /// The mark of a connection that is so many steps, from 1 to 7, from where it began.
    #[inline(always)]
    pub(crate) const fn place(steps: u32) -> u8 {
        1 << (steps & 7)
    }

    /// Whether the time to die has come.
    ///
    /// Ticks wrap, so this is right for expiries less than 2^31 ticks ahead (24 days at 1000 ticks
    /// a second), and for entries that are swept within as long after their death.
    #[inline(always)]
    pub const fn is_past(self, now: u32) -> bool {
        self.expiry().wrapping_sub(now) as i32 <= 0
    }

    /// Whether the slot may be claimed: it is free, or what it holds is past its time.
    ///
    /// Without a branch, as insertions ask it of every slot of a bucket.
    #[inline(always)]
    pub const fn is_takeable(self, now: u32) -> bool {
        let left = self.expiry().wrapping_sub(now);
        let is_past = (left | left.wrapping_sub(1)) >> 31;
        let life = (self.0 >> LIFE_SHIFT) as u32 & 3;
        let is_free = life.wrapping_sub(1) >> 31;
        is_past | is_free != 0
    }

    /// The same connection in another state, dying at another time.
    #[inline(always)]
    pub const fn moved(self, state: u8, one_way: bool, expiry: u32) -> Self {
        let kept = self.0 & !(STATE_MASK | 0xffff_ffff | ONE_WAY);
        let flag = if one_way { ONE_WAY } else { 0 };
        let state = (state as u64) << STATE_SHIFT & STATE_MASK;
        Self(kept | state | flag | expiry as u64)
    }

    /// Whether the connection is in a state, and packets of both ways have been seen.
    #[inline(always)]
    pub const fn is_seen_in(self, state: u8) -> bool {
        self.0 & (STATE_MASK | ONE_WAY) == (state as u64) << STATE_SHIFT
    }

    /// The same connection in the same state, dying at another time.
    #[inline(always)]
    pub const fn put_off(self, expiry: u32) -> Self {
        Self(self.0 & !0xffff_ffff | expiry as u64)
    }

    /// Whether another word of the same slot has the same state.
    #[inline(always)]
    pub const fn is_in_state_of(self, other: Self) -> bool {
        (self.0 ^ other.0) & STATE_MASK == 0
    }

    /// The slot claimed for a new connection; the claim itself runs out at `expiry`.
    #[inline(always)]
    pub const fn claimed(self, expiry: u32) -> Self {
        let epoch = (self.0 & !(EPOCH_ONE - 1)).wrapping_add(EPOCH_ONE);
        Self(epoch | self.0 & OF_PLACE | CLAIMED | expiry as u64)
    }

    /// The claimed slot as a connection.
    #[inline(always)]
    pub const fn published(self, state: u8, one_way: bool, expiry: u32) -> Self {
        Self(self.moved(state, one_way, expiry).0 & !LIFE_MASK | LIVE)
    }

    /// The slot given back.
    #[inline(always)]
    pub const fn freed(self) -> Self {
        Self(self.0 & !(EPOCH_ONE - 1) | self.0 & OF_PLACE)
    }

    /// The bits of a connection that wants marks here.
    #[inline(always)]
    pub(crate) const fn wanting(marks: u8) -> u64 {
        (marks as u64) << MARKS_SHIFT | WANTED
    }

    /// The marks: bit 0 that some went on, bit n that some are n steps away.
    pub(crate) const fn marks(self) -> u8 {
        (self.0 >> MARKS_SHIFT) as u8
    }

    /// Whether a mark was wanted since they were doubted.
    pub(crate) const fn is_wanted(self) -> bool {
        self.0 & WANTED != 0
    }

    /// The same slot, its marks doubted.
    pub(crate) const fn doubted(self) -> Self {
        Self(self.0 & !WANTED)
    }

    /// The same slot with only those of its marks that `needed` has too.
    pub(crate) const fn with_marks_of(self, needed: u8) -> Self {
        Self(self.0 & !MARKS | self.0 & (needed as u64) << MARKS_SHIFT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_goes_from_free_to_claimed_to_live_to_free_and_its_epoch_grows_once() {
        let free = Word(0);
        assert_eq!(free.life(), Life::Free);
        let claimed = free.claimed(7);
        assert_eq!((claimed.life(), claimed.epoch()), (Life::Claimed, 1));
        let live = claimed.published(3, true, 900);
        assert_eq!((live.life(), live.epoch()), (Life::Live, 1));
        assert_eq!(
            (live.state(), live.one_way(), live.expiry()),
            (3, true, 900)
        );
        let moved = live.moved(1, false, 1000);
        assert_eq!(
            (moved.state(), moved.one_way(), moved.expiry()),
            (1, false, 1000)
        );
        let freed = moved.freed();
        assert_eq!((freed.life(), freed.epoch()), (Life::Free, 1));
    }

    #[test]
    fn the_marks_survive_every_change() {
        for further in 1..8 {
            let marked = Word(Word::wanting(Word::WENT_ON | Word::place(further)));
            let last = marked
                .claimed(1)
                .published(15, false, 2)
                .moved(2, true, u32::MAX)
                .freed();
            assert!(last.went_on() && last.is_wanted());
            assert_eq!(last.places(), 1 | 1 << further);
        }
        let unmarked = Word(0).claimed(1).published(15, true, u32::MAX).freed();
        assert!(!unmarked.went_on() && !unmarked.is_wanted());
        assert_eq!(unmarked.places(), 1);
    }

    #[test]
    fn the_epoch_wraps_without_touching_its_neighbours() {
        let word = Word(0xffff << 48 | Word::wanting(Word::WENT_ON | Word::place(7))).claimed(5);
        assert_eq!((word.epoch(), word.life()), (0, Life::Claimed));
        assert_eq!((word.went_on(), word.places()), (true, 0x81));
    }

    #[test]
    fn a_slot_may_be_claimed_where_it_is_free_or_past_its_time() {
        for (expiry, now) in [
            (10, 9),
            (10, 10),
            (10, 11),
            (10, u32::MAX - 5),
            (0, 0x8000_0000),
            (0, 0x7fff_ffff),
            (0, 0x8000_0001),
        ] {
            let claimed = Word(0).claimed(expiry);
            let live = claimed.published(1, true, expiry);
            assert!(live.freed().is_takeable(now));
            assert!(Word(live.freed().0 | OF_PLACE).is_takeable(now));
            for word in [claimed, live, Word(live.0 | OF_PLACE)] {
                assert_eq!(
                    word.is_takeable(now),
                    word.is_past(now),
                    "{expiry} at {now}"
                );
            }
        }
    }

    #[test]
    fn time_is_compared_across_the_wrap_of_the_tick() {
        let word = Word(0).claimed(0).published(0, false, 10);
        assert!(!word.is_past(u32::MAX - 5));
        assert!(!word.is_past(9));
        assert!(word.is_past(10));
        assert!(word.is_past(11));
    }
}
