//! What the kernel asks of a service or destination by itself, and where it keeps a service.

use std::net::IpAddr;

use model::{
    ClientAddress, Destination, Family, Forwarding, Netmask, Protocol, Refusal, Service,
    ServiceKey, ServiceRequest, TunnelKind,
};

/// A mark of 0 is no mark.
pub(super) fn check_key(key: &ServiceKey) -> Result<(), Refusal> {
    match key {
        ServiceKey::Mark { mark: 0, .. } => Err(Refusal::Invalid),
        _ => Ok(()),
    }
}

/// Looks up the names in the request, then looks at the mask.
pub(super) fn check_service(request: &ServiceRequest) -> Result<Service, Refusal> {
    let service = request.resolve().map_err(|_| Refusal::UnknownScheduler)?;
    let is_told = service.client_address != ClientAddress::Off;
    if is_told && !may_be_tcp(&service.key) {
        return Err(Refusal::Invalid);
    }
    match (service.persistence.map(|p| p.netmask), service.key.family()) {
        (None, _)
        | (Some(Netmask::V4(_)), Family::Ipv4)
        | (Some(Netmask::V6(1..=128)), Family::Ipv6) => Ok(service),
        _ => Err(Refusal::Invalid),
    }
}

/// Whether clients' addresses can be told: a mark's packets may be TCP's.
fn may_be_tcp(key: &ServiceKey) -> bool {
    match key {
        ServiceKey::Address { protocol, .. } => *protocol == Protocol::Tcp,
        ServiceKey::Mark { .. } => true,
    }
}

pub(super) fn check_numbers(destination: &Destination) -> Result<(), Refusal> {
    if destination.weight < 0 || destination.lower_threshold > destination.upper_threshold {
        return Err(Refusal::OutOfRange);
    }
    if destination.tunnel.kind == TunnelKind::Gue && destination.tunnel.port == 0 {
        return Err(Refusal::Invalid);
    }
    Ok(())
}

/// An answer to a local address belongs to nobody but the connection that has lent it.
pub(super) fn check_one_packet(
    service: &Service,
    destination: &Destination,
) -> Result<(), Refusal> {
    if service.one_packet && destination.forwarding == Forwarding::FullNat {
        return Err(Refusal::OnePacketFullNat);
    }
    Ok(())
}

/// Whether the address can be one host's, as far as it shows without the routing table. A subnet's
/// own broadcast address does not show. The director's own link-local ones, which the kernel takes,
/// are refused like all others of a link.
pub(super) fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => !(a.is_unspecified() || a.is_broadcast() || a.is_multicast()),
        IpAddr::V6(a) => {
            let mapped = a.to_ipv4_mapped().is_some();
            !(a.is_unspecified() || a.is_multicast() || a.is_unicast_link_local() || mapped)
        }
    }
}

/// The bucket, before the salt, of the kernel's service table (256 of them): protocol, folded
/// address and port, or the mark.
pub(super) fn bucket(key: &ServiceKey) -> u8 {
    let hash = match *key {
        ServiceKey::Mark { mark, .. } => mark,
        ServiceKey::Address {
            protocol,
            address,
            port,
        } => {
            let folded = match address {
                IpAddr::V4(a) => a.to_bits(),
                IpAddr::V6(a) => {
                    let [low, b, c, high] =
                        [0, 32, 64, 96].map(|shift| (a.to_bits() >> shift) as u32);
                    low ^ b ^ c ^ high
                }
            };
            u32::from(protocol.number()) ^ folded ^ u32::from(port >> 8) ^ u32::from(port)
        }
    };
    (hash & 0xff) as u8
}
