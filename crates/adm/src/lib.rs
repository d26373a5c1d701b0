//! The command line of `ipvsadm` 1.31, `ipvsadm-save` and `ipvsadm-restore`.
//!
//! [`run`] reads a command line as they do (option spellings, order of checks, messages, exit
//! codes), does what it says to a [`Director`], and prints what they print, to the byte. Where the
//! director is, and how names are looked up, is the caller's: this crate sees no socket and no
//! file.
//!
//! ```text
//! argv ── scan ──> switches ── parse ──> Invocation ── run ──> Director
//!         (popt)              (checks)                  │
//!                                                       └── list ──> stdout
//! ```

#![forbid(unsafe_code)]

mod address;
mod connections;
mod director;
mod draft;
mod finish;
mod flags;
mod help;
mod invocation;
mod list;
mod names;
mod number;
mod options;
mod parse;
pub mod proc;
mod restore;
mod rules;
mod run;
mod save;
mod scan;
mod session;
mod sort;
mod table;

pub use director::{Connections, Director, DirectorError, Refused, Unavailable};
pub use help::usage;
pub use invocation::{Format, Invocation, Listing, View};
pub use names::{NameTables, Resolver};
pub use parse::{UsageError, parse};
pub use run::{Program, Streams, run};
pub use save::save_everything;
pub use table::{Argument, OPTIONS, OptionSpec, Topic};
