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

/// State, expiry and epoch of a slot.
///
/// ```text
///  63        48 47 46 45 44 43   41 40 39     32 31              0
/// +------------+--+--+-----+-------+--+---------+-----------------+
/// |   epoch    |O | -| life|   -   |1W|  state  |  expiry (tick)  |
/// +------------+--+--+-----+-------+--+---------+-----------------+
/// ```
/// O: entries of this bucket went to their second bucket (in a bucket's first slot).
/// 1W: only the client's packets have been seen (IPVS's NOOUTPUT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Word(pub u64);

const STATE_SHIFT: u32 = 32;
const ONE_WAY: u64 = 1 << 40;
const LIFE_SHIFT: u32 = 44;
const LIFE_MASK: u64 = 3 << LIFE_SHIFT;
const CLAIMED: u64 = 1 << LIFE_SHIFT;
const LIVE: u64 = 2 << LIFE_SHIFT;
const OVERFLOWED: u64 = 1 << 47;
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

    /// The connection's state, numbered as the kernel numbers its protocol's states.
    #[inline(always)]
    pub const fn state(self) -> u8 {
        (self.0 >> STATE_SHIFT) as u8
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

    /// Whether entries of this bucket went to their second bucket.
    #[inline(always)]
    pub const fn overflowed(self) -> bool {
        self.0 & OVERFLOWED != 0
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
        let kept = self.0 & !(0xff << STATE_SHIFT | 0xffff_ffff | ONE_WAY);
        let flag = if one_way { ONE_WAY } else { 0 };
        Self(kept | (state as u64) << STATE_SHIFT | flag | expiry as u64)
    }

    /// The slot claimed for a new connection; the claim itself runs out at `expiry`.
    #[inline(always)]
    pub const fn claimed(self, expiry: u32) -> Self {
        let epoch = (self.0 & !(EPOCH_ONE - 1)).wrapping_add(EPOCH_ONE);
        Self(epoch | self.0 & OVERFLOWED | CLAIMED | expiry as u64)
    }

    /// The claimed slot as a connection.
    #[inline(always)]
    pub const fn published(self, state: u8, one_way: bool, expiry: u32) -> Self {
        Self(self.moved(state, one_way, expiry).0 & !LIFE_MASK | LIVE)
    }

    /// The slot given back.
    #[inline(always)]
    pub const fn freed(self) -> Self {
        Self(self.0 & !(EPOCH_ONE - 1) | self.0 & OVERFLOWED)
    }

    /// Marked as a bucket whose entries went elsewhere.
    #[inline(always)]
    pub const fn with_overflow(self) -> Self {
        Self(self.0 | OVERFLOWED)
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
    fn the_overflow_mark_survives_every_change() {
        let marked = Word(0).with_overflow();
        let last = marked
            .claimed(1)
            .published(1, false, 2)
            .moved(2, true, 3)
            .freed();
        assert!(last.overflowed());
        assert!(
            !Word(0)
                .claimed(1)
                .published(1, false, 2)
                .freed()
                .overflowed()
        );
    }

    #[test]
    fn the_epoch_wraps_without_touching_its_neighbours() {
        let word = Word(0xffff << 48 | 1 << 47).claimed(5);
        assert_eq!(
            (word.epoch(), word.overflowed(), word.life()),
            (0, true, Life::Claimed)
        );
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
            assert!(live.freed().with_overflow().is_takeable(now));
            for word in [claimed, live, live.with_overflow()] {
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
