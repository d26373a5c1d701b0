//! The operations by the standard library's atomics.

/// An index modulo `N`, a power of two.
#[inline(always)]
pub const fn masked<const N: usize>(index: u32) -> usize {
    const { assert!(N.is_power_of_two()) };
    index as usize & (N - 1)
}

/// The value. In BPF the kernel's verifier is made to forget what it knows of it.
#[inline(always)]
pub const fn blurred(value: u32, _unknown: u32) -> u32 {
    value
}

/// As [`blurred`].
#[inline(always)]
pub const fn blurred64(value: u64, _unknown: u64) -> u64 {
    value
}

macro_rules! native_access {
    ($module:ident, $int:ident, $atomic:ident) => {
        pub mod $module {
            use core::sync::atomic::{Ordering, $atomic};

            #[inline(always)]
            fn atomic<'a>(cell: *mut $int) -> &'a $atomic {
                // SAFETY: the pointer comes from a cell that is borrowed for the whole call, is
                // aligned for its integer (equal to the atomic's alignment on the 64-bit machines
                // that the kernel side supports), and is never accessed but atomically.
                unsafe { $atomic::from_ptr(cell) }
            }

            pub fn load(cell: *mut $int) -> $int {
                // Not before an earlier compare-and-swap of another cell: two processors that both
                // publish and then look must not both miss the other.
                atomic(cell).load(Ordering::SeqCst)
            }

            pub fn store(cell: *mut $int, value: $int) {
                // Not before an earlier compare-and-swap of another cell: who reads what was
                // written into a claimed slot must find the slot claimed.
                atomic(cell).store(value, Ordering::Release);
            }

            pub fn publish(cell: *mut $int, value: $int) {
                atomic(cell).store(value, Ordering::SeqCst);
            }

            pub fn compare_and_swap(cell: *mut $int, old: $int, new: $int) -> bool {
                atomic(cell)
                    .compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst)
                    .is_ok()
            }

            pub fn fetch_add(cell: *mut $int, value: $int) -> $int {
                atomic(cell).fetch_add(value, Ordering::SeqCst)
            }

            pub fn set_bits(cell: *mut $int, value: $int) {
                atomic(cell).fetch_or(value, Ordering::SeqCst);
            }

            pub fn add(cell: *mut $int, value: $int) {
                atomic(cell).fetch_add(value, Ordering::Relaxed);
            }
        }
    };
}

native_access!(cell32, u32, AtomicU32);
native_access!(cell64, u64, AtomicU64);
