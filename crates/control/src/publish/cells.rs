//! What stands in a service's and a destination's cell, as plain values.

use std::net::Ipv4Addr;

use abi::{DestinationCell, ServiceCell, destination_flags, method};
use model::{Destination, Forwarding, Protocol, ServiceKey};

use crate::side::ServiceCellKey;

/// An IPv4 address as it stands in a packet, read as an integer of the machine.
pub(crate) fn network_order(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

/// The address of such an integer.
pub(crate) fn from_network_order(address: u32) -> Ipv4Addr {
    Ipv4Addr::from(address.to_ne_bytes())
}

/// The key of a service that the tables can hold: IPv4, TCP or UDP, by its address.
pub(crate) fn service_cell_key(key: &ServiceKey) -> Option<ServiceCellKey> {
    let ServiceKey::Address {
        protocol: protocol @ (Protocol::Tcp | Protocol::Udp),
        address: std::net::IpAddr::V4(address),
        port,
    } = *key
    else {
        return None;
    };
    Some((network_order(address), port.to_be(), protocol.number()))
}

/// The service that a cell of this key stands for.
pub(crate) fn service_key((address, port, protocol): ServiceCellKey) -> Option<ServiceKey> {
    Some(ServiceKey::Address {
        protocol: Protocol::from_number(protocol)?,
        address: from_network_order(address).into(),
        port: u16::from_be(port),
    })
}

/// Everything that a [`ServiceCell`] holds besides its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceValues {
    pub(crate) number: u32,
    pub(crate) scheduling: u32,
    pub(crate) members_first: u32,
    pub(crate) members: u32,
    pub(crate) blocks_first: u32,
    pub(crate) blocks: u32,
    pub(crate) picks: u64,
    pub(crate) cursor_base: u64,
}

impl ServiceValues {
    pub(crate) fn read(cell: &ServiceCell) -> Self {
        Self {
            number: cell.number.load(),
            scheduling: cell.scheduling.load(),
            members_first: cell.members_first.load(),
            members: cell.members.load(),
            blocks_first: cell.blocks_first.load(),
            blocks: cell.blocks.load(),
            picks: cell.picks.load(),
            cursor_base: cell.cursor_base.load(),
        }
    }

    pub(crate) fn write(&self, cell: &ServiceCell, (address, port, protocol): ServiceCellKey) {
        cell.address.store(address);
        cell.number.store(self.number);
        cell.scheduling.store(self.scheduling);
        cell.members_first.store(self.members_first);
        cell.members.store(self.members);
        cell.blocks_first.store(self.blocks_first);
        cell.blocks.store(self.blocks);
        cell.picks.store(self.picks);
        cell.cursor_base.store(self.cursor_base);
        cell.key.publish(ServiceCell::key(port, protocol));
    }
}

/// Address and port (host order) of a destination that the tables can hold.
pub(crate) type DestinationEnd = (Ipv4Addr, u16);

/// The end of a destination, if it is an IPv4 one.
pub(crate) fn destination_end(destination: &Destination) -> Option<DestinationEnd> {
    match destination.key.address {
        std::net::IpAddr::V4(address) => Some((address, destination.key.port)),
        std::net::IpAddr::V6(_) => None,
    }
}

/// The kernel's number of a forwarding method.
pub(crate) fn method_number(forwarding: Forwarding) -> u8 {
    match forwarding {
        Forwarding::Masq => method::MASQUERADE,
        Forwarding::Local => method::LOCAL,
        Forwarding::Tunnel => method::TUNNEL,
        Forwarding::Route => method::DIRECT_ROUTE,
    }
}

/// Everything that a [`DestinationCell`] holds, but for its next hop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DestinationValues {
    pub(crate) address: u32,
    pub(crate) port_method: u32,
    pub(crate) service: u32,
    pub(crate) weight: u32,
    pub(crate) upper_threshold: u32,
    pub(crate) lower_threshold: u32,
    pub(crate) flags: u32,
}

impl DestinationValues {
    /// A destination that its service has.
    pub(crate) fn present(
        (address, port): DestinationEnd,
        destination: &Destination,
        service_number: u32,
    ) -> Self {
        let method = method_number(destination.forwarding);
        Self {
            address: network_order(address),
            port_method: u32::from(port.to_be()) | u32::from(method) << 16,
            service: service_number,
            weight: destination.weight.max(0).unsigned_abs(),
            upper_threshold: destination.upper_threshold,
            lower_threshold: destination.lower_threshold,
            flags: destination_flags::AVAILABLE,
        }
    }

    pub(crate) fn read(cell: &DestinationCell) -> Self {
        Self {
            address: cell.address.load(),
            port_method: cell.port_method.load(),
            service: cell.service.load(),
            weight: cell.weight.load(),
            upper_threshold: cell.upper_threshold.load(),
            lower_threshold: cell.lower_threshold.load(),
            flags: cell.flags.load(),
        }
    }

    pub(crate) fn write(&self, cell: &DestinationCell) {
        cell.address.store(self.address);
        cell.port_method.store(self.port_method);
        cell.service.store(self.service);
        cell.weight.store(self.weight);
        cell.upper_threshold.store(self.upper_threshold);
        cell.lower_threshold.store(self.lower_threshold);
        cell.flags.publish(self.flags);
    }

    pub(crate) fn end(&self) -> DestinationEnd {
        (
            from_network_order(self.address),
            u16::from_be(self.port_method as u16),
        )
    }

    pub(crate) fn is_available(&self) -> bool {
        self.flags & destination_flags::AVAILABLE != 0
    }

    pub(crate) fn is_masqueraded(&self) -> bool {
        (self.port_method >> 16) as u8 == method::MASQUERADE
    }
}
