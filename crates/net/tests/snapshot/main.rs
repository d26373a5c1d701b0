//! What a snapshot answers, without a socket: made-up networks, and where packets go in them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
mod network;
mod next_hops;
mod routes;
