//! The kernel's tick, for the daemon to read beside the clock that it knows.

use aya_ebpf::bindings::{BPF_F_MMAPABLE, xdp_action};
use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;

/// One reading of both clocks.
#[repr(C)]
pub struct Reading {
    /// The kernel's tick (jiffies).
    tick: u64,
    /// CLOCK_MONOTONIC in nanoseconds.
    nanoseconds: u64,
}

#[map]
static CLOCK: Array<Reading> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Run by BPF_PROG_TEST_RUN only; never attached.
#[xdp]
pub fn xvs_clock(_context: XdpContext) -> u32 {
    // SAFETY: both helpers take nothing and cannot fail.
    let (tick, nanoseconds) = unsafe { (bpf_jiffies64(), bpf_ktime_get_ns()) };
    let _ = CLOCK.set(0, Reading { tick, nanoseconds }, 0);
    xdp_action::XDP_PASS
}

/// The tick now.
#[inline(always)]
pub fn tick() -> u32 {
    // SAFETY: the helper takes nothing and cannot fail.
    unsafe { bpf_jiffies64() as u32 }
}
