//! Bytes of a frame, by pointers that the verifier follows.

use cell::masked;

/// Offsets into a frame stay below this.
const OFFSETS: u32 = 0x3ff;

/// Bytes as the compiler may access them: two at a time. Frames start at even addresses, and the
/// machines that BPF is compiled for do not mind if one should not.
#[repr(C, align(2))]
#[derive(Clone, Copy)]
struct Even<const N: usize>([u8; N]);

/// A pointer to `N` bytes at an offset of the frame between `start` and `end`.
#[inline(always)]
fn at<const N: usize>(start: usize, end: usize, offset: u32) -> Option<*mut [u8; N]> {
    let first = start + masked(offset, OFFSETS);
    if first + N > end {
        return None;
    }
    Some(first as *mut [u8; N])
}

/// Reads bytes of the frame between `start` and `end`.
///
/// # Safety
/// `start` and `end` are the bounds of the context's frame, read since it was last changed.
#[inline(always)]
pub unsafe fn read<const N: usize>(start: usize, end: usize, offset: u32) -> Option<[u8; N]> {
    let bytes = at::<N>(start, end, offset)?;
    // SAFETY: `at` has checked that the bytes are in the frame, which the caller vouches for; a
    // program has its frame to itself. An even number of bytes is as large as its `Even`.
    Some(unsafe {
        if N.is_multiple_of(2) {
            bytes.cast::<Even<N>>().read().0
        } else {
            bytes.read()
        }
    })
}

/// Writes bytes of the frame between `start` and `end`.
///
/// # Safety
/// As for [`read`].
#[inline(always)]
pub unsafe fn write<const N: usize>(
    start: usize,
    end: usize,
    offset: u32,
    value: &[u8; N],
) -> Option<()> {
    let bytes = at::<N>(start, end, offset)?;
    // SAFETY: as in `read`.
    unsafe {
        if N.is_multiple_of(2) {
            bytes.cast::<Even<N>>().write(Even(*value))
        } else {
            bytes.write(*value)
        }
    }
    Some(())
}

/// Bytes between two pointers into a frame. By an instruction of its own, since the compiler would
/// subtract the lower halves only, which the verifier takes for arithmetic on a pointer.
#[inline(always)]
pub fn length(start: usize, end: usize) -> u32 {
    let mut length = end;
    // SAFETY: one instruction that changes one register.
    unsafe {
        core::arch::asm!(
            "{0} -= {1}",
            inout(reg) length,
            in(reg) start,
            options(pure, nomem, nostack)
        );
    }
    length as u32
}

/// The bounds of a context's frame: two words of the context, `START` and `END` bytes into it.
///
/// By instructions of their own: the compiler takes the words for 32-bit numbers and would move
/// them as such, and the verifier would no longer know them for pointers.
#[inline(always)]
pub fn bounds<const START: usize, const END: usize, C>(context: *mut C) -> (usize, usize) {
    let (start, end): (usize, usize);
    // SAFETY: two loads from the context, which the verifier checks.
    unsafe {
        core::arch::asm!(
            "{0} = *(u32 *)({2} + {3})",
            "{1} = *(u32 *)({2} + {4})",
            out(reg) start,
            lateout(reg) end,
            in(reg) context,
            const START,
            const END,
            options(readonly, nostack)
        );
    }
    (start, end)
}
