//! The same packets through the forwarding function on the heap and through the programs in the
//! kernel, run by hand: at TC alone, and at XDP with TC behind it. All four must agree in the
//! action, in every counter and in every byte; what they agree on must be right.
//!
//! Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bed;
mod crossed;
mod errors;
mod forwarding;
mod fragments;
mod frames;
mod fullnat;
mod garbage;
mod handshakes;
mod kernel;
mod lan;
mod life;
mod marked;
mod passing;
mod persisting;
mod recorded;
mod relayed;
mod told;
mod walk;
