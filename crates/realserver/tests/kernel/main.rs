//! The BPF program in the kernel. Needs root, and iproute2.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../decap/tests/tunnels/memory.rs"]
mod memory;

mod namespaces;
mod packets;
