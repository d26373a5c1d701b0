//! Tracking: what else decides whether, and with which priority, a virtual router stands for master.

use crate::settings::OWNER;

/// Something that is watched: an interface, a script, a file, a process, a BFD session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// Its name, unique among what the instance tracks.
    pub name: String,
    /// What it does to the priority: 0: when down, the instance is in fault; positive: added when up;
    /// negative: taken off when down. A file's value is multiplied with it.
    pub weight: i32,
    /// The other way round.
    pub reverse: bool,
    /// What it is taken for before it was looked at.
    pub initial: Reading,
}

/// What a watched thing was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Not looked at yet: where it decides about a fault, the instance waits.
    Unknown,
    /// As it should be.
    Up,
    /// Not so.
    Down,
    /// A file's number.
    Value(i64),
}

/// What a reading does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The instance may run, its priority is changed by this.
    Weighs(i64),
    /// The instance is in fault.
    Fault,
    /// It is not known yet.
    Waits,
}

/// A file's weighted value from here on down is a fault (keepalived.conf, `track_file`).
const FAULT_BELOW: i64 = -253;

impl Tracked {
    fn effect(&self, reading: Reading) -> Effect {
        let weight = i64::from(self.weight);
        let up = match reading {
            Reading::Value(value) => return self.of_value(value),
            Reading::Unknown if weight == 0 => return Effect::Waits,
            Reading::Up => !self.reverse,
            Reading::Unknown | Reading::Down => self.reverse,
        };
        match (weight, up) {
            (0, true) => Effect::Weighs(0),
            (0, false) => Effect::Fault,
            (1.., true) | (..0, false) => Effect::Weighs(weight),
            (1.., false) | (..0, true) => Effect::Weighs(0),
        }
    }

    fn of_value(&self, value: i64) -> Effect {
        let weight = i64::from(if self.reverse {
            -self.weight
        } else {
            self.weight
        });
        match value.saturating_mul(weight) {
            _ if weight == 0 && (value != 0) != self.reverse => Effect::Fault,
            weighted if weighted < FAULT_BELOW => Effect::Fault,
            weighted => Effect::Weighs(weighted),
        }
    }
}

/// The tracked things of an instance together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stands for master with this priority.
    Priority(u8),
    /// It is in fault because of this one.
    Fault(String),
    /// It waits for the first word about this one.
    Waits(String),
}

/// The verdict over readings, which are in the order of `tracked`.
pub(crate) fn verdict(base: u8, tracked: &[Tracked], readings: &[Reading]) -> Verdict {
    let mut sum = i64::from(base);
    let mut waits = None;
    for (tracked, reading) in tracked.iter().zip(readings) {
        match tracked.effect(*reading) {
            Effect::Weighs(weight) => sum = sum.saturating_add(weight),
            Effect::Fault => return Verdict::Fault(tracked.name.clone()),
            Effect::Waits => waits = Some(tracked.name.clone()),
        }
    }
    match waits {
        Some(name) => Verdict::Waits(name),
        None if base == OWNER => Verdict::Priority(OWNER),
        None => Verdict::Priority(sum.clamp(1, i64::from(OWNER) - 1) as u8),
    }
}
