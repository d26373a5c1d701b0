//! Freeing what has died, by the packets themselves: goes on while no daemon runs.

use abi::{Globals, Reason, Tick};

use crate::counters::settle_death;
use crate::host::{Host, Tables, connections};

/// Buckets that the first packet of every tick looks at.
const BUCKETS_A_TICK: u32 = 4;

#[inline(never)]
fn buckets<'t, H: Host<'t>>(host: &H, globals: &Globals, now: Tick, first: u32) {
    let tables = host.tables();
    let table = connections(tables, globals);
    for index in 0..BUCKETS_A_TICK {
        let bucket = first.wrapping_add(index) & globals.bucket_mask.load();
        table.sweep(bucket, now, |died| {
            host.count(Reason::Expired);
            settle_death(tables, died);
        });
    }
}

/// Sweeps a few buckets if no packet has in this tick.
#[inline(always)]
pub(crate) fn some<'t, H: Host<'t>>(host: &H, globals: &Globals, now: Tick) {
    let Some(runtime) = host.tables().runtime() else {
        return;
    };
    let last = runtime.sweep_tick.load();
    if last == now || !runtime.sweep_tick.compare_and_swap(last, now) {
        return;
    }
    buckets(host, globals, now, runtime.sweep_cursor.fetch_add(BUCKETS_A_TICK));
}
