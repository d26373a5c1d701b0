//! What has to be done from time to time, and when the network changes.

use model::Setting;

use crate::connections::hops;
use crate::director::{Around, Director};
use crate::nexthops::Network;
use crate::publish::Freed;
use crate::{Plane, PlaneError};

impl<P: Plane> Director<P> {
    /// Two seconds passed: takes all rates on, unless `run_estimation` keeps them as they are.
    pub fn estimate(&mut self) {
        if !self.settings.is_on(Setting::RunEstimation) {
            return;
        }
        let view = self.plane.view();
        for wanted in self.wanted.services() {
            let key = wanted.service().key;
            if let Some(numbered) = self.publisher.numbers(&key) {
                self.counters.estimate(&view, key, &numbered);
            }
        }
    }

    /// Sweeps the next buckets of the connection table. Whether numbers became free at the end of a
    /// full sweep: then what [`Self::saved`] says has changed.
    pub fn sweep(&mut self, buckets: u32, network: &impl Network) -> bool {
        let Some(census) = self.sweeper.step(&self.plane, buckets) else {
            return false;
        };
        let around = Around {
            hops: &self.hops,
            network,
        };
        self.publisher.lent(&self.plane, &census.lent, &around);
        let freed: Vec<Freed> = self
            .publisher
            .swept(&self.plane, &census.by_destination, &around);
        self.census = Some(census);
        if freed.is_empty() {
            return false;
        }
        self.counters.keep_freed(&self.plane.view(), &freed);
        self.hops.retain(self.publisher.targets());
        self.free_hops();
        true
    }

    /// Follows the network after it changed.
    ///
    /// # Errors
    /// When the plane did not take all of it.
    pub fn follow(&mut self, network: &impl Network) -> Result<(), PlaneError> {
        let view = self.plane.view();
        let moved = self.hops.follow_destinations(&view, network);
        self.publisher.redirect(&self.plane, &moved);
        let (stale, outcome) = self.hops.follow_clients(&self.plane, network);
        if stale {
            self.forget_cached_hops();
        }
        self.free_hops();
        self.follow_marks(network);
        self.publisher.localise(
            &self.plane,
            &Around {
                hops: &self.hops,
                network,
            },
        );
        outcome.and(self.note_real_servers())
    }

    /// Makes packets look for the ways to clients anew.
    pub(crate) fn forget_cached_hops(&self) {
        let generation = &self.plane.view().globals.routing_generation;
        let next = hops::after(&self.plane, generation.load());
        generation.publish(next);
    }

    pub(super) fn free_hops(&mut self) {
        if self.hops.has_released() {
            self.plane.wait_for_readers();
            self.hops.free_released(&self.plane.view());
        }
    }
}
