//! Who gets the next connection: the arithmetic of IPVS's schedulers, and one of our own.
//!
//! A scheduler's work is split in two. What needs lists and loops is laid out in user space, as a
//! `plan::Plan` or a table of slots (feature `alloc`). What a packet does is constant or bounded
//! work on plain numbers. Nothing here reads a table, a clock or a source of randomness; the caller
//! passes the numbers in.
//!
//! | scheduler | module | laid out ahead | a packet |
//! |---|---|---|---|
//! | rr, wrr | [`sequence`] | `plan::Plan` | finds its place in the sequence |
//! | lc, wlc, sed, nq, fo, ovf | [`least`] | | compares the list's loads |
//! | twos | [`twos`] | `plan::Plan` | draws two places in the sequence, and compares them |
//! | dh | [`dh`] | 256 slots | hashes the virtual address |
//! | sh | [`sh`] | 256 slots | hashes the client's address (and port) |
//! | mh | [`mh`] | 4,093 slots | hashes the client's address (and port) |
//! | maglev, ours | [`maglev`] | 65,537 slots | hashes the client's address and port |
//! | lblc, lblcr | [`lblc`], [`lblcr`], [`locality`] | | asks the virtual address's entry, else compares |
//!
//! Whom thresholds exclude, [`threshold`] says. A service's destinations come in the kernel's list
//! order: each new destination is put at the list's head, so the youngest is the first.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod address;
pub mod dh;
mod hash;
pub mod lblc;
pub mod lblcr;
pub mod least;
pub mod locality;
pub mod maglev;
pub mod mh;
#[cfg(feature = "alloc")]
pub mod plan;
#[cfg(feature = "alloc")]
mod preference;
pub mod sequence;
pub mod sh;
pub mod threshold;
pub mod twos;

/// The number that names no destination.
pub const NOBODY: u32 = u32::MAX;

/// Greatest common divisor; 0 with 0.
#[cfg(feature = "alloc")]
fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
