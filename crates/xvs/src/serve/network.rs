//! The network as netlink tells it, in the terms of `control`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use control::interfaces::Interface;
use control::nexthops::{Hop, HopState, Neighbour, Network, Prefix};
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
        let address = self.0.addresses().find_map(|held| match held.address {
            IpAddr::V4(address)
                if held.ifindex == ifindex && !held.secondary && held.scope < SCOPE_LINK =>
            {
                Some(address)
            }
            _ => None,
        });
        let mac = link.mac.map(MacAddress::octets);
        Some(Interface { ifindex, xdp, mac, address, mtu: link.mtu })
    }
}

impl Network for Kernel<'_> {
    fn hop_towards(&self, address: Ipv4Addr) -> Hop {
        hop(&self.0.next_hop(address.into()))
    }

    fn is_local(&self, address: Ipv4Addr) -> bool {
        self.0.is_local(address.into())
    }

    fn routes(&self) -> BTreeMap<Prefix, (u32, Option<Ipv4Addr>)> {
        let mut routes = BTreeMap::new();
        for prefix in self.0.routes().map(|entry| entry.prefix) {
            if let IpAddr::V4(address) = prefix.address() {
                routes.entry((address, prefix.length())).or_insert_with(|| {
                    way(&self.0.lookup(prefix.address(), prefix.length()))
                });
            }
        }
        routes
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        let known = self.0.neighbours().filter_map(|neighbour| {
            let IpAddr::V4(address) = neighbour.address else {
                return None;
            };
            let route = net::Route {
                prefix: net::Prefix::host(neighbour.address),
                ifindex: neighbour.ifindex,
                gateway: None,
                source: None,
                mtu: self.0.link(neighbour.ifindex)?.mtu,
            };
            let hop = hop(&self.0.next_hop_of(&route, neighbour.address));
            (hop.state == HopState::Resolved).then_some(((neighbour.ifindex, address), hop))
        });
        known.collect()
    }
}

/// Interface and gateway of a route. Interface 0 for addresses that packets must not be sent to:
/// local ones, and those that a route rejects.
fn way(lookup: &Lookup) -> (u32, Option<Ipv4Addr>) {
    match lookup {
        Lookup::Unicast(route) => match route.gateway {
            None => (route.ifindex, None),
            Some(IpAddr::V4(gateway)) => (route.ifindex, Some(gateway)),
            // The next hops of IPv4 packets are looked up by IPv4 addresses.
            Some(IpAddr::V6(_)) => (0, None),
        },
        Lookup::Local | Lookup::Rejected(_) | Lookup::NoRoute => (0, None),
    }
}

fn hop(next_hop: &NextHop) -> Hop {
    match *next_hop {
        NextHop::Resolved { ifindex, source, destination, vlan, mtu } => {
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
        Some(VlanPath { vlan, lower: Some(lower) }) if vlan.protocol == C_TAG => (lower, vlan.id),
        _ => (ifindex, 0),
    }
}
