//! One session (RFC 5880, section 6.8).
//!
//! ```text
//!                              +--+
//!                              |  | UP, ADMIN DOWN, TIMER
//!                              |  V
//!                      DOWN  +------+  INIT
//!               +------------|      |------------+
//!               |            | DOWN |            |
//!               |  +-------->|      |<--------+  |
//!               |  |         +------+         |  |
//!               |  |                          |  |
//!               |  |               ADMIN DOWN,|  |
//!               |  |ADMIN DOWN,          DOWN,|  |
//!               |  |TIMER                TIMER|  |
//!               V  |                          |  V
//!             +------+                      +------+
//!        +----|      |                      |      |----+
//!    DOWN|    | INIT |--------------------->|  UP  |    |INIT, UP
//!        +--->|      | INIT, UP             |      |<---+
//!             +------+                      +------+
//! ```

use std::time::Duration;

use crate::packet::{Diagnostic, Packet, State, microseconds};
use crate::settings::Settings;

/// A session that is not up sends no more often than this (section 6.8.3).
const SLOWEST_START: Duration = Duration::from_secs(1);

/// What the neighbour last said (`bfd.Remote...` of section 6.8.1).
#[derive(Debug, Clone, Copy)]
struct Remote {
    state: State,
    discriminator: u32,
    /// Packets that it bears come no more often; zero: it wants none.
    min_rx: Duration,
    desired_min_tx: Duration,
    detect_multiplier: u8,
    demand: bool,
}

impl Remote {
    /// Before anything was heard.
    const UNKNOWN: Self = Self {
        state: State::Down,
        discriminator: 0,
        min_rx: Duration::from_micros(1),
        desired_min_tx: Duration::ZERO,
        detect_multiplier: 0,
        demand: false,
    };
}

/// What others were told of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing before this time, while it may still come up.
    Nothing {
        until: Duration,
    },
    Up,
    Down,
}

/// A session and its timers.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub settings: Settings,
    pub discriminator: u32,
    pub state: State,
    pub diagnostic: Diagnostic,
    pub since: Duration,
    pub told: Told,
    remote: Remote,
    /// A poll sequence goes on (section 6.5).
    polls: bool,
    /// A poll is to be answered.
    answers: bool,
    /// `bfd.DesiredMinTxInterval`, as packets say it.
    desired_min_tx: Duration,
    /// What is kept to: a longer one holds from the end of its poll sequence on (section 6.8.3).
    tx: Duration,
    /// `bfd.RequiredMinRxInterval` that the detection time is of: a shorter one likewise.
    rx: Duration,
    sent: Option<Duration>,
    sends_at: Option<Duration>,
    expires_at: Option<Duration>,
    /// State of SplitMix64, for jitter.
    random: u64,
    /// The part of the interval until the next packet: jitter (section 6.8.7).
    part: f64,
}

impl Session {
    /// A session that begins; `seed` is anything, `discriminator` unique and not 0.
    pub fn new(settings: Settings, discriminator: u32, now: Duration, seed: u64) -> Self {
        let idle = settings.idle_tx.max(SLOWEST_START);
        let mut session = Self {
            discriminator,
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            since: now,
            told: Told::Nothing {
                until: now + idle * settings.multiplier.into(),
            },
            remote: Remote::UNKNOWN,
            polls: false,
            answers: false,
            desired_min_tx: idle,
            tx: idle,
            rx: settings.min_rx,
            sent: None,
            sends_at: None,
            expires_at: None,
            random: seed,
            part: 1.0,
            settings,
        };
        session.schedule(now);
        session
    }

    pub fn remote_state(&self) -> State {
        self.remote.state
    }

    /// Between two packets, without jitter; None: none are sent by themselves (section 6.8.7).
    pub fn transmit_interval(&self) -> Option<Duration> {
        let waits = self.settings.passive && self.remote.discriminator == 0;
        let both_up = self.state == State::Up && self.remote.state == State::Up;
        let unwanted = self.remote.demand && both_up && !self.polls;
        let none = waits || unwanted || self.remote.min_rx.is_zero();
        (!none && self.state != State::AdminDown).then(|| self.tx.max(self.remote.min_rx))
    }

    /// After how long without a packet the neighbour is lost (section 6.8.4); None before it was
    /// heard.
    pub fn detection_time(&self) -> Option<Duration> {
        let heard = self.remote.detect_multiplier > 0;
        heard.then(|| {
            self.rx.max(self.remote.desired_min_tx) * u32::from(self.remote.detect_multiplier)
        })
    }

    /// When something is to be done next.
    pub fn timeout(&self) -> Option<Duration> {
        let tells_at = match self.told {
            Told::Nothing { until } => Some(until),
            Told::Up | Told::Down => None,
        };
        [self.sends_at, self.expires_at, tells_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes other settings in, for the same ends (section 6.8.3).
    pub fn change(&mut self, settings: Settings, now: Duration) {
        let is_other = settings.min_rx != self.settings.min_rx;
        if self.state != State::Up || settings.min_rx > self.rx {
            self.rx = settings.min_rx;
        }
        self.settings = settings;
        self.polls |= is_other;
        self.follow_desired_interval();
        self.schedule(now);
    }

    /// Takes a packet in that belongs to this session (section 6.8.6, from "Set bfd.RemoteDiscr").
    pub fn handle_packet(&mut self, packet: &Packet, now: Duration) {
        self.remote = Remote {
            state: packet.state,
            discriminator: packet.my_discriminator,
            min_rx: Duration::from_micros(packet.required_min_rx.into()),
            desired_min_tx: Duration::from_micros(packet.desired_min_tx.into()),
            detect_multiplier: packet.detect_multiplier,
            demand: packet.demand,
        };
        if packet.is_final && self.polls {
            self.polls = false;
            self.tx = self.desired_min_tx;
            self.rx = self.settings.min_rx;
        }
        match (self.state, packet.state) {
            (State::AdminDown, _) => return,
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.enter(State::Down, Diagnostic::SIGNALED, now);
            }
            (State::Down, State::Down) => self.enter(State::Init, Diagnostic::NONE, now),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                self.enter(State::Up, Diagnostic::NONE, now);
            }
            (State::Down, State::AdminDown | State::Up)
            | (State::Init, State::Down)
            | (State::Up, State::Init | State::Up) => {}
        }
        self.expires_at = self.detection_time().map(|time| now + time);
        self.answers |= packet.poll;
        self.schedule(now);
    }

    /// Takes in that time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.expires_at.is_some_and(|at| at <= now) {
            self.expires_at = None;
            if matches!(self.state, State::Init | State::Up) {
                self.enter(State::Down, Diagnostic::EXPIRED, now);
            }
            // Nobody is there to end a poll sequence, or to be spoken to by number.
            self.remote = Remote::UNKNOWN;
            self.polls = false;
            self.schedule(now);
        }
    }

    /// The packet that is to be sent now, if one is.
    pub fn transmit(&mut self, now: Duration) -> Option<Packet> {
        let answers = std::mem::take(&mut self.answers);
        let is_due = self.sends_at.is_some_and(|at| at <= now);
        if !answers && !is_due {
            return None;
        }
        self.sent = Some(now);
        self.part = self.jitter();
        self.schedule(now);
        Some(self.packet(answers))
    }

    /// Puts the session out of use, and says so to the neighbour (section 6.8.16).
    pub fn retire(&mut self, now: Duration) -> Packet {
        self.enter(State::AdminDown, Diagnostic::ADMINISTRATIVE, now);
        self.sends_at = None;
        self.packet(false)
    }

    fn packet(&self, is_final: bool) -> Packet {
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: self.polls && !is_final,
            is_final,
            demand: false,
            detect_multiplier: self.settings.multiplier,
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: microseconds(self.desired_min_tx),
            required_min_rx: microseconds(self.settings.min_rx),
        }
    }

    fn enter(&mut self, state: State, diagnostic: Diagnostic, now: Duration) {
        self.state = state;
        self.diagnostic = diagnostic;
        self.since = now;
        self.follow_desired_interval();
        // A change is told at once (section 6.8.7).
        self.sent = None;
    }

    /// `bfd.DesiredMinTxInterval` goes with state and settings; a change of it is polled for.
    fn follow_desired_interval(&mut self) {
        let desired = match self.state {
            State::Up => self.settings.min_tx,
            _ => self.settings.idle_tx.max(SLOWEST_START),
        };
        self.polls |= desired != self.desired_min_tx;
        self.desired_min_tx = desired;
        if self.state != State::Up || desired < self.tx {
            self.tx = desired;
        }
    }

    fn schedule(&mut self, now: Duration) {
        self.sends_at = self.transmit_interval().map(|interval| {
            self.sent
                .map_or(now, |sent| sent + interval.mul_f64(self.part))
        });
    }

    /// Packets come up to a quarter early, so that they do not fall in step; where one lost packet is
    /// a lost neighbour at least a tenth.
    fn jitter(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let unit = f64::from((mixed >> 32) as u32) / f64::from(u32::MAX);
        let most = if self.settings.multiplier == 1 {
            0.9
        } else {
            1.0
        };
        0.75 + unit * (most - 0.75)
    }
}
