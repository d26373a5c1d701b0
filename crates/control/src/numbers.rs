//! Numbers of services, destinations and next hops.

use std::collections::BTreeSet;

/// Hands out numbers below a limit, the lowest free one first. Whoever gives a number back knows
/// that nothing refers to it any more.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    free: BTreeSet<u32>,
    /// Every number from here on was never handed out.
    fresh: u32,
    limit: u32,
}

impl Numbers {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            free: BTreeSet::new(),
            fresh: 0,
            limit,
        }
    }

    /// The lowest free number.
    pub(crate) fn take(&mut self) -> Option<u32> {
        if let Some(number) = self.free.pop_first() {
            return Some(number);
        }
        let number = self.fresh;
        (number < self.limit).then(|| {
            self.fresh += 1;
            number
        })
    }

    /// Takes one certain number, found in tables that were adopted. Whether it was free.
    pub(crate) fn take_this(&mut self, number: u32) -> bool {
        if number >= self.limit {
            return false;
        }
        if number < self.fresh {
            return self.free.remove(&number);
        }
        self.free.extend(self.fresh..number);
        self.fresh = number + 1;
        true
    }

    pub(crate) fn give_back(&mut self, number: u32) {
        debug_assert!(number < self.fresh && !self.free.contains(&number));
        self.free.insert(number);
    }

    /// How many are handed out.
    pub(crate) fn used(&self) -> u32 {
        self.fresh - self.free.len() as u32
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_handed_out_once_until_they_are_given_back() {
        let mut numbers = Numbers::new(3);
        assert_eq!(
            [numbers.take(), numbers.take(), numbers.take()],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(numbers.take(), None);
        numbers.give_back(1);
        assert_eq!(
            (numbers.used(), numbers.take(), numbers.take()),
            (2, Some(1), None)
        );
    }

    #[test]
    fn a_number_found_in_use_is_not_handed_out() {
        let mut numbers = Numbers::new(4);
        assert!(numbers.take_this(2) && !numbers.take_this(2) && !numbers.take_this(4));
        assert_eq!(
            [numbers.take(), numbers.take(), numbers.take()],
            [Some(0), Some(1), Some(3)]
        );
        assert_eq!(numbers.take(), None);
    }
}
