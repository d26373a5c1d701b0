//! Writes a plan's cells.

use std::net::IpAddr;

use abi::{LoadCell, StatsCell, View, hash_address, hash_address_v6};

use crate::publish::cells::ServiceValues;
use crate::publish::plan::{CapacityError, DestinationWrite, Edit, Plan};
use crate::runs::Run;
use crate::{filter, loads, side, words};

/// Makes edits on one side.
pub(crate) fn apply(view: &View<'_>, side: u32, edits: &[Edit]) -> Result<(), CapacityError> {
    for edit in edits {
        match *edit {
            Edit::Address(address, flags) => set_address(view, side, address, flags)
                .ok_or(CapacityError::Crowded { what: "addresses" })?,
            Edit::Service(key, values) => {
                let cell = side::place(view.services_of(side), key)
                    .ok_or(CapacityError::Crowded { what: "services" })?;
                ServiceValues::write(&values, cell, key);
            }
            Edit::RemoveService(key) => side::remove(view.services_of(side), key),
        }
    }
    Ok(())
}

/// Gives an address these flags on one side, or takes it out where there are none. `None` where
/// there is no room.
fn set_address(view: &View<'_>, side: u32, address: IpAddr, flags: u32) -> Option<()> {
    let hash = match address {
        IpAddr::V4(address) => {
            let (cells, address) = (view.addresses_of(side), words::of_v4(address));
            if flags == 0 {
                side::remove(cells, address);
            } else {
                let cell = side::place(cells, address)?;
                cell.flags.store(flags);
                cell.address.publish(address);
            }
            hash_address(address)
        }
        IpAddr::V6(_) => {
            let (cells, address) = (view.addresses_v6_of(side), words::of(address));
            if flags == 0 {
                side::remove(cells, address);
            } else {
                let cell = side::place(cells, address)?;
                cell.flags.store(flags);
                words::store(&cell.address, address);
            }
            hash_address_v6(address)
        }
    };
    if flags == 0 {
        filter::take_out(view, side, hash);
    } else {
        filter::put_in(view, side, hash);
    }
    Some(())
}

/// Writes what nothing points to yet.
pub(crate) fn write_new(view: &View<'_>, plan: &Plan) {
    for &number in &plan.zeroed {
        zero_stats(view, number);
    }
    for &number in &plan.taken_destinations {
        zero_load(&view.loads[number as usize]);
    }
    for write in &plan.new_destinations {
        write_destination(view, write);
    }
    for (run, members) in &plan.new_members {
        for (cell, &number) in view.members[run.places()].iter().zip(members) {
            cell.number.store(number);
        }
    }
    for (run, numbers) in &plan.new_lookups {
        write_lookups(view, *run, numbers);
    }
    for (run, addresses) in &plan.new_locals {
        for (cell, &address) in view.locals[run.places()].iter().zip(addresses) {
            words::store(&cell.address, words::of(address));
        }
    }
    for (run, blocks) in &plan.new_blocks {
        for (cell, block) in view.blocks[run.places()].iter().zip(blocks) {
            cell.start.store(block.start);
            cell.members_first.store(block.members_first);
            cell.members.store(block.members);
        }
    }
}

/// Writes numbers into the slots of a run of lines.
fn write_lookups(view: &View<'_>, run: Run, numbers: &[u32]) {
    let lines = view.lookups[run.places()].iter();
    for (slot, &number) in lines.flat_map(|line| &line.0).zip(numbers) {
        slot.store(number);
    }
}

pub(crate) fn write_changed(view: &View<'_>, plan: &Plan) {
    for write in &plan.changed_destinations {
        write_destination(view, write);
    }
}

fn write_destination(view: &View<'_>, write: &DestinationWrite) {
    let cell = &view.destinations[write.number as usize];
    write.values.write(cell);
    loads::judge(&view.loads[write.number as usize], cell);
}

/// Empties a destination's counters. Only while no packet counts for it.
pub(crate) fn zero_stats(view: &View<'_>, number: u32) {
    let destinations = view.globals.destinations.load() as usize;
    for cell in view
        .stats
        .iter()
        .skip(number as usize)
        .step_by(destinations)
    {
        zero_cell(cell);
    }
}

fn zero_cell(cell: &StatsCell) {
    for counter in [
        &cell.connections,
        &cell.in_packets,
        &cell.out_packets,
        &cell.in_bytes,
        &cell.out_bytes,
    ] {
        counter.store(0);
    }
}

/// Empties a destination's connection counts.
pub(crate) fn zero_load(load: &LoadCell) {
    for count in [
        &load.active,
        &load.inactive,
        &load.persistent,
        &load.overloaded,
    ] {
        count.store(0);
    }
}
