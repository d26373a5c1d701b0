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
        Some(Interface {
            ifindex,
            xdp,
            mac,
            address: self.own_addresses(ifindex).v4,
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

impl Network for Kernel<'_> {
    fn hop_towards(&self, address: IpAddr) -> Hop {
        hop(&self.0.next_hop(address))
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
        let known = self.0.neighbours().filter_map(|neighbour| {
            let route = net::Route {
                prefix: net::Prefix::host(neighbour.address),
                ifindex: neighbour.ifindex,
                gateway: None,
                source: None,
                mtu: self
                    .0
                    .link(neighbour.ifindex)?
                    .mtu_towards(neighbour.address),
            };
            let hop = hop(&self.0.next_hop_of(&route, neighbour.address));
            let key = (neighbour.ifindex, neighbour.address);
            (hop.state == HopState::Resolved).then_some((key, hop))
        });
        known.collect()
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
