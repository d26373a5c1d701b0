//! Telling systemd how the daemon is (sd_notify(3)), where it asked to be told.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tracing::warn;

/// Names the service manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";
/// Within how many microseconds it wants a sign of life.
const WATCHDOG: &str = "WATCHDOG_USEC";
/// Whose.
const WATCHDOG_PROCESS: &str = "WATCHDOG_PID";

/// What the daemon does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It works.
    Ready,
    /// It takes another configuration in; [`State::Ready`] follows.
    Reloading,
    /// It ends.
    Stopping,
    /// It is alive.
    Alive,
}

/// Tells it. That nobody hears it is told in the log, and changes nothing.
pub fn tell(state: State) {
    let told = message(state).and_then(|message| send(&message));
    if let Err(error) = told {
        warn!(%error, ?state, "the service manager cannot be told how the daemon is");
    }
}

fn message(state: State) -> io::Result<String> {
    Ok(match state {
        State::Ready => "READY=1".to_owned(),
        State::Stopping => "STOPPING=1".to_owned(),
        State::Alive => "WATCHDOG=1".to_owned(),
        // The time lets systemd know that an answer is to this reload (Type=notify-reload).
        State::Reloading => {
            let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
            format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros())
        }
    })
}

fn send(message: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os(SOCKET) else {
        return Ok(());
    };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&path)?,
    };
    UnixDatagram::unbound()?
        .send_to_addr(message.as_bytes(), &address)
        .map(drop)
}

/// How often to tell that the daemon is alive: twice within the time that the service manager waits;
/// None where it does not ask.
fn period() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_other = number(WATCHDOG_PROCESS).is_some_and(|pid| pid != u64::from(std::process::id()));
    let within = Duration::from_micros(number(WATCHDOG)?);
    (!is_other && !within.is_zero()).then(|| within / 2)
}

/// Gives signs of life, as long as the daemon's thread gets round to it.
pub async fn watchdog() {
    let Some(period) = period() else { return };
    let mut clock = tokio::time::interval(period);
    loop {
        clock.tick().await;
        tell(State::Alive);
    }
}
