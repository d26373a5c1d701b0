//! Laying out the sequences of rr and wrr, in the kernel's own order, and the one that twos draws
//! from.
//!
//! wrr (`ip_vs_wrr.c`) goes through the list in rounds of a falling *current weight*; in each round
//! every destination of at least that weight is picked once. The current weight starts at the
//! greatest weight and falls by the weights' greatest common divisor. Between two distinct weights
//! all rounds pick the same destinations, so they make one block, however many they are.
//!
//! Here weights and current weights are counted in *levels*: divided by that common divisor,
//! rounded up. Levels of a plan go down by 1, from the greatest weight's to 1.

mod resume;

use alloc::vec::Vec;
use core::fmt;

pub use resume::Followed;

/// A stretch of a sequence: the same members, one after the other, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBlock {
    /// Position in the sequence at which the block begins.
    pub start: u64,
    /// The members as indices into the list of weights, in list order. Never empty.
    pub members: Vec<u32>,
    /// Level of the block's first round.
    level: u32,
}

/// A sequence of picks that begins anew at its end.
///
/// Plans are equal where they pick the same; how a plan was entered (see [`Plan::resume`]) does not
/// count.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Picks until the sequence begins anew. 0 where no weight is above 0.
    pub picks: u64,
    /// The sequence. One block in rr, one for each distinct weight in wrr, one for each destination
    /// with a weight in twos.
    pub blocks: Vec<PlannedBlock>,
    rule: Rule,
    /// Where picking began in this plan.
    began: u64,
    /// rr: what was picked last before the plan began, as an index into the list.
    after: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    RoundRobin,
    Lottery,
    Weighted {
        /// Greatest common divisor of the weights above 0: what one level is worth.
        step: u32,
    },
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule && self.picks == other.picks && self.blocks == other.blocks
    }
}

impl Eq for Plan {}

/// A plan would list more members than the caller has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyMembers {
    /// Members over all blocks.
    pub needed: u64,
    /// What the caller allows.
    pub allowed: u64,
}

impl fmt::Display for TooManyMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the weighted sequence lists {} members, and {} fit\n\
             hint: give the destinations fewer different weights",
            self.needed, self.allowed
        )
    }
}

impl core::error::Error for TooManyMembers {}

impl Plan {
    /// rr: every destination with a weight above 0, in list order.
    pub fn round_robin(weights: &[u32]) -> Self {
        let members = at_least(weights, 1);
        let picks = members.len() as u64;
        let block = PlannedBlock {
            start: 0,
            members,
            level: 1,
        };
        Self {
            picks,
            blocks: if picks == 0 {
                Vec::new()
            } else {
                alloc::vec![block]
            },
            rule: Rule::RoundRobin,
            began: 0,
            after: None,
        }
    }

    /// wrr: rounds of falling weight.
    ///
    /// `allowed` limits the sum of the blocks' members, which is at most the number of
    /// destinations times the number of distinct weights. The size of the weights does not matter.
    ///
    /// # Errors
    /// [`TooManyMembers`] where more would be listed.
    pub fn weighted_round_robin(weights: &[u32], allowed: u64) -> Result<Self, TooManyMembers> {
        let mut distinct: Vec<u32> = weights.iter().copied().filter(|&w| w > 0).collect();
        distinct.sort_unstable_by(|a, b| b.cmp(a));
        // In descending order a weight's last place says how many have at least that weight.
        let needed = (0..distinct.len())
            .filter(|&i| distinct.get(i + 1) != Some(&distinct[i]))
            .map(|i| i as u64 + 1)
            .sum();
        if needed > allowed {
            return Err(TooManyMembers { needed, allowed });
        }
        distinct.dedup();
        let step = distinct.iter().copied().fold(0, crate::gcd).max(1);
        let mut blocks = Vec::with_capacity(distinct.len());
        let mut start = 0;
        for (i, &weight) in distinct.iter().enumerate() {
            let next_level = distinct.get(i + 1).map_or(0, |next| next / step);
            let level = weight / step;
            let members = at_least(weights, weight);
            let picks = u64::from(level - next_level) * members.len() as u64;
            blocks.push(PlannedBlock {
                start,
                members,
                level,
            });
            start += picks;
        }
        Ok(Self {
            picks: start,
            blocks,
            rule: Rule::Weighted { step },
            began: 0,
            after: None,
        })
    }

    /// twos: a stretch for each destination, as long as its weight, in list order. It is not gone
    /// through in order, but [drawn from](crate::twos).
    pub fn lottery(weights: &[u32]) -> Self {
        let mut picks = 0;
        let mut blocks = Vec::new();
        for (index, &weight) in (0..).zip(weights).filter(|&(_, &weight)| weight > 0) {
            blocks.push(PlannedBlock {
                start: picks,
                members: alloc::vec![index],
                level: 1,
            });
            picks += u64::from(weight);
        }
        Self {
            picks,
            blocks,
            rule: Rule::Lottery,
            began: 0,
            after: None,
        }
    }

    /// Whether it is wrr's.
    pub fn is_weighted(&self) -> bool {
        matches!(self.rule, Rule::Weighted { .. })
    }

    /// The index into the list of weights that the pick at `position` goes to; positions beyond the
    /// sequence's end begin it anew. `None` where nobody may be picked.
    ///
    /// This is what a packet does with the published blocks.
    pub fn pick(&self, position: u64) -> Option<u32> {
        let position = position.checked_rem(self.picks)?;
        let block = self.block_at(position)?;
        let members = u32::try_from(block.members.len()).ok()?;
        let member = crate::sequence::member_at(position, block.start, members)?;
        block.members.get(member as usize).copied()
    }

    fn block_at(&self, position: u64) -> Option<&PlannedBlock> {
        let blocks = u32::try_from(self.blocks.len()).ok()?;
        let start_of = |index: u32| Some(self.blocks.get(index as usize)?.start);
        let index = crate::sequence::block_at(position, blocks, start_of)?;
        self.blocks.get(index as usize)
    }
}

/// Indices of the weights of `least` and more.
fn at_least(weights: &[u32], least: u32) -> Vec<u32> {
    (0..)
        .zip(weights)
        .filter(|&(_, &w)| w >= least)
        .map(|(index, _)| index)
        .collect()
}
