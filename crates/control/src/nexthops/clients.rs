//! The routes and neighbours by which packets find the way to an address that is no destination's.

use std::collections::BTreeMap;

use abi::{NeighbourKey, RouteValue};

use crate::nexthops::pool::Pool;
use crate::nexthops::{Hop, Neighbour, Network, Prefix, Way};
use crate::{Plane, PlaneError, TablePrefix, words};

#[derive(Debug, Default)]
pub(super) struct Clients {
    neighbours: BTreeMap<Neighbour, Hop>,
    routes: BTreeMap<Prefix, Way>,
    /// Routes of an earlier daemon.
    found_routes: Vec<TablePrefix>,
    /// Neighbours of an earlier daemon.
    found_neighbours: Vec<NeighbourKey>,
}

impl Clients {
    /// Nothing that an earlier daemon left counts as known: each is written again, or removed, by
    /// the first [`Self::follow`].
    pub(super) fn adopt(plane: &impl Plane) -> Self {
        Self {
            found_routes: plane.known_routes().unwrap_or_default(),
            found_neighbours: plane.known_neighbours().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Makes the tables be as the network is. Whether anything changed, and the first thing that
    /// the plane did not take.
    pub(super) fn follow(
        &mut self,
        pool: &mut Pool,
        plane: &impl Plane,
        network: &impl Network,
    ) -> (bool, Result<(), PlaneError>) {
        let (routes, neighbours) = (network.routes(), network.neighbours());
        let leftovers = self.remove_found(plane, &routes, &neighbours);
        let routes = self.follow_routes(plane, routes);
        let neighbours = self.follow_neighbours(pool, plane, neighbours);
        (
            routes.0 || neighbours.0,
            leftovers.and(routes.1).and(neighbours.1),
        )
    }

    /// Removes what an earlier daemon left and the network no longer has.
    fn remove_found(
        &mut self,
        plane: &impl Plane,
        routes: &BTreeMap<Prefix, Way>,
        neighbours: &BTreeMap<Neighbour, Hop>,
    ) -> Result<(), PlaneError> {
        let mut outcome = Ok(());
        for found in self.found_routes.drain(..) {
            let address = words::to_address(found.address, found.is_v6);
            if !routes.contains_key(&(address, found.length)) {
                outcome = outcome.and(plane.set_route(found, None));
            }
        }
        for found in self.found_neighbours.drain(..) {
            let address = words::to_address(found.address, found.family == 6);
            if !neighbours.contains_key(&(found.ifindex, address)) {
                outcome = outcome.and(plane.set_neighbour(found, None));
            }
        }
        outcome
    }

    fn follow_routes(
        &mut self,
        plane: &impl Plane,
        wanted: BTreeMap<Prefix, Way>,
    ) -> (bool, Result<(), PlaneError>) {
        let gone: Vec<Prefix> = self
            .routes
            .keys()
            .filter(|prefix| !wanted.contains_key(prefix))
            .copied()
            .collect();
        let (mut changed, mut outcome) = (false, Ok(()));
        for prefix in gone {
            changed = true;
            outcome = outcome.and(plane.set_route(table_prefix(prefix), None));
            self.routes.remove(&prefix);
        }
        for (prefix, way) in wanted {
            if self.routes.get(&prefix) == Some(&way) {
                continue;
            }
            changed = true;
            match plane.set_route(table_prefix(prefix), Some(value(way))) {
                Ok(()) => drop(self.routes.insert(prefix, way)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        (changed, outcome)
    }

    fn follow_neighbours(
        &mut self,
        pool: &mut Pool,
        plane: &impl Plane,
        wanted: BTreeMap<Neighbour, Hop>,
    ) -> (bool, Result<(), PlaneError>) {
        let view = plane.view();
        let (mut changed, mut outcome) = (false, Ok(()));
        let gone: Vec<(Neighbour, Hop)> = self
            .neighbours
            .iter()
            .filter(|(neighbour, hop)| wanted.get(neighbour) != Some(hop))
            .map(|(neighbour, hop)| (*neighbour, *hop))
            .collect();
        for (neighbour, hop) in gone {
            changed = true;
            if !wanted.contains_key(&neighbour) {
                outcome = outcome.and(plane.set_neighbour(key(neighbour), None));
            }
            self.neighbours.remove(&neighbour);
            pool.release(hop);
        }
        for (neighbour, hop) in wanted {
            if self.neighbours.contains_key(&neighbour) {
                continue;
            }
            // Neighbours that do not fit are left to the kernel to resolve.
            let Some(index) = pool.take(&view, hop) else {
                continue;
            };
            match plane.set_neighbour(key(neighbour), Some(index)) {
                Ok(()) => drop(self.neighbours.insert(neighbour, hop)),
                Err(error) => {
                    pool.release(hop);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        (changed, outcome)
    }
}

fn table_prefix((address, length): Prefix) -> TablePrefix {
    TablePrefix {
        is_v6: address.is_ipv6(),
        address: words::of(address),
        length,
    }
}

fn value((ifindex, gateway): Way) -> RouteValue {
    RouteValue {
        ifindex,
        gateway_family: gateway.map_or(0, words::family),
        gateway: gateway.map(words::of).unwrap_or_default(),
    }
}

fn key((ifindex, address): Neighbour) -> NeighbourKey {
    NeighbourKey {
        ifindex,
        family: words::family(address),
        address: words::of(address),
    }
}
