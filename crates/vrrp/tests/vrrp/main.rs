//! The crate as its users see it: a router that is told of packets and times.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod captures;
mod groups;
mod hmacs;
mod model;
mod reloads;
mod single;
mod tracking;
mod world;
