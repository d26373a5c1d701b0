//! Tables that an earlier daemon wrote, and packets still use, become this one's.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use abi::{Block, LookupLine, View, address_flags};
use conntable::{Bucket, Kind, Word};
use model::{Protocol, Service, ServiceKey};
use sched::plan::PlannedBlock;
use thiserror::Error;

use crate::connections::Listed;
use crate::publish::Publisher;
use crate::publish::Surroundings;
use crate::publish::addresses::{UseChanges, Uses, note};
use crate::publish::cells::{DestinationValues, ServiceValues, service_key};
use crate::publish::lists::lines_of;
use crate::publish::locals::Pool;
use crate::publish::plan::{DestinationWrite, Edit, Plan};
use crate::publish::records::{DestinationRecord, Placed, Removed, ServiceRecord};
use crate::runs::Run;
use crate::schedule::{Schedule, Scheduled};
use crate::side::{self, Cell};
use crate::{Plane, Sizes, words};

/// Tables that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the tables found in the kernel contradict themselves: {what}\nhint: start with --fresh, which \
     forgets all connections"
)]
pub struct Damaged {
    /// Where.
    what: String,
}

fn damaged(what: impl Into<String>) -> Damaged {
    Damaged { what: what.into() }
}

impl Publisher {
    /// The publisher for tables that are in use. A transaction that an earlier daemon did not
    /// finish counts as far as packets see it. What nothing refers to is freed by the next sweep.
    /// `service_of` tells how a service is wanted, to know its schedule again.
    ///
    /// # Errors
    /// When the tables contradict themselves.
    pub fn adopt(
        sizes: Sizes,
        plane: &impl Plane,
        surroundings: &impl Surroundings,
        service_of: &dyn Fn(&ServiceKey) -> Option<Service>,
    ) -> Result<Self, Damaged> {
        let view = plane.view();
        let side = view.globals.side.load() & 1;
        plane.wait_for_readers();
        side::copy_side(&view, side, side ^ 1);
        let mut publisher = Self::new(sizes);
        publisher.adopt_services(&view, side, service_of)?;
        let orphans = publisher.adopt_destinations(&view)?;
        publisher.adopt_orphans(plane, orphans);
        publisher.adopt_addresses(plane, surroundings);
        Ok(publisher)
    }

    fn adopt_services(
        &mut self,
        view: &View<'_>,
        side: u32,
        service_of: &dyn Fn(&ServiceKey) -> Option<Service>,
    ) -> Result<(), Damaged> {
        for cell in view.services_of(side) {
            let Some(cell_key) = cell.key() else {
                continue;
            };
            let key = service_key(cell_key).ok_or_else(|| damaged("a service's protocol"))?;
            let values = ServiceValues::read(cell);
            if !self.service_numbers.take_this(values.number) {
                return Err(damaged(format!("the number of {key} is used twice")));
            }
            let (placed, destinations) = self
                .adopt_lists(view, &values, service_of(&key).as_ref())
                .ok_or_else(|| damaged(format!("the list of destinations of {key}")))?;
            let record = ServiceRecord {
                number: values.number,
                placed: Some(placed),
                destinations,
                removed: Vec::new(),
                removed_in_sweep: 0,
            };
            self.records.insert(key, record);
        }
        Ok(())
    }

    /// The runs and the destinations of a service's cell. The schedule is laid out anew as the
    /// service is wanted; where that is not what the table says, the service counts as not placed
    /// yet, and is by the next transaction.
    fn adopt_lists(
        &mut self,
        view: &View<'_>,
        values: &ServiceValues,
        service: Option<&Service>,
    ) -> Option<(Placed, Vec<DestinationRecord>)> {
        let block_run = Run {
            first: values.blocks_first,
            length: values.blocks,
        };
        let blocks = view
            .blocks
            .get(block_run.places())
            .filter(|_| self.blocks.take_this(block_run))?;
        let in_blocks: u32 = blocks.iter().map(|block| block.members.load()).sum();
        let members = Run {
            first: values.members_first,
            length: values.members.checked_add(in_blocks)?,
        };
        let cells = view
            .members
            .get(members.places())
            .filter(|_| self.members.take_this(members))?;
        let list = cells
            .iter()
            .take(values.members as usize)
            .map(|member| member.number.load());
        let destinations: Option<Vec<DestinationRecord>> =
            list.map(|number| self.adopt_listed(view, number)).collect();
        let destinations = destinations?;
        let lookups = Run {
            first: values.lookup_first,
            length: lines_of(values.lookup_slots),
        };
        let lines = view
            .lookups
            .get(lookups.places())
            .filter(|_| self.lookups.take_this(lookups))?;
        let list: Vec<Scheduled> = destinations
            .iter()
            .map(|destination| Scheduled {
                key: destination.key,
                weight: view.destinations[destination.number as usize].weight.load(),
                last_weight: destination.last_weight,
            })
            .collect();
        let pool = Pool::read(view, values.local_first, values.locals)
            .filter(|pool| self.locals.take_this(pool.run))?;
        let schedule = service
            .and_then(|service| Schedule::of(service, &list, u64::from(in_blocks)).ok())
            .filter(|schedule| {
                is_laid_out(view, schedule, values, blocks, &destinations)
                    && is_filled(schedule, values, lines, &destinations)
            });
        let placed = Placed {
            members,
            listed: values.members,
            blocks: block_run,
            lookups,
            traits: values.traits,
            schedule,
            cursor_base: values.cursor_base,
            pool,
        };
        Some((placed, destinations))
    }

    fn adopt_listed(&mut self, view: &View<'_>, number: u32) -> Option<DestinationRecord> {
        let cell = view.destinations.get(number as usize)?;
        let values = DestinationValues::read(cell);
        (!values.is_empty() && self.destination_numbers.take_this(number))
            .then(|| record_of(number, &values))
    }

    /// Destinations that no list names: those removed before, of the services that are known.
    /// Returns the others.
    fn adopt_destinations(&mut self, view: &View<'_>) -> Result<Vec<u32>, Damaged> {
        let by_number: HashMap<u32, ServiceKey> = self
            .records
            .iter()
            .map(|(key, record)| (record.number, *key))
            .collect();
        let listed: HashSet<u32> = self
            .records
            .values()
            .flat_map(ServiceRecord::numbers)
            .collect();
        let mut orphans = Vec::new();
        for (number, cell) in (0..).zip(view.destinations) {
            let values = DestinationValues::read(cell);
            if values.is_empty() || listed.contains(&number) {
                continue;
            }
            if !self.destination_numbers.take_this(number) {
                return Err(damaged(format!(
                    "destination number {number} is used twice"
                )));
            }
            if values.is_available() {
                values.withdrawn().write(cell);
            }
            let record = by_number
                .get(&values.service)
                .and_then(|key| self.records.get_mut(key));
            match record {
                Some(record) => record.removed.push(removed(number, &values)),
                None => orphans.push(number),
            }
        }
        Ok(orphans)
    }

    /// Destinations of services that were removed: their connections say which. Without
    /// connections they are nobody's.
    fn adopt_orphans(&mut self, plane: &impl Plane, orphans: Vec<u32>) {
        let view = plane.view();
        let mut owners = HashMap::new();
        if !orphans.is_empty() {
            let asked: HashSet<u32> = orphans.iter().copied().collect();
            find_owners(plane.connections(), &asked, &mut owners);
            find_owners(plane.connections_v6(), &asked, &mut owners);
        }
        for number in orphans {
            let cell = &view.destinations[number as usize];
            let values = DestinationValues::read(cell);
            let owner = owners.get(&number).filter(|key| {
                self.records
                    .get(key)
                    .is_none_or(|record| record.number == values.service)
            });
            let Some(&key) = owner else {
                DestinationWrite::cleared(number).values.write(cell);
                self.destination_numbers.give_back(number);
                continue;
            };
            if !self.records.contains_key(&key) && !self.service_numbers.take_this(values.service) {
                DestinationWrite::cleared(number).values.write(cell);
                self.destination_numbers.give_back(number);
                continue;
            }
            let record = self.records.entry(key).or_insert_with(|| ServiceRecord {
                number: values.service,
                placed: None,
                destinations: Vec::new(),
                removed: Vec::new(),
                removed_in_sweep: 0,
            });
            let service_gone = record.placed.is_none();
            let removed = removed(number, &values);
            record.removed.push(Removed {
                service_gone,
                ..removed
            });
        }
    }

    /// Makes the addresses in the tables those that the services and destinations need.
    fn adopt_addresses(&mut self, plane: &impl Plane, surroundings: &impl Surroundings) {
        let view = plane.view();
        let mut uses = UseChanges::new();
        for (key, record) in &self.records {
            if let ServiceKey::Address { address, .. } = *key {
                note(&mut uses, address, Uses::VIRTUAL, 1);
            }
            for destination in record.all().filter(|d| d.is_masqueraded()) {
                note(&mut uses, destination.key.address, Uses::REAL, 1);
            }
        }
        let found = addresses(&view);
        let pools = self
            .records
            .values()
            .filter_map(|record| record.placed.as_ref());
        let lent: Vec<IpAddr> = pools
            .flat_map(|placed| placed.pool.addresses.iter().copied())
            .collect();
        // Connections may have local addresses that were taken from their pool.
        let returned: Vec<IpAddr> = found
            .iter()
            .filter(|&(address, flags)| flags & address_flags::LENT != 0 && !lent.contains(address))
            .map(|(&address, _)| address)
            .collect();
        for &address in lent.iter().chain(&returned) {
            note(&mut uses, address, Uses::LENT, 1);
        }
        self.keep_returned(returned);
        let is_local = |address: IpAddr| surroundings.is_local(address);
        let wanted: HashMap<IpAddr, u32> = self
            .addresses
            .outcome(&uses, &is_local)
            .into_iter()
            .collect();
        self.addresses.settle(uses, &is_local);
        let surplus = found.keys().filter(|address| !wanted.contains_key(address));
        let missing = wanted
            .iter()
            .filter(|&(address, flags)| found.get(address) != Some(flags));
        let edits: Vec<Edit> = surplus
            .map(|&address| Edit::Address(address, 0))
            .chain(missing.map(|(&address, &flags)| Edit::Address(address, flags)))
            .collect();
        if !edits.is_empty() {
            // What does not fit now did not fit for the earlier daemon either.
            let _fits = self.commit(
                plane,
                Plan {
                    edits,
                    ..Plan::default()
                },
                surroundings,
            );
        }
    }
}

/// Whether the tables hold a schedule like this one.
fn is_laid_out(
    view: &View<'_>,
    schedule: &Schedule,
    values: &ServiceValues,
    blocks: &[Block],
    list: &[DestinationRecord],
) -> bool {
    let planned = schedule.blocks();
    let same_block = |(found, planned): (&Block, &PlannedBlock)| {
        let run = Run {
            first: found.members_first.load(),
            length: found.members.load(),
        };
        let found_members = view.members.get(run.places()).unwrap_or(&[]);
        found.start.load() == planned.start
            && found_members.len() == planned.members.len()
            && found_members
                .iter()
                .zip(&planned.members)
                .all(|(member, &position)| {
                    list.get(position as usize)
                        .is_some_and(|d| d.number == member.number.load())
                })
    };
    schedule.scheduling() == values.scheduling
        && schedule.picks() == values.picks
        && blocks.len() == planned.len()
        && blocks.iter().zip(planned).all(same_block)
}

/// Whether lines hold a schedule's table.
fn is_filled(
    schedule: &Schedule,
    values: &ServiceValues,
    lines: &[LookupLine],
    list: &[DestinationRecord],
) -> bool {
    let found = lines.iter().flat_map(|line| &line.0);
    schedule.slots().len() == values.lookup_slots as usize
        && found.zip(schedule.slots()).all(|(slot, &position)| {
            list.get(position as usize)
                .is_some_and(|destination| destination.number == slot.load())
        })
}

fn record_of(number: u32, values: &DestinationValues) -> DestinationRecord {
    DestinationRecord {
        number,
        key: values.key(),
        method: values.method(),
        // What a destination of weight 0 had before is forgotten with the daemon that knew it.
        last_weight: values.weight.max(1),
    }
}

fn removed(number: u32, values: &DestinationValues) -> Removed {
    Removed {
        destination: record_of(number, values),
        in_sweep: 0,
        service_gone: false,
        idle_since: None,
        forgotten: false,
    }
}

/// The addresses that packets find, with their flags.
fn addresses(view: &View<'_>) -> HashMap<IpAddr, u32> {
    let side = view.globals.side.load() & 1;
    let v4 = view.addresses_of(side).iter().filter_map(|cell| {
        let address = words::to_v4(cell.key()?);
        Some((address.into(), cell.flags.load()))
    });
    let v6 = view.addresses_v6_of(side).iter().filter_map(|cell| {
        let address = words::to_address(cell.key()?, true);
        Some((address, cell.flags.load()))
    });
    v4.chain(v6).collect()
}

/// The services that the connections of these destinations belong to.
fn find_owners<S: Listed>(
    table: &[Bucket<S>],
    asked: &HashSet<u32>,
    owners: &mut HashMap<u32, ServiceKey>,
) {
    for slot in table.iter().flat_map(|bucket| &bucket.0) {
        let load = slot.load();
        if Word(slot.word().load()).is_live()
            && load.kind == Kind::Connection as u8
            && asked.contains(&load.destination)
            && let Some(protocol) = Protocol::from_number(load.protocol)
        {
            let key = ServiceKey::Address {
                protocol,
                address: S::ip(slot.virtual_address()),
                port: u16::from_be(slot.virtual_port()),
            };
            owners.insert(load.destination, key);
        }
    }
}
