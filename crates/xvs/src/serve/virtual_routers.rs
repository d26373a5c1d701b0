//! The daemon's virtual routers, in a thread of their own: none before a configuration wants some.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use net::Snapshot;
use tokio::sync::{RwLock, broadcast};
use vrrp::Event;
use vrrp_host::{Daemon, Forwarding, Plan};

use crate::serve::shared::{self, State};

/// Changes of state that wait for a reader who is late; more are left out.
const EVENTS: usize = 1024;

/// The virtual routers that run.
pub struct VirtualRouters {
    running: RwLock<Option<Daemon>>,
    forwarding: Arc<Ahead>,
    events: broadcast::Sender<Event>,
}

impl VirtualRouters {
    /// None yet, of the director with this state.
    pub fn new(state: Arc<Mutex<State>>) -> Self {
        Self {
            running: RwLock::default(),
            forwarding: Arc::new(Ahead(state)),
            events: broadcast::channel(EVENTS).0,
        }
    }

    /// Starts what a plan wants, or goes on with it where virtual routers run: masters stay masters.
    pub async fn follow(&self, plan: Plan) -> Result<()> {
        let mut running = self.running.write().await;
        match &*running {
            Some(daemon) => daemon.reload(plan).await?,
            None if plan.instances.is_empty() => {}
            None => {
                *running = Some(Daemon::start(
                    plan,
                    self.forwarding.clone(),
                    self.events.clone(),
                )?)
            }
        }
        Ok(())
    }

    /// Tells them how a BFD session is, which they may track.
    pub async fn bfd(&self, session: &str, is_up: bool) {
        if let Some(daemon) = &*self.running.read().await {
            // Those that ended have no use for it.
            let _ended = daemon.bfd(session, is_up).await;
        }
    }

    /// Every change of their states from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// How they are.
    pub async fn status(&self) -> Vec<vrrp::Status> {
        match &*self.running.read().await {
            Some(daemon) => daemon.status().await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Lets masters resign, and releases what they hold.
    pub async fn end(&self) -> Result<()> {
        let Some(daemon) = self.running.write().await.take() else {
            return Ok(());
        };
        // It waits for the last commands to end.
        Ok(tokio::task::spawn_blocking(|| daemon.stop()).await??)
    }
}

/// Tells the data plane which addresses are this host's, before netlink does.
struct Ahead(Arc<Mutex<State>>);

impl Ahead {
    fn tell(&self, addresses: &[IpAddr], what: fn(&mut Snapshot, IpAddr) -> bool) {
        let mut state = shared::lock(&self.0);
        let mut is_news = false;
        for address in addresses {
            is_news |= what(&mut state.snapshot, *address);
        }
        if is_news {
            state.follow();
        }
    }
}

impl Forwarding for Ahead {
    fn claim(&self, addresses: &[IpAddr]) {
        self.tell(addresses, Snapshot::claim);
    }

    fn release(&self, addresses: &[IpAddr]) {
        self.tell(addresses, Snapshot::release);
    }
}
