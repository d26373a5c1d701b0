//! Cells of memory that several writers share: the packets of every processor in the kernel, and
//! the daemon through a memory map.
//!
//! A [`Cell32`] or [`Cell64`] is an atomic integer with the same layout as the integer. The BPF
//! target has no `AtomicU32` in `core` and no compare-and-swap in `AtomicU64`, although the
//! instruction set (version 3) has both; these types give the operations that the BPF instruction
//! set has, and nothing more.
//!
//! Ordering: loads and stores of one cell are single accesses. Compare-and-swap, `fetch_add` and
//! `set_bits` are sequentially consistent, also in BPF (the kernel's verifier turns them into the
//! machine's full-barrier forms): what stands before one in the program happens before it, what
//! stands behind it after. `publish` orders every earlier store before it. Between two full barriers, BPF
//! has plain accesses, ordered as the machine orders them: loads among loads and stores among
//! stores on x86-64, not so on arm64.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics, asm_experimental_arch))]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        internal_features,
        reason = "core's atomics for BPF lack compare-and-swap"
    )
)]

#[cfg(target_arch = "bpf")]
#[path = "bpf.rs"]
mod access;
#[cfg(not(target_arch = "bpf"))]
#[path = "native.rs"]
mod access;

use core::cell::UnsafeCell;

#[cfg(target_arch = "bpf")]
pub use access::masked_by;
pub use access::{blurred, blurred64, masked};

/// The element at `index`, which counts modulo the array's length, a power of two.
#[inline(always)]
pub fn element<T, const N: usize>(array: &[T; N], index: u32) -> &T {
    // SAFETY: the index is less than the array's length.
    unsafe { array.get_unchecked(masked::<N>(index)) }
}

macro_rules! shared_cell {
    ($name:ident, $int:ident, $atomic:ident) => {
        #[doc = concat!("A `", stringify!($int), "` that other processors and processes change.")]
        #[repr(transparent)]
        pub struct $name(UnsafeCell<$int>);

        // SAFETY: every access goes through `access`, which uses single atomic accesses only.
        unsafe impl Sync for $name {}
        // SAFETY: a plain integer; it is tied to no thread.
        unsafe impl Send for $name {}

        impl $name {
            /// A cell that holds `value`.
            pub const fn new(value: $int) -> Self {
                Self(UnsafeCell::new(value))
            }

            /// The value now. Earlier than every access that depends on it.
            #[inline(always)]
            pub fn load(&self) -> $int {
                access::$atomic::load(self.0.get())
            }

            /// Writes after every earlier compare-and-swap; no other ordering is promised.
            #[inline(always)]
            pub fn store(&self, value: $int) {
                access::$atomic::store(self.0.get(), value);
            }

            /// Writes after everything this processor wrote before.
            #[inline(always)]
            pub fn publish(&self, value: $int) {
                access::$atomic::publish(self.0.get(), value);
            }

            /// Writes `new` where the cell still holds `old`; whether it did.
            #[inline(always)]
            pub fn compare_and_swap(&self, old: $int, new: $int) -> bool {
                access::$atomic::compare_and_swap(self.0.get(), old, new)
            }

            /// Adds with wrap-around and returns what was there before.
            #[inline(always)]
            pub fn fetch_add(&self, value: $int) -> $int {
                access::$atomic::fetch_add(self.0.get(), value)
            }

            /// Sets the bits that `value` has.
            #[inline(always)]
            pub fn set_bits(&self, value: $int) {
                access::$atomic::set_bits(self.0.get(), value);
            }

            /// Adds with wrap-around; cheaper than [`Self::fetch_add`] where the old value is not
            /// asked for.
            #[inline(always)]
            pub fn add(&self, value: $int) {
                access::$atomic::add(self.0.get(), value);
            }
        }

        impl $name {
            /// Adds with wrap-around, by a load and a store: many times cheaper than [`Self::add`],
            /// and for cells that one processor alone writes, where nothing that writes them
            /// interrupts it. Others may read them at any time.
            #[inline(always)]
            pub fn bump(&self, value: $int) {
                self.store(self.load().wrapping_add(value));
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Debug::fmt(&self.load(), f)
            }
        }
    };
}

shared_cell!(Cell32, u32, cell32);
shared_cell!(Cell64, u64, cell64);
