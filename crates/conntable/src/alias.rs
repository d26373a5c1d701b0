//! Aliases: entries by which another connection is found, and which live as long as it does.
//!
//! An alias never runs out by itself, since only its connection's packets move its connection's
//! death. Sweeps look whether the connection is still there: they free the alias, or put its time
//! off.

use crate::table::free;
use crate::word::{Life, Word};
use crate::{Buckets, Entry as _, Handle, Kind, Slot, Table};

/// Ticks for which an alias lasts without a sweep that looks after it: half of what the tick's wrap
/// allows, twelve days at 1000 ticks a second.
const LIFE: u32 = 1 << 30;

/// Set in an alias' [`client_hop`](Slot::client_hop) where its connection is in the other address
/// family's table. No [`Handle`] has this bit.
pub const OTHER_FAMILY: u64 = 1 << 63;

impl<'t, B: Buckets<'t>> Table<B>
where
    B::Entry: Slot,
{
    /// When an alias that is made, or looked after, now runs out.
    #[inline(always)]
    pub const fn alias_expiry(&self, now: u32) -> u32 {
        now.wrapping_add(LIFE)
    }

    /// Whether a slot still holds, or is being given, the connection of a handle.
    #[inline(always)]
    pub fn holds(&self, handle: Handle, now: u32) -> bool {
        self.named(handle).is_some_and(|found| {
            !matches!(found.word.life(), Life::Free) && !found.word.is_past(now)
        })
    }

    /// Frees the aliases in a bucket whose connection is gone, and puts off the time of the others.
    /// `holds` tells of the connection of an alias' [`client_hop`](Slot::client_hop).
    #[inline(always)]
    pub fn sweep_aliases(&self, index: u32, now: u32, holds: impl Fn(u64) -> bool) {
        let Some(bucket) = self.buckets.bucket(index) else {
            return;
        };
        for entry in &bucket.0 {
            let word = Word(entry.word().load());
            if !word.is_live() || entry.load().kind != Kind::Alias as u8 {
                continue;
            }
            if !holds(entry.client_hop().load()) {
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
