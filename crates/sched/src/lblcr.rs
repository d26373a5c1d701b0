//! Locality-based least-connection with replication, lblcr (`ip_vs_lblcr.c`): a set of destinations
//! to a virtual address.
//!
//! A connection goes to the least loaded of its virtual address's set. Where that one is overfull
//! while somebody has room, wlc chooses among all, and its choice joins the set. A set that did not
//! change for a day loses its most loaded member.

use crate::NOBODY;
use crate::least::{Candidate, Load, Rule};
use crate::locality::is_overfull;

/// Members that a set may have. A virtual address that needs more at once loses its most loaded
/// member to each that joins; the kernel's sets have no bound.
pub const SET_SIZE: usize = 16;

/// The destinations of a virtual address: what an entry of the table holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// Tick of the last connection.
    pub used: u32,
    /// Tick at which a member joined or left last.
    pub changed: u32,
    /// The members' numbers, the youngest first, [`NOBODY`] behind the last.
    pub members: [u32; SET_SIZE],
}

/// A member as its set sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its connections, and its configured weight.
    pub load: Load,
    /// Whether it still belongs to the service.
    pub is_available: bool,
    /// Whether it is overloaded by its thresholds.
    pub is_overloaded: bool,
}

impl Set {
    /// The set of a virtual address that had no entry.
    #[inline(always)]
    pub const fn new(first: u32, now: u32) -> Self {
        let mut members = [NOBODY; SET_SIZE];
        members[0] = first;
        Self {
            used: now,
            changed: now,
            members,
        }
    }

    /// The destination of the next connection, or [`NOBODY`]. Changes the set as the rules have it.
    ///
    /// `expiration` is `lblcr_expiration` in ticks. `member` tells about a member by its number.
    /// Asked only if need be: `somebody_has_room`, whether any destination of the service
    /// [has room](crate::locality::has_room), and `least_loaded`, wlc's choice among all.
    #[inline(always)]
    pub fn pick(
        &mut self,
        now: u32,
        expiration: u32,
        member: impl Fn(u32) -> Member,
        somebody_has_room: impl FnOnce() -> bool,
        least_loaded: impl FnOnce() -> u32,
    ) -> u32 {
        self.used = now;
        let (least, most) = self.extremes(&member);
        if self.may_shrink(now, expiration) {
            self.remove(most, now);
        }
        if least != NOBODY && !(is_overfull(member(least).load) && somebody_has_room()) {
            return least;
        }
        let picked = least_loaded();
        if picked != NOBODY {
            self.insert(picked, most, now);
        }
        picked
    }

    /// The members with the least and the most load for their weights. The most loaded may be one
    /// that takes no connections any more.
    #[inline(always)]
    fn extremes(&self, member: impl Fn(u32) -> Member) -> (u32, u32) {
        let (mut least, mut most) = (Candidate::NOBODY, Candidate::NOBODY);
        for number in self.members {
            if number == NOBODY {
                break;
            }
            let member = member(number);
            let candidate = Rule::WeightedLeastConnection.candidate(number, member.load);
            most = candidate.or_busier(most);
            if member.is_available && !member.is_overloaded {
                least = candidate.or_better(least);
            }
        }
        (least.number, most.number)
    }

    /// Whether the set has several members and did not change for longer than `expiration` ticks.
    #[inline(always)]
    const fn may_shrink(&self, now: u32, expiration: u32) -> bool {
        let last = self.changed.wrapping_add(expiration);
        self.members[1] != NOBODY && now.wrapping_sub(last) as i32 > 0
    }

    /// Puts a destination first, unless it is a member. From a full set, `most` leaves, and where
    /// that is nobody the eldest.
    #[inline(always)]
    fn insert(&mut self, number: u32, most: u32, now: u32) {
        for place in 0..SET_SIZE {
            if self.members[place] == number {
                return;
            }
        }
        // Everyone moves one place on, up to the first place that is free or becomes so.
        let is_full = self.members[SET_SIZE - 1] != NOBODY;
        let mut moving = number;
        for place in 0..SET_SIZE {
            let met = core::mem::replace(&mut self.members[place], moving);
            if met == NOBODY || (is_full && met == most) {
                break;
            }
            moving = met;
        }
        self.changed = now;
    }

    /// Takes a member out.
    #[inline(always)]
    fn remove(&mut self, number: u32, now: u32) {
        if number == NOBODY {
            return;
        }
        let mut has_left = false;
        for place in 0..SET_SIZE {
            has_left |= self.members[place] == number;
            if has_left {
                self.members[place] = if place + 1 < SET_SIZE {
                    self.members[place + 1]
                } else {
                    NOBODY
                };
            }
        }
        if has_left {
            self.changed = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 1000;

    /// A connection at `now`. `actives` are the active connections of destinations 0 and up, all of
    /// weight 2; wlc chooses among them.
    fn pick(set: &mut Set, now: u32, actives: &[u32]) -> u32 {
        let load = |number: u32| Load {
            weight: 2,
            active: actives[number as usize],
            inactive: 0,
        };
        let member = |number| Member {
            load: load(number),
            is_available: true,
            is_overloaded: false,
        };
        let least = || {
            (0..actives.len() as u32)
                .map(|n| Rule::WeightedLeastConnection.candidate(n, load(n)))
                .fold(Candidate::NOBODY, |best, next| next.or_better(best))
                .number
        };
        let has_room = || actives.contains(&0);
        set.pick(now, DAY, member, has_room, least)
    }

    #[test]
    fn a_set_grows_only_while_its_least_loaded_is_overfull_and_another_has_room() {
        let mut set = Set::new(1, 0);
        assert_eq!(pick(&mut set, 1, &[0, 2, 0]), 1, "not overfull");
        assert_eq!(pick(&mut set, 2, &[1, 3, 1]), 1, "nobody has room");
        assert_eq!(pick(&mut set, 3, &[1, 3, 0]), 2);
        assert_eq!(set.members[..3], [2, 1, NOBODY], "the youngest first");
        assert_eq!((set.used, set.changed), (3, 3));
    }

    #[test]
    fn a_set_that_did_not_change_for_longer_than_the_expiration_loses_its_most_loaded() {
        let mut set = Set::new(0, 0);
        for (now, active) in [(5, [3, 0, 0]), (6, [3, 3, 0])] {
            pick(&mut set, now, &active);
        }
        assert_eq!(set.members[..4], [2, 1, 0, NOBODY]);
        pick(&mut set, 6 + DAY, &[1, 2, 1]);
        assert_eq!(set.members[..4], [2, 1, 0, NOBODY], "not longer");
        pick(&mut set, 7 + DAY, &[1, 2, 1]);
        assert_eq!(set.members[..4], [2, 0, NOBODY, NOBODY]);
        assert_eq!(set.changed, 7 + DAY);
    }

    #[test]
    fn the_last_member_stays_however_old_the_set() {
        let mut set = Set::new(0, 0);
        assert_eq!(pick(&mut set, 5 * DAY, &[1, 0]), 0);
        assert_eq!(set.members[..2], [0, NOBODY]);
    }

    #[test]
    fn from_a_full_set_the_most_loaded_leaves() {
        let mut set = Set::new(0, 0);
        for last in 1..SET_SIZE {
            let mut actives = [3; SET_SIZE];
            actives[last] = 0;
            pick(&mut set, 0, &actives);
        }
        let full: [u32; SET_SIZE] = core::array::from_fn(|n| (SET_SIZE - 1 - n) as u32);
        assert_eq!(set.members, full);

        let mut actives = [3; SET_SIZE + 1];
        (actives[7], actives[SET_SIZE]) = (9, 0);
        assert_eq!(pick(&mut set, 0, &actives), SET_SIZE as u32);
        let mut wanted: [u32; SET_SIZE] = core::array::from_fn(|n| (SET_SIZE - n) as u32);
        for member in &mut wanted {
            *member -= u32::from(*member <= 7);
        }
        assert_eq!(set.members, wanted, "7 left, everyone before it moved on");
    }

    #[test]
    fn a_tick_that_wraps_does_not_make_a_set_old() {
        let mut set = Set::new(0, u32::MAX - 5);
        pick(&mut set, u32::MAX - 5, &[3, 0]);
        pick(&mut set, 5, &[1, 1]);
        assert_eq!(set.members[..3], [1, 0, NOBODY]);
    }
}
