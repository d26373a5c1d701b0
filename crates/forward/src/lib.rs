//! The life of a packet in a director: the one forwarding function.
//!
//! [`process`] is written once, generic over a [`Host`], and compiled twice: to BPF, where the
//! host is a packet at the XDP or the TC hook, and natively, where it is a buffer of bytes. It
//! decides everything; hosts only carry out.
//!
//! The way of a packet: [`packet`] parses it; [`lookup`] says whether it concerns the director;
//! [`connection`] finds its connection or [`opening`] makes one, for which [`schedule`] chooses
//! the destination; [`state`] moves the connection's state and time of death; [`nat`] rewrites;
//! [`route`] finds the way out. Beside the way: [`fragment`], [`relay`] (ICMP errors of others),
//! [`answer`] (ICMP errors of our own), [`sweep`].
//!
//! No packet makes this code panic or read outside its frame.
#![no_std]
#![forbid(unsafe_code)]

mod answer;
mod connection;
mod counters;
mod fragment;
mod host;
mod lookup;
mod nat;
mod opening;
mod packet;
mod process;
mod relay;
mod route;
mod schedule;
mod state;
mod sweep;
mod verdict;

pub use connection::{Question, find};
pub use counters::settle_death;
pub use host::{Host, Tables};
pub use opening::{Opening, choose, make};
pub use process::process;
pub use schedule::{least_loaded, pick};
pub use state::{is_active, tcp};
pub use sweep::sweep;
pub use verdict::{Action, Verdict};
