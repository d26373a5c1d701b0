//! How often something is put back at once: somebody who removes it again and again is not fought.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tracing::warn;

/// So often within [`WINDOW`] something is put back at once.
const TIMES: usize = 10;
const WINDOW: Duration = Duration::from_secs(10);
/// After how long what was left out is put back.
const REST: Duration = Duration::from_secs(10);

/// What was put back, and when.
#[derive(Debug, Default)]
pub(crate) struct Disputes {
    recent: BTreeMap<String, VecDeque<Duration>>,
    settled_at: Option<Duration>,
}

impl Disputes {
    /// Whether something that somebody removed is to be put back now. If not, it is at
    /// [`next`](Self::next).
    pub fn put_back(&mut self, what: &str, now: Duration) -> bool {
        let recent = self.recent.entry(what.to_owned()).or_default();
        recent.retain(|at| now.saturating_sub(*at) < WINDOW);
        if recent.len() < TIMES {
            recent.push_back(now);
            warn!("{what} was removed by somebody else: putting it back");
            return true;
        }
        if self.settled_at.is_none() {
            let rest = REST.as_secs();
            warn!("{what} is removed again and again: putting it back in {rest} s");
            self.settled_at = Some(now + REST);
        }
        false
    }

    /// When what was left out is to be put back.
    pub fn next(&self) -> Option<Duration> {
        self.settled_at
    }

    /// Whether that is now.
    pub fn take_due(&mut self, now: Duration) -> bool {
        self.settled_at.take_if(|at| *at <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_again_and_again_is_put_back_ten_times_and_then_after_ten_seconds() {
        let mut disputes = Disputes::default();
        let at = Duration::from_millis;
        let put_back = (0..100).filter(|n| disputes.put_back("a route", at(n * 10)));
        assert_eq!(put_back.count(), 10);
        assert!(disputes.put_back("another", at(990)));
        assert_eq!(disputes.next(), Some(at(10_100)));
        assert!(!disputes.take_due(at(10_099)));
        assert!(disputes.take_due(at(10_100)) && disputes.next().is_none());
        assert!(disputes.put_back("a route", at(10_100)));
    }

    #[test]
    fn what_is_removed_now_and_then_is_always_put_back_at_once() {
        let mut disputes = Disputes::default();
        assert!((0..1000).all(|n| disputes.put_back("a route", Duration::from_secs(2 * n))));
    }
}
