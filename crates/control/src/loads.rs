//! The destinations' connection counts.

use abi::{DestinationCell, LoadCell, View};
use conntable::Died;
use forward::is_active;
use sched::threshold;

use crate::Plane;

/// How often a recount is tried where packets change the count meanwhile.
const RECOUNTS: u32 = 3;

/// Takes a connection that ended out of its destination's counts, and the destination out of
/// overload where the thresholds say so. Once for each [`Died`].
pub(crate) fn settle_death(view: &View<'_>, died: Died) {
    let number = died.destination as usize;
    let (Some(load), Some(destination)) = (view.loads.get(number), view.destinations.get(number))
    else {
        return;
    };
    count_of(load, is_active(died.protocol, died.state)).add(1u32.wrapping_neg());
    judge(load, destination);
}

/// Marks a destination as overloaded, or not, by its thresholds.
pub(crate) fn judge(load: &LoadCell, destination: &DestinationCell) {
    let (upper, lower) = (
        destination.upper_threshold.load(),
        destination.lower_threshold.load(),
    );
    let was = load.overloaded.load() != 0;
    let is = threshold::overloaded(total(load), upper, lower, was);
    if is != was {
        load.overloaded.store(is.into());
    }
}

fn count_of(load: &LoadCell, active: bool) -> &cell::Cell32 {
    if active { &load.active } else { &load.inactive }
}

fn total(load: &LoadCell) -> u64 {
    u64::from(load.active.load()) + u64::from(load.inactive.load())
}

/// A destination's active and inactive connections.
pub(crate) fn connections_of(view: &View<'_>, number: u32) -> (u32, u32) {
    view.loads
        .get(number as usize)
        .map_or((0, 0), |load| (load.active.load(), load.inactive.load()))
}

/// Counts all connections anew and corrects the counts that are wrong; returns how many were. For
/// tables that an earlier daemon left: one that was killed between freeing a slot and counting it
/// leaves a count too high for ever.
pub fn recount(plane: &impl Plane) -> usize {
    let view = plane.view();
    let mut suspects: Vec<u32> = (0..view.loads.len() as u32).collect();
    let mut corrected = 0;
    for _ in 0..RECOUNTS {
        let before: Vec<(u32, u32)> = suspects
            .iter()
            .map(|&number| connections_of(&view, number))
            .collect();
        let counted = count_all(plane, view.loads.len());
        let mut unsettled = Vec::new();
        for (&number, before) in suspects.iter().zip(before) {
            let counted = counted[number as usize];
            if connections_of(&view, number) != before {
                unsettled.push(number);
            } else if counted != before {
                let load = &view.loads[number as usize];
                load.active.add(counted.0.wrapping_sub(before.0));
                load.inactive.add(counted.1.wrapping_sub(before.1));
                corrected += 1;
            }
        }
        if unsettled.is_empty() {
            break;
        }
        suspects = unsettled;
    }
    corrected
}

fn count_all(plane: &impl Plane, destinations: usize) -> Vec<(u32, u32)> {
    let mut counted = vec![(0, 0); destinations];
    for slot in plane.connections().iter().flat_map(|bucket| &bucket.0) {
        let word = conntable::Word(conntable::Entry::word(slot).load());
        if !word.is_live() {
            continue;
        }
        if let Some((active, inactive)) = counted.get_mut(slot.destination() as usize) {
            *(if is_active(slot.protocol(), word.state()) {
                active
            } else {
                inactive
            }) += 1;
        }
    }
    counted
}
