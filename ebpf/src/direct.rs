//! Tables that programs find without asking: where such a one is, the kernel writes into the program
//! when it takes it.
//!
//! An array map of many values needs a lookup for each, which the kernel compiles to a dozen
//! instructions: the key through memory, a comparison, a multiplication, and whoever asks compares
//! with null once more. Here the whole table is one value, in a section of its own that stands for
//! the map. Who loads the programs makes the map, as large as the table shall be.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use cell::masked_by;

/// A table of `T`s, shared with other processors and the daemon; at least one.
#[repr(transparent)]
pub struct Direct<T, const N: usize = 1>(UnsafeCell<MaybeUninit<[T; N]>>);

// SAFETY: only shared references to `T`s are given out.
unsafe impl<T: Sync, const N: usize> Sync for Direct<T, N> {}

impl<T, const N: usize> Direct<T, N> {
    /// What the section stands for; the map's memory is zero at first.
    ///
    /// # Safety
    /// `T` consists of shared cells, for which every bit pattern is a value.
    pub const unsafe fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// The one at `index`, of which the bits of `mask` count. The kernel's verifier sees to it that
    /// the table has so many.
    #[inline(always)]
    pub fn at(&'static self, index: u32, mask: u32) -> &'static T {
        // SAFETY: the verifier takes no program that leaves the map's memory, which outlives the
        // program; `new` answers for the values.
        unsafe { &*self.start().add(masked_by(index, mask)) }
    }

    /// The first one.
    #[inline(always)]
    pub fn first(&'static self) -> &'static T {
        // SAFETY: as above.
        unsafe { &*self.start() }
    }

    /// Where the table begins. That it is as small as its section says, or never written where this
    /// program does not, is nothing that the compiler may go by.
    #[inline(always)]
    fn start(&'static self) -> *const T {
        let mut start = self.0.get().expose_provenance();
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) start, options(pure, nomem, nostack, preserves_flags));
        }
        core::ptr::with_exposed_provenance(start)
    }
}
