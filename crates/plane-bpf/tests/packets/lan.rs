//! The network that the directors under test believe in, and their services.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use control::interfaces::Interface;
use control::nexthops::{Hop, HopState, Neighbour, Network, OwnAddresses, Prefix, Way};
use model::{ClientAddress, Command, Destination, Forwarding, MaxSegment, ServiceRequest};

use crate::bed::Site;

/// The loopback interface, by which frames that are run by hand come in.
pub const IFINDEX: u32 = 1;
pub const OWN_MAC: [u8; 6] = [0; 6];
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 9, 9];

pub const CLIENT: [u8; 4] = [198, 51, 100, 7];
/// A client that no neighbour entry is known for.
pub const STRANGER: [u8; 4] = [198, 51, 100, 8];
/// A client that there is no route to.
pub const LOST: [u8; 4] = [203, 0, 113, 1];
pub const VIRTUAL: [u8; 4] = [10, 0, 0, 1];
/// A virtual address that is on another director now.
pub const ELSEWHERE: [u8; 4] = [10, 0, 0, 2];
/// The director's address that real servers under FULLNAT see.
pub const LOCAL: [u8; 4] = [10, 0, 0, 9];
pub const SERVER: [u8; 4] = [192, 168, 0, 2];
pub const DEAD: [u8; 4] = [192, 168, 0, 3];
pub const ASKED: [u8; 4] = [192, 168, 0, 4];
pub const NARROW: [u8; 4] = [192, 168, 0, 5];
pub const TAGGED: [u8; 4] = [192, 168, 0, 6];

const CLIENTS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 0);
const SERVERS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 0);
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 7);
pub const VIRTUAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1);
pub const LOCAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 9);
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 2);

pub const WEB: u16 = 80;
pub const NOBODY: u16 = 81;
pub const TO_DEAD: u16 = 82;
pub const TO_ASKED: u16 = 83;
pub const TO_NARROW: u16 = 84;
pub const TO_TAGGED: u16 = 85;
pub const DIRECT: u16 = 86;
pub const FULLNAT: u16 = 87;
pub const FULLNAT_DNS: u16 = 54;
/// Services under FULLNAT whose real servers are of the other family.
pub const CROSSED: u16 = 191;
/// As [`CROSSED`], for datagrams.
pub const CROSSED_DNS: u16 = 192;
/// As [`CROSSED`], telling clients' addresses by the PROXY protocol.
pub const CROSSED_PROXY: u16 = 193;
/// A service under FULLNAT whose handshakes announce at most 1400 bytes.
pub const LIMITED: u16 = 194;
/// A service under FULLNAT that tells clients' addresses by TCP options.
pub const TOA: u16 = 189;
/// A service under FULLNAT that tells clients' addresses by the PROXY protocol.
pub const PROXY: u16 = 190;
/// A service under FULLNAT without a local address.
pub const DRY: u16 = 88;
pub const DNS: u16 = 53;
pub const SERVER_PORT: u16 = 8080;
pub const NARROW_MTU: u32 = 600;
pub const TAG: u16 = 5;

/// MAC of a neighbour, from its address.
pub const fn mac_of(address: [u8; 4]) -> [u8; 6] {
    let [a, b, c, d] = address;
    [2, 0, a, b, c, d]
}

/// As [`mac_of`].
pub const fn mac_of_v6(address: Ipv6Addr) -> [u8; 6] {
    let [_, _, _, network, .., host] = address.segments();
    [2, 6, 0, 0, network as u8, host as u8]
}

#[derive(Clone, Copy)]
pub struct Lan;

impl Site for Lan {
    fn commands(&self) -> Vec<Command> {
        services()
    }

    fn interface(&self) -> Interface {
        Interface {
            ifindex: IFINDEX,
            xdp: false,
            mac: Some(OWN_MAC),
            address: Some(VIRTUAL.into()),
            address_v6: None,
            mtu: 1500,
        }
    }
}

impl Network for Lan {
    fn hop_towards(&self, address: IpAddr) -> Hop {
        let address = match address {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => {
                return Hop {
                    state: HopState::Resolved,
                    ifindex: IFINDEX,
                    mtu: 1500,
                    vlan: 0,
                    destination_mac: mac_of_v6(address),
                    source_mac: OWN_MAC,
                };
            }
        };
        let octets = address.octets();
        match octets {
            DEAD => return Hop::without_mac(HopState::Failed, IFINDEX),
            ASKED => return Hop::without_mac(HopState::Incomplete, IFINDEX),
            _ => {}
        }
        Hop {
            state: HopState::Resolved,
            ifindex: IFINDEX,
            mtu: if octets == NARROW { NARROW_MTU } else { 1500 },
            vlan: if octets == TAGGED { TAG } else { 0 },
            destination_mac: mac_of(octets),
            source_mac: OWN_MAC,
        }
    }

    fn ifindex(&self, _name: &str) -> Option<u32> {
        None
    }

    fn source_towards(&self, _address: IpAddr) -> Option<IpAddr> {
        Some(VIRTUAL.into())
    }

    fn own_addresses(&self, _ifindex: u32) -> OwnAddresses {
        OwnAddresses::default()
    }

    fn is_local(&self, address: IpAddr) -> bool {
        let v4 = [VIRTUAL, LOCAL].map(IpAddr::from);
        v4.contains(&address) || [VIRTUAL_V6, LOCAL_V6].map(IpAddr::from).contains(&address)
    }

    fn routes(&self) -> BTreeMap<Prefix, Way> {
        let prefixes = [[198, 51, 100, 0], [192, 168, 0, 0]];
        let networks_v6 = [CLIENTS_V6, SERVERS_V6];
        prefixes
            .into_iter()
            .map(|prefix| ((prefix.into(), 24), (IFINDEX, None)))
            .chain(networks_v6.map(|network| ((network.into(), 64), (IFINDEX, None))))
            .collect()
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        [CLIENT, SERVER, NARROW, TAGGED]
            .map(IpAddr::from)
            .into_iter()
            .chain([CLIENT_V6, SERVER_V6].map(IpAddr::from))
            .map(|address| ((IFINDEX, address), self.hop_towards(address)))
            .collect()
    }
}

fn add(service: &str, server: &str, forwarding: Forwarding) -> Command {
    Command::AddDestination {
        service: service.parse().unwrap(),
        destination: Destination::new(server.parse().unwrap(), forwarding),
    }
}

/// `ipvsadm -d`.
pub fn remove(service: &str, server: &str) -> Command {
    Command::DeleteDestination {
        service: service.parse().unwrap(),
        destination: server.parse().unwrap(),
    }
}

/// The services, each named by its port above.
pub fn services() -> Vec<Command> {
    let mut commands = Vec::new();
    let services = [
        ("TCP 10.0.0.1:80", "192.168.0.2:8080", Forwarding::Masq),
        ("UDP 10.0.0.1:53", "192.168.0.2:53", Forwarding::Masq),
        ("TCP 10.0.0.1:82", "192.168.0.3:8080", Forwarding::Masq),
        ("TCP 10.0.0.1:83", "192.168.0.4:8080", Forwarding::Masq),
        ("TCP 10.0.0.1:84", "192.168.0.5:8080", Forwarding::Masq),
        ("UDP 10.0.0.1:84", "192.168.0.5:8080", Forwarding::Masq),
        ("TCP 10.0.0.1:85", "192.168.0.6:8080", Forwarding::Masq),
        ("TCP 10.0.0.1:87", "192.168.0.2:8080", Forwarding::FullNat),
        ("TCP 10.0.0.1:88", "192.168.0.2:8080", Forwarding::FullNat),
        ("UDP 10.0.0.1:54", "192.168.0.2:53", Forwarding::FullNat),
        ("TCP 10.0.0.1:86", "192.168.0.2:86", Forwarding::Route),
        ("TCP 10.0.0.2:80", "192.168.0.2:8081", Forwarding::Masq),
    ];
    let request = |key: &str| ServiceRequest::new(key.parse().unwrap(), "rr");
    commands.push(Command::AddService(request("TCP 10.0.0.1:81")));
    for (service, server, forwarding) in services {
        commands.push(Command::AddService(request(service)));
        commands.push(add(service, server, forwarding));
    }
    for (service, client_address) in [
        ("TCP 10.0.0.1:189", ClientAddress::Toa),
        ("TCP 10.0.0.1:190", ClientAddress::Proxy),
    ] {
        commands.push(Command::AddService(ServiceRequest {
            client_address,
            ..request(service)
        }));
        commands.push(add(service, "192.168.0.2:8080", Forwarding::FullNat));
    }
    commands.push(Command::AddService(ServiceRequest {
        max_segment: MaxSegment::Bytes(1400),
        ..request("TCP 10.0.0.1:194")
    }));
    commands.push(add(
        "TCP 10.0.0.1:194",
        "192.168.0.2:8080",
        Forwarding::FullNat,
    ));
    for service in [
        "TCP 10.0.0.1:194",
        "TCP 10.0.0.1:87",
        "UDP 10.0.0.1:54",
        "TCP 10.0.0.1:189",
        "TCP 10.0.0.1:190",
    ] {
        commands.push(Command::AddLocalAddress {
            service: service.parse().unwrap(),
            address: LOCAL.into(),
        });
    }
    commands.extend(crossed());
    commands
}

/// The services whose real servers are of the other family, of both.
fn crossed() -> impl Iterator<Item = Command> {
    let services = [
        ("TCP", CROSSED, SERVER_PORT, ClientAddress::Off),
        ("UDP", CROSSED_DNS, DNS, ClientAddress::Off),
        ("TCP", CROSSED_PROXY, SERVER_PORT, ClientAddress::Proxy),
    ];
    let families = [
        ("10.0.0.1", format!("[{SERVER_V6}]"), IpAddr::from(LOCAL_V6)),
        ("[2001:db8:0:1::1]", "192.168.0.2".to_owned(), LOCAL.into()),
    ];
    families.into_iter().flat_map(move |(host, server, local)| {
        services
            .into_iter()
            .flat_map(move |(protocol, port, server_port, how)| {
                let service = format!("{protocol} {host}:{port}");
                let request = ServiceRequest {
                    client_address: how,
                    ..ServiceRequest::new(service.parse().unwrap(), "rr")
                };
                let pool = Command::AddLocalAddress {
                    service: service.parse().unwrap(),
                    address: local,
                };
                let server = format!("{server}:{server_port}");
                let destination = add(&service, &server, Forwarding::FullNat);
                [Command::AddService(request), pool, destination]
            })
    })
}
