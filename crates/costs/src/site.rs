//! A director that has one virtual service, and the network that it stands in.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use control::interfaces::{self, Interface};
use control::nexthops::{Hop, HopState, Neighbour, Network, OwnAddresses, Prefix, Way};
use control::{Director, Plane as _, Sizes};
use model::{
    Command, Destination, DestinationKey, Forwarding, Netmask, Persistence, Protocol, ServiceKey,
    ServiceRequest, Tunnel, TunnelKind,
};
use plane_user::Memory;

use crate::frames::{End, Ends};

/// The interface that every frame comes in by, and leaves.
pub const IFINDEX: u32 = 1;
pub const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Slots of the connection table.
pub const CONNECTIONS: u32 = 1 << 12;
const MTU: u32 = 1500;
/// Connections hash by it; any will do, if it is always the same.
const SEED: u32 = 42;
const TICK: u32 = 1_000_000;
const SERVERS: u8 = 4;
const PORT: u16 = 80;
const SERVER_PORT: u16 = 8080;
const GUE_PORT: u16 = 6080;
const CLIENT_PORT: u16 = 40_000;
/// Seconds.
const PERSISTENCE: u32 = 300;

/// What the director does for its one service.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    pub protocol: Protocol,
    pub is_v6: bool,
    pub forwarding: Forwarding,
    pub tunnel: TunnelKind,
    pub scheduler: &'static str,
    pub is_persistent: bool,
}

impl Service {
    /// TCP over IPv4, by turns among real servers of equal weight.
    pub const fn by(forwarding: Forwarding) -> Self {
        Self {
            protocol: Protocol::Tcp,
            is_v6: false,
            forwarding,
            tunnel: TunnelKind::Ipip,
            scheduler: "rr",
            is_persistent: false,
        }
    }

    /// The same over IPv6.
    pub const fn v6(self) -> Self {
        let is_v6 = true;
        Self { is_v6, ..self }
    }

    /// The same by another scheduler.
    pub const fn scheduled(self, scheduler: &'static str) -> Self {
        Self { scheduler, ..self }
    }

    /// Host 1 of the network of virtual addresses is the service's, 9 the local one of FULLNAT,
    /// and 200 somebody else's.
    fn virtual_address(self, host: u8) -> IpAddr {
        self.address(0, host)
    }

    fn address(self, network: u8, host: u8) -> IpAddr {
        if self.is_v6 {
            let (network, host) = (network.into(), host.into());
            return Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host).into();
        }
        Ipv4Addr::new(198, 18, network, host).into()
    }

    /// A client's packet to the service. Each number is another client.
    pub fn packet_of(self, client: u8) -> Ends {
        Ends {
            from: (self.address(100, client), CLIENT_PORT),
            to: self.end(),
        }
    }

    /// A packet that has nothing to do with the service.
    pub fn foreign_packet(self, client: u8) -> Ends {
        Ends {
            to: (self.virtual_address(200), PORT),
            ..self.packet_of(client)
        }
    }

    fn end(self) -> End {
        (self.virtual_address(1), PORT)
    }

    fn key(self) -> ServiceKey {
        let (address, port) = self.end();
        ServiceKey::Address {
            protocol: self.protocol,
            address,
            port,
        }
    }

    fn request(self) -> ServiceRequest {
        let netmask = if self.is_v6 {
            Netmask::V6(128)
        } else {
            Netmask::V4(Ipv4Addr::BROADCAST)
        };
        let timeout = PERSISTENCE;
        let persistence = Persistence { timeout, netmask };
        ServiceRequest {
            persistence: self.is_persistent.then_some(persistence),
            ..ServiceRequest::new(self.key(), self.scheduler)
        }
    }

    fn destination(self, number: u8) -> Destination {
        let key = DestinationKey {
            address: self.address(1, number),
            port: match self.forwarding {
                Forwarding::Masq | Forwarding::FullNat => SERVER_PORT,
                _ => PORT,
            },
        };
        let is_gue = self.tunnel == TunnelKind::Gue;
        Destination {
            tunnel: Tunnel {
                kind: self.tunnel,
                port: if is_gue { GUE_PORT } else { 0 },
                ..Tunnel::default()
            },
            ..Destination::new(key, self.forwarding)
        }
    }

    fn commands(self) -> Vec<Command> {
        let service = self.key();
        let mut commands = vec![Command::AddService(self.request())];
        if self.forwarding == Forwarding::FullNat {
            commands.push(Command::AddLocalAddress {
                service,
                address: self.virtual_address(9),
            });
        }
        commands.extend((1..=SERVERS).map(|number| Command::AddDestination {
            service,
            destination: self.destination(number),
        }));
        commands
    }
}

/// A director with that service.
pub fn director(service: Service, is_xdp: bool) -> Director<Memory> {
    let sizes = Sizes::chosen(CONNECTIONS, 8, 32, 1).expect("the sizes are among the possible");
    let memory = Memory::new(&sizes, SEED);
    memory.set_tick(TICK);
    let interface = Interface {
        ifindex: IFINDEX,
        xdp: is_xdp,
        mac: Some(OWN_MAC),
        address: Some(Ipv4Addr::new(198, 18, 0, 1)),
        address_v6: None,
        mtu: MTU,
    };
    let left_out = interfaces::publish(&memory.view(), &[interface]);
    assert_eq!(left_out, 0, "there is room for one interface");
    let mut director = Director::new(memory, sizes);
    for outcome in director.apply(&service.commands(), &Link(service)) {
        outcome.expect("the service is a possible one");
    }
    let followed = director.follow(&Link(service));
    followed.expect("the tables in memory take everything");
    director
}

/// One link, on which everybody is reached by one MAC address: clients through a gateway.
struct Link(Service);

impl Link {
    fn gateway(&self) -> IpAddr {
        self.0.virtual_address(254)
    }
}

impl Network for Link {
    fn hop_towards(&self, _address: IpAddr) -> Hop {
        Hop {
            state: HopState::Resolved,
            ifindex: IFINDEX,
            mtu: MTU,
            vlan: 0,
            destination_mac: HOST_MAC,
            source_mac: OWN_MAC,
        }
    }

    fn ifindex(&self, _name: &str) -> Option<u32> {
        None
    }

    fn source_towards(&self, _address: IpAddr) -> Option<IpAddr> {
        Some(self.0.virtual_address(1))
    }

    fn own_addresses(&self, _ifindex: u32) -> OwnAddresses {
        OwnAddresses::default()
    }

    fn is_local(&self, address: IpAddr) -> bool {
        [1, 9]
            .map(|host| self.0.virtual_address(host))
            .contains(&address)
    }

    fn routes(&self) -> BTreeMap<Prefix, Way> {
        let everything: IpAddr = if self.0.is_v6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        BTreeMap::from([((everything, 0), (IFINDEX, Some(self.gateway())))])
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        let gateway = self.gateway();
        BTreeMap::from([((IFINDEX, gateway), self.hop_towards(gateway))])
    }
}
