//! The power of two choices, twos (`ip_vs_twos.c`): two destinations are drawn by weight, and the
//! one with the lesser load for its weight takes the connection.
//!
//! Who is drawn stands in a [sequence](crate::sequence) in which each destination has one stretch,
//! as long as its weight (`Plan::lottery`); a draw is a random position in it. Whoever draws a
//! destination that is overloaded draws again: those that remain have the chances that they would
//! have had without it, as in the kernel, which leaves it out from the start.

use crate::least::Candidate;

/// A position in the sequence of `picks` picks, which is the sum of the weights, from a random
/// number; 0 where nobody may be picked.
///
/// The kernel draws between 0 and the sum, both included, and 0 belongs to the first destination as
/// 1 does: it is drawn a little more often, by `(weight + 1) / (picks + 1)`. `random` has 64 random
/// bits; 32 will do where the sum stays far below.
#[inline(always)]
pub const fn position(picks: u64, random: u64) -> u64 {
    (random % picks.saturating_add(1)).saturating_sub(1)
}

/// Who takes the connection of two that were drawn, as candidates of
/// [`crate::least::Rule::WeightedLeastConnection`]; of equals the first.
#[inline(always)]
pub const fn outcome(first: Candidate, second: Candidate) -> Candidate {
    second.or_better(first)
}
