//! Finding a place in a laid-out sequence.
//!
//! A sequence consists of blocks. A block begins at a position, and repeats its members in order up
//! to where the next block begins. Positions count picks, from 0.

use core::num::NonZeroU64;

/// Steps of the search in [`block_at`]: enough for 2^16 blocks.
const SEARCH_STEPS: u32 = 16;

/// The index of the block that holds `position`: the last one that begins at or before it.
///
/// `start_of` gives a block's start. Starts must grow, and the first be 0. `None` where a block is
/// missing, where there are no blocks, or more than 2^16.
#[inline(always)]
pub fn block_at(position: u64, blocks: u32, start_of: impl Fn(u32) -> Option<u64>) -> Option<u32> {
    if blocks == 0 {
        return None;
    }
    // The block is in low..high throughout.
    let (mut low, mut high) = (0, blocks);
    for _ in 0..SEARCH_STEPS {
        if high - low <= 1 {
            break;
        }
        let middle = low + (high - low) / 2;
        if start_of(middle)? <= position {
            low = middle;
        } else {
            high = middle;
        }
    }
    (high - low == 1).then_some(low)
}

/// Which of a block's `members` has the pick at `position`; `start` is where the block begins.
///
/// `None` where the block has no members or begins after the position.
#[inline(always)]
pub fn member_at(position: u64, start: u64, members: u32) -> Option<u32> {
    let round = NonZeroU64::new(members as u64)?;
    let passed = position.checked_sub(start)?;
    // Mostly one round: a division is dear.
    let offset = if passed < round.get() {
        passed
    } else {
        passed % round
    };
    Some(offset as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(starts: &[u64], position: u64) -> Option<u32> {
        block_at(position, starts.len() as u32, |index| {
            starts.get(index as usize).copied()
        })
    }

    #[test]
    fn a_position_belongs_to_the_last_block_that_begins_at_or_before_it() {
        let starts = [0, 3, 4, 100];
        for (position, block) in [(0, 0), (2, 0), (3, 1), (4, 2), (99, 2), (100, 3), (9999, 3)] {
            assert_eq!(find(&starts, position), Some(block), "position {position}");
        }
    }

    #[test]
    fn every_count_of_blocks_up_to_the_limit_is_searched_to_the_end() {
        for blocks in [1u32, 2, 3, 1023, 1024, 1025, 65_535, 65_536] {
            for wanted in [0, blocks / 2, blocks - 1] {
                let found = block_at(u64::from(wanted), blocks, |index| Some(u64::from(index)));
                assert_eq!(found, Some(wanted), "{blocks} blocks");
            }
        }
    }

    #[test]
    fn nothing_is_found_without_blocks_or_where_one_is_missing_or_beyond_the_limit() {
        assert_eq!(find(&[], 0), None);
        assert_eq!(block_at(5, 4, |_| None), None);
        assert_eq!(
            block_at(70_000, 70_000, |index| Some(u64::from(index))),
            None
        );
    }

    #[test]
    fn a_block_repeats_its_members() {
        let members: [Option<u32>; 5] = core::array::from_fn(|i| member_at(10 + i as u64, 10, 2));
        assert_eq!(members, [Some(0), Some(1), Some(0), Some(1), Some(0)]);
        assert_eq!(member_at(9, 10, 2), None);
        assert_eq!(member_at(10, 10, 0), None);
        assert_eq!(member_at(u64::MAX, 0, u32::MAX), Some(0));
    }
}
