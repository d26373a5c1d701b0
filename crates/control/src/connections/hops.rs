//! Generations of the next hops that connections keep.
//!
//! There are few numbers for generations, so they come back. Half of them are free of connections
//! before the first of that half counts again: those that kept one since then forget it.

use std::ops::Range;

use conntable::{Bucket, Hop, Kind, Slot};

use crate::Plane;

/// The first of the upper half.
const HALF: u32 = Hop::GENERATIONS / 2;

/// The generation after another; connections keep no next hop of it.
pub(crate) fn after(plane: &impl Plane, generation: u32) -> u32 {
    let next = generation % (Hop::GENERATIONS - 1) + 1;
    let half = match next {
        1 => 1..HALF,
        HALF => HALF..Hop::GENERATIONS,
        _ => return next,
    };
    forget(plane.connections(), &half);
    forget(plane.connections_v6(), &half);
    next
}

fn forget<S: Slot>(buckets: &[Bucket<S>], generations: &Range<u32>) {
    for slot in buckets.iter().flat_map(|bucket| &bucket.0) {
        let cell = slot.client_hop();
        let kept = cell.load();
        // Templates and aliases keep something else there.
        let is_hop = slot.load().kind == Kind::Connection as u8;
        if is_hop && generations.contains(&Hop(kept).generation()) {
            // Where a packet wrote another one at the same time, that one is of now.
            cell.compare_and_swap(kept, Hop::NONE.0);
        }
    }
}
