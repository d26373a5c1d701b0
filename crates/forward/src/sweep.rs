//! Freeing what has died, by the packets themselves: goes on while no daemon runs.

use abi::{Globals, HELD_SECONDS, Reason, Tick};

use crate::counters::settle_death;
use crate::family::{Family, V4, V6};
use crate::fullnat;
use crate::host::{Host, Tables, connections};

/// Buckets of each family that the first packet of every tick looks at.
const BUCKETS_A_TICK: u32 = 4;

/// Frees what has died in a few buckets, from `first` on.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::sweep`].
#[inline(always)]
pub fn sweep<'t, T: Tables<'t>>(tables: T, first: u32, now: Tick, processor: u32) {
    if let Some(globals) = tables.globals() {
        sweep_family::<V4, T>(tables, globals, first, (now, processor));
        sweep_family::<V6, T>(tables, globals, first, (now, processor));
    }
}

#[inline(always)]
fn sweep_family<'t, F: Family, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    first: u32,
    (now, processor): (Tick, u32),
) {
    let table = connections::<F, T>(tables, globals);
    let buckets = F::buckets(globals).max(1);
    let longer = HELD_SECONDS * globals.ticks_per_second.load();
    for index in 0..BUCKETS_A_TICK {
        let bucket = first.wrapping_add(index) % buckets;
        table.sweep(bucket, (now, longer), |died| {
            tables.count(processor, Reason::Expired as u32);
            settle_death::<F, T>(tables, globals, died);
        });
        table.sweep_aliases(bucket, now, |main, position| {
            fullnat::holds::<F, T>(tables, globals, (main, position), now)
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
