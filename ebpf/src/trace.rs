//! Tracing. Every program exists in two variants: in the one that packets usually meet [`IS_ON`] is
//! false, and the kernel leaves out what depends on it; the other one takes its place while somebody
//! traces.
//!
//! Then packets first meet a program that takes them down as they came and goes on with the usual
//! entry point; where their way ends, the last stage hands them to a program that reports them. Both
//! are programs of their own, so that the verifier has no more to do with the others.

use abi::{Stage, TRACERS, TraceFilter, TraceHook, TraceProcessor, TraceRecord};
use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, RingBuf};
use forward::trace::Fate;
use forward::{Host, Verdict};

use crate::clock;
use crate::maps::Maps;

/// Whether these programs trace: set when they are loaded.
#[unsafe(no_mangle)]
static TRACE: u32 = 0;

/// What each processor knows of the packet that it is busy with.
#[map]
static TRACE_PROCESSORS: Array<TraceProcessor> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// Who traces, and what.
#[map]
static TRACE_FILTERS: Array<TraceFilter> = Array::with_max_entries(TRACERS, BPF_F_MMAPABLE);
/// What is reported.
#[map]
static TRACE_RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// The only place in the arrays of the programs that report.
pub const REPORT: u32 = 0;

/// Whether these programs trace. The kernel takes it for the constant that it is.
#[inline(always)]
pub fn is_on() -> bool {
    // SAFETY: a read of a static, of which the compiler shall not know the value.
    unsafe { core::ptr::read_volatile(&raw const TRACE) != 0 }
}

#[inline(always)]
fn here() -> Option<&'static TraceProcessor> {
    // SAFETY: the helper takes nothing and cannot fail.
    TRACE_PROCESSORS.get(unsafe { bpf_get_smp_processor_id() })
}

/// Takes down a packet that has come.
#[inline(always)]
pub fn begin(host: &mut impl Host<'static>, hook: TraceHook) {
    if let Some(processor) = here() {
        // SAFETY: the helper takes nothing and cannot fail.
        let at = unsafe { bpf_ktime_get_ns() };
        forward::trace::begin(host, processor, (hook, at));
    }
}

/// Notes that a packet enters a stage.
#[inline(always)]
pub fn pass(stage: Stage) {
    if let Some(processor) = here() {
        forward::trace::pass(processor, stage);
    }
}

/// Leaves what became of a packet, and the hook's return code, to the program that reports.
#[inline(always)]
pub fn leave(verdict: Verdict, exit: u32, code: u32) {
    if let Some(processor) = here() {
        let fate = Fate::of(verdict, exit);
        forward::trace::leave(processor, fate, code);
    }
}

/// Reports a packet whose way has ended. The hook's return code.
#[inline(always)]
pub fn report(host: &mut impl Host<'static>) -> Option<u32> {
    let processor = here()?;
    forward::trace::end(host, processor);
    let number = processor.record.processor.load();
    xvs_trace_tell(number);
    Some(processor.code.load())
}

/// A global function: the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_trace_tell(processor: u32) -> u32 {
    let Some(processor) = TRACE_PROCESSORS.get(processor) else {
        return 0;
    };
    let filter = |tracer| TRACE_FILTERS.get(tracer);
    let chosen = forward::trace::select(Maps, processor, clock::tick(), filter);
    if chosen != 0 {
        // The daemon looks from time to time: no packet pays for waking it.
        let flags = BPF_RB_NO_WAKEUP as u64;
        let told = TRACE_RECORDS.output::<TraceRecord>(&processor.record, flags);
        forward::trace::told(processor, chosen, told.is_ok());
    }
    chosen
}
