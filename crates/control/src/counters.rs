//! What went through services and to destinations, and how much of it per second.
//!
//! Packets count by destination and processor. A service's total is the sum over its destinations,
//! those that were removed and may come back included, plus what its forgotten destinations had
//! counted, less what it was zeroed at. The latter two are one number, its offset.

use std::collections::HashMap;

use abi::{StatsCell, View};
use model::{DestinationKey, Rates, ServiceKey, Stats};

use crate::publish::{Freed, Numbered};
use crate::rates::Estimator;

/// The daemon's part of the counters.
#[derive(Debug, Default)]
pub struct Counters {
    services: HashMap<ServiceKey, ServiceCounters>,
    /// What services had counted that are gone, or were zeroed on their own.
    ended: Stats,
}

#[derive(Debug, Default)]
struct ServiceCounters {
    /// Added to the sum over the destinations, wrapping.
    offset: Stats,
    /// `None` until somebody looks: what was counted before is no rate.
    estimator: Option<Estimator>,
    destinations: HashMap<DestinationKey, Estimator>,
}

impl Counters {
    /// A service begins to exist: from zero, whatever its destinations had counted before.
    pub fn start(&mut self, view: &View<'_>, key: ServiceKey, numbered: &Numbered) {
        let counters = ServiceCounters {
            offset: negated(sum(view, numbered)),
            estimator: Some(Estimator::default()),
            destinations: HashMap::new(),
        };
        self.services.insert(key, counters);
        self.watch(view, key, numbered);
    }

    /// A service may have other destinations than before: their rates begin now.
    pub fn watch(&mut self, view: &View<'_>, key: ServiceKey, numbered: &Numbered) {
        let counters = self.services.entry(key).or_default();
        let total = added(sum(view, numbered), counters.offset);
        counters
            .estimator
            .get_or_insert_with(|| Estimator::starting_at(total));
        let destinations = &mut counters.destinations;
        destinations.retain(|key, _| numbered.destinations.contains_key(key));
        for (&destination, &number) in &numbered.destinations {
            destinations
                .entry(destination)
                .or_insert_with(|| Estimator::starting_at(stats_of(view, number)));
        }
    }

    /// A service is gone.
    pub fn stop(&mut self, key: &ServiceKey) {
        if let Some(counters) = self.services.remove(key) {
            self.ended = added(self.ended, counters.last());
        }
    }

    /// The numbers of removed destinations are about to be used for others: what they had counted
    /// stays in their service's total.
    pub fn keep_freed(&mut self, view: &View<'_>, freed: &[Freed]) {
        for freed in freed.iter().filter(|freed| freed.counted) {
            if let Some(counters) = self.services.get_mut(&freed.service) {
                counters.offset = added(counters.offset, stats_of(view, freed.number));
            }
        }
    }

    /// Zeroes a service's counters and those of its destinations.
    pub fn zero(&mut self, view: &View<'_>, key: ServiceKey, numbered: &Numbered) {
        self.stop(&key);
        for &number in numbered.destinations.values() {
            crate::publish::zero_stats(view, number);
        }
        self.start(view, key, numbered);
    }

    /// Two seconds passed: takes the rates of a service on.
    pub fn estimate(&mut self, view: &View<'_>, key: ServiceKey, numbered: &Numbered) {
        self.watch(view, key, numbered);
        let Some(counters) = self.services.get_mut(&key) else {
            return;
        };
        let total = added(sum(view, numbered), counters.offset);
        if let Some(estimator) = &mut counters.estimator {
            estimator.tick(total);
        }
        for (destination, estimator) in &mut counters.destinations {
            if let Some(&number) = numbered.destinations.get(destination) {
                estimator.tick(stats_of(view, number));
            }
        }
    }

    /// What all services have counted together, and their rates: as of the last estimate, so that
    /// nothing is counted back when a service ends.
    pub fn total(&self) -> (Stats, Rates) {
        let services = self.services.values();
        let stats = services.clone().map(ServiceCounters::last);
        let rates = services.filter_map(|counters| counters.estimator.as_ref());
        (
            stats.fold(self.ended, added),
            rates.map(Estimator::rates).fold(Rates::default(), together),
        )
    }

    /// Zeroes what [`Self::total`] counts.
    pub fn zero_total(&mut self) {
        let counted = self.total().0;
        self.ended = added(self.ended, negated(counted));
    }

    /// A service's counters and rates.
    pub fn service(
        &self,
        view: &View<'_>,
        key: &ServiceKey,
        numbered: &Numbered,
    ) -> (Stats, Rates) {
        let counters = self.services.get(key);
        let offset = counters.map_or_else(Stats::default, |counters| counters.offset);
        let estimator = counters.and_then(|counters| counters.estimator.as_ref());
        let rates = estimator.map_or_else(Rates::default, Estimator::rates);
        (added(sum(view, numbered), offset), rates)
    }

    /// A destination's counters and rates.
    pub fn destination(
        &self,
        view: &View<'_>,
        service: &ServiceKey,
        destination: &DestinationKey,
        number: u32,
    ) -> (Stats, Rates) {
        let estimator = self
            .services
            .get(service)
            .and_then(|c| c.destinations.get(destination));
        (
            stats_of(view, number),
            estimator.map_or_else(Rates::default, Estimator::rates),
        )
    }

    /// What the next daemon has to take over for a service.
    pub fn offset(&self, key: &ServiceKey) -> Stats {
        self.services
            .get(key)
            .map_or_else(Stats::default, |counters| counters.offset)
    }

    /// What the next daemon has to take over for services that are gone.
    pub const fn ended(&self) -> Stats {
        self.ended
    }

    /// Takes over what services that are gone had counted.
    pub const fn restore_ended(&mut self, ended: Stats) {
        self.ended = ended;
    }

    /// Takes over an earlier daemon's offset.
    pub fn restore(&mut self, key: ServiceKey, offset: Stats) {
        self.services.entry(key).or_default().offset = offset;
    }
}

impl ServiceCounters {
    /// What was counted at the last estimate.
    fn last(&self) -> Stats {
        self.estimator
            .as_ref()
            .map_or_else(Stats::default, Estimator::last)
    }
}

/// What was counted for a destination, by all processors together.
pub fn stats_of(view: &View<'_>, number: u32) -> Stats {
    let destinations = view.globals.destinations.load().max(1) as usize;
    let cells = view
        .stats
        .iter()
        .skip(number as usize)
        .step_by(destinations);
    cells.map(read).fold(Stats::default(), added)
}

fn sum(view: &View<'_>, numbered: &Numbered) -> Stats {
    let numbers = numbered.destinations.values().chain(&numbered.removed);
    numbers
        .map(|&number| stats_of(view, number))
        .fold(Stats::default(), added)
}

fn read(cell: &StatsCell) -> Stats {
    Stats {
        connections: cell.connections.load(),
        in_packets: cell.in_packets.load(),
        out_packets: cell.out_packets.load(),
        in_bytes: cell.in_bytes.load(),
        out_bytes: cell.out_bytes.load(),
    }
}

fn added(a: Stats, b: Stats) -> Stats {
    Stats {
        connections: a.connections.wrapping_add(b.connections),
        in_packets: a.in_packets.wrapping_add(b.in_packets),
        out_packets: a.out_packets.wrapping_add(b.out_packets),
        in_bytes: a.in_bytes.wrapping_add(b.in_bytes),
        out_bytes: a.out_bytes.wrapping_add(b.out_bytes),
    }
}

fn together(a: Rates, b: Rates) -> Rates {
    Rates {
        connections: a.connections + b.connections,
        in_packets: a.in_packets + b.in_packets,
        out_packets: a.out_packets + b.out_packets,
        in_bytes: a.in_bytes + b.in_bytes,
        out_bytes: a.out_bytes + b.out_bytes,
    }
}

fn negated(stats: Stats) -> Stats {
    Stats {
        connections: stats.connections.wrapping_neg(),
        in_packets: stats.in_packets.wrapping_neg(),
        out_packets: stats.out_packets.wrapping_neg(),
        in_bytes: stats.in_bytes.wrapping_neg(),
        out_bytes: stats.out_bytes.wrapping_neg(),
    }
}
