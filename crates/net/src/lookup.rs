//! What one asks of a snapshot: where a packet goes.

use std::cmp::Reverse;
use std::net::IpAddr;

use crate::{
    Leg, Link, MacAddress, NeighbourState, Prefix, RouteEntry, RouteKind, Snapshot, Vlan, source,
};

/// The answer to "where does a packet for this address go?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// To a neighbour.
    Unicast(Route),
    /// To this machine.
    Local,
    /// Nowhere that a forwarder sends: the route found rejects it, is for broadcast or multicast,
    /// or wraps packets in a tunnel.
    Rejected(RouteKind),
    /// No route was found.
    NoRoute,
}

/// The way to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The prefix of the route that was found.
    pub prefix: Prefix,
    /// The interface to send through.
    pub ifindex: u32,
    /// The router to send to. None: the destination is on the link itself.
    pub gateway: Option<IpAddr>,
    /// The source address of packets that this machine sends there itself.
    pub source: Option<IpAddr>,
    /// The largest packet, in bytes: the interface's, or the route's own where that is smaller.
    pub mtu: u32,
}

/// The answer to "which frame carries a packet to this address?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextHop {
    /// A frame like this.
    Resolved {
        /// The interface to send through; a VLAN, bond or bridge itself, not what lies below it.
        ifindex: u32,
        /// The interface's own Ethernet address.
        source: MacAddress,
        /// The next hop's.
        destination: MacAddress,
        /// For a VLAN interface: its tag, and the interface below it, for those who must write the
        /// tag themselves. (Sent through `ifindex`, the kernel adds it.)
        vlan: Option<VlanPath>,
        /// The largest packet, in bytes.
        mtu: u32,
    },
    /// The interface has no Ethernet header (a tunnel): packets go as they are.
    NoLinkLayer {
        /// The interface to send through.
        ifindex: u32,
        /// The largest packet, in bytes.
        mtu: u32,
    },
    /// The next hop's Ethernet address is not known yet.
    Unresolved {
        /// The interface it is on.
        ifindex: u32,
        /// The neighbour to ask for.
        address: IpAddr,
    },
    /// The next hop was asked and does not answer.
    Failed {
        /// The interface it should be on.
        ifindex: u32,
        /// The neighbour that was asked for.
        address: IpAddr,
    },
    /// The interface on the way is down, has no carrier, or is gone.
    LinkDown {
        /// The interface.
        ifindex: u32,
    },
    /// The address is this machine's own.
    Local,
    /// There is no route, or one that this crate's user cannot follow (see [`Lookup::Rejected`]).
    NoRoute,
}

/// How a VLAN interface reaches the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VlanPath {
    /// The tag.
    pub vlan: Vlan,
    /// The interface below. It may be a VLAN in its turn, or, for an interface that was moved to
    /// another namespace, not be visible here; then this is None.
    pub lower: Option<u32>,
}

/// A route, and the leg of it to take; none where it has none.
type Found<'a> = (&'a RouteEntry, Option<&'a Leg>);

impl Snapshot {
    /// Where a packet for `destination` goes: by the local table, then the main one; longest
    /// prefix first, then lowest metric, then the router's preference. Of a multipath route the
    /// first leg whose interface is up is taken, or else the first at all.
    ///
    /// An IPv6 router that does not answer is passed over as long as another route leads to the
    /// destination (RFC 4861 section 6.3.6), as on a host that does not forward.
    #[must_use]
    pub fn route(&self, destination: IpAddr) -> Lookup {
        self.lookup(destination, u8::MAX)
    }

    /// As [`route`](Self::route), by the routes alone whose prefixes have at most `longest` bits.
    #[must_use]
    pub fn lookup(&self, destination: IpAddr, longest: u8) -> Lookup {
        let Some((entry, leg)) = self.find_route(destination, longest) else {
            return Lookup::NoRoute;
        };
        match (entry.kind, leg) {
            (RouteKind::Local | RouteKind::Anycast, _) => Lookup::Local,
            (RouteKind::Unicast, Some(leg)) if !leg.encapsulated => {
                Lookup::Unicast(self.route_through(entry, leg, destination))
            }
            (kind, _) => Lookup::Rejected(kind),
        }
    }

    /// Which frame carries a packet to `destination`.
    #[must_use]
    pub fn next_hop(&self, destination: IpAddr) -> NextHop {
        match self.route(destination) {
            Lookup::Unicast(route) => self.next_hop_of(&route, destination),
            Lookup::Local => NextHop::Local,
            Lookup::Rejected(_) | Lookup::NoRoute => NextHop::NoRoute,
        }
    }

    /// Which frame carries a packet to `destination` along `route`.
    #[must_use]
    pub fn next_hop_of(&self, route: &Route, destination: IpAddr) -> NextHop {
        let ifindex = route.ifindex;
        let Some(link) = self.link(ifindex).filter(|link| link.is_up()) else {
            return NextHop::LinkDown { ifindex };
        };
        let (true, Some(source)) = (link.ethernet, link.mac) else {
            return NextHop::NoLinkLayer {
                ifindex,
                mtu: route.mtu,
            };
        };
        let resolved = |destination| NextHop::Resolved {
            ifindex,
            source,
            destination,
            vlan: link.vlan().map(|vlan| VlanPath {
                vlan,
                lower: lower_here(link),
            }),
            mtu: route.mtu,
        };
        let address = route.gateway.unwrap_or(destination);
        let neighbour = self.neighbour(ifindex, address);
        match neighbour {
            Some(neighbour) if neighbour.state == NeighbourState::Failed => {
                NextHop::Failed { ifindex, address }
            }
            // Where nobody is asked, the kernel fills in the interface's own address.
            _ if link.no_arp => resolved(source),
            _ => neighbour
                .and_then(|neighbour| neighbour.usable_mac())
                .map_or(NextHop::Unresolved { ifindex, address }, resolved),
        }
    }

    /// The source address that this machine's own packets to `destination` carry: the one that the
    /// route prefers, or else the one that the kernel would choose of the interface's (IPv4) or by
    /// RFC 6724 (IPv6). Packets to an address of this machine itself come from that address.
    #[must_use]
    pub fn source_towards(&self, destination: IpAddr) -> Option<IpAddr> {
        match self.route(destination) {
            Lookup::Unicast(route) => route.source,
            Lookup::Local => Some(destination),
            Lookup::Rejected(_) | Lookup::NoRoute => None,
        }
    }

    /// Whether packets for `address` are delivered to this machine: it is set on an interface, or
    /// a `local` route covers it, or it was claimed.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.claimed.contains(&address) || self.route(address) == Lookup::Local
    }

    /// The interfaces that packets from and to these addresses use: those that hold an address of
    /// this machine, and those that routes to the others lead through. An address that is held
    /// where no frames arrive (on `lo`, on a dummy) is reached through any interface; for it the
    /// default routes' are named. Sorted, each once.
    #[must_use]
    pub fn interfaces_towards(&self, addresses: &[IpAddr]) -> Vec<u32> {
        let mut found: Vec<u32> = addresses
            .iter()
            .flat_map(|address| self.interfaces_of(*address))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn interfaces_of(&self, address: IpAddr) -> Vec<u32> {
        let Some((entry, _)) = self.find_route(address, u8::MAX) else {
            return Vec::new();
        };
        let meets_traffic =
            |ifindex: &u32| self.link(*ifindex).is_some_and(|link| link.meets_traffic());
        match entry.kind {
            RouteKind::Unicast => entry.legs.iter().map(|leg| leg.ifindex).collect(),
            RouteKind::Local => {
                let legs = entry.legs.iter().map(|leg| leg.ifindex);
                let holders = self.addresses.iter().filter(|held| held.address == address);
                let holders = holders.map(|held| held.ifindex);
                let found: Vec<u32> = legs.chain(holders).filter(meets_traffic).collect();
                if found.is_empty() {
                    self.default_interfaces(address)
                } else {
                    found
                }
            }
            _ => Vec::new(),
        }
    }

    /// The interfaces that default routes of the address's family lead through.
    fn default_interfaces(&self, address: IpAddr) -> Vec<u32> {
        self.main
            .candidates(address)
            .flatten()
            .filter(|entry| entry.prefix.is_default() && entry.kind == RouteKind::Unicast)
            .flat_map(|entry| entry.legs.iter().map(|leg| leg.ifindex))
            .collect()
    }

    /// The route that the kernel's default rules find, and the leg of it to take.
    fn find_route(&self, destination: IpAddr, longest: u8) -> Option<Found<'_>> {
        let found = self.find_among(destination, longest, |_| true)?;
        if !found.1.is_some_and(|leg| self.is_silent(leg)) {
            return Some(found);
        }
        let other = self.find_among(destination, longest, |leg| !self.is_silent(leg));
        let other = other.filter(|(entry, _)| entry.kind == RouteKind::Unicast);
        Some(other.unwrap_or(found))
    }

    /// As [`find_route`](Self::find_route), by legs alone that are `fit`.
    fn find_among(
        &self,
        destination: IpAddr,
        longest: u8,
        fit: impl Fn(&Leg) -> bool,
    ) -> Option<Found<'_>> {
        [&self.local, &self.main].into_iter().find_map(|table| {
            table
                .candidates(destination)
                .filter_map(|equals| self.best_of(equals, longest, &fit))
                .take_while(|(entry, _)| entry.kind != RouteKind::Throw)
                .next()
        })
    }

    /// The best of routes for one prefix with one metric: the first of the most preferred.
    fn best_of<'a>(
        &self,
        equals: &'a [RouteEntry],
        longest: u8,
        fit: impl Fn(&Leg) -> bool,
    ) -> Option<Found<'a>> {
        equals
            .iter()
            .filter(|entry| entry.is_plain() && entry.prefix.length() <= longest)
            .filter_map(|entry| Some((entry, self.choose_leg(entry, &fit)?)))
            .min_by_key(|(entry, _)| Reverse(entry.preference))
    }

    /// The leg of a route to take. `None`: none is alive and fit, the route is none. `Some(None)`:
    /// it has and needs none.
    fn choose_leg<'a>(
        &self,
        entry: &'a RouteEntry,
        fit: impl Fn(&Leg) -> bool,
    ) -> Option<Option<&'a Leg>> {
        if entry.legs.is_empty() {
            return Some(None);
        }
        let is_up = |leg: &&Leg| self.link(leg.ifindex).is_some_and(Link::is_up);
        let mut alive = entry.legs.iter().filter(|leg| !leg.dead && fit(leg));
        let first = alive.clone().next()?;
        Some(Some(alive.find(is_up).unwrap_or(first)))
    }

    /// Whether a leg leads to an IPv6 router that was asked for and does not answer.
    fn is_silent(&self, leg: &Leg) -> bool {
        let Some(gateway @ IpAddr::V6(_)) = leg.gateway else {
            return false;
        };
        self.neighbour(leg.ifindex, gateway)
            .is_some_and(|neighbour| neighbour.state == NeighbourState::Failed)
    }

    fn route_through(&self, entry: &RouteEntry, leg: &Leg, destination: IpAddr) -> Route {
        let mtu = self.link(leg.ifindex).map(|link| match entry.mtu {
            Some(mtu) => mtu.min(link.mtu),
            None => link.mtu_towards(destination),
        });
        Route {
            prefix: entry.prefix,
            ifindex: leg.ifindex,
            gateway: leg.gateway,
            source: entry
                .preferred_source
                .or_else(|| source::choose(&self.addresses, leg, destination)),
            mtu: mtu.unwrap_or(u32::MAX),
        }
    }
}

/// The number of the interface below, if that is in this namespace.
fn lower_here(link: &Link) -> Option<u32> {
    link.lower.filter(|_| link.peer_netns.is_none())
}
