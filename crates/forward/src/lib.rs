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
mod classify;
mod connection;
mod counters;
mod cut;
mod depart;
mod family;
mod fragment;
mod host;
mod lookup;
mod nat;
mod onward;
mod open;
mod outer_error;
mod packet;
mod persist;
mod process;
mod relay;
mod route;
mod schedule;
mod state;
mod sweep;
mod tunnel;
mod verdict;

pub use classify::classify;
pub use connection::assure;
pub use cut::piece;
pub use host::{Host, Tables};
pub use open::{settle, settle_v6};
pub use process::{process, process_departing, run};
pub use route::seek;
pub use schedule::{least_loaded, pick_hashed, somebody_has_room};
pub use state::{is_active, tcp};
pub use sweep::sweep;
pub use tunnel::Outer;
pub use verdict::{Action, Verdict};
