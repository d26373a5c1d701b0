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
use crate::object::Programs;
use crate::pins::Pins;
use crate::table::Table;

/// One reading of the kernel's clocks: the map `CLOCK`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Reading {
    /// Ticks (jiffies).
    tick: Cell64,
    /// CLOCK_MONOTONIC in nanoseconds.
    nanoseconds: Cell64,
}

/// The frequencies that kernels are usually built with.
const USUAL: [u64; 4] = [100, 250, 300, 1000];
/// Between two edges that tell the frequency.
const MEASURE: Duration = Duration::from_millis(50);
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
    /// A clock that goes by ticks of this many in a second, or by as many as are found.
    pub fn open(pins: &Pins, programs: &Programs, hz: Option<u32>) -> Result<(Self, u32), Error> {
        let reading = Table::open(pins, "CLOCK")?;
        let program = programs.clock();
        let hz = match hz {
            Some(hz) if hz > 0 => hz,
            _ => measure(program, &reading).map_err(Error::Clock)?,
        };
        let hz_long = u64::from(hz);
        let (seen, began) = edge(program, &reading).map_err(Error::Clock)?;
        let anchor = Anchor {
            tick: seen.tick,
            began,
            checked: began,
            // As the kernel's TICK_NSEC, with its rounding.
            length: (SECOND + hz_long / 2) / hz_long,
        };
        let anchor = Mutex::new(anchor);
        Ok((Self { reading, anchor }, hz))
    }

    /// The tick now.
    pub fn now(&self, programs: &Programs) -> u64 {
        let now = Instant::now();
        let mut anchor = self.guard();
        if now - anchor.checked > RELIANCE {
            anchor.checked = now;
            // A reading that fails, for want of memory, is repeated the next time.
            if let Ok(Seen { tick, .. }) = read(programs.clock(), &self.reading)
                && anchor.at(Instant::now()).abs_diff(tick) > 1
            {
                anchor.tick = tick;
                anchor.began = now;
            }
        }
        anchor.at(now)
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

/// What a reading showed.
#[derive(Debug, Clone, Copy)]
struct Seen {
    tick: u64,
    nanoseconds: u64,
}

/// Reads the kernel's clocks.
fn read(program: &Xdp, reading: &Table<Reading>) -> Result<Seen, ProgramError> {
    // The smallest frame that the kernel takes.
    let frame = [0u8; 14];
    program.test_run(TestRunOptions {
        data_in: Some(&frame),
        ..TestRunOptions::default()
    })?;
    let reading = reading.one();
    Ok(Seen {
        tick: reading.tick.load(),
        nanoseconds: reading.nanoseconds.load(),
    })
}

/// Waits until a tick begins, and returns it with the time.
fn edge(program: &Xdp, reading: &Table<Reading>) -> Result<(Seen, Instant), ProgramError> {
    let start = Instant::now();
    let first = read(program, reading)?;
    loop {
        let seen = read(program, reading)?;
        let now = Instant::now();
        if seen.tick != first.tick || now - start > PATIENCE {
            return Ok((seen, now));
        }
    }
}

/// Ticks in a second.
fn measure(program: &Xdp, reading: &Table<Reading>) -> Result<u32, ProgramError> {
    let (first, _) = edge(program, reading)?;
    std::thread::sleep(MEASURE);
    let (last, _) = edge(program, reading)?;
    let nanoseconds = (last.nanoseconds - first.nanoseconds).max(1);
    Ok(nearest((last.tick - first.tick) * SECOND / nanoseconds))
}

/// The frequency that was meant, where one of the usual ones is near.
fn nearest(measured: u64) -> u32 {
    let is_near = |usual: &u64| usual.abs_diff(measured) * 20 <= *usual;
    USUAL.into_iter().find(is_near).unwrap_or(measured.max(1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_frequency_becomes_the_usual_one_that_is_near() {
        assert_eq!(nearest(99), 100);
        assert_eq!(nearest(253), 250);
        assert_eq!(nearest(296), 300);
        assert_eq!(nearest(1012), 1000);
        assert_eq!(nearest(500), 500);
    }

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
