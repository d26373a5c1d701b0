//! The watcher and the resolver in real network namespaces, against the real kernel. Needs root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod interfaces;
mod kernel;
mod mtus;
mod neighbours;
mod resolving;
mod routers;
mod routes;
mod support;
mod watching;
