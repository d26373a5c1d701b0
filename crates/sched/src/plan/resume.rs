//! Going on in a new plan where the old one was left, as the kernel does.
//!
//! rr remembers the destination that was picked last, by its place in the list: the next is the one
//! behind it. Where it is deleted, the one before it takes its place (`ip_vs_rr_del_dest`).
//!
//! wrr starts its round over at the list's head after every change, and keeps the current weight
//! as far as the new weights have it (`ip_vs_wrr_dest_changed`): above the new greatest weight it
//! falls to that; where the new weights have a common divisor, it becomes one that belongs to them.
//! The current weight is the last pick's: one that would come next has not been reached yet.

use super::{Plan, Rule};

/// A plan that was in use, and how far it came.
#[derive(Clone, Copy, Debug)]
pub struct Followed<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What each index of its list stands for: numbers that name the same destinations there and
    /// in the list of the plan that follows.
    pub list: &'a [u32],
    /// Position of the next pick, not reduced to the sequence's length: the position that
    /// [`Plan::resume`] gave when that plan began (0 for the first), and 1 for each pick since.
    pub position: u64,
}

impl Plan {
    /// The position at which picking begins in this plan, so that it goes on as the kernel's
    /// scheduler would after the same change. `list` names this plan's destinations.
    ///
    /// It also remembers how the plan was entered, for the next change. A plan of another scheduler
    /// starts from its beginning.
    pub fn resume(&mut self, list: &[u32], before: &Followed<'_>) -> u64 {
        self.began = 0;
        self.after = None;
        match (self.rule, before.plan.rule) {
            (Rule::RoundRobin, Rule::RoundRobin) => {
                self.after = before
                    .plan
                    .last_picked(before.position)
                    .and_then(|last| survivor(before.list, last, list));
                self.began = self.position_behind(self.after);
            }
            (Rule::Weighted { step }, Rule::Weighted { .. }) => {
                let current = before.plan.current_weight(before.position);
                self.began = self.round_of(current, step);
            }
            _ => {}
        }
        self.began
    }

    /// rr: the index of the last pick in the list.
    fn last_picked(&self, position: u64) -> Option<u32> {
        if position == self.began {
            return self.after;
        }
        self.pick(position.wrapping_sub(1))
    }

    /// rr: the position of the first member behind an index of the list, from the list's head
    /// where none is.
    fn position_behind(&self, index: Option<u32>) -> u64 {
        let Some((block, index)) = self.blocks.first().zip(index) else {
            return 0;
        };
        block
            .members
            .iter()
            .position(|&member| member > index)
            .unwrap_or(0) as u64
    }

    /// wrr: the kernel's current weight before the pick at `position`; 0 where there is none yet.
    fn current_weight(&self, position: u64) -> u64 {
        let Rule::Weighted { step } = self.rule else {
            return 0;
        };
        let last = if position == self.began {
            position
        } else {
            position.wrapping_sub(1)
        };
        let Some(last) = last.checked_rem(self.picks) else {
            return 0;
        };
        self.block_at(last).map_or(0, |block| {
            let round = (last - block.start) / block.members.len() as u64;
            (u64::from(block.level) - round - 1) * u64::from(step) + 1
        })
    }

    /// wrr: where the round begins that the kernel goes on with after the current weight was
    /// `current`.
    fn round_of(&self, current: u64, step: u32) -> u64 {
        let Some(highest) = self.blocks.first().map(|block| u64::from(block.level)) else {
            return 0;
        };
        let step = u64::from(step);
        let greatest = (highest - 1) * step + 1;
        if current == 0 || current > greatest {
            return 0;
        }
        // With a step of 1 the current weight itself, else (current / step) * step + 1.
        let level = if step > 1 {
            current / step + 1
        } else {
            current
        };
        self.blocks
            .iter()
            .rfind(|block| u64::from(block.level) >= level)
            .map_or(0, |block| {
                block.start + (u64::from(block.level) - level) * block.members.len() as u64
            })
    }
}

/// The place in the new list of what stood at `index` in the old one, or of what stood nearest
/// before it; `None` is the list's head.
fn survivor(old: &[u32], index: u32, new: &[u32]) -> Option<u32> {
    let upto = old.get(..=index as usize)?;
    upto.iter()
        .rev()
        .find_map(|number| (0..).zip(new).find(|(_, n)| *n == number))
        .map(|(i, _)| i)
}
