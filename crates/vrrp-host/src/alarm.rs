//! A timer of the kernel's own resolution: the runtime's counts milliseconds, rounded up, which a
//! take-over after 36 ms need not wait for.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::error::Error;

/// A timer that can be set again and again.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: TimerFd,
    /// The same timer, as the runtime waits for it.
    readiness: AsyncFd<OwnedFd>,
}

impl Alarm {
    pub fn new() -> Result<Self, Error> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(Error::system("make a timer"))?;
        let descriptor = timer.as_fd().try_clone_to_owned();
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that do not own their descriptor, as OwnedFd does"
        )]
        let readiness = descriptor
            .and_then(|descriptor| AsyncFd::with_interest(descriptor, Interest::READABLE))
            .map_err(Error::system("wait for a timer"))?;
        Ok(Self { timer, readiness })
    }

    /// Returns after so long; None: never.
    pub async fn after(&self, wait: Option<Duration>) -> io::Result<()> {
        let Some(wait) = wait else {
            return pending().await;
        };
        // Zero would switch it off.
        let wait = TimeSpec::from_duration(wait).max(TimeSpec::nanoseconds(1));
        self.timer
            .set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())?;
        loop {
            // Readiness may be that of an earlier setting, which nobody waited for.
            let mut ready = self.readiness.readable().await?;
            if let Ok(read) = ready.try_io(|_| Ok(self.timer.wait()?)) {
                return read;
            }
        }
    }
}
