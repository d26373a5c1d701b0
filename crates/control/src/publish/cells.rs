//! What stands in a service's and a destination's cell, as plain values.

use std::net::IpAddr;

use abi::{Address, DestinationCell, ServiceCell, View, destination_flags, method, tunnel};
use model::{
    ClientAddress, Destination, DestinationKey, Family, Forwarding, MaxSegment, Protocol,
    ServiceKey, Tunnel, TunnelChecksum, TunnelKind,
};

use crate::nexthops::Towards;
use crate::publish::traits::Traits;
use crate::side::ServiceCellKey;
use crate::words;

/// The key of a service that the tables can hold: any but SCTP's.
pub(crate) fn service_cell_key(key: &ServiceKey) -> Option<ServiceCellKey> {
    match *key {
        ServiceKey::Address {
            protocol: protocol @ (Protocol::Tcp | Protocol::Udp),
            address,
            port,
        } => Some(ServiceCellKey {
            address: words::of(address),
            key: ServiceCell::key(port.to_be(), protocol.number(), address.is_ipv6()),
        }),
        ServiceKey::Address { .. } => None,
        ServiceKey::Mark { mark, family } => Some(ServiceCellKey {
            address: [mark, 0, 0, 0],
            key: ServiceCell::mark_key(family == Family::Ipv6),
        }),
    }
}

/// The service that a cell of this key stands for.
pub(crate) fn service_key(ServiceCellKey { address, key }: ServiceCellKey) -> Option<ServiceKey> {
    let (port, protocol) = (key as u16, (key >> 16) as u8);
    let is_v6 = key & ServiceCell::IPV6 != 0;
    if key == ServiceCell::mark_key(is_v6) {
        let family = if is_v6 { Family::Ipv6 } else { Family::Ipv4 };
        let mark = address[0];
        return Some(ServiceKey::Mark { mark, family });
    }
    if key != ServiceCell::key(port, protocol, is_v6) {
        return None;
    }
    Some(ServiceKey::Address {
        protocol: Protocol::from_number(protocol)?,
        address: words::to_address(address, is_v6),
        port: u16::from_be(port),
    })
}

/// Everything that a [`ServiceCell`] holds besides its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceValues {
    pub(crate) number: u32,
    pub(crate) scheduling: u32,
    pub(crate) traits: Traits,
    pub(crate) members_first: u32,
    pub(crate) members: u32,
    pub(crate) blocks_first: u32,
    pub(crate) blocks: u32,
    pub(crate) picks: u64,
    pub(crate) cursor_base: u64,
    pub(crate) lookup_first: u32,
    pub(crate) lookup_slots: u32,
    pub(crate) local_first: u32,
    /// IPv4's, then IPv6's.
    pub(crate) locals: [u32; 2],
}

impl ServiceValues {
    pub(crate) fn read(cell: &ServiceCell) -> Self {
        Self {
            number: cell.number.load(),
            scheduling: cell.scheduling.load(),
            traits: Traits::read(cell),
            members_first: cell.members_first.load(),
            members: cell.members.load(),
            blocks_first: cell.blocks_first.load(),
            blocks: cell.blocks.load(),
            picks: cell.picks.load(),
            cursor_base: cell.cursor_base.load(),
            lookup_first: cell.lookup_first.load(),
            lookup_slots: cell.lookup_slots.load(),
            local_first: cell.local_first.load(),
            locals: [cell.locals.load(), cell.locals_v6.load()],
        }
    }

    pub(crate) fn write(&self, cell: &ServiceCell, key: ServiceCellKey) {
        words::store(&cell.address, key.address);
        cell.number.store(self.number);
        cell.scheduling.store(self.scheduling);
        self.traits.write(cell);
        cell.members_first.store(self.members_first);
        cell.members.store(self.members);
        cell.blocks_first.store(self.blocks_first);
        cell.blocks.store(self.blocks);
        cell.picks.store(self.picks);
        cell.cursor_base.store(self.cursor_base);
        cell.lookup_first.store(self.lookup_first);
        cell.lookup_slots.store(self.lookup_slots);
        cell.local_first.store(self.local_first);
        cell.locals.store(self.locals[0]);
        cell.locals_v6.store(self.locals[1]);
        cell.key.publish(key.key);
    }
}

/// Whether the tables can hold a destination of a service: one of the other address family only
/// behind a tunnel or by FULLNAT.
pub(crate) fn is_held(service: &ServiceKey, destination: &Destination) -> bool {
    matches!(
        destination.forwarding,
        Forwarding::Tunnel | Forwarding::FullNat
    ) || Family::of(destination.key.address) == service.family()
}

/// The kernel's number of a forwarding method.
pub(crate) fn method_number(forwarding: Forwarding) -> u8 {
    match forwarding {
        Forwarding::Masq => method::MASQUERADE,
        Forwarding::Local => method::LOCAL,
        Forwarding::Tunnel => method::TUNNEL,
        Forwarding::Route => method::DIRECT_ROUTE,
        Forwarding::FullNat => method::FULLNAT,
    }
}

/// A tunnel's word: see [`abi::tunnel`].
fn tunnel_word(tunnel: &Tunnel) -> u32 {
    let kind = match tunnel.kind {
        TunnelKind::Ipip => tunnel::IPIP,
        TunnelKind::Gue => tunnel::GUE,
        TunnelKind::Gre => tunnel::GRE,
    };
    let flags = match tunnel.checksum {
        TunnelChecksum::None => 0,
        TunnelChecksum::Full => tunnel::CHECKSUM,
        TunnelChecksum::Remote => tunnel::REMOTE_CHECKSUM,
    };
    tunnel::word(kind, flags, tunnel.port.to_be())
}

/// The address and port (network order) of a destination, by its number.
pub(crate) fn destination_end(view: &View<'_>, number: u32) -> Option<(IpAddr, u16)> {
    let values = DestinationValues::read(view.destinations.get(number as usize)?);
    Some((values.key().address, values.port_method as u16))
}

/// Everything that a [`DestinationCell`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DestinationValues {
    pub(crate) address: Address,
    pub(crate) port_method: u32,
    pub(crate) service: u32,
    pub(crate) weight: u32,
    pub(crate) upper_threshold: u32,
    pub(crate) lower_threshold: u32,
    pub(crate) flags: u32,
    pub(crate) next_hop: u32,
    pub(crate) tunnel: u32,
    pub(crate) tunnel_source: Address,
}

impl DestinationValues {
    /// A destination that its service has.
    pub(crate) fn present(destination: &Destination, service: u32, towards: Towards) -> Self {
        let DestinationKey { address, port } = destination.key;
        let method = method_number(destination.forwarding);
        let family = if address.is_ipv6() {
            destination_flags::IPV6
        } else {
            0
        };
        let values = Self {
            address: words::of(address),
            port_method: u32::from(port.to_be()) | u32::from(method) << 16,
            service,
            weight: destination.weight.max(0).unsigned_abs(),
            upper_threshold: destination.upper_threshold,
            lower_threshold: destination.lower_threshold,
            flags: destination_flags::AVAILABLE | family,
            next_hop: abi::NONE,
            tunnel: tunnel_word(&destination.tunnel),
            tunnel_source: Address::default(),
        };
        values.led(towards)
    }

    /// The same, with the largest segment that handshakes may announce.
    pub(crate) fn announcing(self, most: MaxSegment) -> Self {
        let bytes = match most {
            MaxSegment::Auto => destination_flags::SEGMENT_AUTO,
            MaxSegment::Off => destination_flags::SEGMENT_OFF,
            MaxSegment::Bytes(bytes) => bytes,
        };
        Self {
            flags: destination_flags::with_max_segment(self.flags, bytes),
            ..self
        }
    }

    /// The same, told clients' addresses.
    pub(crate) fn told(self, how: ClientAddress) -> Self {
        let flag = match how {
            ClientAddress::Off => 0,
            ClientAddress::Toa => destination_flags::ADDRESS_OPTION,
            ClientAddress::Proxy => destination_flags::PROXY_PROTOCOL,
        };
        Self {
            flags: self.flags | flag,
            ..self
        }
    }

    /// The cell of nobody.
    pub(crate) fn cleared() -> Self {
        Self {
            address: Address::default(),
            port_method: 0,
            service: 0,
            weight: 0,
            upper_threshold: 0,
            lower_threshold: 0,
            flags: 0,
            next_hop: abi::NONE,
            tunnel: 0,
            tunnel_source: Address::default(),
        }
    }

    /// The same, out of its service.
    pub(crate) fn withdrawn(self) -> Self {
        Self {
            flags: self.flags & !destination_flags::AVAILABLE,
            ..self
        }
    }

    /// The same, by the way that the network has for it.
    pub(crate) fn led(self, towards: Towards) -> Self {
        let local = if towards.is_local {
            destination_flags::LOCAL
        } else {
            0
        };
        Self {
            flags: self.flags & !destination_flags::LOCAL | local,
            next_hop: towards.next_hop,
            tunnel_source: towards.source.map_or(Address::default(), words::of),
            ..self
        }
    }

    pub(crate) fn read(cell: &DestinationCell) -> Self {
        Self {
            address: words::load(&cell.address),
            port_method: cell.port_method.load(),
            service: cell.service.load(),
            weight: cell.weight.load(),
            upper_threshold: cell.upper_threshold.load(),
            lower_threshold: cell.lower_threshold.load(),
            flags: cell.flags.load(),
            next_hop: cell.next_hop.load(),
            tunnel: cell.tunnel.load(),
            tunnel_source: words::load(&cell.tunnel_source),
        }
    }

    pub(crate) fn write(&self, cell: &DestinationCell) {
        words::store(&cell.address, self.address);
        cell.port_method.store(self.port_method);
        cell.service.store(self.service);
        cell.weight.store(self.weight);
        cell.upper_threshold.store(self.upper_threshold);
        cell.lower_threshold.store(self.lower_threshold);
        cell.tunnel.store(self.tunnel);
        words::store(&cell.tunnel_source, self.tunnel_source);
        cell.next_hop.publish(self.next_hop);
        cell.flags.publish(self.flags);
    }

    /// Whether the cell is nobody's.
    pub(crate) fn is_empty(&self) -> bool {
        self.address == Address::default()
    }

    pub(crate) fn key(&self) -> DestinationKey {
        let is_v6 = self.flags & destination_flags::IPV6 != 0;
        DestinationKey {
            address: words::to_address(self.address, is_v6),
            port: u16::from_be(self.port_method as u16),
        }
    }

    pub(crate) fn is_available(&self) -> bool {
        self.flags & destination_flags::AVAILABLE != 0
    }

    pub(crate) fn method(&self) -> u8 {
        (self.port_method >> 16) as u8
    }
}
