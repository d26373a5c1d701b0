//! The network of the cases. The machine's has the same addresses (`oracle/differential/network`).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use control::nexthops::{Hop, HopState, Neighbour, Network, OwnAddresses, Prefix, Way};

/// The virtual addresses.
pub const VIRTUAL: [Ipv4Addr; 2] = [
    Ipv4Addr::new(172, 16, 10, 21),
    Ipv4Addr::new(172, 16, 10, 22),
];
/// The clients.
pub const CLIENTS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(172, 16, 10, 40),
    Ipv4Addr::new(172, 16, 10, 41),
    Ipv4Addr::new(172, 16, 10, 42),
    Ipv4Addr::new(172, 16, 10, 43),
];
/// The real servers.
pub const SERVERS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(192, 168, 100, 39),
    Ipv4Addr::new(192, 168, 100, 23),
    Ipv4Addr::new(192, 168, 100, 31),
    Ipv4Addr::new(192, 168, 100, 35),
];
/// The director's address among the real servers.
const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 17);
const MTU: u32 = 1500;

/// The only interface: a program that is run by hand sees no other.
pub const IFINDEX: u32 = 1;
/// Its MAC, that of a program that is run by hand.
pub const OWN_MAC: [u8; 6] = [0; 6];

/// MAC of a neighbour.
pub fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [2, 0, a, b, c, d]
}

/// Whether an address is on the side of the real servers.
pub fn is_servers(address: Ipv4Addr) -> bool {
    address.octets()[0] == INSIDE.octets()[0]
}

/// The network.
#[derive(Debug, Clone, Copy)]
pub struct Lan;

impl Network for Lan {
    fn hop_towards(&self, address: IpAddr) -> Hop {
        match address {
            IpAddr::V4(address) => Hop {
                state: HopState::Resolved,
                ifindex: IFINDEX,
                mtu: MTU,
                vlan: 0,
                destination_mac: mac_of(address),
                source_mac: OWN_MAC,
            },
            IpAddr::V6(_) => Hop::without_mac(HopState::NoRoute, 0),
        }
    }

    fn ifindex(&self, _name: &str) -> Option<u32> {
        None
    }

    fn source_towards(&self, _address: IpAddr) -> Option<IpAddr> {
        Some(INSIDE.into())
    }

    fn own_addresses(&self, _ifindex: u32) -> OwnAddresses {
        OwnAddresses {
            v4: Some(VIRTUAL[0]),
            v6: None,
        }
    }

    fn is_local(&self, address: IpAddr) -> bool {
        VIRTUAL.iter().any(|own| address == *own) || address == INSIDE
    }

    fn routes(&self) -> BTreeMap<Prefix, Way> {
        let prefixes = [[172, 16, 10, 0], [192, 168, 100, 0]];
        prefixes
            .into_iter()
            .map(|prefix| ((prefix.into(), 24), (IFINDEX, None)))
            .collect()
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        let all = CLIENTS.into_iter().chain(SERVERS).map(IpAddr::from);
        all.map(|address| ((IFINDEX, address), self.hop_towards(address)))
            .collect()
    }
}
