//! The director on tables of the heap, without any privilege.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod anything;
mod common;
mod cutting;
mod entries;
mod families;
mod lending;
mod marking;
mod network;
mod packets;
mod publishing;
mod real_servers;
mod scheduling;
mod settings;
mod traffic;
mod ways;
