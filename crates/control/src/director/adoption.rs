//! Going on where an earlier daemon left off.

use std::collections::{BTreeSet, HashMap};

use model::{Command, Service, ServiceKey, TimeoutChange};

use crate::director::{Around, CommandError, Director};
use crate::nexthops::{Network, NextHops, Target};
use crate::publish::{Change, Damaged, Publisher};
use crate::real_servers::RealServers;
use crate::{Plane, Saved, Sizes, loads};

impl<P: Plane> Director<P> {
    /// The director on tables that packets are using, as an earlier one left them, with what it
    /// had saved. What differs from the saved state is put right.
    ///
    /// # Errors
    /// When the tables contradict themselves.
    pub fn adopt(
        plane: P,
        sizes: Sizes,
        saved: &Saved,
        network: &impl Network,
    ) -> Result<Self, Damaged> {
        let hops = NextHops::adopt(&plane, sizes.next_hops);
        let wanted: HashMap<ServiceKey, Service> = saved
            .services
            .iter()
            .map(|saved| (saved.service.key, saved.service))
            .collect();
        let service_of = |key: &ServiceKey| wanted.get(key).copied();
        let around = Around {
            hops: &hops,
            network,
        };
        let publisher = Publisher::adopt(sizes, &plane, &around, &service_of)?;
        loads::recount(&plane);
        let adopted = publisher.services().collect();
        let mut director = Self {
            publisher,
            hops,
            adopted,
            marked: None,
            real_servers: RealServers::unknown(),
            ..Self::new(plane, sizes)
        };
        director.take_up_hops(network);
        for saved in &saved.services {
            director.counters.restore(saved.service.key, saved.offset);
        }
        director.counters.restore_ended(saved.ended);
        director.restore(saved, network);
        director.adopted.clear();
        director.remove_unwanted(network);
        director.forget_cached_hops();
        // What the plane does not take now is tried again whenever the network changes.
        let _tried_again_later = director.follow(network);
        Ok(director)
    }

    /// Gives the adopted destinations next hops of this director's own.
    fn take_up_hops(&mut self, network: &impl Network) {
        let view = self.plane.view();
        let targets: BTreeSet<Target> = self.publisher.targets().collect();
        let ways = targets
            .into_iter()
            .map(|target| {
                // One that does not fit is none to packets.
                let _fits = self.hops.want(&view, network, target);
                (target, self.hops.towards(target))
            })
            .collect();
        self.publisher.redirect(&self.plane, &ways);
    }

    /// Carries out a saved state on top of what is there. Returns what did not fit, with reasons.
    pub fn restore(
        &mut self,
        saved: &Saved,
        network: &impl Network,
    ) -> Vec<(Command, CommandError)> {
        self.set_timeouts(TimeoutChange {
            tcp: Some(saved.timeouts.tcp),
            tcp_fin: Some(saved.timeouts.tcp_fin),
            udp: Some(saved.timeouts.udp),
        });
        self.take_settings(saved.settings.clone());
        self.marks = saved.marks.clone();
        self.follow_marks(network);
        for daemon in &saved.daemons {
            // A daemon that was accepted before is accepted by a state without daemons.
            let _accepted = self.wanted.start_daemon(daemon.clone());
        }
        let commands = saved.commands();
        let outcomes = self.apply(&commands, network);
        let failed = commands.into_iter().zip(outcomes);
        failed
            .filter_map(|(command, outcome)| Some((command, outcome.err()?)))
            .collect()
    }

    /// Takes out what the tables have and nobody wants.
    fn remove_unwanted(&mut self, network: &impl Network) {
        let unwanted: Vec<ServiceKey> = self
            .publisher
            .services()
            .filter(|key| self.wanted.service(key).is_none())
            .collect();
        let changes: Vec<Change<'_>> = unwanted
            .iter()
            .map(|&key| Change {
                key,
                wanted: None,
                is_told: false,
            })
            .collect();
        let around = Around {
            hops: &self.hops,
            network,
        };
        // Taking out always fits.
        let _fits = self.publisher.publish(&self.plane, &changes, &around);
    }
}
