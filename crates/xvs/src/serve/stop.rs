//! The end of forwarding.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use net::Cutter;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tracing::info;

use crate::place::Place;
use crate::serve::state::{DaemonLock, Held};

/// How long the daemon may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

impl Held {
    /// The error for somebody who wanted to run another daemon.
    pub fn explained(&self) -> anyhow::Error {
        let process = self
            .pid
            .map_or_else(String::new, |pid| format!(" (process {pid})"));
        anyhow!(
            "a director's daemon{process} runs already in this network namespace\n\
             hint: one is enough; `xvs status' says how it is"
        )
    }
}

/// Ends the daemon, detaches the programs, and removes tables and state.
pub fn stop_forwarding(place: &Place) -> Result<()> {
    let folder = place.folder();
    if !folder.exists() {
        info!("nothing forwards in this network namespace");
        return Ok(());
    }
    let _lock = end_daemon(place)?;
    plane_bpf::remove(&folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(Cutter::remove())?;
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("cannot remove {}", folder.display()))?;
    info!("forwarding has ended; nothing is left");
    Ok(())
}

/// Ends the daemon, if one runs, and keeps others from starting.
fn end_daemon(place: &Place) -> Result<DaemonLock> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = None;
    loop {
        let held = match DaemonLock::take(place)? {
            Ok(lock) => return Ok(lock),
            Err(held) => held,
        };
        if let Some(pid) = held.pid.filter(|_| told != held.pid) {
            kill(Pid::from_raw(pid), Signal::SIGTERM)
                .with_context(|| format!("cannot end the daemon (process {pid})"))?;
            told = held.pid;
        }
        if Instant::now() > deadline {
            bail!("the daemon does not end\nhint: look for its process, and end it by hand");
        }
        std::thread::sleep(PAUSE);
    }
}
