//! The director's will and its execution: the wanted state, how it becomes tables that packets
//! read, and what the tables say about the traffic.
//!
//! Everything here is a function of what is handed in: tables behind the [`Plane`] trait, the
//! network as data, the time as a tick. No socket, no clock, no file.

#![forbid(unsafe_code)]

mod plane;
mod sizes;
pub mod wanted;

pub use plane::{Plane, PlaneError, initialise};
pub use sizes::{SizeError, Sizes};
