//! All sessions of a host.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Refusal;
use crate::packet::{Diagnostic, LENGTH, Packet, State};
use crate::session::{Session, Told};
use crate::settings::{Arrival, Settings};

/// What has happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The session's name.
    pub name: String,
    /// Whether the neighbour is reached.
    pub is_up: bool,
    /// Why not.
    pub diagnostic: Diagnostic,
}

/// A packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Our discriminator, by which [`Sessions::settings`] says where it goes. A session that ends has
    /// none any more when its last packet is sent.
    pub discriminator: u32,
    /// The payload.
    pub bytes: [u8; LENGTH],
}

/// How a session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// The neighbour.
    pub neighbor: IpAddr,
    /// The state.
    pub state: State,
    /// For how long.
    pub age: Duration,
    /// The neighbour's state, as it last said.
    pub remote_state: State,
    /// Why the state changed last.
    pub diagnostic: Diagnostic,
    /// Between two packets to the neighbour, at most; None: none are sent.
    pub transmit_interval: Option<Duration>,
    /// After how long without a packet the neighbour is lost; None: it was not heard.
    pub detection_time: Option<Duration>,
    /// Packets that counted.
    pub received: u64,
    /// Packets that were sent.
    pub sent: u64,
    /// How often the neighbour was lost.
    pub losses: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    session: Session,
    received: u64,
    sent: u64,
    losses: u64,
}

/// All sessions of a host.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    entries: BTreeMap<String, Entry>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    /// The last discriminator that was given.
    numbered: u32,
}

impl Sessions {
    /// Takes the sessions in that are wanted. Those that are there go on, also with other intervals;
    /// those that are not wanted any more say that they end. `seed` is anything.
    pub fn configure(&mut self, wanted: Vec<Settings>, now: Duration, seed: u64) {
        let mut before = std::mem::take(&mut self.entries);
        for settings in wanted {
            let name = settings.name.clone();
            let entry = match before.remove(&name) {
                Some(mut known) if known.session.settings.is_same(&settings) => {
                    if known.session.settings != settings {
                        known.session.change(settings, now);
                    }
                    known
                }
                other => {
                    // Between other ends it is another session, whatever its name.
                    let last = other.map(|mut other| other.retire(now));
                    self.transmits.extend(last);
                    self.begin(settings, now, seed)
                }
            };
            self.entries.insert(name, entry);
        }
        for mut entry in before.into_values() {
            self.transmits.push_back(entry.retire(now));
        }
        self.follow(now);
    }

    fn begin(&mut self, settings: Settings, now: Duration, seed: u64) -> Entry {
        self.numbered = self.numbered.wrapping_add(1).max(1);
        let seed = seed ^ u64::from(self.numbered);
        Entry {
            session: Session::new(settings, self.numbered, now, seed),
            received: 0,
            sent: 0,
            losses: 0,
        }
    }

    /// Puts all sessions out of use: their neighbours are told. Nothing else is sent any more.
    pub fn retire(&mut self, now: Duration) {
        let last = self.entries.values_mut().map(|entry| entry.retire(now));
        self.transmits.extend(last);
    }

    /// Takes a datagram in.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn handle_packet(
        &mut self,
        arrival: Arrival,
        bytes: &[u8],
        now: Duration,
    ) -> Result<(), Refusal> {
        let packet = Packet::parse(bytes)?;
        let entry = self.entry_of(arrival, &packet)?;
        let least = entry.session.settings.least_hop_limit();
        if arrival.hop_limit < least {
            return Err(Refusal::Far(arrival.hop_limit, least));
        }
        if entry.session.state == State::AdminDown {
            return Err(Refusal::OutOfUse);
        }
        entry.received += 1;
        entry.session.handle_packet(&packet, now);
        self.follow(now);
        Ok(())
    }

    /// The session of a packet: by our discriminator, else by the neighbour's address (section
    /// 6.3).
    fn entry_of(&mut self, arrival: Arrival, packet: &Packet) -> Result<&mut Entry, Refusal> {
        let wanted = packet.your_discriminator;
        let is_meant = |entry: &&mut Entry| {
            let session = &entry.session;
            session.settings.multihop == arrival.multihop
                && match wanted {
                    0 => session.settings.neighbor == arrival.source,
                    number => session.discriminator == number,
                }
        };
        self.entries
            .values_mut()
            .find(is_meant)
            .ok_or(match wanted {
                0 => Refusal::UnknownNeighbour,
                number => Refusal::UnknownSession(number),
            })
    }

    /// Takes in that time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        for entry in self.entries.values_mut() {
            entry.session.handle_timeout(now);
        }
        self.follow(now);
    }

    /// When [`Sessions::handle_timeout`] is to be called; None while there is no session.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let entries = self.entries.values();
        entries.filter_map(|entry| entry.session.timeout()).min()
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing that has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends what is due, and tells what has changed.
    fn follow(&mut self, now: Duration) {
        for (name, entry) in &mut self.entries {
            if let Some(packet) = entry.session.transmit(now) {
                self.transmits.push_back(entry.sends(&packet));
            }
            self.events.extend(entry.tell(name, now));
        }
    }

    /// What was told last of each session, without those that may still come up.
    pub fn told(&self) -> impl Iterator<Item = Event> {
        self.entries
            .iter()
            .filter_map(|(name, entry)| match entry.session.told {
                Told::Nothing { .. } => None,
                Told::Up => Some(entry.event(name, true)),
                Told::Down => Some(entry.event(name, false)),
            })
    }

    /// The settings of each session, by our discriminator.
    pub fn settings(&self) -> impl Iterator<Item = (u32, &Settings)> {
        let sessions = self.entries.values().map(|entry| &entry.session);
        sessions.map(|session| (session.discriminator, &session.settings))
    }

    /// How all sessions are.
    pub fn status(&self, now: Duration) -> Vec<Status> {
        let entries = self.entries.values();
        entries.map(|entry| entry.status(now)).collect()
    }
}

impl Entry {
    fn sends(&mut self, packet: &Packet) -> Transmit {
        self.sent += 1;
        Transmit {
            discriminator: self.session.discriminator,
            bytes: packet.encode(),
        }
    }

    fn retire(&mut self, now: Duration) -> Transmit {
        let last = self.session.retire(now);
        self.sends(&last)
    }

    /// What others have to know and do not yet.
    fn tell(&mut self, name: &str, now: Duration) -> Option<Event> {
        let is_up = self.session.state == State::Up;
        match (self.session.told, is_up) {
            (Told::Up, true) | (Told::Down, false) => return None,
            (Told::Nothing { until }, false) if now < until => return None,
            (Told::Nothing { .. } | Told::Down, true) => self.session.told = Told::Up,
            (Told::Nothing { .. }, false) => self.session.told = Told::Down,
            (Told::Up, false) => {
                self.session.told = Told::Down;
                self.losses += 1;
            }
        }
        Some(self.event(name, is_up))
    }

    fn event(&self, name: &str, is_up: bool) -> Event {
        Event {
            name: name.to_owned(),
            is_up,
            diagnostic: self.session.diagnostic,
        }
    }

    fn status(&self, now: Duration) -> Status {
        let session = &self.session;
        Status {
            name: session.settings.name.clone(),
            neighbor: session.settings.neighbor,
            state: session.state,
            age: now.saturating_sub(session.since),
            remote_state: session.remote_state(),
            diagnostic: session.diagnostic,
            transmit_interval: session.transmit_interval(),
            detection_time: session.detection_time(),
            received: self.received,
            sent: self.sent,
            losses: self.losses,
        }
    }
}
