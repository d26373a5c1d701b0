//! Freeing what has died, by the packets themselves: goes on while no daemon runs.

use abi::{Reason, Tick};

use crate::counters::settle_death;
use crate::host::{Host, Tables, connections};

/// Buckets that the first packet of every tick looks at.
const BUCKETS_A_TICK: u32 = 4;

/// Frees what has died in a few buckets, from `first` on.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::sweep`].
#[inline(always)]
pub fn sweep<'t, T: Tables<'t>>(tables: T, first: u32, now: Tick, processor: u32) {
    let Some(globals) = tables.globals() else {
        return;
    };
    let table = connections(tables, globals);
    for index in 0..BUCKETS_A_TICK {
        let bucket = first.wrapping_add(index) & globals.bucket_mask.load();
        table.sweep(bucket, now, |died| {
            tables.count(processor, Reason::Expired as u32);
            settle_death(tables, died);
        });
    }
}

/// Sweeps a few buckets if no packet has in this tick.
#[inline(always)]
pub(crate) fn some<'t, H: Host<'t>>(host: &H, now: Tick) {
    let Some(runtime) = host.tables().runtime() else {
        return;
    };
    let last = runtime.sweep_tick.load();
    if last == now || !runtime.sweep_tick.compare_and_swap(last, now) {
        return;
    }
    let first = runtime.sweep_cursor.fetch_add(BUCKETS_A_TICK);
    host.tables().sweep(first, now, host.processor());
}
