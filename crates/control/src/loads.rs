//! The destinations' connection counts.

use abi::{DestinationCell, LoadCell, View};
use conntable::{Bucket, Died, Entry, Kind, Word};
use forward::is_active;
use sched::threshold;

use crate::Plane;

/// How often a recount is tried where packets change the count meanwhile.
const RECOUNTS: u32 = 3;

/// Takes what ended out of its destination's counts, and the destination out of overload where the
/// thresholds say so. Once for each [`Died`].
pub(crate) fn settle_death(view: &View<'_>, died: Died) {
    let number = died.destination as usize;
    let (Some(load), Some(destination)) = (view.loads.get(number), view.destinations.get(number))
    else {
        return;
    };
    let counts = Counts::of_one(died.kind, died.protocol, died.state);
    Counts::default().minus(counts).add_to(load);
    judge(load, destination);
}

/// What goes to a destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections in an active state.
    pub(crate) active: u32,
    /// All other connections.
    pub(crate) inactive: u32,
    /// Persistence templates.
    pub(crate) persistent: u32,
}

impl Counts {
    /// What one entry of the connection table counts for. Aliases go by their connections.
    fn of_one(kind: u8, protocol: u8, state: u8) -> Self {
        let is = |what: Kind| kind == what as u8;
        let is_active = is_active(protocol, state);
        Self {
            active: (is(Kind::Connection) && is_active).into(),
            inactive: (is(Kind::Connection) && !is_active).into(),
            persistent: is(Kind::Template).into(),
        }
    }

    fn read(load: &LoadCell) -> Self {
        Self {
            active: load.active.load(),
            inactive: load.inactive.load(),
            persistent: load.persistent.load(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            active: self.active.wrapping_add(other.active),
            inactive: self.inactive.wrapping_add(other.inactive),
            persistent: self.persistent.wrapping_add(other.persistent),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            active: self.active.wrapping_sub(other.active),
            inactive: self.inactive.wrapping_sub(other.inactive),
            persistent: self.persistent.wrapping_sub(other.persistent),
        }
    }

    /// Adds to a cell that packets count in at the same time.
    fn add_to(self, load: &LoadCell) {
        load.active.add(self.active);
        load.inactive.add(self.inactive);
        load.persistent.add(self.persistent);
    }
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

fn total(load: &LoadCell) -> u64 {
    u64::from(load.active.load()) + u64::from(load.inactive.load())
}

/// What goes to a destination.
pub(crate) fn counts_of(view: &View<'_>, number: u32) -> Counts {
    let load = view.loads.get(number as usize);
    load.map_or_else(Counts::default, Counts::read)
}

/// Counts all connections anew and corrects the counts that are wrong; returns how many were. For
/// tables that an earlier daemon left: one that was killed between freeing a slot and counting it
/// leaves a count too high for ever.
pub fn recount(plane: &impl Plane) -> usize {
    let view = plane.view();
    let mut suspects: Vec<u32> = (0..view.loads.len() as u32).collect();
    let mut corrected = 0;
    for _ in 0..RECOUNTS {
        let before: Vec<Counts> = suspects
            .iter()
            .map(|&number| counts_of(&view, number))
            .collect();
        let mut counted = vec![Counts::default(); view.loads.len()];
        count_all(plane.connections(), &mut counted);
        count_all(plane.connections_v6(), &mut counted);
        let mut unsettled = Vec::new();
        for (&number, before) in suspects.iter().zip(before) {
            let counted = counted[number as usize];
            if counts_of(&view, number) != before {
                unsettled.push(number);
            } else if counted != before {
                counted.minus(before).add_to(&view.loads[number as usize]);
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

/// Adds up what a table's entries count for, by destination.
fn count_all<E: Entry>(table: &[Bucket<E>], counted: &mut [Counts]) {
    for entry in table.iter().flat_map(|bucket| &bucket.0) {
        let word = Word(entry.word().load());
        let load = entry.load();
        if word.is_live()
            && let Some(counts) = counted.get_mut(load.destination as usize)
        {
            let one = Counts::of_one(load.kind, load.protocol, word.state());
            *counts = counts.plus(one);
        }
    }
}
