//! Bytes of a frame, by pointers that the verifier follows.

use cell::masked;

/// Offsets into a frame stay below this.
const OFFSETS: usize = 0x800;

/// Bytes that the compiler may also see as words.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Words<const N: usize>([u8; N]);

macro_rules! access {
    ($load:ident, $store:ident, $int:ident, $size:literal) => {
        /// An integer of the frame, `OFFSET` bytes behind `first`.
        ///
        /// By an instruction of its own: the compiler knows of no alignment and would take the
        /// integer to pieces. The machines that BPF is compiled for do not mind how it is aligned.
        ///
        /// # Safety
        /// The integer lies in the frame.
        #[inline(always)]
        unsafe fn $load<const OFFSET: usize>(first: *const u8) -> $int {
            let value: u32;
            // SAFETY: one load, which the verifier checks as well.
            unsafe {
                core::arch::asm!(
                    concat!("{0} = *(", $size, " *)({1} + {2})"),
                    out(wreg) value,
                    in(reg) first,
                    const OFFSET,
                    options(pure, readonly, nostack)
                );
            }
            value as $int
        }

        /// Writes what the function above reads.
        ///
        /// # Safety
        /// The integer lies in the frame, which this program may write.
        #[inline(always)]
        unsafe fn $store<const OFFSET: usize>(first: *mut u8, value: $int) {
            // SAFETY: one store, which the verifier checks as well.
            unsafe {
                core::arch::asm!(
                    concat!("*(", $size, " *)({0} + {2}) = {1}"),
                    in(reg) first,
                    in(wreg) value as u32,
                    const OFFSET,
                    options(nostack)
                );
            }
        }
    };
}

access!(load_u32, store_u32, u32, "u32");
access!(load_u16, store_u16, u16, "u16");
access!(load_u8, store_u8, u8, "u8");

/// Goes over `N` bytes by words, then by half a word, then by a byte.
macro_rules! pieces {
    ($word:ident, $half:ident, $byte:ident) => {{
        pieces!(@words $word, 0 4 8 12 16 20 24 28 32 36);
        pieces!(@half $half, 0 4 8 12 16 20 24 28 32 36 40);
        pieces!(@byte $byte, 0 2 4 6 8 10 12 14 16 18 20);
    }};
    (@words $do:ident, $($offset:literal)*) => {{
        $(if N >= $offset + 4 { $do!($offset); })*
    }};
    (@half $do:ident, $($offset:literal)*) => {{
        $(if N == $offset + 2 || N == $offset + 3 { $do!($offset); })*
    }};
    (@byte $do:ident, $($offset:literal)*) => {{
        $(if N == $offset + 1 { $do!($offset); })*
    }};
}

/// A pointer to `length` bytes at an offset of the frame between `start` and `end`.
#[inline(always)]
fn at(start: usize, end: usize, offset: u32, length: usize) -> Option<*mut u8> {
    let first = start + masked::<OFFSETS>(offset);
    if first + length > end {
        return None;
    }
    Some(first as *mut u8)
}

/// Reads bytes of the frame between `start` and `end`.
///
/// # Safety
/// `start` and `end` are the bounds of the context's frame, read since it was last changed.
#[inline(always)]
pub unsafe fn read<const N: usize>(start: usize, end: usize, offset: u32) -> Option<[u8; N]> {
    const { assert!(N <= 43) };
    let first = at(start, end, offset, N)?.cast_const();
    let mut bytes = Words([0; N]);
    let out = (&raw mut bytes).cast::<u8>();
    macro_rules! word {
        ($offset:literal) => {
            out.add($offset)
                .cast::<u32>()
                .write(load_u32::<$offset>(first))
        };
    }
    macro_rules! half {
        ($offset:literal) => {
            out.add($offset)
                .cast::<u16>()
                .write(load_u16::<$offset>(first))
        };
    }
    macro_rules! byte {
        ($offset:literal) => {
            out.add($offset).write(load_u8::<$offset>(first))
        };
    }
    // SAFETY: `at` has checked that the `N` bytes are in the frame, which the caller vouches for;
    // `bytes` has as many, aligned for words.
    unsafe { pieces!(word, half, byte) };
    Some(bytes.0)
}

/// Goes over `N` words.
macro_rules! words {
    ($do:ident) => {{
        words!(@each $do, 0 1 2 3 4 5 6 7 8 9);
    }};
    (@each $do:ident, $($word:literal)*) => {{
        $(if N > $word { $do!($word); })*
    }};
}

/// Reads words of the frame between `start` and `end`.
///
/// # Safety
/// As for [`read`].
#[inline(always)]
pub unsafe fn read_words<const N: usize>(
    start: usize,
    end: usize,
    offset: u32,
) -> Option<[u32; N]> {
    const { assert!(N <= 10) };
    let first = at(start, end, offset, N * 4)?.cast_const();
    let mut words = [0; N];
    macro_rules! word {
        ($word:literal) => {
            words[$word % N] = load_u32::<{ $word * 4 }>(first)
        };
    }
    // SAFETY: as in `read`.
    unsafe { words!(word) };
    Some(words)
}

/// Writes words of the frame between `start` and `end`.
///
/// # Safety
/// As for [`read`].
#[inline(always)]
pub unsafe fn write_words<const N: usize>(
    start: usize,
    end: usize,
    offset: u32,
    words: &[u32; N],
) -> Option<()> {
    const { assert!(N <= 10) };
    let first = at(start, end, offset, N * 4)?;
    macro_rules! word {
        ($word:literal) => {
            store_u32::<{ $word * 4 }>(first, words[$word % N])
        };
    }
    // SAFETY: as in `write`.
    unsafe { words!(word) };
    Some(())
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
    const { assert!(N <= 43) };
    let first = at(start, end, offset, N)?;
    let bytes = Words(*value);
    let from = (&raw const bytes).cast::<u8>();
    macro_rules! word {
        ($offset:literal) => {
            store_u32::<$offset>(first, from.add($offset).cast::<u32>().read())
        };
    }
    macro_rules! half {
        ($offset:literal) => {
            store_u16::<$offset>(first, from.add($offset).cast::<u16>().read())
        };
    }
    macro_rules! byte {
        ($offset:literal) => {
            store_u8::<$offset>(first, from.add($offset).read())
        };
    }
    // SAFETY: as in `read`; a program has its frame to itself.
    unsafe { pieces!(word, half, byte) };
    Some(())
}

/// Changes 16 bits of the frame between `start` and `end`; given and taken as they stand in it.
///
/// # Safety
/// As for [`read`].
#[inline(always)]
pub unsafe fn change(
    start: usize,
    end: usize,
    offset: u32,
    new: impl FnOnce(u16) -> u16,
) -> Option<()> {
    let half = at(start, end, offset, 2)?;
    // SAFETY: as in `read` and `write`.
    unsafe { store_u16::<0>(half, new(load_u16::<0>(half))) };
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
