//! The daemon's virtual routers, in a thread of their own: none before a configuration wants some.

use anyhow::Result;
use tokio::sync::RwLock;
use vrrp_host::{Daemon, Plan};

/// The virtual routers that run.
#[derive(Debug, Default)]
pub struct VirtualRouters(RwLock<Option<Daemon>>);

impl VirtualRouters {
    /// Starts what a plan wants, or goes on with it where virtual routers run: masters stay masters.
    pub async fn follow(&self, plan: Plan) -> Result<()> {
        let mut running = self.0.write().await;
        match &*running {
            Some(daemon) => daemon.reload(plan).await?,
            None if plan.instances.is_empty() => {}
            None => *running = Some(Daemon::start(plan)?),
        }
        Ok(())
    }

    /// Tells them how a BFD session is, which they may track.
    pub async fn bfd(&self, session: &str, is_up: bool) {
        if let Some(daemon) = &*self.0.read().await {
            // Those that ended have no use for it.
            let _ended = daemon.bfd(session, is_up).await;
        }
    }

    /// How they are.
    pub async fn status(&self) -> Vec<vrrp::Status> {
        match &*self.0.read().await {
            Some(daemon) => daemon.status().await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Lets masters resign, and releases what they hold.
    pub async fn end(&self) -> Result<()> {
        let Some(daemon) = self.0.write().await.take() else {
            return Ok(());
        };
        // It waits for the last commands to end.
        Ok(tokio::task::spawn_blocking(|| daemon.stop()).await??)
    }
}
