//! Names of hosts and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Protocol;

/// Whoever knows the names of hosts and ports.
pub trait Resolver {
    /// The IPv4 address of a host (`gethostbyname`).
    fn host_address(&self, name: &str) -> Option<Ipv4Addr>;

    /// The name of the host with this address (`gethostbyaddr`).
    fn host_name(&self, address: IpAddr) -> Option<String>;

    /// The port of a TCP or UDP service (`getservbyname`).
    fn service_port(&self, name: &str, protocol: Protocol) -> Option<u16>;

    /// The name of the TCP or UDP service at this port (`getservbyport`).
    fn service_name(&self, port: u16, protocol: Protocol) -> Option<String>;
}

/// The names in `/etc/hosts` and `/etc/services`: see hosts(5) and services(5).
#[derive(Debug, Clone, Default)]
pub struct NameTables {
    hosts: Vec<Host>,
    services: Vec<Service>,
}

#[derive(Debug, Clone)]
struct Host {
    address: IpAddr,
    names: Vec<String>,
}

#[derive(Debug, Clone)]
struct Service {
    port: u16,
    protocol: Protocol,
    names: Vec<String>,
}

impl NameTables {
    /// Reads the two files' texts. Lines that make no sense are passed over, as the C library does.
    pub fn new(hosts: &str, services: &str) -> Self {
        Self {
            hosts: hosts.lines().filter_map(host).collect(),
            services: services.lines().filter_map(service).collect(),
        }
    }
}

fn host(line: &str) -> Option<Host> {
    let mut words = words(line);
    let address = words.next()?.parse().ok()?;
    let names: Vec<_> = words.map(str::to_owned).collect();
    (!names.is_empty()).then_some(Host { address, names })
}

fn service(line: &str) -> Option<Service> {
    let mut words = words(line);
    let name = words.next()?;
    let (port, protocol) = words.next()?.split_once('/')?;
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    let names = std::iter::once(name)
        .chain(words)
        .map(str::to_owned)
        .collect();
    Some(Service {
        port: port.parse().ok()?,
        protocol,
        names,
    })
}

/// The words of a line before its comment.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split('#')
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
}

impl Host {
    /// Its address as somebody sees it who asks for IPv4: the loopback address of IPv6 stands for
    /// that of IPv4 there.
    fn ipv4(&self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(Ipv6Addr::LOCALHOST) => Some(Ipv4Addr::LOCALHOST),
            IpAddr::V6(address) => address.to_ipv4_mapped(),
        }
    }

    fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4() == Some(address),
            IpAddr::V6(_) => self.address == address,
        }
    }
}

impl Resolver for NameTables {
    fn host_address(&self, name: &str) -> Option<Ipv4Addr> {
        let named = |host: &&Host| host.names.iter().any(|n| n.eq_ignore_ascii_case(name));
        self.hosts.iter().filter(named).find_map(Host::ipv4)
    }

    fn host_name(&self, address: IpAddr) -> Option<String> {
        self.hosts
            .iter()
            .find(|host| host.has(address))?
            .names
            .first()
            .cloned()
    }

    fn service_port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let named = |service: &&Service| {
            service.protocol == protocol && service.names.iter().any(|n| n == name)
        };
        self.services.iter().find(named).map(|service| service.port)
    }

    fn service_name(&self, port: u16, protocol: Protocol) -> Option<String> {
        let there = |service: &&Service| service.port == port && service.protocol == protocol;
        self.services.iter().find(there)?.names.first().cloned()
    }
}
