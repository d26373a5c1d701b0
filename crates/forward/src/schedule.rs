//! Which destination takes a new connection.

use abi::{
    COMPARED_AT_ONCE, Carry, DestinationCell, LOOKUP_LINE, LoadCell, LocalityKey, MAX_COMPARED,
    NONE, Reason, Scheduling, ServiceCell, Stage, destination_flags, service_flags,
};
use cell::{blurred, element};
use sched::address::Address;
use sched::least::{Candidate, Load, Rule};
use sched::{dh, lblc, lblcr, locality, maglev, mh, sh, twos};

use crate::answer;
use crate::family::{Family as _, V4, V6};
use crate::host::{Host, Tables};
use crate::persist::FTP;
use crate::verdict::{Step, Verdict};

/// How many positions of a sequence are tried before the list decides: more than one only where
/// destinations are overloaded.
const SEQUENCE_TRIES: u32 = 16;
/// How many slots of a table are tried where the first's destination may not take the connection:
/// all of sh's, as the kernel does; of mh's and maglev's as many as find somebody with near
/// certainty while half of the destinations may.
const MH_TRIES: u32 = 64;
const MAGLEV_TRIES: u32 = 32;
/// Draws until two destinations that may take the connection are found.
const LOTTERY_TRIES: u32 = 8;

/// The stage: asks the scheduler of the service that is left in the processor's [`abi::Carry`] for
/// the destination of a new connection, and leaves its number there.
#[inline(always)]
pub(crate) fn schedule<'t, H: Host<'t>>(host: &mut H) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    let service = host
        .tables()
        .service(carry.service.load())
        .ok_or(Reason::TableMissing)?;
    let number = pick(host.tables(), carry.service.load(), host.processor());
    if carry.compared.load() != 0 {
        carry.destination.store(number);
        return Ok(Verdict::go_on(Stage::Schedule));
    }
    let asked = carry.asked.load();
    carry.asked.store(asked + 1);
    if number != NONE {
        carry.destination.store(number);
    } else if asked == 0 {
        return Err(nobody(service, carry));
    }
    let is_persistent = service.persistence.load() != 0;
    Ok(Verdict::go_on(
        match (is_persistent, carry.is_v6.load() != 0) {
            (true, false) => V4::PERSIST,
            (true, true) => V6::PERSIST,
            (false, false) => V4::MAKE,
            (false, true) => V6::MAKE,
        },
    ))
}

/// Why a packet goes nowhere for which there is no destination. FTP's data connections may have
/// been meant for the director itself (`ip_vs_leave`).
#[inline(always)]
fn nobody(service: &ServiceCell, carry: &Carry) -> Reason {
    let port = (carry.ports.load() >> 16) as u16;
    if service.key.load() as u16 == FTP && port != FTP {
        Reason::NoService
    } else {
        Reason::NoDestination
    }
}

/// The end of the way of a packet that nobody took: see [`answer::instead`].
#[inline(always)]
pub(crate) fn refused<'t, H: Host<'t>>(host: &H, verdict: Verdict) -> Verdict {
    let is_v6 = host.carry().is_some_and(|carry| carry.is_v6.load() != 0);
    if is_v6 {
        answer::instead::<V6, H>(host, verdict)
    } else {
        answer::instead::<V4, H>(host, verdict)
    }
}

/// Asks a service's scheduler: a destination's number, or [`NONE`] where nobody may take a
/// connection. `service` is the index of the service's cell.
#[inline(always)]
pub(crate) fn pick<'t, T: Tables<'t>>(tables: T, index: u32, processor: u32) -> u32 {
    const SEQUENCE: u32 = Scheduling::Sequence as u32;
    const LOTTERY: u32 = Scheduling::Lottery as u32;
    const DESTINATION_HASH: u32 = Scheduling::DestinationHash as u32;
    const LOCALITY: u32 = Scheduling::Locality as u32;
    const REPLICATED: u32 = Scheduling::LocalityReplicated as u32;
    let Some(service) = tables.service(index) else {
        return NONE;
    };
    match service.scheduling.load() {
        SEQUENCE => by_sequence(tables, service),
        LOTTERY => by_lottery(tables, service),
        LOCALITY => by_locality(tables, service, processor),
        REPLICATED => by_locality_set(tables, service, processor),
        scheduling if scheduling >= DESTINATION_HASH => {
            tables.pick_hashed(index, scheduling, processor)
        }
        scheduling => compare(tables, service, scheduling, processor),
    }
}

/// The best of a service's list by a rule, a number of [`Scheduling`]. Of a long list only so much as
/// can be compared at once; then what is left in the processor's [`Carry`] says how far it came, and
/// with whom as the best so far it goes on.
#[inline(always)]
fn compare<'t, T: Tables<'t>>(tables: T, service: &ServiceCell, rule: u32, processor: u32) -> u32 {
    let Some(carry) = tables.carry(processor) else {
        return NONE;
    };
    let (from, members) = (carry.compared.load(), service.members.load());
    let best = if from == 0 {
        NONE
    } else {
        carry.destination.load()
    };
    let first = service.members_first.load().wrapping_add(from);
    let best = tables.least_loaded(first, members.wrapping_sub(from), rule, best);
    let next = from + COMPARED_AT_ONCE;
    let is_over = next >= members || next >= MAX_COMPARED;
    carry.compared.store(if is_over { 0 } else { next });
    best
}

/// wlc's choice among as many as can be compared at once.
#[inline(always)]
fn by_weight<'t, T: Tables<'t>>(tables: T, service: &ServiceCell) -> u32 {
    let rule = Scheduling::WeightedLeastConnection as u32;
    let (first, members) = (service.members_first.load(), service.members.load());
    tables.least_loaded(first, members, rule, NONE)
}

/// A destination as schedulers see it; weight 0 where it may not take a connection.
#[inline(always)]
fn load_of(destination: &DestinationCell, load: &LoadCell) -> Load {
    // Without a branch, as the kernel's verifier follows every one for every member of a list.
    let is_available = destination.flags.load() & destination_flags::AVAILABLE;
    let may = is_available & (load.overloaded.load() ^ 1);
    Load {
        weight: destination.weight.load() & may.wrapping_neg(),
        active: load.active.load(),
        inactive: load.inactive.load(),
    }
}

/// Whether a destination may take a connection.
#[inline(always)]
fn may<'t, T: Tables<'t>>(tables: T, number: u32) -> bool {
    let (Some(destination), Some(load)) = (tables.destination(number), tables.load(number)) else {
        return false;
    };
    load_of(destination, load).weight != 0
}

/// The destination at the next position of a service that goes by a sequence, where it may take the
/// connection: the common case, without the stage. [`NONE`] where the stage is to be asked.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::next_in_turn`].
#[inline(always)]
pub fn next_in_turn<'t, T: Tables<'t>>(tables: T, index: u32) -> u32 {
    let service = tables.service(index);
    let sequence = |service: &&ServiceCell| {
        service.scheduling.load() == Scheduling::Sequence as u32 && service.persistence.load() == 0
    };
    service
        .filter(sequence)
        .and_then(|service| next_of(tables, service))
        .filter(|&number| may(tables, number))
        .unwrap_or(NONE)
}

/// The destination at the service's next position; it is the next one's turn then.
#[inline(always)]
fn next_of<'t, T: Tables<'t>>(tables: T, service: &ServiceCell) -> Option<u32> {
    let picks = service.picks.load();
    let runtime = tables.service_runtime(service.number.load())?;
    if picks == 0 {
        return None;
    }
    let base = service.cursor_base.load();
    let position = runtime.cursor.fetch_add(1).wrapping_sub(base) % picks;
    at_position(tables, service, position)
}

/// The destination at the service's next position, or the first behind it that may take the
/// connection; after a number of positions, the one with the least load.
#[inline(always)]
fn by_sequence<'t, T: Tables<'t>>(tables: T, service: &ServiceCell) -> u32 {
    for _ in 0..SEQUENCE_TRIES {
        let Some(number) = next_of(tables, service) else {
            return NONE;
        };
        if may(tables, number) {
            return number;
        }
    }
    by_weight(tables, service)
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

/// The better of two destinations that are drawn by their weights.
#[inline(always)]
fn by_lottery<'t, T: Tables<'t>>(tables: T, service: &ServiceCell) -> u32 {
    let first = draw(tables, service);
    let second = draw(tables, service);
    let best = twos::outcome(first, second);
    if best.number == NONE {
        return by_weight(tables, service);
    }
    best.number
}

/// One of the destinations that may take a connection.
#[inline(always)]
fn draw<'t, T: Tables<'t>>(tables: T, service: &ServiceCell) -> Candidate {
    let picks = service.picks.load();
    if picks == 0 {
        return Candidate::NOBODY;
    }
    for _ in 0..LOTTERY_TRIES {
        let random = (tables.random() as u64) << 32 | tables.random() as u64;
        let Some(number) = at_position(tables, service, twos::position(picks, random)) else {
            return Candidate::NOBODY;
        };
        if let (Some(destination), Some(load)) = (tables.destination(number), tables.load(number)) {
            let load = load_of(destination, load);
            if load.weight != 0 {
                return Rule::WeightedLeastConnection.candidate(number, load);
            }
        }
    }
    Candidate::NOBODY
}

/// The destination in the slot of the service's lookup table that a hash of the connection's
/// addresses points to, `scheduling` being dh, sh, mh or maglev.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::pick_hashed`].
#[inline(always)]
pub fn pick_hashed<'t, T: Tables<'t>>(
    tables: T,
    service: u32,
    scheduling: u32,
    processor: u32,
) -> u32 {
    const DESTINATION_HASH: u32 = Scheduling::DestinationHash as u32;
    const SOURCE_HASH: u32 = Scheduling::SourceHash as u32;
    const MAGLEV_HASH: u32 = Scheduling::MaglevHash as u32;
    let (Some(service), Some(carry)) = (tables.service(service), tables.carry(processor)) else {
        return NONE;
    };
    let is_v6 = service.key.load() & ServiceCell::IPV6 != 0;
    let address = |cells: &[cell::Cell32; 4]| Address {
        words: [
            cells[0].load(),
            cells[1].load(),
            cells[2].load(),
            cells[3].load(),
        ],
        is_v6,
    };
    let client = address(&carry.client);
    let flags = service.flags.load();
    let falls_back = flags & service_flags::SCHEDULER_1 != 0;
    let client_port = carry.client_port.load() as u16;
    let port = if flags & service_flags::SCHEDULER_2 != 0 {
        client_port
    } else {
        0
    };
    match scheduling {
        DESTINATION_HASH => {
            let slot = dh::slot(address(&carry.virtual_address));
            eligible_in(tables, service, slot)
        }
        SOURCE_HASH => {
            let first = sh::slot(client, port);
            let number = eligible_in(tables, service, first);
            if number != NONE || !falls_back {
                return number;
            }
            for attempt in 0..sh::SLOTS {
                let number = eligible_in(tables, service, sh::fallback_slot(first, attempt));
                if number != NONE {
                    return number;
                }
            }
            NONE
        }
        MAGLEV_HASH => {
            let first = mh::slot(client, port);
            let number = eligible_in(tables, service, first);
            if number != NONE || !falls_back {
                return number;
            }
            for attempt in 0..MH_TRIES {
                let slot = mh::fallback_slot(client, port, first, attempt);
                let number = eligible_in(tables, service, slot);
                if number != NONE {
                    return number;
                }
            }
            NONE
        }
        _ => {
            for attempt in 0..MAGLEV_TRIES {
                let slot = maglev::slot(client, client_port, attempt as u16);
                let number = eligible_in(tables, service, slot);
                if number != NONE {
                    return number;
                }
            }
            by_weight(tables, service)
        }
    }
}

/// The destination in a slot of the service's lookup table, if it may take a connection.
#[inline(always)]
fn eligible_in<'t, T: Tables<'t>>(tables: T, service: &ServiceCell, slot: u32) -> u32 {
    if slot >= service.lookup_slots.load() {
        return NONE;
    }
    let line = service
        .lookup_first
        .load()
        .wrapping_add(slot / LOOKUP_LINE as u32);
    let Some(line) = tables.lookup(line) else {
        return NONE;
    };
    let number = element(&line.0, slot % LOOKUP_LINE as u32).load();
    if may(tables, number) { number } else { NONE }
}

/// A destination with its configured weight, whether it belongs to the service of this number, and
/// whether it is overloaded by its thresholds. A number may have gone to another service since it was
/// remembered.
#[inline(always)]
fn member_of<'t, T: Tables<'t>>(tables: T, service: u32, number: u32) -> lblcr::Member {
    let (Some(destination), Some(load)) = (tables.destination(number), tables.load(number)) else {
        return lblcr::Member {
            load: Load {
                weight: 0,
                active: 0,
                inactive: 0,
            },
            is_available: false,
            is_overloaded: false,
        };
    };
    lblcr::Member {
        load: Load {
            weight: destination.weight.load(),
            active: load.active.load(),
            inactive: load.inactive.load(),
        },
        is_available: destination.flags.load() & destination_flags::AVAILABLE != 0
            && destination.service.load() == service,
        is_overloaded: load.overloaded.load() != 0,
    }
}

/// The entry of the virtual address that a connection goes to.
#[inline(always)]
fn locality_key<'t, T: Tables<'t>>(
    tables: T,
    service: &ServiceCell,
    processor: u32,
) -> Option<LocalityKey> {
    let carry = tables.carry(processor)?;
    let address = &carry.virtual_address;
    Some(LocalityKey {
        service: service.number.load(),
        address: [
            address[0].load(),
            address[1].load(),
            address[2].load(),
            address[3].load(),
        ],
    })
}

/// lblc's choice.
#[inline(always)]
fn by_locality<'t, T: Tables<'t>>(tables: T, service: &ServiceCell, processor: u32) -> u32 {
    let (Some(key), Some(carry)) = (
        locality_key(tables, service, processor),
        tables.carry(processor),
    ) else {
        return NONE;
    };
    let now = carry.now.load();
    let number = tables.locality(&key);
    if number != NONE {
        let member = member_of(tables, service.number.load(), number);
        let room = || has_room(tables, service);
        if lblc::keeps(member.load, member.is_available, room) {
            tables.set_locality(&key, number, now);
            return number;
        }
    }
    let number = by_weight(tables, service);
    if number != NONE {
        tables.set_locality(&key, number, now);
    }
    number
}

/// lblcr's choice.
#[inline(always)]
fn by_locality_set<'t, T: Tables<'t>>(tables: T, service: &ServiceCell, processor: u32) -> u32 {
    let (Some(key), Some(carry), Some(globals)) = (
        locality_key(tables, service, processor),
        tables.carry(processor),
        tables.globals(),
    ) else {
        return NONE;
    };
    let now = carry.now.load();
    let expiration = globals.lblcr_expiration.load();
    let picked = tables.change_locality_set(&key, |set| {
        set.pick(
            now,
            expiration,
            |number| member_of(tables, service.number.load(), number),
            || has_room(tables, service),
            || by_weight(tables, service),
        )
    });
    picked.unwrap_or_else(|| {
        let number = by_weight(tables, service);
        if number != NONE {
            tables.add_locality_set(&key, number, now);
        }
        number
    })
}

#[inline(always)]
fn has_room<'t, T: Tables<'t>>(tables: T, service: &ServiceCell) -> bool {
    tables.somebody_has_room(service.members_first.load(), service.members.load())
}

/// Whether any member of a list has few connections for its weight.
///
/// Tables whose functions the kernel verifies one by one give this as
/// [`Tables::somebody_has_room`].
#[inline(always)]
pub fn somebody_has_room<'t, T: Tables<'t>>(tables: T, first: u32, members: u32) -> bool {
    for index in 0..COMPARED_AT_ONCE {
        if index >= members {
            break;
        }
        let Some(member) = tables.member(first.wrapping_add(index)) else {
            break;
        };
        if locality::has_room(member_of(tables, NONE, member.load()).load) {
            return true;
        }
    }
    false
}

/// The number of the member that is the best by a rule, a number of [`Scheduling`]; of equals the
/// earlier in the list, and `best`, the best of what was compared before, before all. [`NONE`] where
/// nobody may take a connection.
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::least_loaded`].
#[inline(always)]
pub fn least_loaded<'t, T: Tables<'t>>(
    tables: T,
    first: u32,
    members: u32,
    rule: u32,
    best: u32,
) -> u32 {
    let mut rule = rule;
    let mut best = match (tables.destination(best), tables.load(best)) {
        (Some(destination), Some(load)) => {
            rule_of(rule).candidate(best, load_of(destination, load))
        }
        _ => Candidate::NOBODY,
    };
    for index in 0..COMPARED_AT_ONCE {
        if index >= members {
            break;
        }
        let Some(member) = tables.member(first.wrapping_add(index)) else {
            break;
        };
        let number = member.load();
        let (Some(destination), Some(load)) = (tables.destination(number), tables.load(number))
        else {
            continue;
        };
        let load = load_of(destination, load);
        // The kernel's verifier need not know by which rule, nor which of the two it is.
        rule = blurred(rule, load.active);
        let better = rule_of(rule).candidate(number, load).or_better(best);
        rule = blurred(rule, load.active);
        best = Candidate {
            number: blurred(better.number, load.active),
            weight: blurred(better.weight, load.active),
            overhead: blurred(better.overhead, load.active),
        };
    }
    best.number
}

#[inline(always)]
const fn rule_of(scheduling: u32) -> Rule {
    const LC: u32 = Scheduling::LeastConnection as u32;
    const SED: u32 = Scheduling::ShortestExpectedDelay as u32;
    const NQ: u32 = Scheduling::NeverQueue as u32;
    const FO: u32 = Scheduling::Failover as u32;
    const OVF: u32 = Scheduling::Overflow as u32;
    match scheduling {
        LC => Rule::LeastConnection,
        SED => Rule::ShortestExpectedDelay,
        NQ => Rule::NeverQueue,
        FO => Rule::Failover,
        OVF => Rule::Overflow,
        _ => Rule::WeightedLeastConnection,
    }
}
