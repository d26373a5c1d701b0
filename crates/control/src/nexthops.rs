//! Where packets leave: the next hops of destinations, and the routes and neighbours by which the
//! way to a client is found.
//!
//! A next hop in use is never changed: what changed gets another index, the tables are pointed to
//! it, and the old index is free once no packet can be using it. Indices that connections remember
//! count for one routing generation.

mod clients;
mod network;
mod pool;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use abi::View;

pub use network::{Hop, HopState, Neighbour, Network, OwnAddresses, Prefix, Way};

use crate::nexthops::clients::Clients;
use crate::nexthops::pool::Pool;
use crate::publish::CapacityError;
use crate::{Plane, PlaneError};

/// What a destination needs a way for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Its address.
    pub address: IpAddr,
    /// Whether packets go there inside others that this machine sends.
    pub is_tunnelled: bool,
}

/// The way to a destination, as its cell tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Towards {
    /// Index of the next hop, or [`abi::NONE`].
    pub next_hop: u32,
    /// The address that this machine itself speaks from to it.
    pub source: Option<IpAddr>,
    /// Whether it is this machine.
    pub is_local: bool,
}

/// What the network says about a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    hop: Hop,
    source: Option<IpAddr>,
    is_local: bool,
}

impl Seen {
    fn of(target: Target, network: &impl Network) -> Self {
        let source = network.source_towards(target.address);
        let hop = if target.is_tunnelled && source.is_none() {
            Hop::without_mac(HopState::NoRoute, 0)
        } else {
            network.hop_towards(target.address)
        };
        Self {
            hop,
            source,
            is_local: network.is_local(target.address),
        }
    }
}

/// The next hops in use.
#[derive(Debug)]
pub struct NextHops {
    pool: Pool,
    destinations: HashMap<Target, Seen>,
    clients: Clients,
}

impl NextHops {
    /// Room for this many next hops.
    pub fn new(limit: u32) -> Self {
        Self {
            pool: Pool::new(limit),
            destinations: HashMap::new(),
            clients: Clients::default(),
        }
    }

    /// The next hops of tables that packets are using. What is found there is used until others
    /// take its place, and freed with the first [`Self::free_released`] after they did.
    pub fn adopt(plane: &impl Plane, limit: u32) -> Self {
        Self {
            pool: Pool::adopt(&plane.view(), limit),
            destinations: HashMap::new(),
            clients: Clients::adopt(plane),
        }
    }

    /// Makes sure that there is a way to a destination.
    ///
    /// # Errors
    /// When no index is left.
    pub fn want(
        &mut self,
        view: &View<'_>,
        network: &impl Network,
        target: Target,
    ) -> Result<(), CapacityError> {
        if self.destinations.contains_key(&target) {
            return Ok(());
        }
        let seen = Seen::of(target, network);
        self.pool.take(view, seen.hop).ok_or(CapacityError::Full {
            what: "next hops",
            limit: self.pool.limit(),
            hint: "start the daemon with a larger --max-destinations",
        })?;
        self.destinations.insert(target, seen);
        Ok(())
    }

    /// The way to a destination.
    pub fn towards(&self, target: Target) -> Towards {
        let seen = self.destinations.get(&target);
        Towards {
            next_hop: seen
                .and_then(|seen| self.pool.index(&seen.hop))
                .unwrap_or(abi::NONE),
            source: seen.and_then(|seen| seen.source),
            is_local: seen.is_some_and(|seen| seen.is_local),
        }
    }

    /// What is known of the way to an address, if it is a destination's.
    pub fn state(&self, address: IpAddr) -> Option<HopState> {
        let of = |is_tunnelled| {
            self.destinations.get(&Target {
                address,
                is_tunnelled,
            })
        };
        of(false).or_else(|| of(true)).map(|seen| seen.hop.state)
    }

    /// How many are in use, and how many fit.
    pub fn usage(&self) -> (u32, u32) {
        self.pool.usage()
    }

    /// Forgets the destinations that are not among these.
    pub fn retain(&mut self, used: impl Iterator<Item = Target>) {
        let used: BTreeSet<Target> = used.collect();
        let unused: Vec<Target> = self
            .destinations
            .keys()
            .copied()
            .filter(|target| !used.contains(target))
            .collect();
        for target in unused {
            if let Some(seen) = self.destinations.remove(&target) {
                self.pool.release(seen.hop);
            }
        }
    }

    /// Follows the network: the ways to destinations. Returns those that are others now; the
    /// caller leads the destinations there.
    pub fn follow_destinations(
        &mut self,
        view: &View<'_>,
        network: &impl Network,
    ) -> HashMap<Target, Towards> {
        let changed: Vec<(Target, Seen, Seen)> = self
            .destinations
            .iter()
            .map(|(&target, &before)| (target, before, Seen::of(target, network)))
            .filter(|(_, before, after)| before != after)
            .collect();
        let mut moved = HashMap::new();
        for (target, before, after) in changed {
            // Without a free index the old way stays until there is one.
            if self.pool.take(view, after.hop).is_some() {
                self.pool.release(before.hop);
                self.destinations.insert(target, after);
                moved.insert(target, self.towards(target));
            }
        }
        moved
    }

    /// Follows the network: the routes and neighbours that lead to clients. Whether a next hop
    /// that a connection remembers may be out of date.
    ///
    /// # Errors
    /// When the plane does not take a change. The rest is done all the same.
    pub fn follow_clients(
        &mut self,
        plane: &impl Plane,
        network: &impl Network,
    ) -> (bool, Result<(), PlaneError>) {
        self.clients.follow(&mut self.pool, plane, network)
    }

    /// Frees the indices that were released before [`Plane::wait_for_readers`] was called last, and
    /// before the routing generation changed.
    pub fn free_released(&mut self, view: &View<'_>) {
        self.pool.free_released(view);
    }

    /// Whether there are indices for [`Self::free_released`].
    pub fn has_released(&self) -> bool {
        self.pool.has_released()
    }
}
