//! The kernel's tick, read by running a program that looks at it.

use std::time::Duration;

use aya::programs::{ProgramError, TestRun, TestRunOptions, Xdp};
use cell::Cell64;

use crate::table::Table;

/// One reading of the kernel's clocks: the map `CLOCK`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Reading {
    /// Ticks (jiffies).
    pub tick: Cell64,
    /// CLOCK_MONOTONIC in nanoseconds.
    pub nanoseconds: Cell64,
}

/// The frequencies that kernels are built with.
const USUAL: [u64; 4] = [100, 250, 300, 1000];
/// Between two readings: long enough to tell 250 from 300.
const PAUSE: Duration = Duration::from_millis(100);

/// The tick now and the nanoseconds now.
pub fn read(program: &Xdp, clock: &Table<Reading>) -> Result<(u64, u64), ProgramError> {
    // The smallest frame that the kernel takes.
    let frame = [0u8; 14];
    program.test_run(TestRunOptions {
        data_in: Some(&frame),
        ..TestRunOptions::default()
    })?;
    let reading = clock.one();
    Ok((reading.tick.load(), reading.nanoseconds.load()))
}

/// Ticks in a second.
pub fn frequency(program: &Xdp, clock: &Table<Reading>) -> Result<u32, ProgramError> {
    let (first_tick, first) = read(program, clock)?;
    std::thread::sleep(PAUSE);
    let (last_tick, last) = read(program, clock)?;
    let measured = (last_tick - first_tick) * 1_000_000_000 / (last - first).max(1);
    let nearest = USUAL
        .into_iter()
        .min_by_key(|usual| usual.abs_diff(measured));
    Ok(nearest.unwrap_or(measured) as u32)
}
