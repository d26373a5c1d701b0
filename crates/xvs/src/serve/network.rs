//! The network as netlink tells it, in the terms of `control`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use control::interfaces::Interface;
use control::nexthops::{Hop, HopState, Neighbour, Network, OwnAddresses, Prefix, Way};
use net::{Lookup, MacAddress, NextHop, Snapshot, VlanPath};

/// The EtherType of the VLAN tags that the data plane writes (IEEE 802.1Q).
const C_TAG: u16 = 0x8100;
/// rtnetlink's `RT_SCOPE_LINK`: addresses of this scope and narrower are no source for ICMP errors.
const SCOPE_LINK: u8 = 253;

/// A snapshot of the network.
#[derive(Debug, Clone, Copy)]
pub struct Kernel<'a>(pub &'a Snapshot);

impl Kernel<'_> {
    /// An interface as the data plane's table of interfaces has it.
    pub fn interface(&self, ifindex: u32, xdp: bool) -> Option<Interface> {
        let link = self.0.link(ifindex)?;
        let mac = link.mac.map(MacAddress::octets);
        let own = self.own_addresses(ifindex);
        Some(Interface {
            ifindex,
            xdp,
            mac,
            address: own.v4,
            address_v6: own.v6,
            mtu: link.mtu,
        })
    }
}

impl Kernel<'_> {
    fn first_v4(&self, ifindex: u32) -> Option<Ipv4Addr> {
        self.0.addresses().find_map(|held| match held.address {
            IpAddr::V4(address)
                if held.ifindex == ifindex && !held.secondary && held.scope < SCOPE_LINK =>
            {
                Some(address)
            }
            _ => None,
        })
    }

    fn best_v6(&self, ifindex: u32) -> Option<Ipv6Addr> {
        let usable = self.0.addresses().filter_map(|held| match held.address {
            IpAddr::V6(address) if held.ifindex == ifindex && !held.unusable => {
                Some((held, address))
            }
            _ => None,
        });
        usable
            .filter(|(held, _)| held.scope <= SCOPE_LINK)
            .min_by_key(|(held, _)| (held.scope, held.last_resort, held.secondary))
            .map(|(_, address)| address)
    }
}

impl Kernel<'_> {
    /// The way to a neighbour on its own link, whatever route leads to its address elsewhere.
    fn route_to(&self, neighbour: &net::Neighbour) -> Option<net::Route> {
        let net::Neighbour {
            ifindex, address, ..
        } = *neighbour;
        match self.0.route(address) {
            Lookup::Unicast(route) if route.ifindex == ifindex && route.gateway.is_none() => {
                Some(route)
            }
            _ => Some(net::Route {
                prefix: net::Prefix::host(address),
                ifindex,
                gateway: None,
                source: None,
                mtu: self.0.link(ifindex)?.mtu_towards(address),
            }),
        }
    }

    /// The gateways of routes that have an MTU of their own, with the least of these. A gateway is
    /// one next hop to all clients behind it: where routes of several MTUs lead through it, the
    /// least counts for all, as it is the one that nowhere is too much.
    fn narrow_gateways(&self) -> BTreeMap<Neighbour, u32> {
        let mut narrow = BTreeMap::new();
        for route in self.0.routes() {
            let Some(mtu) = route.mtu else { continue };
            for leg in &route.legs {
                let Some(gateway) = leg.gateway else { continue };
                let least = narrow.entry((leg.ifindex, gateway)).or_insert(mtu);
                *least = mtu.min(*least);
            }
        }
        narrow
    }
}

impl Network for Kernel<'_> {
    fn hop_towards(&self, address: IpAddr) -> Hop {
        hop(&self.0.next_hop(address))
    }

    fn ifindex(&self, name: &str) -> Option<u32> {
        Some(self.0.link_named(name)?.ifindex)
    }

    fn source_towards(&self, address: IpAddr) -> Option<IpAddr> {
        self.0.source_towards(address)
    }

    fn own_addresses(&self, ifindex: u32) -> OwnAddresses {
        OwnAddresses {
            v4: self.first_v4(ifindex),
            v6: self.best_v6(ifindex),
        }
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.0.is_local(address)
    }

    fn routes(&self) -> BTreeMap<Prefix, Way> {
        let mut routes = BTreeMap::new();
        for prefix in self.0.routes().map(|entry| entry.prefix) {
            routes
                .entry((prefix.address(), prefix.length()))
                .or_insert_with(|| way(&self.0.lookup(prefix.address(), prefix.length())));
        }
        routes
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        let narrow = self.narrow_gateways();
        let known = self.0.neighbours();
        let unicast = known.filter(|neighbour| !neighbour.address.is_multicast());
        let resolved = unicast.filter_map(|neighbour| {
            let key = (neighbour.ifindex, neighbour.address);
            let mut route = self.route_to(neighbour)?;
            route.mtu = narrow
                .get(&key)
                .map_or(route.mtu, |mtu| route.mtu.min(*mtu));
            let hop = hop(&self.0.next_hop_of(&route, neighbour.address));
            (hop.state == HopState::Resolved).then_some((key, hop))
        });
        resolved.collect()
    }
}

/// Interface and gateway of a route. Interface 0 for addresses that packets must not be sent to:
/// local ones, and those that a route rejects.
fn way(lookup: &Lookup) -> Way {
    match lookup {
        Lookup::Unicast(route) => (route.ifindex, route.gateway),
        Lookup::Local | Lookup::Rejected(_) | Lookup::NoRoute => (0, None),
    }
}

fn hop(next_hop: &NextHop) -> Hop {
    match *next_hop {
        NextHop::Resolved {
            ifindex,
            source,
            destination,
            vlan,
            mtu,
        } => {
            let (ifindex, vlan) = through(ifindex, vlan);
            Hop {
                state: HopState::Resolved,
                ifindex,
                mtu,
                vlan,
                destination_mac: destination.octets(),
                source_mac: source.octets(),
            }
        }
        NextHop::Unresolved { ifindex, .. } => Hop::without_mac(HopState::Incomplete, ifindex),
        NextHop::Failed { ifindex, .. } | NextHop::LinkDown { ifindex } => {
            Hop::without_mac(HopState::Failed, ifindex)
        }
        NextHop::NoLinkLayer { ifindex, .. } => Hop::without_mac(HopState::NoRoute, ifindex),
        NextHop::Local | NextHop::NoRoute => Hop::without_mac(HopState::NoRoute, 0),
    }
}

/// The interface to send through, and the VLAN to tag with: frames for a VLAN interface are tagged
/// and sent through the one below, which XDP can do as well.
fn through(ifindex: u32, vlan: Option<VlanPath>) -> (u32, u16) {
    match vlan {
        Some(VlanPath {
            vlan,
            lower: Some(lower),
        }) if vlan.protocol == C_TAG => (lower, vlan.id),
        _ => (ifindex, 0),
    }
}

#[cfg(test)]
mod tests {
    use net::{
        Event, Insertion, InterfaceAddress, Leg, Link, LinkKind, NeighbourState, Preference,
        RouteEntry, RouteKind, Table, Vlan,
    };

    use super::*;

    const ETH0: u32 = 2;
    const VLAN: u32 = 3;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn link(ifindex: u32, kind: LinkKind, lower: Option<u32>) -> Event {
        Event::Link(Link {
            ifindex,
            name: format!("eth{ifindex}"),
            kind,
            ethernet: true,
            mac: MacAddress::from_bytes(&[2, 0, 0, 0, 0, 1]),
            mtu: 1400,
            mtu_v6: None,
            admin_up: true,
            carrier: true,
            no_arp: false,
            master: None,
            lower,
            peer_netns: None,
            xdp: None,
            parent_device: None,
        })
    }

    fn route(table: Table, prefix: &str, kind: RouteKind, ifindex: u32, gateway: &str) -> Event {
        let (address, length) = prefix.split_once('/').unwrap();
        let leg = Leg {
            ifindex,
            gateway: gateway.parse().ok(),
            dead: false,
            encapsulated: false,
        };
        let entry = RouteEntry {
            table,
            prefix: net::Prefix::new(address.parse().unwrap(), length.parse().unwrap()),
            kind,
            metric: 0,
            tos: 0,
            from: None,
            preferred_source: None,
            mtu: None,
            preference: Preference::Medium,
            legs: if kind == RouteKind::Blackhole {
                Vec::new()
            } else {
                vec![leg]
            },
        };
        Event::Route(entry, Insertion::Back)
    }

    fn with_mtu(route: Event, mtu: u32) -> Event {
        match route {
            Event::Route(entry, insertion) => {
                let mtu = Some(mtu);
                Event::Route(RouteEntry { mtu, ..entry }, insertion)
            }
            other => other,
        }
    }

    fn neighbour(ifindex: u32, address: &str, state: NeighbourState) -> Event {
        Event::Neighbour(net::Neighbour {
            ifindex,
            address: address.parse().unwrap(),
            mac: MacAddress::from_bytes(&[2, 0, 0, 0, 0, 9]),
            state,
            kept: false,
        })
    }

    /// A machine with an interface, a VLAN on top of it, and a router.
    fn machine() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let tag = Vlan {
            id: 100,
            protocol: C_TAG,
        };
        for event in [
            link(ETH0, LinkKind::Physical, None),
            link(VLAN, LinkKind::Vlan(tag), Some(ETH0)),
            Event::Address(InterfaceAddress {
                ifindex: ETH0,
                address: ip("192.0.2.1"),
                subnet: net::Prefix::new(ip("192.0.2.0"), 24),
                scope: 0,
                secondary: false,
                unusable: false,
                last_resort: false,
            }),
            route(Table::Local, "192.0.2.1/32", RouteKind::Local, ETH0, ""),
            route(Table::Main, "192.0.2.0/24", RouteKind::Unicast, ETH0, ""),
            route(Table::Main, "10.0.0.0/8", RouteKind::Unicast, VLAN, ""),
            route(
                Table::Main,
                "0.0.0.0/0",
                RouteKind::Unicast,
                ETH0,
                "192.0.2.254",
            ),
            route(Table::Main, "198.51.100.0/24", RouteKind::Blackhole, 0, ""),
            neighbour(ETH0, "192.0.2.254", NeighbourState::Stale),
            neighbour(ETH0, "192.0.2.7", NeighbourState::Failed),
            neighbour(VLAN, "10.0.0.5", NeighbourState::Reachable),
        ] {
            snapshot.apply(event);
        }
        snapshot
    }

    #[test]
    fn a_destination_behind_a_router_is_reached_by_the_routers_mac() {
        let hop = Kernel(&machine()).hop_towards(ip("203.0.113.5"));
        assert_eq!(
            (hop.state, hop.ifindex, hop.vlan, hop.mtu),
            (HopState::Resolved, ETH0, 0, 1400)
        );
        assert_eq!(hop.destination_mac, [2, 0, 0, 0, 0, 9]);
    }

    #[test]
    fn frames_for_a_vlan_are_tagged_and_leave_by_the_interface_below() {
        let hop = Kernel(&machine()).hop_towards(ip("10.0.0.5"));
        assert_eq!(
            (hop.state, hop.ifindex, hop.vlan),
            (HopState::Resolved, ETH0, 100)
        );
    }

    #[test]
    fn what_is_not_known_of_the_way_is_told_apart() {
        let snapshot = machine();
        let state = |address| Kernel(&snapshot).hop_towards(ip(address)).state;
        assert_eq!(state("192.0.2.8"), HopState::Incomplete);
        assert_eq!(state("192.0.2.7"), HopState::Failed);
        assert_eq!(state("198.51.100.1"), HopState::NoRoute);
        assert_eq!(state("192.0.2.1"), HopState::NoRoute);
    }

    #[test]
    fn routes_lead_to_a_gateway_or_to_the_link_and_local_ones_nowhere() {
        let routes = Kernel(&machine()).routes();
        let way = |address, length| routes.get(&(ip(address), length)).copied();
        assert_eq!(way("0.0.0.0", 0), Some((ETH0, Some(ip("192.0.2.254")))));
        assert_eq!(way("10.0.0.0", 8), Some((VLAN, None)));
        assert_eq!(way("192.0.2.1", 32), Some((0, None)));
        assert_eq!(way("198.51.100.0", 24), Some((0, None)));
        assert_eq!(routes.len(), 5);
    }

    #[test]
    fn neighbours_are_those_with_a_mac_that_counts() {
        let known = Kernel(&machine()).neighbours();
        let keys: Vec<_> = known.keys().copied().collect();
        assert_eq!(keys, [(ETH0, ip("192.0.2.254")), (VLAN, ip("10.0.0.5"))]);
        assert_eq!(known[&(VLAN, ip("10.0.0.5"))].vlan, 100);
    }

    #[test]
    fn both_families_are_there_and_groups_are_no_neighbours() {
        let mut snapshot = machine();
        let main = |prefix, gateway| route(Table::Main, prefix, RouteKind::Unicast, ETH0, gateway);
        for event in [
            main("2001:db8::/64", ""),
            main("::/0", "fe80::1"),
            main("203.0.113.0/24", "fe80::1"),
            neighbour(ETH0, "fe80::1", NeighbourState::Reachable),
            neighbour(ETH0, "ff02::1", NeighbourState::Permanent),
            neighbour(ETH0, "224.0.0.22", NeighbourState::Permanent),
        ] {
            snapshot.apply(event);
        }
        let network = Kernel(&snapshot);
        let routes = network.routes();
        assert_eq!(routes[&(ip("2001:db8::"), 64)], (ETH0, None));
        assert_eq!(routes[&(ip("::"), 0)], (ETH0, Some(ip("fe80::1"))));
        assert_eq!(routes[&(ip("203.0.113.0"), 24)], routes[&(ip("::"), 0)]);
        let behind = network.hop_towards(ip("2001:db8:1::1"));
        assert_eq!(behind.state, HopState::Resolved);
        let neighbours = network.neighbours();
        assert_eq!(neighbours[&(ETH0, ip("fe80::1"))], behind);
        assert!(
            neighbours
                .keys()
                .all(|(_, address)| !address.is_multicast())
        );
    }

    #[test]
    fn a_routes_own_mtu_is_that_of_its_neighbours_and_of_its_gateway() {
        let mut snapshot = machine();
        let main = |prefix, ifindex, gateway, mtu| {
            let route = route(Table::Main, prefix, RouteKind::Unicast, ifindex, gateway);
            with_mtu(route, mtu)
        };
        for event in [
            main("10.0.0.0/24", VLAN, "", 1350),
            main("203.0.113.0/24", ETH0, "192.0.2.254", 1300),
            main("203.0.112.0/24", ETH0, "192.0.2.254", 1280),
        ] {
            snapshot.apply(event);
        }
        let network = Kernel(&snapshot);
        assert_eq!(network.hop_towards(ip("203.0.113.5")).mtu, 1300);
        assert_eq!(network.hop_towards(ip("10.0.0.5")).mtu, 1350);
        let neighbours = network.neighbours();
        assert_eq!(neighbours[&(VLAN, ip("10.0.0.5"))].mtu, 1350);
        assert_eq!(neighbours[&(ETH0, ip("192.0.2.254"))].mtu, 1280);
    }

    #[test]
    fn errors_come_from_a_global_ipv6_address_or_else_from_the_links_own() {
        let mut snapshot = machine();
        let hold = |address: &str, scope, last_resort| {
            Event::Address(InterfaceAddress {
                ifindex: ETH0,
                address: ip(address),
                subnet: net::Prefix::new(ip(address), 64),
                scope,
                secondary: false,
                unusable: false,
                last_resort,
            })
        };
        let own = |snapshot: &Snapshot| Kernel(snapshot).own_addresses(ETH0).v6;
        assert_eq!(own(&snapshot), None);
        snapshot.apply(hold("fe80::21", SCOPE_LINK, false));
        assert_eq!(own(&snapshot), Some("fe80::21".parse().unwrap()));
        snapshot.apply(hold("2001:db8::1", 0, true));
        assert_eq!(own(&snapshot), Some("2001:db8::1".parse().unwrap()));
        snapshot.apply(hold("2001:db8::2", 0, false));
        assert_eq!(own(&snapshot), Some("2001:db8::2".parse().unwrap()));
    }

    #[test]
    fn an_interface_is_known_by_its_mac_and_its_first_address() {
        let interface = Kernel(&machine()).interface(ETH0, true).unwrap();
        assert_eq!(interface.address, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(
            (interface.mac, interface.mtu),
            (Some([2, 0, 0, 0, 0, 1]), 1400)
        );
        assert_eq!(Kernel(&machine()).interface(99, true), None);
    }
}
