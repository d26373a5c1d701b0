//! What the kernel's own schedulers pick, and the same from plans and formulas.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test")]

mod algorithm;
mod picks;
mod service;
