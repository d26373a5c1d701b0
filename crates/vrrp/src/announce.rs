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
    /// As long as it is master, this often where adverts do not go; None: never.
    pub extra_refresh: Option<Duration>,
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
            extra_refresh: None,
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
    extra: Option<Duration>,
}

impl Schedule {
    /// It became master.
    pub fn takeover(&mut self, settings: &Announcements, now: Duration) {
        self.burst(settings.takeover, now);
        self.refresh = settings.refresh.map(|period| now + period);
        self.extra = settings.extra_refresh.map(|period| now + period);
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
        let refreshes = self.refresh.into_iter().chain(self.extra);
        bursts.map(|due| due.at).chain(refreshes).min()
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
        let due = self.now.take_if(|due| due.at <= now);
        due.map_or(0, |due| due.rounds)
    }

    /// Whether a refresh where adverts do not go is due now.
    pub fn take_extra(&mut self, settings: &Announcements, now: Duration) -> bool {
        let due = self.extra.take_if(|at| *at <= now).is_some();
        if due {
            self.extra = settings.extra_refresh.map(|period| now + period);
        }
        due
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
