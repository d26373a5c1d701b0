//! A data plane in user space: the same tables as the kernel's, on the heap.
//!
//! Tests, replay and fuzzing run the director on it without any privilege.

mod memory;

pub use memory::Memory;
