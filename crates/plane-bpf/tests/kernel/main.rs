//! The data plane in real network namespaces, on the real kernel. Needs root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attaching;
mod ending;
mod namespaces;
mod needs;
mod sharing;
mod support;
mod surviving;
mod tracing;
