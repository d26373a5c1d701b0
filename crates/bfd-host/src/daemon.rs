//! The loop: packets and time in, packets and events out.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::thread;
use std::time::{Duration, Instant};

use bfd::{Event, Sessions, Settings, Status};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use crate::Error;
use crate::socket::{Listeners, Speaker};

/// Orders that wait.
const ORDERS: usize = 16;
/// How long the loop waits without sessions.
const IDLE: Duration = Duration::from_secs(3600);

enum Order {
    Configure(Vec<Settings>, u64, oneshot::Sender<Result<(), Error>>),
    Told(oneshot::Sender<Vec<Event>>),
    Status(oneshot::Sender<Vec<Status>>),
}

/// Sessions that run, in a thread of their own.
#[derive(Debug)]
pub struct Daemon {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Daemon {
    /// Starts without sessions, in the network namespace of the calling thread. Whatever happens to
    /// sessions goes to `events`.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(events: mpsc::UnboundedSender<Event>) -> Result<Self, Error> {
        let (orders, received) = mpsc::channel(ORDERS);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::system("start a runtime"))?;
        let run = move || runtime.block_on(Host::new(events).run(received));
        let thread = thread::Builder::new().name("bfd".to_owned()).spawn(run);
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread.map_err(Error::system("start a thread"))?),
        })
    }

    /// Runs these sessions. Those that run already go on. `seed` is anything.
    ///
    /// # Errors
    /// When packets cannot be heard: nothing has changed then.
    pub async fn configure(&self, settings: Vec<Settings>, seed: u64) -> Result<(), Error> {
        self.ask(|answer| Order::Configure(settings, seed, answer))
            .await?
    }

    /// What is known of each session: those that may still come up are left out.
    ///
    /// # Errors
    /// They do not run any more.
    pub async fn told(&self) -> Result<Vec<Event>, Error> {
        self.ask(Order::Told).await
    }

    /// How the sessions are.
    ///
    /// # Errors
    /// They do not run any more.
    pub async fn status(&self) -> Result<Vec<Status>, Error> {
        self.ask(Order::Status).await
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let orders = self.orders.as_ref().ok_or(Error::Ended)?;
        let sent = orders.send(order(answer)).await;
        sent.map_err(|_| Error::Ended)?;
        answered.await.map_err(|_| Error::Ended)
    }
}

impl Drop for Daemon {
    /// Ends: the neighbours are told that this end is out of use.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // What a panic has to say was printed by the thread.
            let _ended = thread.join();
        }
    }
}

/// Sessions on this host.
struct Host {
    began: Instant,
    sessions: Sessions,
    listeners: Listeners,
    /// By our discriminator.
    speakers: BTreeMap<u32, Speaker>,
    events: mpsc::UnboundedSender<Event>,
}

impl Host {
    fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        Self {
            began: Instant::now(),
            sessions: Sessions::default(),
            listeners: Listeners::default(),
            speakers: BTreeMap::new(),
            events,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let due = self.sessions.poll_timeout();
            let wait = due.map_or(IDLE, |due| due.saturating_sub(self.now()));
            tokio::select! {
                biased;
                () = poll_fn(|context| self.listeners.poll_readable(context)) => self.receive(),
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return self.retire(),
                },
                () = tokio::time::sleep(wait) => {
                    // A process that was stopped for a while must learn first what came meanwhile.
                    self.receive();
                    self.sessions.handle_timeout(self.now());
                    self.drain();
                }
            }
        }
    }

    fn obey(&mut self, order: Order) {
        // Whoever does not wait for an answer any more needs none.
        match order {
            Order::Configure(settings, seed, answer) => {
                let _gone = answer.send(self.configure(settings, seed));
            }
            Order::Told(answer) => {
                let _gone = answer.send(self.sessions.told().collect());
            }
            Order::Status(answer) => {
                let _gone = answer.send(self.sessions.status(self.now()));
            }
        }
    }

    fn configure(&mut self, settings: Vec<Settings>, seed: u64) -> Result<(), Error> {
        self.listeners.open(settings.iter())?;
        self.listeners.retain(settings.iter());
        let before = self.hop_limits();
        self.sessions.configure(settings, self.now(), seed);
        let after = self.hop_limits();
        self.drain();
        // Last packets are sent: what is not needed any more goes, what is other is opened anew.
        self.speakers.retain(|number, _| {
            after.contains_key(number) && after.get(number) == before.get(number)
        });
        Ok(())
    }

    /// The hop limits of sessions, which are their sockets' settings.
    fn hop_limits(&self) -> BTreeMap<u32, u8> {
        let settings = self.sessions.settings();
        settings
            .map(|(number, settings)| (number, settings.hop_limit))
            .collect()
    }

    fn receive(&mut self) {
        for (arrival, bytes) in self.listeners.receive_all() {
            let taken = self.sessions.handle_packet(arrival, &bytes, self.now());
            if let Err(refusal) = taken {
                debug!(%refusal, source = %arrival.source, "a BFD packet does not count");
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.sessions.poll_transmit() {
            self.send(transmit.discriminator, &transmit.bytes);
        }
        while let Some(event) = self.sessions.poll_event() {
            // In keepalived's words.
            if event.is_up {
                info!("BFD_Instance({}) Entering UP state", event.name);
            } else {
                warn!(
                    "BFD_Instance({}) Entering Down state ({})",
                    event.name, event.diagnostic
                );
            }
            // Whoever listened ends before this thread.
            let _gone = self.events.send(event);
        }
    }

    fn send(&mut self, number: u32, bytes: &[u8]) {
        if !self.speakers.contains_key(&number) {
            let settings = self.sessions.settings();
            let mut settings = settings.filter(|(known, _)| *known == number);
            let Some((_, settings)) = settings.next() else {
                return;
            };
            match Speaker::open(number, settings) {
                Ok(speaker) => drop(self.speakers.insert(number, speaker)),
                Err(error) => {
                    debug!(name = settings.name, %error, "no BFD packet can be sent");
                    return;
                }
            }
        }
        let sent = self
            .speakers
            .get(&number)
            .map(|speaker| speaker.send(bytes));
        if let Some(Err(error)) = sent {
            debug!(number, %error, "a BFD packet is not sent");
        }
    }

    fn retire(mut self) {
        self.sessions.retire(self.now());
        self.drain();
    }
}
