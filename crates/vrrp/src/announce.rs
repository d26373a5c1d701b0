//! When neighbours are told whose the virtual addresses are: at a take-over, once more some time
//! later, and again and again as long as it lasts, as keepalived's `garp_*` settings have it.

use std::time::Duration;

/// How often neighbours are told. A *round* is one message for each address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcements {
    /// At a take-over.
    pub takeover: Burst,
    /// When a master heard an advert of lower priority: the other one may have misled the neighbours.
    pub contested: Burst,
    /// As long as it is master, this often; None: never.
    pub refresh: Option<Duration>,
    /// How many rounds a refresh has.
    pub refresh_rounds: u32,
    /// Between the rounds of a burst.
    pub spacing: Duration,
}

/// So many rounds at once, and as many again after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// How many rounds.
    pub rounds: u32,
    /// After how long again; None: not again.
    pub again_after: Option<Duration>,
}

impl Default for Announcements {
    /// keepalived's.
    fn default() -> Self {
        let burst = Burst {
            rounds: 5,
            again_after: Some(Duration::from_secs(5)),
        };
        Self {
            takeover: burst,
            contested: burst,
            refresh: None,
            refresh_rounds: 1,
            spacing: Duration::ZERO,
        }
    }
}

/// Rounds still to come.
#[derive(Debug, Clone, Copy)]
struct Due {
    at: Duration,
    rounds: u32,
}

/// The rounds that are due, and when.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    now: Option<Due>,
    again: Option<Due>,
    refresh: Option<Duration>,
}

impl Schedule {
    /// It became master.
    pub fn takeover(&mut self, settings: &Announcements, now: Duration) {
        self.burst(settings.takeover, now);
        self.refresh = settings.refresh.map(|period| now + period);
    }

    /// It is master, and heard another one of lower priority.
    pub fn contested(&mut self, settings: &Announcements, now: Duration) {
        self.burst(settings.contested, now);
    }

    /// It is no longer master.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// When [`Schedule::take_due`] has something next.
    pub fn next(&self) -> Option<Duration> {
        let bursts = [self.now, self.again].into_iter().flatten();
        bursts.map(|due| due.at).chain(self.refresh).min()
    }

    /// Takes the rounds that are due now.
    pub fn take_due(&mut self, settings: &Announcements, now: Duration) -> u32 {
        if let (Some(at), Some(period)) = (self.refresh, settings.refresh)
            && at <= now
        {
            self.refresh = Some(now + period);
            let rounds = settings.refresh_rounds;
            self.now.get_or_insert(Due { at: now, rounds });
        }
        if let Some(due) = self.again.take_if(|due| due.at <= now) {
            self.now = Some(due);
        }
        let Some(due) = self.now.as_mut().filter(|due| due.at <= now) else {
            return 0;
        };
        let rounds = if settings.spacing.is_zero() {
            due.rounds
        } else {
            1
        };
        due.rounds = due.rounds.saturating_sub(rounds);
        due.at = now + settings.spacing;
        if due.rounds == 0 {
            self.now = None;
        }
        rounds
    }

    fn burst(&mut self, burst: Burst, now: Duration) {
        let due = |at| Due {
            at,
            rounds: burst.rounds,
        };
        if burst.rounds == 0 {
            return;
        }
        self.now = Some(due(now));
        self.again = burst
            .again_after
            .filter(|delay| !delay.is_zero())
            .map(|delay| due(now + delay));
    }
}
