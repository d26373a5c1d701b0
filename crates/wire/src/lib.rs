//! Packet headers and checksums, without allocation and without panics.
//!
//! Every header type wraps the bytes of the fixed part of that header; its getters and setters
//! know the offsets. Addresses and ports are handed out as they stand in the packet (network
//! order, read as native integers), which is what tables and checksums want; lengths and other
//! numbers are in host order.
//!
//! No function panics for any input.
#![no_std]
#![forbid(unsafe_code)]

pub mod checksum;
pub mod ecn;
pub mod ethernet;
pub mod gre;
pub mod gue;
pub mod icmp;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod proxy;
pub mod tcp;
pub mod udp;

pub use checksum::Delta;
