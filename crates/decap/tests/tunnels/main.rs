//! The end of a tunnel on byte buffers: what the kernel's director sent, and what it could send.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod captured;
mod congestion;
mod garbage;
mod memory;
mod passing;
mod remote;
