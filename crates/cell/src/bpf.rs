//! The operations by BPF instructions.

/// An index modulo `N`, a power of two, by an instruction that the compiler cannot take away unless
/// it knows the index.
///
/// The kernel's verifier wants to see the bound where memory is accessed; the compiler would drop
/// a mask where it knows a narrower bound itself, from what the verifier has forgotten by then.
#[inline(always)]
pub fn masked<const N: usize>(index: u32) -> usize {
    const { assert!(N.is_power_of_two()) };
    if core::intrinsics::is_val_statically_known(index) {
        return index as usize & (N - 1);
    }
    let mut index = index as u64;
    // SAFETY: one instruction that changes one register.
    unsafe {
        core::arch::asm!(
            "{0} &= {1}",
            inout(reg) index,
            const N - 1,
            options(pure, nomem, nostack)
        );
    }
    index as usize
}

/// The bits of an index that `mask` has, which the verifier knows and the compiler does not; as
/// [`masked`].
#[inline(always)]
pub fn masked_by(index: u32, mask: u32) -> usize {
    let mut index = index as u64;
    // SAFETY: one instruction that changes one register.
    unsafe {
        core::arch::asm!(
            "{0} &= {1}",
            inout(reg) index,
            in(reg) mask as u64,
            options(pure, nomem, nostack)
        );
    }
    index as usize
}

/// The value, of which the kernel's verifier forgets what it knows, as far as it knows nothing of
/// `unknown`: what was read from memory that others write, or from a packet.
///
/// Where ways through a program meet that differ in a number only (which slot of a bucket, how far
/// into a packet), the verifier follows what comes behind once for each number, unless it cannot
/// tell them apart.
#[inline(always)]
pub fn blurred(value: u32, unknown: u32) -> u32 {
    blurred64(value as u64, unknown as u64) as u32
}

/// As [`blurred`].
#[inline(always)]
pub fn blurred64(mut value: u64, unknown: u64) -> u64 {
    // SAFETY: two instructions that change one register, and back.
    unsafe {
        core::arch::asm!(
            "{0} ^= {1}",
            "{0} ^= {1}",
            inout(reg) value,
            in(reg) unknown,
            options(pure, nomem, nostack)
        );
    }
    value
}

macro_rules! bpf_access {
    ($module:ident, $int:ident) => {
        pub mod $module {
            use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_or, atomic_xadd};
            const SEQ_CST: AtomicOrdering = AtomicOrdering::SeqCst;

            #[inline(always)]
            pub fn load(cell: *mut $int) -> $int {
                // SAFETY: the pointer comes from a borrowed cell in a map's value. A volatile
                // access of an aligned integer is one instruction.
                unsafe { core::ptr::read_volatile(cell) }
            }

            #[inline(always)]
            pub fn store(cell: *mut $int, value: $int) {
                // SAFETY: as in `load`; writers race by single stores only.
                unsafe { core::ptr::write_volatile(cell, value) }
            }

            #[inline(always)]
            pub fn publish(cell: *mut $int, value: $int) {
                // SAFETY: as in `load`. The exchange instruction is a full barrier.
                unsafe { core::intrinsics::atomic_xchg::<$int, SEQ_CST>(cell, value) };
            }

            #[inline(always)]
            pub fn compare_and_swap(cell: *mut $int, old: $int, new: $int) -> bool {
                // SAFETY: as in `load`.
                unsafe { atomic_cxchg::<$int, SEQ_CST, SEQ_CST>(cell, old, new).1 }
            }

            #[inline(always)]
            pub fn fetch_add(cell: *mut $int, value: $int) -> $int {
                // SAFETY: as in `load`.
                unsafe { atomic_xadd::<$int, $int, SEQ_CST>(cell, value) }
            }

            #[inline(always)]
            pub fn set_bits(cell: *mut $int, value: $int) {
                // SAFETY: as in `load`.
                unsafe { atomic_or::<$int, $int, SEQ_CST>(cell, value) };
            }

            #[inline(always)]
            pub fn add(cell: *mut $int, value: $int) {
                // SAFETY: as in `load`.
                unsafe {
                    atomic_xadd::<$int, $int, { AtomicOrdering::Relaxed }>(cell, value);
                }
            }
        }
    };
}

bpf_access!(cell32, u32);
bpf_access!(cell64, u64);
