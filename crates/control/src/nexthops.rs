//! Where packets leave: the next hops of destinations, and the routes and neighbours by which the
//! way to a client is found.
//!
//! A next hop in use is never changed: what changed gets another index, the tables are pointed to
//! it, and the old index is free once no packet can be using it. Indices that connections remember
//! count for one routing generation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use abi::{NeighbourKey, NextHopCell, RouteValue, View, hop_state};

use crate::numbers::Numbers;
use crate::publish::{CapacityError, from_network_order, network_order};
use crate::{Plane, PlaneError};

/// What is known of the way to a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopState {
    /// Its MAC is known.
    Resolved,
    /// It was asked, and has not answered yet.
    Incomplete,
    /// It does not answer.
    Failed,
    /// There is no route.
    NoRoute,
}

/// How a frame leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hop {
    /// What is known.
    pub state: HopState,
    /// The interface to send through.
    pub ifindex: u32,
    /// The largest IP packet, in bytes.
    pub mtu: u32,
    /// VLAN identifier to tag with, 0 for none.
    pub vlan: u16,
    /// The neighbour's MAC.
    pub destination_mac: [u8; 6],
    /// The interface's own.
    pub source_mac: [u8; 6],
}

impl Hop {
    /// A way of which nothing is known but why it cannot be gone.
    pub const fn without_mac(state: HopState, ifindex: u32) -> Self {
        Self {
            state,
            ifindex,
            mtu: 0,
            vlan: 0,
            destination_mac: [0; 6],
            source_mac: [0; 6],
        }
    }

    fn write(&self, cell: &NextHopCell) {
        let [a, b, c, d, e, f] = self.destination_mac;
        let [g, h, i, j, k, l] = self.source_mac;
        let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l]];
        cell.ifindex.store(self.ifindex);
        cell.mtu.store(self.mtu);
        cell.vlan.store(self.vlan.into());
        for (cell, word) in cell.macs.iter().zip(words) {
            cell.store(u32::from_ne_bytes(word));
        }
        cell.state.publish(match self.state {
            HopState::Resolved => hop_state::RESOLVED,
            HopState::Incomplete => hop_state::INCOMPLETE,
            HopState::Failed => hop_state::FAILED,
            HopState::NoRoute => hop_state::NO_ROUTE,
        });
    }
}

/// A prefix: address and length in bits.
pub type Prefix = (IpAddr, u8);

/// A neighbour: interface and address.
pub type Neighbour = (u32, IpAddr);

/// A way: interface, and the gateway on it; none where each address is its own neighbour. The
/// gateway of an IPv4 route may have an IPv6 address (RFC 8950).
pub type Way = (u32, Option<IpAddr>);

/// The addresses by which an interface speaks for this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnAddresses {
    /// Its first IPv4 address that means something beyond the link.
    pub v4: Option<Ipv4Addr>,
    /// A global IPv6 address, or else its link-local one.
    pub v6: Option<Ipv6Addr>,
}

/// The network, as far as packets need it.
pub trait Network {
    /// The way to a destination.
    fn hop_towards(&self, address: IpAddr) -> Hop;
    /// The source address of packets that this machine itself sends to an address: outer headers
    /// of tunnels. None where there is no route, or no address that may be used.
    fn source_towards(&self, address: IpAddr) -> Option<IpAddr>;
    /// The addresses that ICMP errors about packets of an interface come from.
    fn own_addresses(&self, ifindex: u32) -> OwnAddresses;
    /// Whether packets for an address are delivered to this machine.
    fn is_local(&self, address: IpAddr) -> bool;
    /// All routes of both families. Interface 0 where packets must not go.
    fn routes(&self) -> BTreeMap<Prefix, Way>;
    /// All neighbours of both families whose MAC is known.
    fn neighbours(&self) -> BTreeMap<Neighbour, Hop>;
}

type PrefixV4 = (Ipv4Addr, u8);
type NeighbourV4 = (u32, Ipv4Addr);
type WayV4 = (u32, Option<Ipv4Addr>);

/// The routes that the table of IPv4 routes can hold. Those with an IPv6 gateway lead nowhere:
/// the neighbours of IPv4 packets are looked up by IPv4 addresses.
fn routes_v4(network: &impl Network) -> BTreeMap<PrefixV4, WayV4> {
    let routes = network.routes().into_iter();
    routes
        .filter_map(|((prefix, length), (ifindex, gateway))| {
            let way = match gateway {
                None => (ifindex, None),
                Some(IpAddr::V4(gateway)) => (ifindex, Some(gateway)),
                Some(IpAddr::V6(_)) => (0, None),
            };
            Some(((v4(prefix)?, length), way))
        })
        .collect()
}

/// The neighbours that the table of IPv4 neighbours can hold.
fn neighbours_v4(network: &impl Network) -> BTreeMap<NeighbourV4, Hop> {
    let neighbours = network.neighbours().into_iter();
    neighbours
        .filter_map(|((ifindex, address), hop)| Some(((ifindex, v4(address)?), hop)))
        .collect()
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The next hops in use.
#[derive(Debug)]
pub struct NextHops {
    numbers: Numbers,
    indices: HashMap<Hop, Shared>,
    destinations: HashMap<Ipv4Addr, Hop>,
    neighbours: BTreeMap<NeighbourV4, Hop>,
    routes: BTreeMap<PrefixV4, WayV4>,
    /// Indices that nothing points to any more, but a packet may still be using.
    released: Vec<u32>,
    /// Routes of an earlier daemon.
    found_routes: Vec<(u32, u8)>,
    /// Neighbours of an earlier daemon.
    found_neighbours: Vec<NeighbourKey>,
}

#[derive(Debug, Clone, Copy)]
struct Shared {
    index: u32,
    uses: u32,
}

impl NextHops {
    /// Room for this many next hops.
    pub fn new(limit: u32) -> Self {
        Self {
            numbers: Numbers::new(limit),
            indices: HashMap::new(),
            destinations: HashMap::new(),
            neighbours: BTreeMap::new(),
            routes: BTreeMap::new(),
            released: Vec::new(),
            found_routes: Vec::new(),
            found_neighbours: Vec::new(),
        }
    }

    /// The next hops of tables that packets are using. What is found there is used until others
    /// take its place, and freed with the first [`Self::free_released`] after they did.
    pub fn adopt(plane: &impl Plane, limit: u32) -> Self {
        let mut hops = Self::new(limit);
        for (index, cell) in (0..).zip(plane.view().next_hops) {
            if cell.state.load() != hop_state::EMPTY && hops.numbers.take_this(index) {
                hops.released.push(index);
            }
        }
        // Neither counts as known: each is written again, or removed, by the first follow.
        hops.found_routes = plane.known_routes().unwrap_or_default();
        hops.found_neighbours = plane.known_neighbours().unwrap_or_default();
        hops
    }

    /// Makes sure that there is a next hop towards a destination.
    ///
    /// # Errors
    /// When no index is left.
    pub fn want(
        &mut self,
        view: &View<'_>,
        network: &impl Network,
        address: Ipv4Addr,
    ) -> Result<(), CapacityError> {
        if self.destinations.contains_key(&address) {
            return Ok(());
        }
        let hop = network.hop_towards(address.into());
        self.take(view, hop).ok_or(CapacityError::Full {
            what: "next hops",
            limit: self.numbers.limit(),
            hint: "start the daemon with a larger --max-destinations",
        })?;
        self.destinations.insert(address, hop);
        Ok(())
    }

    /// Index of the next hop towards a destination, or [`abi::NONE`].
    pub fn index(&self, address: Ipv4Addr) -> u32 {
        let hop = self.destinations.get(&address);
        hop.and_then(|hop| self.indices.get(hop))
            .map_or(abi::NONE, |shared| shared.index)
    }

    /// What is known of the way to a destination.
    pub fn state(&self, address: Ipv4Addr) -> Option<HopState> {
        self.destinations.get(&address).map(|hop| hop.state)
    }

    /// The destinations and the ways to them.
    pub fn destinations(&self) -> impl Iterator<Item = (Ipv4Addr, Hop)> {
        self.destinations
            .iter()
            .map(|(address, hop)| (*address, *hop))
    }

    /// How many are in use, and how many fit.
    pub fn usage(&self) -> (u32, u32) {
        (self.numbers.used(), self.numbers.limit())
    }

    /// Forgets the destinations that are not among these.
    pub fn retain(&mut self, used: impl Iterator<Item = Ipv4Addr>) {
        let used: BTreeSet<Ipv4Addr> = used.collect();
        let unused: Vec<Ipv4Addr> = self
            .destinations
            .keys()
            .copied()
            .filter(|address| !used.contains(address))
            .collect();
        for address in unused {
            if let Some(hop) = self.destinations.remove(&address) {
                self.release(hop);
            }
        }
    }

    /// Follows the network: the next hops of destinations. Returns those that are others now; the
    /// caller points the destinations there.
    pub fn follow_destinations(
        &mut self,
        view: &View<'_>,
        network: &impl Network,
    ) -> HashMap<Ipv4Addr, u32> {
        let changed: Vec<(Ipv4Addr, Hop, Hop)> = self
            .destinations
            .iter()
            .map(|(address, before)| (*address, *before, network.hop_towards((*address).into())))
            .filter(|(_, before, after)| before != after)
            .collect();
        let mut moved = HashMap::new();
        for (address, before, after) in changed {
            // Without a free index the old way stays until there is one.
            if let Some(index) = self.take(view, after) {
                self.release(before);
                self.destinations.insert(address, after);
                moved.insert(address, index);
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
        let (routes, neighbours) = (routes_v4(network), neighbours_v4(network));
        let leftovers = self.remove_found(plane, &routes, &neighbours);
        let routes = self.follow_routes(plane, routes);
        let neighbours = self.follow_neighbours(plane, neighbours);
        (
            routes.0 || neighbours.0,
            leftovers.and(routes.1).and(neighbours.1),
        )
    }

    /// Removes what an earlier daemon left and the network no longer has.
    fn remove_found(
        &mut self,
        plane: &impl Plane,
        routes: &BTreeMap<PrefixV4, WayV4>,
        neighbours: &BTreeMap<NeighbourV4, Hop>,
    ) -> Result<(), PlaneError> {
        let mut outcome = Ok(());
        for (prefix, length) in self.found_routes.drain(..) {
            if !routes.contains_key(&(from_network_order(prefix), length)) {
                outcome = outcome.and(plane.set_route(prefix, length, None));
            }
        }
        for found in self.found_neighbours.drain(..) {
            if !neighbours.contains_key(&(found.ifindex, from_network_order(found.address))) {
                outcome = outcome.and(plane.set_neighbour(found, None));
            }
        }
        outcome
    }

    fn follow_routes(
        &mut self,
        plane: &impl Plane,
        wanted: BTreeMap<PrefixV4, WayV4>,
    ) -> (bool, Result<(), PlaneError>) {
        let gone: Vec<PrefixV4> = self
            .routes
            .keys()
            .filter(|prefix| !wanted.contains_key(prefix))
            .copied()
            .collect();
        let (mut changed, mut outcome) = (false, Ok(()));
        for prefix in gone {
            changed = true;
            outcome = outcome.and(plane.set_route(network_order(prefix.0), prefix.1, None));
            self.routes.remove(&prefix);
        }
        for (prefix, way) in wanted {
            if self.routes.get(&prefix) == Some(&way) {
                continue;
            }
            changed = true;
            let value = RouteValue {
                ifindex: way.0,
                gateway: way.1.map_or(0, network_order),
            };
            match plane.set_route(network_order(prefix.0), prefix.1, Some(value)) {
                Ok(()) => drop(self.routes.insert(prefix, way)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        (changed, outcome)
    }

    fn follow_neighbours(
        &mut self,
        plane: &impl Plane,
        wanted: BTreeMap<NeighbourV4, Hop>,
    ) -> (bool, Result<(), PlaneError>) {
        let view = plane.view();
        let (mut changed, mut outcome) = (false, Ok(()));
        let gone: Vec<(NeighbourV4, Hop)> = self
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
            self.release(hop);
        }
        for (neighbour, hop) in wanted {
            if self.neighbours.contains_key(&neighbour) {
                continue;
            }
            // Neighbours that do not fit are left to the kernel to resolve.
            let Some(index) = self.take(&view, hop) else {
                continue;
            };
            match plane.set_neighbour(key(neighbour), Some(index)) {
                Ok(()) => drop(self.neighbours.insert(neighbour, hop)),
                Err(error) => {
                    self.release(hop);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        (changed, outcome)
    }

    /// Frees the indices that were released before [`Plane::wait_for_readers`] was called last, and
    /// before the routing generation changed.
    pub fn free_released(&mut self, view: &View<'_>) {
        for index in self.released.drain(..) {
            view.next_hops[index as usize].state.store(hop_state::EMPTY);
            self.numbers.give_back(index);
        }
    }

    /// Whether there are indices for [`Self::free_released`].
    pub fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    fn take(&mut self, view: &View<'_>, hop: Hop) -> Option<u32> {
        if let Some(shared) = self.indices.get_mut(&hop) {
            shared.uses += 1;
            return Some(shared.index);
        }
        let index = self.numbers.take()?;
        hop.write(&view.next_hops[index as usize]);
        self.indices.insert(hop, Shared { index, uses: 1 });
        Some(index)
    }

    fn release(&mut self, hop: Hop) {
        let Some(shared) = self.indices.get_mut(&hop) else {
            return;
        };
        shared.uses -= 1;
        if shared.uses == 0 {
            self.released.push(shared.index);
            self.indices.remove(&hop);
        }
    }
}

fn key((ifindex, address): NeighbourV4) -> NeighbourKey {
    NeighbourKey {
        ifindex,
        address: network_order(address),
    }
}
