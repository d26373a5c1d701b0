//! The kernel's tick as packets see it, without asking the kernel each time.
//!
//! A tick (jiffy) is a fixed span of CLOCK_MONOTONIC: the kernel counts it up whenever that clock
//! passes the next one. So it is read once, at its edge, by running a BPF program, and computed from
//! then on. The reading is repeated now and then, in case the two should part.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aya::programs::{ProgramError, TestRun, TestRunOptions, Xdp};
use cell::Cell64;

use crate::error::Error;
use crate::pins::Pins;
use crate::programs::Programs;
use crate::table::Table;

/// One reading of the kernel's clocks: the map `CLOCK`.
#[repr(C)]
#[derive(Debug, Default)]
struct Reading {
    /// Ticks (jiffies).
    tick: Cell64,
    /// CLOCK_MONOTONIC in nanoseconds. In a namespace of time, processes see another one.
    nanoseconds: Cell64,
}

/// The longest that a tick may keep us waiting: ten times the usual longest one.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long a reading is relied on.
const RELIANCE: Duration = Duration::from_secs(60);
const SECOND: u64 = 1_000_000_000;

/// The kernel's tick.
#[derive(Debug)]
pub struct Clock {
    reading: Table<Reading>,
    anchor: Mutex<Anchor>,
}

/// A tick and when it began.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    tick: u64,
    began: Instant,
    /// When this was last found to hold.
    checked: Instant,
    /// Length of a tick in nanoseconds.
    length: u64,
}

impl Clock {
    /// A clock that shows the kernel's tick.
    pub fn open(pins: &Pins, programs: &Programs) -> Result<Self, Error> {
        let reading = Table::open(pins, "CLOCK")?;
        let (tick, began) = edge(programs.clock(), &reading).map_err(Error::Clock)?;
        let anchor = Anchor {
            tick,
            began,
            checked: began,
            length: tick_length(),
        };
        let anchor = Mutex::new(anchor);
        Ok(Self { reading, anchor })
    }

    /// Ticks in a second.
    pub fn hz(&self) -> u32 {
        let length = self.guard().length;
        ((SECOND + length / 2) / length) as u32
    }

    /// The tick now.
    pub fn now(&self, programs: &Programs) -> u64 {
        let now = Instant::now();
        let mut anchor = self.guard();
        if now - anchor.checked > RELIANCE {
            anchor.checked = now;
            // A reading that fails, for want of memory, is repeated the next time.
            if let Ok(tick) = read(programs.clock(), &self.reading)
                && anchor.at(Instant::now()).abs_diff(tick) > 1
            {
                anchor.tick = tick;
                anchor.began = now;
            }
        }
        anchor.at(now)
    }

    /// The tick as the kernel itself has it now: for what is compared with what packets have noted.
    pub fn exact(&self, programs: &Programs) -> u64 {
        // A reading that fails, for want of memory, is made up for by the time that has passed.
        read(programs.clock(), &self.reading).unwrap_or_else(|_| self.now(programs))
    }

    fn guard(&self) -> MutexGuard<'_, Anchor> {
        // Nothing panics while it is held.
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Anchor {
    fn at(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began).as_nanos() as u64;
        self.tick + passed / self.length
    }
}

/// Length of a tick in nanoseconds: the resolution of the clock that goes by ticks.
fn tick_length() -> u64 {
    let mut resolution = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes to `resolution` only, which outlives it.
    let result = unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut resolution) };
    assert_eq!(result, 0, "every Linux since 2.6.32 has this clock");
    (resolution.tv_nsec as u64).max(1)
}

/// Reads the kernel's tick.
fn read(program: &Xdp, reading: &Table<Reading>) -> Result<u64, ProgramError> {
    // The smallest frame that the kernel takes.
    let frame = [0u8; 14];
    program.test_run(TestRunOptions {
        data_in: Some(&frame),
        ..TestRunOptions::default()
    })?;
    Ok(reading.one().tick.load())
}

/// Waits until a tick begins, and returns it with the time.
fn edge(program: &Xdp, reading: &Table<Reading>) -> Result<(u64, Instant), ProgramError> {
    let start = Instant::now();
    let first = read(program, reading)?;
    loop {
        let tick = read(program, reading)?;
        let now = Instant::now();
        if tick != first || now - start > PATIENCE {
            return Ok((tick, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_pass_with_the_time() {
        let began = Instant::now();
        let anchor = Anchor {
            tick: 4_294_937_296,
            began,
            checked: began,
            length: 4_000_000,
        };
        assert_eq!(anchor.at(began + Duration::from_millis(3)), 4_294_937_296);
        assert_eq!(anchor.at(began + Duration::from_millis(4)), 4_294_937_297);
        let day = Duration::from_secs(86_400);
        assert_eq!(anchor.at(began + day), 4_294_937_296 + 86_400 * 250);
    }
}
