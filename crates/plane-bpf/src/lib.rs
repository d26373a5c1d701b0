//! The data plane in the kernel: loads the BPF object, maps its tables into memory, attaches and
//! pins it, and takes up again what an earlier daemon left.
//!
//! A data plane belongs to a network namespace and to a folder of the daemon's there, such as
//! `/run/xvs/4711`. Its pins are in a BPF file system beside it, at `/run/xvs/bpf/4711`:
//!
//! ```text
//! maps/NAME          every map          tables outlive the daemon
//! programs/NAME      every program
//! links/tc-IFINDEX   and xdp-IFINDEX    attachments outlive the daemon
//! ```
//!
//! [`Plane::create`] makes one, [`Plane::adopt`] takes one up, [`remove`] ends one.

mod attach;
mod clock;
mod error;
mod namespace;
mod object;
mod pins;
mod plane;
mod table;

pub use attach::Mode;
pub use error::Error;
pub use namespace::{netns_cookie, remove_stale};
pub use plane::{Hook, Plane, Ran, processors, remove};
