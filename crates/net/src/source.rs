//! Which of this machine's addresses its own packets carry.

use std::net::IpAddr;

use crate::{InterfaceAddress, Leg};

/// rtnetlink's `RT_SCOPE_LINK`: addresses of this scope and narrower mean nothing beyond a link.
const SCOPE_LINK: u8 = 253;

/// The source address of packets along a leg to a destination.
pub(crate) fn choose(
    addresses: &[InterfaceAddress],
    leg: &Leg,
    destination: IpAddr,
) -> Option<IpAddr> {
    let usable = addresses
        .iter()
        .filter(|held| !held.unusable && held.address.is_ipv4() == destination.is_ipv4());
    match destination {
        IpAddr::V4(_) => choose_v4(usable, leg, destination),
        IpAddr::V6(_) => choose_v6(usable, leg, destination),
    }
}

/// As the kernel's `inet_select_addr`: of the interface's addresses the first whose subnet holds
/// the next hop, else its first, else the first of any interface; the latter two only if they
/// reach beyond their link.
fn choose_v4<'a>(
    usable: impl Iterator<Item = &'a InterfaceAddress> + Clone,
    leg: &Leg,
    destination: IpAddr,
) -> Option<IpAddr> {
    let next = leg.gateway.unwrap_or(destination);
    let primary = || usable.clone().filter(|held| !held.secondary);
    let on_interface = || primary().filter(|held| held.ifindex == leg.ifindex);
    on_interface()
        .find(|held| held.subnet.contains(next))
        .or_else(|| on_interface().find(|held| held.scope < SCOPE_LINK))
        .or_else(|| primary().find(|held| held.scope < SCOPE_LINK))
        .map(|held| held.address)
}

/// The rules of RFC 6724 section 5 that matter to a server: a scope that reaches the destination
/// (2), the outgoing interface (5), no temporary addresses (7), the longest match (8).
fn choose_v6<'a>(
    usable: impl Iterator<Item = &'a InterfaceAddress>,
    leg: &Leg,
    destination: IpAddr,
) -> Option<IpAddr> {
    let link_local = matches!(destination, IpAddr::V6(address) if address.is_unicast_link_local());
    let reaches = |held: &InterfaceAddress| {
        let on_interface = held.ifindex == leg.ifindex;
        held.scope < SCOPE_LINK || (link_local && on_interface && held.scope == SCOPE_LINK)
    };
    let rank = |held: &InterfaceAddress| {
        (
            link_local && held.scope == SCOPE_LINK,
            held.ifindex == leg.ifindex,
            !held.secondary,
            common_bits(held.address, destination),
        )
    };
    let candidates = usable.filter(|held| reaches(held));
    candidates
        .max_by_key(|held| rank(held))
        .map(|held| held.address)
}

/// The number of leading bits that two addresses share.
fn common_bits(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}
