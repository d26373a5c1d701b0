//! One check: when it runs, and when it makes its servers fail.
//!
//! ```text
//!            success                    failure, more than `retry' in a row
//!   ┌──────┐ ◄─────────────────────────────────────── ┌────┐
//!   │ down │                                          │ up │
//!   └──────┘ ────────────────────────────────────────►└────┘
//!            success
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use config::model::{Check, CheckKind};
use serde::{Deserialize, Serialize};

/// How many runs are remembered.
const HISTORY: usize = 16;

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server is well.
    Success {
        /// A number to go into the weight: MISC_CHECK's exit code less 2 in place of the configured
        /// weight, FILE_CHECK's product on top of it. None: the configured weight.
        weight: Option<i32>,
    },
    /// It is not, for this reason.
    Failure(String),
    /// It could not be asked, for this reason, which is this host's: it counts as it was.
    NotAsked(String),
}

/// A run, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it ended, since the beginning.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did, or was not asked.
    pub failure: Option<String>,
}

/// Whether, and when, a check runs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    At(Duration),
    /// It runs.
    Running {
        /// Since then.
        since: Duration,
        /// It was to begin then.
        due: Duration,
    },
    /// Never: somebody tells how it is.
    Told,
}

/// A check and how it goes.
#[derive(Debug, Clone)]
pub(crate) struct Checking {
    pub check: Check,
    pub is_up: bool,
    /// Failures in a row.
    pub failures: u32,
    pub next: Next,
    pub weight: Option<i32>,
    pub history: VecDeque<Run>,
}

impl Checking {
    /// A check that starts within its warm-up; `random` is anything.
    pub fn new(check: Check, now: Duration, random: u64) -> Self {
        let warmup = u64::try_from(check.timing.warmup.as_micros()).unwrap_or(u64::MAX);
        let wait = Duration::from_micros(random % warmup.max(1));
        Self {
            is_up: !check.alpha,
            failures: 0,
            next: match check.kind {
                CheckKind::Bfd { .. } => Next::Told,
                _ => Next::At(now + wait),
            },
            weight: None,
            history: VecDeque::new(),
            check,
        }
    }

    /// Takes the end of a run in.
    pub fn finished(&mut self, outcome: &Outcome, now: Duration) {
        let (took, due) = match self.next {
            Next::Running { since, due } => (now.saturating_sub(since), due),
            Next::At(_) | Next::Told => (Duration::ZERO, now),
        };
        let timing = self.check.timing;
        let next = match outcome {
            Outcome::Success { weight } => {
                self.is_up = true;
                self.failures = 0;
                self.weight = *weight;
                // From the beginning on, so that it keeps its schedule however many others run at the
                // same time; one that takes long is followed by a pause all the same.
                (due + timing.delay_loop).max(now + timing.delay_loop / 2)
            }
            Outcome::NotAsked(_) => now + timing.delay_loop,
            Outcome::Failure(_) => {
                self.failures = self.failures.saturating_add(1);
                if self.is_up && self.failures <= timing.retry {
                    now + timing.delay_before_retry
                } else {
                    self.is_up = false;
                    now + timing.delay_loop
                }
            }
        };
        if self.next != Next::Told {
            self.next = Next::At(next);
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Run {
            at: now,
            took,
            failure: match outcome {
                Outcome::Success { .. } => None,
                Outcome::Failure(why) => Some(why.clone()),
                Outcome::NotAsked(why) => Some(format!("not asked: {why}")),
            },
        });
    }

    /// What the check adds to a server's configured weight.
    pub fn weight_change(&self, configured: i32) -> i64 {
        match (self.weight, &self.check.kind) {
            (Some(weight), CheckKind::Misc { .. }) => i64::from(weight) - i64::from(configured),
            (Some(weight), _) => weight.into(),
            (None, _) => 0,
        }
    }
}
