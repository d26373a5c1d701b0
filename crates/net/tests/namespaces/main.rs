//! The watcher and the resolver in real network namespaces, against the real kernel. Needs root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kernel;
mod resolving;
mod support;
mod watching;
