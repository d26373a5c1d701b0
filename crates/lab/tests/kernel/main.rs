//! Labs on the real kernel, with nftables in the director's place: a peer that is not ours. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ending;
mod running;
mod support;
