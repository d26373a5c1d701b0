//! The order of a listing.
//!
//! `ipvsadm` compares numbers by the sign of their 32-bit difference, which is not an order:
//! 10.0.0.1 comes after 172.16.0.1, and of three addresses each can come before the next, round in
//! a circle. What is printed depends on which pairs are compared, so this is the merge sort of the
//! C library's `qsort`.

use std::net::IpAddr;

use model::{DestinationKey, Family, ServiceKey};

/// Sorts services as `ipvsadm` does: by mark, family, protocol, address and port.
pub(crate) fn sort_services<T>(services: Vec<T>, key: impl Fn(&T) -> ServiceKey) -> Vec<T> {
    merge_sort(services, &|a, b| compare_services(key(a), key(b)) <= 0)
}

/// Sorts destinations as `ipvsadm` does: by address and port.
pub(crate) fn sort_destinations<T>(
    destinations: Vec<T>,
    key: impl Fn(&T) -> DestinationKey,
) -> Vec<T> {
    merge_sort(destinations, &|a, b| {
        compare_destinations(key(a), key(b)) <= 0
    })
}

/// Sorts the halves, the second one being the longer, and merges them from their beginnings.
fn merge_sort<T>(mut items: Vec<T>, in_order: &impl Fn(&T, &T) -> bool) -> Vec<T> {
    if items.len() <= 1 {
        return items;
    }
    let second = items.split_off(items.len() / 2);
    let mut first = merge_sort(items, in_order).into_iter().peekable();
    let mut second = merge_sort(second, in_order).into_iter().peekable();
    let mut merged = Vec::with_capacity(first.len() + second.len());
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        let next = if in_order(a, b) {
            first.next()
        } else {
            second.next()
        };
        merged.extend(next);
    }
    merged.extend(first);
    merged.extend(second);
    merged
}

fn compare_services(a: ServiceKey, b: ServiceKey) -> i32 {
    first_difference([
        difference(mark(a), mark(b)),
        difference(a.family() as u32, b.family() as u32),
        difference(protocol(a), protocol(b)),
        compare_addresses(address(a), address(b)),
        difference(a.port().into(), b.port().into()),
    ])
}

fn compare_destinations(a: DestinationKey, b: DestinationKey) -> i32 {
    first_difference([
        compare_addresses(a.address, b.address),
        difference(a.port.into(), b.port.into()),
    ])
}

/// Compares as many 32-bit words as the first address has; an IPv4 address is the first of four
/// words.
fn compare_addresses(a: IpAddr, b: IpAddr) -> i32 {
    let compared = match a {
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 4,
    };
    let pairs = words(a).into_iter().zip(words(b)).take(compared);
    first_difference(pairs.map(|(a, b)| difference(a, b)))
}

fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(a) => [a.to_bits(), 0, 0, 0],
        IpAddr::V6(a) => [96, 64, 32, 0].map(|shift| (a.to_bits() >> shift) as u32),
    }
}

fn difference(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

fn first_difference(differences: impl IntoIterator<Item = i32>) -> i32 {
    differences.into_iter().find(|&d| d != 0).unwrap_or(0)
}

fn mark(key: ServiceKey) -> u32 {
    match key {
        ServiceKey::Mark { mark, .. } => mark,
        ServiceKey::Address { .. } => 0,
    }
}

fn protocol(key: ServiceKey) -> u32 {
    match key {
        ServiceKey::Mark { .. } => 0,
        ServiceKey::Address { protocol, .. } => protocol.number().into(),
    }
}

fn address(key: ServiceKey) -> IpAddr {
    match (key, key.family()) {
        (ServiceKey::Address { address, .. }, _) => address,
        (ServiceKey::Mark { .. }, Family::Ipv4) => IpAddr::from([0; 4]),
        (ServiceKey::Mark { .. }, Family::Ipv6) => IpAddr::from([0; 16]),
    }
}
