//! The data plane in the kernel: loads the BPF object, maps its tables into memory, attaches and
//! pins it, and takes up again what an earlier daemon left.
//!
//! A data plane belongs to a network namespace and to a folder of the daemon's there, such as
//! `/run/xvs/4711` (the number is the namespace's [cookie](netns_cookie)). Its pins are in a BPF
//! file system beside it, at `/run/xvs/bpf/4711`:
//!
//! ```text
//! maps/NAME             every map: tables outlive the daemon
//! programs/NAME         every program
//! programs/object-HASH  a folder: which object the programs come from
//! trace/NAME            while somebody traces: the programs that do, and their own maps
//! links/tc-IFINDEX      attachments outlive the daemon; also xdp-IFINDEX, xdp-generic-IFINDEX
//! links/filter-IFINDEX  a folder: kernels before 6.6 have a filter of ours on this interface
//! links/clsact-IFINDEX  a folder: and its clsact qdisc is ours
//! ```
//!
//! # A daemon's life
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use plane_bpf::{Mode, Plane};
//! use std::path::Path;
//!
//! plane_bpf::remove_stale(Path::new("/run/xvs"))?;
//! let state = Path::new("/run/xvs").join(plane_bpf::netns_cookie()?.to_string());
//! let plane = match Plane::adopt(&state)? {
//!     Some(found) => found,
//!     None => {
//!         let sizes = control::Sizes::defaults(plane_bpf::processors()?);
//!         Plane::create(&state, &sizes)?
//!     }
//! };
//! plane.attach(2, Mode::Tc)?;
//! # Ok(())
//! # }
//! ```
//! Dropping a [`Plane`] leaves packets forwarded. [`remove`] ends that, without a trace.
//! [`probe`] says beforehand whether the kernel lets us, and [`Error`] what helps if not.
//! One daemon at a time holds a data plane; keeping others off is the daemon's part.

mod attach;
mod clock;
mod error;
mod filter;
mod links;
mod lookups;
mod memories;
mod mount;
mod namespace;
mod netlink;
mod object;
mod pins;
mod plane;
mod probe;
mod programs;
mod readers;
mod run;
mod sockets;
mod stages;
mod stale;
mod sys;
mod table;
mod tables;
mod trace;
mod verifier;

pub use attach::{Attachment, Mode, Point, TcMeans};
pub use error::{Error, Refusal};
pub use namespace::netns_cookie;
pub use plane::{Plane, processors, remove};
pub use probe::probe;
pub use run::{Hook, Ran};
pub use stale::remove_stale;
pub use trace::{TraceRecords, Tracing};
pub use verifier::chain;
