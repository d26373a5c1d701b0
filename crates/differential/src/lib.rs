//! The differential test: the same configuration and traffic go through the kernel's IPVS and through xvs, and what
//! both did is compared.
//!
//! A [`Case`] is a script of [`Step`]s. A [`World`] plays it on any data plane; the kernel plays it in the oracle's
//! virtual machine (`oracle/differential`), which is asked by a file of frames and read from a file of what
//! `/proc/net/ip_vs*`, `ipvsadm` and the links showed ([`oracle`]). Both become [`Facts`] after every step, and
//! [`compare`] is a function of the two.

#![forbid(unsafe_code)]

pub mod case;
pub mod compare;
pub mod facts;
pub mod frame;
pub mod generate;
pub mod lan;
pub mod listing;
pub mod oracle;
pub mod recorded;
pub mod sequences;
pub mod shrink;
pub mod world;

pub use case::{Case, Packet, Step};
pub use compare::{Difference, compare};
pub use facts::{Fact, Facts};
pub use world::World;
