//! From one stage's program to the next one's.

use abi::Stage;
use aya_ebpf::EbpfContext;
use aya_ebpf::maps::ProgramArray;

/// Goes on with the stage of a number, `next`, behind stage `from`. Returns where it is not there.
///
/// The kernel jumps directly where it knows the number when it loads the program; another jump goes
/// by a register, which processors are kept from guessing (a retpoline, 10 to 20 ns). So the stages
/// that most packets go on with are named.
///
/// # Safety
/// The array holds programs of the context's kind only.
#[inline(always)]
pub unsafe fn go_on<C: EbpfContext>(stages: &ProgramArray, context: &C, from: Stage, next: u32) {
    macro_rules! likely {
        ($($stage:ident)*) => {{
            $(if next == Stage::$stage as u32 {
                // SAFETY: the caller's.
                return unsafe { jump::<{ Stage::$stage as u32 }, C>(stages, context) };
            })*
        }};
    }
    match from {
        Stage::Enter => likely!(EnterV6 Open Tunnel Fullnat Return Onward),
        Stage::EnterV6 => likely!(OpenV6 TunnelV6 FullnatV6 ReturnV6 OnwardV6),
        Stage::Open => likely!(Onward Schedule Tunnel),
        Stage::OpenV6 => likely!(OnwardV6 Schedule),
        Stage::Schedule => likely!(Make MakeV6),
        Stage::Make => likely!(Onward),
        Stage::MakeV6 => likely!(OnwardV6),
        Stage::Onward => likely!(Tunnel),
        Stage::OnwardV6 => likely!(TunnelV6),
        _ => {}
    }
    // SAFETY: the caller's.
    unsafe { stages.tail_call(context, next) };
}

/// `bpf_tail_call`, by an instruction of its own: the compiler would make one call of several with a
/// number each.
///
/// # Safety
/// As for [`go_on`].
#[inline(always)]
unsafe fn jump<const STAGE: u32, C: EbpfContext>(stages: &ProgramArray, context: &C) {
    // SAFETY: a helper's call; it changes the registers that it takes arguments in, and r0. The map
    // and the context are the kernel's, the caller vouches for what is in the one.
    unsafe {
        core::arch::asm!(
            "r3 = {0}",
            "call 12",
            const STAGE,
            inlateout("r1") context.as_ptr() => _,
            inlateout("r2") core::ptr::from_ref(stages) => _,
            lateout("r0") _,
            lateout("r3") _,
            lateout("r4") _,
            lateout("r5") _,
            options(nostack)
        );
    }
}
