//! The life of a packet in a director: the one forwarding function.
//!
//! [`process`] is written once, generic over a [`Host`], and compiled twice: to BPF, where the
//! host is a packet at the XDP or the TC hook, and natively, where it is a buffer of bytes. It
//! decides everything; hosts only carry out.
//!
//! A packet's way is in stages ([`abi::Stage`]): each is a BPF program of its own, since the
//! kernel's verifier takes only so much at once, and calls the next one as its last act; natively
//! they follow each other in a loop. What a stage leaves for the next is in [`abi::Carry`]. IPv4
//! and IPv6 are one code, over a family.
//!
//! ```text
//!  enter ──known──────────────────────────► onward ──► out, here, or tunnel ──► out
//!    ├─new──► open ─► persist ─► schedule ─► make ─┘        └─► cut ──► out in fragments
//!    ├─part─► fragment ──► out, or open
//!    └─ICMP─► relay ──► translate ──► out, or open     any ──refused──► answer ──► out
//!  make ─FULLNAT─► lend ─► fullnat ──► out            onward ─FULLNAT─► fullnat
//!  enter ─to a local address of FULLNAT─► return ──► out
//!  fullnat ─the client's address is told─► tell ──► out        return ─► sacks ──► out
//!  make ─the other family─► lend ─► fullnat ─► cross ──► out        return ─► cross_back ──► out
//!  relay, translate ─FULLNAT─► fullnat_error ──► out, or cross_error ──► answer
//!  depart (what this machine sends itself): replies of a local real server
//! ```
//!
//! The stages' files have their names, but for `enter`, which is in `process`, and `make`, in
//! `open`. What they share: `packet` (parsing), `lookup` (is it ours?), `connection`, `state` (the
//! states and timeouts), `nat` and `tunnel` (rewriting), `route` (the way out), `counters`,
//! `sweep`.
//!
//! No packet makes this code panic or read outside its frame.
#![no_std]
#![forbid(unsafe_code)]

mod answer;
mod classify;
pub mod connect;
mod connection;
mod counters;
mod cut;
mod depart;
mod family;
mod fragment;
mod fullnat;
mod further;
mod handshake;
mod host;
mod lookup;
mod make;
mod nat;
mod onward;
mod open;
mod opening;
mod outer_error;
mod packet;
mod persist;
mod process;
mod relay;
mod route;
mod schedule;
mod state;
mod sweep;
pub mod trace;
mod tunnel;
mod verdict;

pub use classify::classify;
pub use connection::assure;
pub use cut::piece;
pub use fullnat::{copy_tells, is_lent};
pub use further::{claim_from, claim_from_v6, find_far, find_far_v6, roomiest, roomiest_v6};
pub use host::{Host, Tables};
pub use make::{settle, settle_v6};
pub use process::{process, process_departing, run};
pub use route::seek;
pub use schedule::{least_loaded, next_in_turn, pick_hashed, somebody_has_room};
pub use state::{is_active, tcp};
pub use sweep::sweep;
pub use tunnel::Outer;
pub use verdict::{Action, Verdict};
