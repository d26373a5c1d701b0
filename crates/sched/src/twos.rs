//! The power of two choices, twos (`ip_vs_twos.c`): two destinations are drawn by weight, and the
//! one with the lesser load for its weight takes the connection.
//!
//! The caller goes through the list twice: to add up the weights, and to draw. Destinations that
//! may take no connection count with weight 0.
//!
//! ```
//! use sched::least::{Load, Rule};
//! use sched::twos::Draw;
//!
//! let list = [3u32, 1].map(|weight| Load { weight, active: 1, inactive: 0 });
//! let total = list.iter().map(|load| u64::from(load.weight)).sum();
//! let random = [7, 3]; // From a source of random numbers.
//! let draw = (0..)
//!     .zip(list)
//!     .map(|(number, load)| Rule::WeightedLeastConnection.candidate(number, load))
//!     .fold(Draw::new(total, random), Draw::meet);
//! assert_eq!(draw.outcome().number, 0);
//! ```

use crate::least::Candidate;

/// Two points on the line on which every destination has a stretch as long as its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    first: Point,
    second: Point,
}

/// A point, and whose stretch it lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    /// How far it is still, from the stretch that was met last. 0 once it was reached.
    left: u64,
    has_arrived: bool,
    /// The destination met last, up to the one that the point lies on.
    met: Candidate,
}

impl Draw {
    /// Draws two points between 0 and `total`, the sum of the weights, from two random numbers.
    ///
    /// Both ends are included, as in the kernel, so that the first destination is drawn a little
    /// more often: by `(weight + 1) / (total + 1)`. The numbers need 64 random bits for sums beyond
    /// 32 bits; 0 to 2^32 - 1 will do where sums stay far below.
    #[inline(always)]
    pub const fn new(total: u64, random: [u64; 2]) -> Self {
        let points = total.saturating_add(1);
        Self {
            first: Point::at(random[0] % points),
            second: Point::at(random[1] % points),
        }
    }

    /// Passes the next destination of the list.
    #[inline(always)]
    pub const fn meet(self, candidate: Candidate) -> Self {
        Self {
            first: self.first.meet(candidate),
            second: self.second.meet(candidate),
        }
    }

    /// Who takes the connection, after the whole list was met; [`Candidate::NOBODY`] where nobody
    /// may. Of equals the one that was drawn first.
    ///
    /// Where weights fell in between, so that a point lies beyond all of them, the list's last
    /// counts as drawn.
    #[inline(always)]
    pub const fn outcome(self) -> Candidate {
        self.second.met.or_better(self.first.met)
    }
}

impl Point {
    #[inline(always)]
    const fn at(left: u64) -> Self {
        Self {
            left,
            has_arrived: false,
            met: Candidate::NOBODY,
        }
    }

    #[inline(always)]
    const fn meet(self, candidate: Candidate) -> Self {
        if self.has_arrived || candidate.weight == 0 {
            return self;
        }
        let left = self.left.saturating_sub(candidate.weight as u64);
        Self {
            left,
            has_arrived: left == 0,
            met: candidate,
        }
    }
}
