//! A director's configuration as large as they come: 10,000 virtual services of 100 real servers
//! each, by IPv4 and VS/NAT.

use std::net::{IpAddr, Ipv4Addr};

use model::{
    Command, Destination, DestinationKey, Forwarding, Protocol, ServiceKey, ServiceRequest,
};

use crate::method::{End, REAL, VIRTUAL};

/// How many virtual services there are.
pub const SERVICES: u32 = 10_000;
/// How many real servers each of them has.
pub const SERVERS: u32 = 100;

/// The first service's address; the others' follow.
const FIRST_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);
/// The address of the first service's first real server; the others' follow, service by service.
const FIRST_SERVER: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);

/// A virtual service, by its number.
pub fn service(number: u32) -> End {
    (address(FIRST_SERVICE, number), VIRTUAL.1)
}

/// A real server of a service, by their numbers.
pub fn server(service: u32, number: u32) -> End {
    (address(FIRST_SERVER, service * SERVERS + number), REAL.1)
}

fn address(first: Ipv4Addr, number: u32) -> IpAddr {
    Ipv4Addr::from_bits(first.to_bits() + number).into()
}

/// Whether an address is a service's.
pub fn is_virtual(address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else {
        return false;
    };
    let number = address.to_bits().checked_sub(FIRST_SERVICE.to_bits());
    number.is_some_and(|number| number < SERVICES)
}

/// What configures all of it. The newest real server stands first in its service's list, so that
/// they come last who are to be first.
pub fn commands() -> Vec<Command> {
    (0..SERVICES).flat_map(commands_for).collect()
}

fn commands_for(number: u32) -> impl Iterator<Item = Command> {
    let (address, port) = service(number);
    let key = ServiceKey::Address {
        protocol: Protocol::Tcp,
        address,
        port,
    };
    let made = Command::AddService(ServiceRequest::new(key, "wrr"));
    let servers = (0..SERVERS).rev().map(move |server_number| {
        let (address, port) = server(number, server_number);
        Command::AddDestination {
            service: key,
            destination: Destination::new(DestinationKey { address, port }, Forwarding::Masq),
        }
    });
    std::iter::once(made).chain(servers)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_service_and_every_real_server_has_an_address_of_its_own() {
        let mut addresses = HashSet::new();
        for command in commands() {
            let address = match command {
                Command::AddService(ServiceRequest {
                    key: ServiceKey::Address { address, .. },
                    ..
                }) => address,
                Command::AddDestination { destination, .. } => destination.key.address,
                other => panic!("{other:?}"),
            };
            assert!(addresses.insert(address), "{address}");
        }
        assert_eq!(addresses.len() as u32, SERVICES * (1 + SERVERS));
    }

    #[test]
    fn only_services_have_virtual_addresses() {
        assert!(is_virtual(service(0).0) && is_virtual(service(SERVICES - 1).0));
        assert!(!is_virtual(service(SERVICES).0) && !is_virtual(server(0, 0).0));
    }

    /// As the front programs reckon: they write the last two bytes, and add what is more.
    #[test]
    fn numbers_are_counted_in_the_last_bytes_of_addresses() {
        assert_eq!(service(0).0.to_string(), "10.128.0.0");
        assert_eq!(service(SERVICES - 1).0.to_string(), "10.128.39.15");
        assert_eq!(server(0, 1).0.to_string(), "172.16.0.1");
        assert_eq!(
            server(SERVICES - 1, SERVERS - 1).0.to_string(),
            "172.31.66.63"
        );
    }
}
