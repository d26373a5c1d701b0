//! Following the network.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use crate::connection::{Report, Requests, Subscription};
use crate::{Change, Effect, Error, Event, Snapshot, decode, dump};

/// After the kernel said something that may have changed links or routes silently, they are read
/// at once, and once more this much later: it says so before it does so.
const SETTLING: Duration = Duration::from_millis(250);

/// How long to wait before another attempt when reading everything anew failed.
const RESYNC_RETRY: Duration = Duration::from_millis(500);

/// Events beyond this number are not kept for a slow receiver: it gets a resync instead.
const PENDING_LIMIT: usize = 1 << 16;

/// Reports that wait to be received.
const CHANNEL_DEPTH: usize = 16;

/// How to follow.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Events are held back this long, so that those of one action arrive together.
    pub coalesce: Duration,
    /// The bytes that the kernel may hold back for the socket; without `CAP_NET_ADMIN` at most
    /// `net.core.rmem_max`. When they run over, everything is read anew.
    pub receive_buffer: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            coalesce: Duration::from_millis(10),
            receive_buffer: 1 << 20,
        }
    }
}

/// Follows the links, addresses, routes and neighbours of the network namespace in which it is
/// started.
///
/// It subscribes first and reads after, so that no change is missed between the two, and reads
/// everything anew when reports were lost. It holds a snapshot of its own to know when the
/// kernel's word is not enough: IPv4 routes vanish without a report when their interface goes
/// down, multipath routes change in ways that reports do not tell, and IPv6's MTUs change after the
/// interface was reported, or by a router's advertisement; then it reads links and routes again and
/// reports those links that differ and all routes ([`Event::Routes`]).
#[derive(Debug)]
pub struct Watcher;

impl Watcher {
    /// Starts to follow: the network as it is, and where changes arrive. Following ends when the
    /// receiver is dropped. Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// When a socket cannot be opened, or the network not be read.
    pub async fn start() -> Result<(Snapshot, mpsc::Receiver<Change>), Error> {
        Self::start_with(Settings::default()).await
    }

    /// As [`start`](Self::start), in another way than the usual.
    ///
    /// # Errors
    /// When a socket cannot be opened, or the network not be read.
    pub async fn start_with(
        settings: Settings,
    ) -> Result<(Snapshot, mpsc::Receiver<Change>), Error> {
        let subscription = Subscription::open(settings.receive_buffer)?;
        let mut requests = Requests::open("questions about the network")?;
        let snapshot = dump::snapshot(&mut requests).await?;
        let (changes, receiver) = mpsc::channel(CHANNEL_DEPTH);
        let follower = Follower {
            settings,
            subscription,
            requests,
            snapshot: snapshot.clone(),
            pending: Pending::default(),
            changes,
        };
        tokio::spawn(follower.run());
        Ok((snapshot, receiver))
    }
}

/// The task behind a watcher.
struct Follower {
    settings: Settings,
    subscription: Subscription,
    requests: Requests,
    /// The network as it is after all events, pending ones included.
    snapshot: Snapshot,
    pending: Pending,
    changes: mpsc::Sender<Change>,
}

/// What is to be reported next.
#[derive(Default)]
struct Pending {
    events: Vec<Event>,
    /// When to report it.
    due: Option<Instant>,
    /// Reports were lost: all is to be read anew.
    lost: bool,
    /// Links and routes may not be what the events say.
    in_doubt: bool,
    /// When to read them once more.
    settled: Option<Instant>,
}

impl Follower {
    async fn run(mut self) {
        let changes = self.changes.clone();
        loop {
            let ripe = self.pending.due.is_some_and(|due| due <= Instant::now());
            let wakeup = if ripe {
                self.pending.settled
            } else {
                self.pending.wakeup()
            };
            tokio::select! {
                report = self.subscription.next(), if !self.pending.lost => self.take_in(report),
                () = sleep_until(wakeup.unwrap_or_else(Instant::now)), if wakeup.is_some() => {
                    self.settle();
                }
                permit = changes.reserve(), if ripe => {
                    let Ok(permit) = permit else { return };
                    if let Some(change) = self.change().await {
                        permit.send(change);
                    }
                }
                () = changes.closed() => return,
            }
        }
    }

    /// Takes in what the kernel said.
    fn take_in(&mut self, report: Report) {
        match report {
            Report::Message(message) => {
                if decode::is_about_ipv6_settings(&message) {
                    self.pending.doubt(self.settings.coalesce);
                    return;
                }
                let Some(event) = decode::event(message) else {
                    return;
                };
                let effect = self.snapshot.apply(event.clone());
                self.pending.add(event, effect, self.settings.coalesce);
            }
            Report::Lost => self.pending.give_up(),
        }
    }

    /// Puts links and routes in doubt once more when it is time.
    fn settle(&mut self) {
        if self
            .pending
            .settled
            .is_some_and(|settled| settled <= Instant::now())
        {
            self.pending.settled = None;
            self.pending.in_doubt = true;
            self.pending.due.get_or_insert_with(Instant::now);
        }
    }

    /// What is to be reported now. None: on a second look nothing changed.
    async fn change(&mut self) -> Option<Change> {
        if self.pending.in_doubt && !self.pending.lost {
            self.reread().await;
        }
        if self.pending.lost {
            if !self.resync().await {
                return None;
            }
            self.pending = Pending::default();
            return Some(Change::Resync(Box::new(self.snapshot.clone())));
        }
        self.pending.due = None;
        let events = std::mem::take(&mut self.pending.events);
        (!events.is_empty()).then_some(Change::Events(events))
    }

    async fn reread(&mut self) {
        self.pending.in_doubt = false;
        if let Err(error) = self.try_reread().await {
            warn!(%error, "cannot read links and routes anew, reading everything");
            self.pending.give_up();
        }
    }

    async fn try_reread(&mut self) -> Result<(), Error> {
        let links = dump::links(&mut self.requests).await?;
        let routes = dump::routes(&mut self.requests).await?;
        let events = links.into_iter().map(Event::Link);
        for event in events.chain([Event::Routes(routes)]) {
            if !self.snapshot.apply(event.clone()).is_none() {
                self.pending.events.push(event);
            }
        }
        Ok(())
    }

    /// Reads everything anew, with new sockets: what the old one still holds may be older than
    /// what was lost. Tries until it succeeds, or nobody listens any more.
    async fn resync(&mut self) -> bool {
        while let Err(error) = self.try_resync().await {
            warn!(%error, "cannot read the network anew, trying again");
            tokio::select! {
                () = tokio::time::sleep(RESYNC_RETRY) => {}
                () = self.changes.closed() => return false,
            }
        }
        true
    }

    async fn try_resync(&mut self) -> Result<(), Error> {
        self.subscription = Subscription::open(self.settings.receive_buffer)?;
        self.requests = Requests::open("questions about the network")?;
        self.snapshot = dump::snapshot(&mut self.requests).await?;
        debug!("reports of the network were lost, everything was read anew");
        Ok(())
    }
}

impl Pending {
    fn add(&mut self, event: Event, effect: Effect, coalesce: Duration) {
        self.events.push(event);
        self.due.get_or_insert_with(|| Instant::now() + coalesce);
        if effect.in_doubt {
            self.doubt(coalesce);
        }
        if self.events.len() > PENDING_LIMIT {
            self.give_up();
        }
    }

    /// Has links and routes read anew.
    fn doubt(&mut self, coalesce: Duration) {
        let now = Instant::now();
        self.due.get_or_insert(now + coalesce);
        self.in_doubt = true;
        self.settled = Some(now + SETTLING);
    }

    /// Forgets the events: all will be read anew.
    fn give_up(&mut self) {
        *self = Self {
            lost: true,
            due: Some(Instant::now()),
            ..Self::default()
        };
    }

    /// When something is to be done next, if no report comes before.
    fn wakeup(&self) -> Option<Instant> {
        [self.due, self.settled].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_is_too_slow_gets_a_resync_instead_of_a_heap_of_events() {
        let mut pending = Pending::default();
        for ifindex in 0..=PENDING_LIMIT {
            assert!(!pending.lost);
            let gone = Event::LinkGone(u32::try_from(ifindex).unwrap());
            pending.add(gone, Effect::NONE, Duration::ZERO);
        }
        assert!(pending.lost && pending.events.is_empty() && pending.due.is_some());
    }

    #[test]
    fn doubt_about_routes_is_looked_into_at_once_and_once_more_later() {
        let mut pending = Pending::default();
        let doubt = Effect {
            in_doubt: true,
            ..Effect::NONE
        };
        pending.add(Event::LinkGone(3), doubt, Duration::from_millis(10));
        assert!(pending.in_doubt);
        let (due, settled) = (pending.due.unwrap(), pending.settled.unwrap());
        assert!(due < settled && pending.wakeup() == Some(due));
    }
}
