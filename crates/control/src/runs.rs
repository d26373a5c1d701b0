//! Runs of neighbouring elements in an array.

use std::collections::BTreeMap;
use std::ops::Range;

/// A stretch of an array that belongs to one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) length: u32,
}

impl Run {
    /// The places of the run, as indices.
    pub(crate) fn places(self) -> Range<usize> {
        self.first as usize..(self.first + self.length) as usize
    }
}

/// Hands out runs of an array, each the first that fits.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    /// Length by start; no two touch.
    free: BTreeMap<u32, u32>,
}

impl Runs {
    pub(crate) fn new(length: u32) -> Self {
        Self {
            free: [(0, length)]
                .into_iter()
                .filter(|&(_, length)| length > 0)
                .collect(),
        }
    }

    /// A run of this length. The empty run always fits.
    pub(crate) fn take(&mut self, length: u32) -> Option<Run> {
        if length == 0 {
            return Some(Run::default());
        }
        let (&first, &available) = self
            .free
            .iter()
            .find(|&(_, &available)| available >= length)?;
        self.free.remove(&first);
        if available > length {
            self.free.insert(first + length, available - length);
        }
        Some(Run { first, length })
    }

    /// Takes one certain run, found in tables that were adopted. Whether all of it was free.
    pub(crate) fn take_this(&mut self, run: Run) -> bool {
        if run.length == 0 {
            return true;
        }
        let Some(end) = run.first.checked_add(run.length) else {
            return false;
        };
        let Some((&first, &length)) = self.free.range(..=run.first).next_back() else {
            return false;
        };
        if first + length < end {
            return false;
        }
        self.free.remove(&first);
        if first < run.first {
            self.free.insert(first, run.first - first);
        }
        if end < first + length {
            self.free.insert(end, first + length - end);
        }
        true
    }

    pub(crate) fn give_back(&mut self, run: Run) {
        if run.length == 0 {
            return;
        }
        let (mut first, mut length) = (run.first, run.length);
        if let Some((&before, &its_length)) = self.free.range(..first).next_back()
            && before + its_length == first
        {
            self.free.remove(&before);
            (first, length) = (before, its_length + length);
        }
        if let Some(after) = self.free.remove(&(first + length)) {
            length += after;
        }
        self.free.insert(first, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_gap_that_fits_is_taken_and_gaps_grow_together() {
        let mut runs = Runs::new(10);
        let taken: Vec<Run> = [3, 3, 4].map(|n| runs.take(n).unwrap()).into();
        assert_eq!(runs.take(1), None);
        runs.give_back(taken[0]);
        runs.give_back(taken[1]);
        assert_eq!(
            runs.take(6),
            Some(Run {
                first: 0,
                length: 6
            })
        );
    }

    #[test]
    fn a_run_found_in_use_is_not_handed_out() {
        let mut runs = Runs::new(10);
        assert!(runs.take_this(Run {
            first: 2,
            length: 3
        }));
        assert!(!runs.take_this(Run {
            first: 4,
            length: 2
        }));
        assert_eq!(
            runs.take(3),
            Some(Run {
                first: 5,
                length: 3
            })
        );
        assert_eq!(
            runs.take(2),
            Some(Run {
                first: 0,
                length: 2
            })
        );
    }

    proptest! {
        #[test]
        fn runs_never_overlap_and_all_come_back(lengths in prop::collection::vec(1u32..9, 1..40)) {
            let mut runs = Runs::new(64);
            let mut held: Vec<Run> = Vec::new();
            for (step, length) in lengths.into_iter().enumerate() {
                if let Some(run) = runs.take(length) {
                    let apart = |other: &Run| {
                        run.first >= other.first + other.length
                            || other.first >= run.first + run.length
                    };
                    prop_assert!(held.iter().all(apart));
                    prop_assert!(run.first + run.length <= 64);
                    held.push(run);
                }
                if step % 3 == 0 && !held.is_empty() {
                    runs.give_back(held.remove(step % held.len()));
                }
            }
            for run in held {
                runs.give_back(run);
            }
            prop_assert_eq!(runs.take(64), Some(Run { first: 0, length: 64 }));
        }
    }
}
