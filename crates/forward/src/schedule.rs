//! Which destination takes a new connection.

use abi::{
    DestinationCell, LoadCell, MAX_COMPARED, NONE, Scheduling, ServiceCell, destination_flags,
};
use sched::least::{self, Candidate};

use crate::host::Tables;

/// How many positions of a sequence are tried before the list decides: more than one only where
/// destinations are overloaded.
const SEQUENCE_TRIES: u32 = 16;

/// Asks a service's scheduler for the destination of a new connection: its number, or [`NONE`]
/// where nobody may take one. `service` is the index of the service's cell.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::pick`].
#[inline(always)]
pub fn pick<'t, T: Tables<'t>>(tables: T, service: u32) -> u32 {
    let Some(service) = tables.service(service) else {
        return NONE;
    };
    let scheduling = service.scheduling.load();
    if scheduling == Scheduling::Sequence as u32 {
        let number = by_sequence(tables, service);
        if number != NONE {
            return number;
        }
    }
    let by_weight = scheduling != Scheduling::LeastConnection as u32;
    let (first, members) = (service.members_first.load(), service.members.load());
    tables.least_loaded(first, members, by_weight)
}

/// A destination that may take a connection.
#[inline(always)]
fn eligible<'t, T: Tables<'t>>(
    tables: T,
    number: u32,
) -> Option<(&'t DestinationCell, &'t LoadCell)> {
    let destination = tables.destination(number)?;
    let load = tables.load(number)?;
    let may = destination.flags.load() & destination_flags::AVAILABLE != 0
        && destination.weight.load() != 0
        && load.overloaded.load() == 0;
    may.then_some((destination, load))
}

/// The destination at the service's next position, or the first behind it that may; [`NONE`]
/// after a number of positions.
#[inline(always)]
fn by_sequence<'t, T: Tables<'t>>(tables: T, service: &ServiceCell) -> u32 {
    let picks = service.picks.load();
    let Some(runtime) = tables.service_runtime(service.number.load()) else {
        return NONE;
    };
    if picks == 0 {
        return NONE;
    }
    let base = service.cursor_base.load();
    for _ in 0..SEQUENCE_TRIES {
        let position = runtime.cursor.fetch_add(1).wrapping_sub(base) % picks;
        let Some(number) = at_position(tables, service, position) else {
            return NONE;
        };
        if eligible(tables, number).is_some() {
            return number;
        }
    }
    NONE
}

/// The member at a position of the sequence.
#[inline(always)]
fn at_position<'t, T: Tables<'t>>(tables: T, service: &ServiceCell, position: u64) -> Option<u32> {
    let first = service.blocks_first.load();
    let start_of = |index: u32| Some(tables.block(first.wrapping_add(index))?.start.load());
    let index = sched::sequence::block_at(position, service.blocks.load(), start_of)?;
    let block = tables.block(first.wrapping_add(index))?;
    let offset = sched::sequence::member_at(position, block.start.load(), block.members.load())?;
    Some(
        tables
            .member(block.members_first.load().wrapping_add(offset))?
            .load(),
    )
}

/// The number of the member with the least load, for its weight or regardless of it; of equals the
/// earlier in the list. [`NONE`] where nobody may take a connection.
#[inline(always)]
pub fn least_loaded<'t, T: Tables<'t>>(
    tables: T,
    first: u32,
    members: u32,
    by_weight: bool,
) -> u32 {
    // No `Option` of it: the kernel's verifier refuses to move what `None` leaves unset.
    let mut best = Candidate {
        number: NONE,
        weight: 0,
        overhead: 0,
    };
    for index in 0..MAX_COMPARED {
        if index >= members {
            break;
        }
        let Some(member) = tables.member(first.wrapping_add(index)) else {
            break;
        };
        let number = member.load();
        let Some((destination, load)) = eligible(tables, number) else {
            continue;
        };
        let candidate = Candidate {
            number,
            weight: if by_weight {
                destination.weight.load()
            } else {
                1
            },
            overhead: least::overhead(load.active.load(), load.inactive.load()),
        };
        best = if best.number == NONE {
            candidate
        } else {
            candidate.or_better(best)
        };
    }
    best.number
}
