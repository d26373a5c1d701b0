//! What a slot's [`client_hop`](crate::Slot::client_hop) says: the way to the client, or a partner.
//!
//! ```text
//!  31            21 20                          0
//! +----------------+-----------------------------+
//! |   generation   |     index of next hop       |  below 11 in the highest bits
//! +--+--+----------+-----------------------------+
//! |1 |1 |OF|          number of a slot           |  OF: of the other address family's table
//! +--+--+--+-------------------------------------+
//! ```

use crate::Position;

const NAME: u32 = 3 << 30;
const OTHER_FAMILY: u32 = 1 << 29;

/// The next hop towards a client, which counts while the routing generation is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop(pub u32);

impl Hop {
    /// Nowhere: of no generation.
    pub const NONE: Self = Self(0);
    const INDEX_BITS: u32 = 21;
    /// The most next hops.
    pub const INDICES: u32 = 1 << Self::INDEX_BITS;
    /// Generations are from 1 to below this.
    pub const GENERATIONS: u32 = NAME >> Self::INDEX_BITS;

    /// By its index, which is below [`Self::INDICES`].
    #[inline(always)]
    pub const fn new(generation: u32, index: u32) -> Self {
        Self(generation << Self::INDEX_BITS | index)
    }

    /// In which generation it was found; another number for what is none.
    #[inline(always)]
    pub const fn generation(self) -> u32 {
        self.0 >> Self::INDEX_BITS
    }

    /// The next hop's index.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self.0 & (Self::INDICES - 1)
    }
}

/// How an entry names its partner, another entry that names it back: a connection and its
/// [alias](crate::Kind::Alias).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(pub u32);

impl Name {
    /// The most slots of a table.
    pub const SLOTS: u32 = OTHER_FAMILY - 1;
    /// That of a connection which is to have an alias, before it has one.
    pub const AWAITED: Self = Self(NAME);

    /// That of the entry at a position, in the namer's table or in the other address family's.
    #[inline(always)]
    pub const fn of(position: Position, is_other_family: bool) -> Self {
        let family = if is_other_family { OTHER_FAMILY } else { 0 };
        Self(NAME | family | position.number())
    }

    /// Whether the partner is in the other address family's table.
    #[inline(always)]
    pub const fn is_of_other_family(self) -> bool {
        self.0 & OTHER_FAMILY != 0
    }

    /// How the partner names the entry at this position.
    #[inline(always)]
    pub(crate) const fn back(self, position: Position) -> Self {
        Self(NAME | self.0 & OTHER_FAMILY | position.number())
    }

    /// Where the partner is, or was.
    #[inline(always)]
    pub(crate) const fn position(self) -> Position {
        Position::of_number(self.0 & Self::SLOTS)
    }
}
