//! Where a slot is, and references to what it holds.

use crate::BUCKET_SLOTS;

/// A slot's greatest index in its bucket.
pub(crate) const LAST_SLOT: u32 = BUCKET_SLOTS as u32 - 1;

/// Where a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Index of the bucket.
    pub bucket: u32,
    /// Index in the bucket.
    pub slot: u32,
}

impl Position {
    /// The position in one number that is never 0, for tables of less than 2^26 buckets.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        (self.bucket << 3 | self.slot & LAST_SLOT).wrapping_add(1)
    }

    #[inline(always)]
    pub(crate) const fn of_number(number: u32) -> Self {
        let place = number.wrapping_sub(1);
        Self {
            bucket: place >> 3,
            slot: place & LAST_SLOT,
        }
    }
}

/// A found entry in one word: its position and the epoch of its slot, so that it is found again
/// only as long as the slot still holds the same connection. Bit 63 is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(pub u64);

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
