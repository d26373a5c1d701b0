//! What the data plane in the kernel and the daemon in user space share: the layout of every
//! table, and the reasons that a verdict can have.
//!
//! All tables are arrays that user space maps into its memory, so both sides read and write the
//! same bytes. Integers are in the machine's byte order unless a field says "network order".
//!
//! # Who writes what
//! Configuration is published by *sides*: [`AddressCell`]s, their filter ([`FilterWord`]s) and
//! [`ServiceCell`]s exist twice, and [`Globals::side`] says which half packets use. The daemon
//! changes the idle half, switches, waits until no packet can still be using the other one, and
//! repeats the change there. Everything that a service cell points to ([`Block`]s, members,
//! [`DestinationCell`]s, [`NextHopCell`]s) is written before it is pointed to, and reused only after
//! that wait.
#![no_std]

mod filter;
mod hash;
mod reason;
mod stage;
mod tables;
mod trace;
mod view;

pub use filter::{CELLS_TO_A_WORD, FilterWord, Filtered, filter_words};
pub use hash::{hash_address, hash_address_v6, hash_connection, hash_connection_v6, hash_service};
pub use reason::{Outcome, REASONS, Reason};
pub use stage::{Needs, Stage};
pub use tables::*;
pub use trace::{
    OTHER_FAMILY, TRACE_WORDS, TRACERS, TraceAddresses, TraceFilter, TraceFrame, TraceHook,
    TraceProcessor, TraceRecord, TraceTally, TraceVerdict,
};
pub use view::View;

/// Version of every layout in this crate. A daemon adopts pinned maps of the same version only.
///
/// It must change whenever a layout changes; the test `layouts` holds the sizes and offsets.
pub const ABI_VERSION: u32 = 13;
