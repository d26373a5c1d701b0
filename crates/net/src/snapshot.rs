//! The network as the kernel described it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use crate::route_table::RouteTable;
use crate::{
    Change, Effect, Event, Insertion, InterfaceAddress, Link, Neighbour, RouteEntry, RouteKind,
    Table,
};

/// Links, addresses, routes and neighbours of one network namespace.
///
/// Plain data: [`apply`](Self::apply) is the only way in, so that a snapshot can be made up in a
/// test as well as read from the kernel by the watcher.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    pub(crate) links: BTreeMap<u32, Link>,
    pub(crate) addresses: Vec<InterfaceAddress>,
    pub(crate) local: RouteTable,
    pub(crate) main: RouteTable,
    pub(crate) neighbours: HashMap<(u32, IpAddr), Neighbour>,
    /// Addresses that this machine is about to hold, or still holds.
    pub(crate) claimed: BTreeSet<IpAddr>,
}

impl Snapshot {
    /// Takes in one report of the watcher, and says what it means.
    pub fn apply_change(&mut self, change: Change) -> Effect {
        match change {
            Change::Events(events) => events
                .into_iter()
                .map(|event| self.apply(event))
                .fold(Effect::NONE, Effect::and),
            Change::Resync(snapshot) => {
                let claimed = std::mem::take(&mut self.claimed);
                *self = *snapshot;
                self.claimed = claimed;
                Effect {
                    routing: true,
                    neighbours: true,
                    in_doubt: false,
                }
            }
        }
    }

    /// From now on an address counts as this machine's own, whatever the kernel says: it is about to be.
    /// Says whether that is news.
    pub fn claim(&mut self, address: IpAddr) -> bool {
        self.claimed.insert(address)
    }

    /// From now on an address is this machine's own if the kernel says so. Says whether it was claimed.
    pub fn release(&mut self, address: IpAddr) -> bool {
        self.claimed.remove(&address)
    }

    /// Takes in one event, and says what it means. What is known already changes nothing, so
    /// events that overlap with a dump do no harm.
    pub fn apply(&mut self, event: Event) -> Effect {
        match event {
            Event::Link(link) => self.set_link(link),
            Event::LinkGone(ifindex) => self.remove_link(ifindex),
            Event::Address(address) => self.set_address(address),
            Event::AddressGone(address) => self.remove_address(address),
            Event::Route(route, insertion) => self.add_route(route, insertion),
            Event::RouteGone(route) => self.remove_route(&route),
            Event::Routes(routes) => self.replace_routes(routes),
            Event::Neighbour(neighbour) => self.set_neighbour(neighbour),
            Event::NeighbourGone { ifindex, address } => self.remove_neighbour(ifindex, address),
        }
    }

    /// The interface of this number.
    #[must_use]
    pub fn link(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    /// The interface of this name.
    #[must_use]
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// All interfaces, by number.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The interfaces that are ports of this bridge, bond or VRF.
    pub fn ports_of(&self, master: u32) -> impl Iterator<Item = &Link> {
        self.links
            .values()
            .filter(move |link| link.master == Some(master))
    }

    /// All addresses, in the order in which they were set.
    pub fn addresses(&self) -> impl Iterator<Item = &InterfaceAddress> {
        self.addresses.iter()
    }

    /// All routes of the local and the main table, in no particular order.
    pub fn routes(&self) -> impl Iterator<Item = &RouteEntry> {
        self.local.iter().chain(self.main.iter())
    }

    /// All neighbour entries, in no particular order.
    pub fn neighbours(&self) -> impl Iterator<Item = &Neighbour> {
        self.neighbours.values()
    }

    /// The routers that unicast routes of the main table lead through, each with the interface it
    /// is on.
    #[must_use]
    pub fn gateways(&self) -> BTreeSet<(u32, IpAddr)> {
        let unicast = self
            .main
            .iter()
            .filter(|route| route.kind == RouteKind::Unicast);
        unicast
            .flat_map(|route| &route.legs)
            .filter(|leg| !leg.encapsulated)
            .filter_map(|leg| Some((leg.ifindex, leg.gateway?)))
            .collect()
    }

    /// The entry for a neighbour on an interface.
    #[must_use]
    pub fn neighbour(&self, ifindex: u32, address: IpAddr) -> Option<&Neighbour> {
        self.neighbours.get(&(ifindex, address))
    }

    fn set_link(&mut self, link: Link) -> Effect {
        let before = self.links.insert(link.ifindex, link.clone());
        if before.as_ref() == Some(&link) {
            return Effect::NONE;
        }
        let in_doubt = before.is_some_and(|before| {
            let went_down = before.admin_up && !link.admin_up;
            went_down || before.mtu != link.mtu || before.mtu_v6 != link.mtu_v6
        });
        Effect {
            in_doubt,
            ..Effect::ROUTING
        }
    }

    fn remove_link(&mut self, ifindex: u32) -> Effect {
        if self.links.remove(&ifindex).is_none() {
            return Effect::NONE;
        }
        self.addresses.retain(|address| address.ifindex != ifindex);
        self.neighbours.retain(|(on, _), _| *on != ifindex);
        let stays = |route: &RouteEntry| route.legs.iter().all(|leg| leg.ifindex != ifindex);
        self.local.retain(stays);
        self.main.retain(stays);
        Effect {
            neighbours: true,
            in_doubt: true,
            ..Effect::ROUTING
        }
    }

    fn set_address(&mut self, address: InterfaceAddress) -> Effect {
        let same = |known: &&mut InterfaceAddress| is_same_address(known, &address);
        match self.addresses.iter_mut().find(same) {
            Some(known) if *known == address => return Effect::NONE,
            Some(known) => *known = address,
            None => self.addresses.push(address),
        }
        Effect::ROUTING
    }

    fn remove_address(&mut self, address: InterfaceAddress) -> Effect {
        let before = self.addresses.len();
        self.addresses
            .retain(|known| !is_same_address(known, &address));
        if self.addresses.len() == before {
            return Effect::NONE;
        }
        Effect {
            in_doubt: true,
            ..Effect::ROUTING
        }
    }

    fn add_route(&mut self, route: RouteEntry, insertion: Insertion) -> Effect {
        // An IPv6 route that joins another of its key becomes a leg of it, and the message does
        // not say in which way.
        let joins = route.prefix.address().is_ipv6() && self.table(route.table).has_key_of(&route);
        if !self.table_mut(route.table).insert(route, insertion) {
            return Effect::NONE;
        }
        Effect {
            in_doubt: joins,
            ..Effect::ROUTING
        }
    }

    fn remove_route(&mut self, route: &RouteEntry) -> Effect {
        if self.table_mut(route.table).remove(route) {
            return Effect::ROUTING;
        }
        // Either it went earlier, with its interface, or it is part of a multipath route.
        Effect {
            in_doubt: self.table(route.table).has_key_of(route),
            ..Effect::NONE
        }
    }

    fn replace_routes(&mut self, routes: Vec<RouteEntry>) -> Effect {
        let (mut local, mut main) = (RouteTable::default(), RouteTable::default());
        for route in routes {
            match route.table {
                Table::Local => local.insert(route, Insertion::Back),
                Table::Main => main.insert(route, Insertion::Back),
            };
        }
        let routing = local != self.local || main != self.main;
        (self.local, self.main) = (local, main);
        Effect {
            routing,
            ..Effect::NONE
        }
    }

    fn set_neighbour(&mut self, neighbour: Neighbour) -> Effect {
        let key = (neighbour.ifindex, neighbour.address);
        let before = self.neighbours.insert(key, neighbour);
        let answers = |neighbour: Neighbour| (neighbour.usable_mac(), is_failed(&neighbour));
        Effect {
            neighbours: before.map(answers) != Some(answers(neighbour)),
            ..Effect::NONE
        }
    }

    fn remove_neighbour(&mut self, ifindex: u32, address: IpAddr) -> Effect {
        let removed = self.neighbours.remove(&(ifindex, address)).is_some();
        Effect {
            neighbours: removed,
            ..Effect::NONE
        }
    }

    fn table(&self, table: Table) -> &RouteTable {
        match table {
            Table::Local => &self.local,
            Table::Main => &self.main,
        }
    }

    fn table_mut(&mut self, table: Table) -> &mut RouteTable {
        match table {
            Table::Local => &mut self.local,
            Table::Main => &mut self.main,
        }
    }
}

/// Whether both are the same address to the kernel: it can be set once per interface and subnet.
fn is_same_address(one: &InterfaceAddress, other: &InterfaceAddress) -> bool {
    (one.ifindex, one.address, one.subnet) == (other.ifindex, other.address, other.subnet)
}

fn is_failed(neighbour: &Neighbour) -> bool {
    neighbour.state == crate::NeighbourState::Failed
}
