//! A data plane in user space: the same tables as the kernel's, on the heap.
//!
//! Tests, replay and fuzzing run the director on it without any privilege.

mod frame;
mod memory;
mod overlay;

pub use frame::{Exit, Frame, Ground, Neighbour, Outcome};
pub use memory::Memory;
pub use overlay::Overlay;
