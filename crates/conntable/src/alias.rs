//! Aliases: entries by which another connection is found, and which live as long as it does.
//!
//! An alias never runs out by itself, since only its connection's packets move its connection's
//! death. Sweeps look whether the connection is still there: they free the alias, or put its time
//! off.
//!
//! A connection and its alias [name](Name) each other, and are partners while both do: where one
//! of them has ended, and its slot is another connection's, that one names somebody else, as the
//! other's slot was not free meanwhile.

use crate::search::Found;
use crate::table::free;
use crate::word::{Life, Word};
use crate::{Buckets, Entry as _, Kind, Name, Position, Slot, Table};

/// Ticks for which an alias lasts without a sweep that looks after it: half of what the tick's wrap
/// allows, twelve days at 1000 ticks a second.
const LIFE: u32 = 1 << 30;

impl<'t, B: Buckets<'t>> Table<B>
where
    B::Entry: Slot,
{
    /// When an alias that is made, or looked after, now runs out.
    #[inline(always)]
    pub const fn alias_expiry(&self, now: u32) -> u32 {
        now.wrapping_add(LIFE)
    }

    /// The living entry that the one at `position` names, and that names it back. The table is the one
    /// that the name says.
    #[inline(always)]
    pub fn partner(&self, name: Name, position: Position, now: u32) -> Option<Found<'t, B::Entry>> {
        let found = self.at_position(name.position())?;
        let is_back = found.entry.client_hop().load() == name.back(position).0;
        (is_back && found.word.is_live() && !found.word.is_past(now)).then_some(found)
    }

    /// Whether the connection that the alias at `position` names is still there, be it without alias
    /// so far.
    #[inline(always)]
    pub fn holds(&self, name: Name, position: Position, now: u32) -> bool {
        self.at_position(name.position()).is_some_and(|found| {
            let back = found.entry.client_hop().load();
            let is_its = back == name.back(position).0 || back == Name::AWAITED.0;
            is_its && !matches!(found.word.life(), Life::Free) && !found.word.is_past(now)
        })
    }

    /// Frees the aliases in a bucket whose connection is gone, and puts off the time of the others.
    /// `holds` tells of the connection that an alias at a position names.
    #[inline(always)]
    pub fn sweep_aliases(&self, index: u32, now: u32, holds: impl Fn(Name, Position) -> bool) {
        let Some(bucket) = self.buckets.bucket(index) else {
            return;
        };
        for (slot, entry) in (0..).zip(&bucket.0) {
            let word = Word(entry.word().load());
            if !word.is_live() || entry.load().kind != Kind::Alias as u8 {
                continue;
            }
            let position = Position {
                bucket: index,
                slot,
            };
            if !holds(Name(entry.client_hop().load()), position) {
                // Nothing counts aliases.
                let _freed = free(entry, word.epoch());
            } else if word.expiry().wrapping_sub(now) < LIFE / 2 {
                let later = word.moved(word.state(), word.one_way(), self.alias_expiry(now));
                // Whoever changed it meanwhile leaves the next sweep time enough.
                let _moved = entry.word().compare_and_swap(word.0, later.0);
            }
        }
    }
}
