//! Which of this machine's addresses its own packets carry.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use crate::{InterfaceAddress, Leg, Prefix};

/// rtnetlink's `RT_SCOPE_UNIVERSE`: addresses of this scope mean something everywhere.
const SCOPE_UNIVERSE: u8 = 0;
/// rtnetlink's `RT_SCOPE_LINK`: addresses of this scope and narrower mean nothing beyond a link.
const SCOPE_LINK: u8 = 253;

/// The source address of packets along a leg to a destination.
pub(crate) fn choose(
    addresses: &[InterfaceAddress],
    leg: &Leg,
    destination: IpAddr,
) -> Option<IpAddr> {
    match destination {
        IpAddr::V4(_) => choose_v4(addresses, leg, destination),
        IpAddr::V6(destination) => choose_v6(addresses, leg, destination),
    }
}

/// As the kernel's `inet_select_addr`: of the interface's addresses the first whose subnet holds
/// the next hop, else its first, else the first of any interface. Beyond a gateway an address must
/// mean something everywhere.
fn choose_v4(addresses: &[InterfaceAddress], leg: &Leg, destination: IpAddr) -> Option<IpAddr> {
    let next = leg.gateway.unwrap_or(destination);
    let reach = match leg.gateway {
        Some(_) => SCOPE_UNIVERSE,
        None => SCOPE_LINK,
    };
    let reaching = addresses.iter().filter(|held| {
        held.address.is_ipv4() && !held.unusable && !held.secondary && held.scope <= reach
    });
    let on_interface = || {
        let all = reaching.clone();
        all.filter(|held| held.ifindex == leg.ifindex)
    };
    on_interface()
        .find(|held| held.subnet.contains(next))
        .or_else(|| on_interface().next())
        .or_else(|| reaching.clone().find(|held| held.scope != SCOPE_LINK))
        .map(|held| held.address)
}

/// By RFC 6724 section 5, as far as its rules matter to a server, in their order: the destination
/// itself (1), a scope that is large enough and no larger (2), not deprecated (3), of the outgoing
/// interface (5), with the destination's label (6), not temporary (7), with the longest match (8).
/// Towards a link, only addresses of that link are candidates.
fn choose_v6(addresses: &[InterfaceAddress], leg: &Leg, destination: Ipv6Addr) -> Option<IpAddr> {
    let reach = scope(destination);
    let on_link_only = reach == Scope::Link;
    let candidates = addresses.iter().filter_map(|held| match held.address {
        IpAddr::V6(address) if !held.unusable => Some((held, address)),
        _ => None,
    });
    candidates
        .filter(|(held, _)| !on_link_only || held.ifindex == leg.ifindex)
        .max_by_key(|(held, address)| {
            let scope = scope(*address);
            let matching = common_bits(*address, destination);
            (
                *address == destination,
                // Of scopes that are large enough the smallest; of those too small the largest.
                (scope >= reach).then_some(Reverse(scope)),
                scope,
                !held.last_resort,
                held.ifindex == leg.ifindex,
                label(*address) == label(destination),
                !held.secondary,
                matching.min(u32::from(held.subnet.length())),
            )
        })
        .map(|(held, _)| held.address)
}

/// How far an IPv6 address reaches (RFC 4291 section 2.5, RFC 6724 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Link,
    Site,
    Global,
}

fn scope(address: Ipv6Addr) -> Scope {
    // Deprecated by RFC 3879, and still told apart by RFC 6724 and the kernel.
    let site_local = address.segments()[0] & 0xffc0 == 0xfec0;
    if address.is_unicast_link_local() || address.is_loopback() {
        Scope::Link
    } else if site_local {
        Scope::Site
    } else {
        Scope::Global
    }
}

/// The policy table of RFC 6724 section 2.1: prefix, its length, its label.
const LABELS: [(Ipv6Addr, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 1),
];

/// The label of the longest prefix that holds an address.
fn label(address: Ipv6Addr) -> u8 {
    let holding = LABELS.iter().find(|(prefix, length, _)| {
        Prefix::new(IpAddr::V6(*prefix), *length).contains(IpAddr::V6(address))
    });
    holding.map_or(1, |(_, _, label)| *label)
}

/// The number of leading bits that two addresses share.
fn common_bits(one: Ipv6Addr, other: Ipv6Addr) -> u32 {
    (one.to_bits() ^ other.to_bits()).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: u32 = 2;

    fn held(address: &str, length: u8) -> InterfaceAddress {
        let address: IpAddr = address.parse().unwrap();
        let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        InterfaceAddress {
            ifindex: OUT,
            address,
            subnet: Prefix::new(address, length),
            scope: if link_local {
                SCOPE_LINK
            } else {
                SCOPE_UNIVERSE
            },
            secondary: false,
            unusable: false,
            last_resort: false,
        }
    }

    fn chosen(held: &[InterfaceAddress], destination: &str) -> Option<IpAddr> {
        let leg = Leg {
            ifindex: OUT,
            gateway: None,
            dead: false,
            encapsulated: false,
        };
        choose(held, &leg, destination.parse().unwrap())
    }

    /// RFC 6724 section 10.1, without its multicast, mobile and temporary addresses: destination,
    /// candidates of the outgoing interface, and the one to choose.
    const EXAMPLES: [(&str, [&str; 2], &str); 5] = [
        (
            "2001:db8:1::1",
            ["2001:db8:3::1", "fe80::1"],
            "2001:db8:3::1",
        ),
        (
            "2001:db8:1::1",
            ["deprecated 2001:db8:1::1", "2001:db8:2::1"],
            "2001:db8:1::1",
        ),
        (
            "fe80::1",
            ["deprecated fe80::2", "2001:db8:1::1"],
            "fe80::2",
        ),
        (
            "2001:db8:1::1",
            ["2001:db8:1::2", "2001:db8:3::2"],
            "2001:db8:1::2",
        ),
        (
            "2002:c633:6401::1",
            ["2002:c633:6401::d5e3:7953:13eb:22e8", "2001:db8:1::2"],
            "2002:c633:6401::d5e3:7953:13eb:22e8",
        ),
    ];

    fn candidate(text: &str) -> InterfaceAddress {
        match text.strip_prefix("deprecated ") {
            Some(address) => InterfaceAddress {
                last_resort: true,
                ..held(address, 64)
            },
            None => held(text, 64),
        }
    }

    #[test]
    fn the_examples_of_rfc_6724_choose_as_it_says() {
        for (destination, candidates, expected) in EXAMPLES {
            let mut candidates = candidates.map(candidate);
            for _ in 0..2 {
                let expected: IpAddr = expected.parse().unwrap();
                assert_eq!(
                    chosen(&candidates, destination),
                    Some(expected),
                    "{destination}"
                );
                candidates.reverse();
            }
        }
    }

    #[test]
    fn a_deprecated_address_is_taken_only_where_there_is_no_other() {
        let deprecated = InterfaceAddress {
            last_resort: true,
            ..held("2001:db8:1::1", 64)
        };
        let other = held("2001:db8:9::1", 64);
        assert_eq!(
            chosen(&[deprecated, other], "2001:db8:1::7"),
            Some(other.address)
        );
        assert_eq!(
            chosen(&[deprecated], "2001:db8:1::7"),
            Some(deprecated.address)
        );
    }

    #[test]
    fn an_address_that_may_be_a_duplicate_is_never_taken() {
        let tentative = InterfaceAddress {
            unusable: true,
            ..held("2001:db8:1::1", 64)
        };
        assert_eq!(chosen(&[tentative], "2001:db8:1::7"), None);
    }

    #[test]
    fn an_interfaces_own_subnet_counts_no_further_than_its_length() {
        let short = held("2001:db8::1", 32);
        let long = held("2001:db8::1:2", 64);
        assert_eq!(chosen(&[long, short], "2001:db8::1:7"), Some(long.address));
    }
}
