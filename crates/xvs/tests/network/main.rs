//! The whole director in network namespaces: the real program, the real kernel, real servers.
//!
//! Every test builds a network of its own, so they run beside each other. Needs root, and nginx,
//! curl, iproute2 and ethtool.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod balancing;
mod clients;
mod configuration;
mod datagrams;
mod endings;
mod generator;
mod keepalived_conf;
mod manners;
mod marks;
mod methods;
mod neighbours;
mod next_hops;
mod printing;
mod proc_files;
mod restarts;
mod support;
mod telling;
mod transcript;
mod transfers;
mod via_vip;
