//! Who gets the next connection: the arithmetic of IPVS's schedulers.
//!
//! A scheduler's work is split in two. What needs lists and loops is laid out in user space, as a
//! [`plan::Plan`] (feature `alloc`). What a packet does is constant or bounded work on plain
//! numbers: [`sequence`] finds the place in a plan, [`least`] compares loads, [`threshold`] says
//! who is overloaded. Nothing here reads a table; the caller passes the numbers in.
//!
//! A service's destinations come in the kernel's list order: each new destination is put at the
//! list's head, so the youngest is the first.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod least;
#[cfg(feature = "alloc")]
pub mod plan;
pub mod sequence;
pub mod threshold;
