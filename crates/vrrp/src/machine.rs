//! The state machine of a virtual router (RFC 9568, section 6.4; RFC 3768, section 6.4).
//!
//! ```text
//!                    +---------------+
//!         +--------->|               |<-------------+
//!         |          |  Initialize   |              |
//!         |   +------|  (or Fault)   |----------+   |
//!         |   |      +---------------+          |   |
//!         |   |                                 |   |
//!         |   V                                 V   |
//! +---------------+                       +---------------+
//! |               |---------------------->|               |
//! |    Backup     |                       |    Master     |
//! |               |<----------------------|               |
//! +---------------+                       +---------------+
//! ```
//!
//! Fault is Initialize with a reason, as keepalived has it. RFC 9568 calls the master *Active Router*;
//! configurations, logs and people go on saying master.
//!
//! What comes in here has passed every check; what comes out are [`Action`]s. A backup whose timer has
//! run out only [wants](Machine::wants_master) to be master: whether it may, its sync group decides,
//! which then calls [`Machine::promote`].

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::advert::Version;
use crate::settings::{OWNER, Preempt, Settings};

/// Where a virtual router stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not started, or stopped.
    Initialize,
    /// Something that it needs is missing.
    Fault,
    /// Another one is master, or will be soon.
    Backup,
    /// It holds the addresses.
    Master,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Initialize => "INIT",
            Self::Fault => "FAULT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
        })
    }
}

/// Why a virtual router changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It was started, or what it needs is there again.
    #[error("started")]
    Started,
    /// It was stopped.
    #[error("stopped")]
    Stopped,
    /// It owns the addresses.
    #[error("owns the addresses (priority 255)")]
    Owner,
    /// No advert came for so long, in milliseconds.
    #[error("no advert for {0} ms")]
    Silence(u64),
    /// The master said that it ceases to be one.
    #[error("{0} resigned")]
    Resigned(IpAddr),
    /// A better router sent an advert.
    #[error("{from} has priority {priority}")]
    Higher {
        /// Who.
        from: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// The sync group changed.
    #[error("sync group {0}")]
    Group(String),
    /// Something tracked is down.
    #[error("{0} is down")]
    Tracked(String),
    /// Something tracked was not looked at yet.
    #[error("{0} was not looked at yet")]
    Waits(String),
    /// The interface is down or gone, or has no address to send from.
    #[error("interface {0}")]
    Interface(String),
}

/// An advert that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Who sent it.
    pub source: IpAddr,
    /// The sender's priority.
    pub priority: u8,
    /// The sender's interval.
    pub interval: Duration,
}

/// What a state machine wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send an advert with this priority.
    Advertise(u8),
    /// The state changed.
    Entered {
        from: State,
        to: State,
        cause: Cause,
    },
    /// A master of lower priority was heard: tell the neighbours again.
    Contested,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Machine {
    state: State,
    priority: u8,
    /// Our address in adverts: between equal priorities the higher one wins.
    source: Option<IpAddr>,
    /// Adver_Timer of a master, Master_Down_Timer of a backup.
    timer: Option<Duration>,
    /// Master_Adver_Interval: version 3's backups go by the master's interval.
    master_interval: Duration,
    /// The last sign of a master, or since when one was waited for.
    quiet_since: Duration,
    /// Who announced to cease being master, if that is what the timer waits for.
    resigned: Option<IpAddr>,
    /// From when on a master of lower priority is not listened to.
    preempts_at: Option<Duration>,
    wants: Option<Cause>,
    actions: VecDeque<Action>,
}

impl Machine {
    pub fn new(settings: &Settings) -> Self {
        Self {
            state: State::Initialize,
            priority: settings.priority,
            source: None,
            timer: None,
            master_interval: settings.interval,
            quiet_since: Duration::ZERO,
            resigned: None,
            preempts_at: None,
            wants: None,
            actions: VecDeque::new(),
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// When [`Machine::timeout`] is to be called.
    pub fn timer(&self) -> Option<Duration> {
        self.timer
    }

    /// Why it should be master, once its sync group agrees.
    pub fn wants_master(&self) -> Option<&Cause> {
        self.wants.as_ref()
    }

    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What the tracked things left of the priority. A backup's timer is not changed by it.
    pub fn set_priority(&mut self, priority: u8) {
        self.priority = priority;
    }

    pub fn set_source(&mut self, source: Option<IpAddr>) {
        self.source = source;
    }

    /// Section 6.4.1, Startup. Every router begins as a backup; one that owns the addresses waits for
    /// nothing.
    pub fn start(&mut self, settings: &Settings, cause: Cause, now: Duration) {
        self.master_interval = settings.interval;
        self.become_backup(settings, cause, now);
        if self.priority == OWNER {
            self.timer = None;
            self.wants = Some(Cause::Owner);
        }
    }

    /// Shutdown, or a fault (`to`). A master says that it ceases to be one.
    pub fn stop(&mut self, to: State, cause: Cause) {
        if self.state == State::Master {
            self.actions.push_back(Action::Advertise(0));
        }
        self.timer = None;
        self.wants = None;
        self.preempts_at = None;
        self.enter(to, cause);
    }

    /// Becomes master (section 6.4.2, (140) on).
    pub fn promote(&mut self, settings: &Settings, cause: Cause, now: Duration) {
        self.wants = None;
        self.preempts_at = None;
        self.resigned = None;
        self.actions.push_back(Action::Advertise(self.priority));
        self.timer = Some(now + settings.interval);
        self.enter(State::Master, cause);
    }

    /// Follows its sync group into Backup.
    pub fn demote(&mut self, settings: &Settings, cause: Cause, now: Duration) {
        self.actions.push_back(Action::Advertise(0));
        self.become_backup(settings, cause, now);
    }

    /// An advert came.
    pub fn heard(&mut self, settings: &Settings, heard: Heard, now: Duration) {
        match self.state {
            State::Initialize | State::Fault => {}
            State::Backup => self.backup_heard(settings, heard, now),
            State::Master => self.master_heard(settings, heard, now),
        }
    }

    /// The timer ran out.
    pub fn timeout(&mut self, settings: &Settings, now: Duration) {
        let Some(due) = self.timer.take_if(|timer| *timer <= now) else {
            return;
        };
        match self.state {
            State::Initialize | State::Fault => {}
            State::Backup => {
                let quiet = now.saturating_sub(self.quiet_since).as_millis() as u64;
                let resigned = self.resigned.take().map(Cause::Resigned);
                self.wants = Some(resigned.unwrap_or(Cause::Silence(quiet)));
            }
            State::Master => {
                self.actions.push_back(Action::Advertise(self.priority));
                // Counted from when it was due, so that lateness does not add up.
                let next = due + settings.interval;
                self.timer = Some(if next > now {
                    next
                } else {
                    now + settings.interval
                });
            }
        }
    }

    /// Section 6.4.2.
    fn backup_heard(&mut self, settings: &Settings, heard: Heard, now: Duration) {
        if heard.priority == 0 {
            self.resigned = Some(heard.source);
            if self.wants.is_none() {
                self.timer = Some(now + self.skew(settings));
            }
            return;
        }
        if heard.priority < self.priority && self.preempts(settings, now) {
            return;
        }
        if heard.priority >= self.priority {
            self.preempts_at = None;
        }
        self.follow(settings, heard, now);
    }

    /// Whether a master of lower priority is not listened to (any longer).
    fn preempts(&mut self, settings: &Settings, now: Duration) -> bool {
        match settings.preempt {
            Preempt::Never => false,
            Preempt::After(delay) => *self.preempts_at.get_or_insert(now + delay) <= now,
        }
    }

    /// Section 6.4.3.
    fn master_heard(&mut self, settings: &Settings, heard: Heard, now: Duration) {
        let higher = heard.priority > self.priority
            || heard.priority == self.priority && self.source.is_some_and(|own| heard.source > own);
        if heard.priority == 0 {
            self.advertise_now(settings, now);
        } else if higher {
            if settings.answers_higher {
                self.actions.push_back(Action::Advertise(self.priority));
            }
            let (from, priority) = (heard.source, heard.priority);
            self.become_backup(settings, Cause::Higher { from, priority }, now);
            self.follow(settings, heard, now);
        } else {
            if settings.answers_lower {
                self.advertise_now(settings, now);
            }
            self.actions.push_back(Action::Contested);
        }
    }

    fn advertise_now(&mut self, settings: &Settings, now: Duration) {
        self.actions.push_back(Action::Advertise(self.priority));
        self.timer = Some(now + settings.interval);
    }

    /// Another one is master: wait until it is silent.
    fn follow(&mut self, settings: &Settings, heard: Heard, now: Duration) {
        if settings.version == Version::V3 {
            self.master_interval = heard.interval;
        }
        self.await_master(settings, now);
    }

    fn become_backup(&mut self, settings: &Settings, cause: Cause, now: Duration) {
        self.await_master(settings, now);
        self.enter(State::Backup, cause);
    }

    fn await_master(&mut self, settings: &Settings, now: Duration) {
        self.wants = None;
        self.resigned = None;
        self.quiet_since = now;
        self.timer = Some(now + self.master_down_interval(settings));
    }

    /// Master_Down_Interval (section 6.1).
    pub fn master_down_interval(&self, settings: &Settings) -> Duration {
        self.master_interval * settings.down_adverts + self.skew(settings)
    }

    /// Skew_Time: the lower the priority, the later.
    fn skew(&self, settings: &Settings) -> Duration {
        let unit = match settings.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.master_interval,
        };
        unit * (256 - u32::from(self.priority)) / 256
    }

    fn enter(&mut self, to: State, cause: Cause) {
        let from = std::mem::replace(&mut self.state, to);
        if from != to {
            self.actions.push_back(Action::Entered { from, to, cause });
        }
    }
}
