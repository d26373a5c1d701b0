//! The daemon's BFD sessions, in a thread of their own: none before a configuration wants some.

use anyhow::Result;
use bfd::{Event, Settings, Status};
use bfd_host::Daemon;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, RwLock};

/// The sessions that run.
#[derive(Debug)]
pub struct Neighbours {
    running: RwLock<Option<Daemon>>,
    tell: UnboundedSender<Event>,
    events: Mutex<UnboundedReceiver<Event>>,
}

impl Neighbours {
    /// None, as yet.
    pub fn new() -> Self {
        let (tell, events) = unbounded_channel();
        Self {
            running: RwLock::default(),
            tell,
            events: Mutex::new(events),
        }
    }

    /// The next thing that happens to one of them.
    pub async fn next(&self) -> Option<Event> {
        self.events.lock().await.recv().await
    }

    /// Runs these sessions; those that run already go on.
    ///
    /// # Errors
    /// When packets cannot be heard: nothing has changed then.
    pub async fn follow(&self, settings: Vec<Settings>, seed: u64) -> Result<()> {
        let mut running = self.running.write().await;
        if settings.is_empty() && running.is_none() {
            return Ok(());
        }
        let daemon = match running.take() {
            Some(daemon) => daemon,
            None => Daemon::start(self.tell.clone())?,
        };
        let configured = running.insert(daemon).configure(settings, seed).await;
        Ok(configured?)
    }

    /// What is known of each session.
    pub async fn told(&self) -> Vec<Event> {
        match &*self.running.read().await {
            Some(daemon) => daemon.told().await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// How they are.
    pub async fn status(&self) -> Vec<Status> {
        match &*self.running.read().await {
            Some(daemon) => daemon.status().await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Ends them: neighbours are told.
    pub async fn end(&self) {
        let ended = self.running.write().await.take();
        // It waits for the thread.
        let _done = tokio::task::spawn_blocking(|| drop(ended)).await;
    }
}
