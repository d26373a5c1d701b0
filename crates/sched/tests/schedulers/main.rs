//! Who takes a connection: IPVS's schedulers against what the kernel picked, ours against its paper.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test")]

mod algorithm;
mod changes;
mod director;
mod golden;
mod maglev;
mod picks;
mod service;
mod twos;
