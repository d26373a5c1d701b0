//! Made-up networks.

use std::net::IpAddr;

use net::{
    Effect, Event, Insertion, InterfaceAddress, Leg, Link, LinkKind, Lookup, MacAddress, Neighbour,
    NeighbourState, Preference, Prefix, RouteEntry, RouteKind, Snapshot, Table,
};

pub const LO: u32 = 1;
pub const OUTSIDE: u32 = 2;
pub const INSIDE: u32 = 3;

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn mac(text: &str) -> MacAddress {
    text.parse().unwrap()
}

pub fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix::new(ip(address), length.parse().unwrap())
}

pub fn link(ifindex: u32, name: &str) -> Link {
    Link {
        ifindex,
        name: name.to_owned(),
        kind: LinkKind::Physical,
        ethernet: true,
        mac: Some(MacAddress::new([2, 0, 0, 0, 0, ifindex as u8])),
        mtu: 1500,
        mtu_v6: None,
        admin_up: true,
        carrier: true,
        no_arp: false,
        master: None,
        lower: None,
        peer_netns: None,
        xdp: Some(false),
        parent_device: None,
    }
}

pub fn loopback() -> Link {
    Link {
        kind: LinkKind::Loopback,
        ethernet: false,
        mac: None,
        mtu: 65536,
        ..link(LO, "lo")
    }
}

pub fn route(to: &str, ifindex: u32, gateway: Option<&str>) -> RouteEntry {
    RouteEntry {
        table: Table::Main,
        prefix: prefix(to),
        kind: RouteKind::Unicast,
        metric: 0,
        tos: 0,
        from: None,
        preferred_source: None,
        mtu: None,
        preference: Preference::Medium,
        legs: vec![leg(ifindex, gateway)],
    }
}

pub fn leg(ifindex: u32, gateway: Option<&str>) -> Leg {
    Leg {
        ifindex,
        gateway: gateway.map(ip),
        dead: false,
        encapsulated: false,
    }
}

pub fn local(address: &str, ifindex: u32) -> RouteEntry {
    RouteEntry {
        table: Table::Local,
        kind: RouteKind::Local,
        ..route(&Prefix::host(ip(address)).to_string(), ifindex, None)
    }
}

pub fn held(address: &str, subnet: &str, ifindex: u32) -> InterfaceAddress {
    InterfaceAddress {
        ifindex,
        address: ip(address),
        subnet: prefix(subnet),
        scope: 0,
        secondary: false,
        unusable: false,
        last_resort: false,
    }
}

pub fn neighbour(address: &str, ifindex: u32, state: NeighbourState) -> Neighbour {
    Neighbour {
        ifindex,
        address: ip(address),
        mac: Some(mac("02:00:00:00:ff:01")),
        state,
        kept: false,
    }
}

/// A director with a network outside (192.0.2.0/24, the default route's) and one inside
/// (10.0.0.0/24).
pub fn director() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for link in [loopback(), link(OUTSIDE, "outside"), link(INSIDE, "inside")] {
        snapshot.apply(Event::Link(link));
    }
    for address in [
        held("192.0.2.1", "192.0.2.0/24", OUTSIDE),
        held("10.0.0.1", "10.0.0.0/24", INSIDE),
    ] {
        snapshot.apply(Event::Address(address));
    }
    for route in [
        local("192.0.2.1", OUTSIDE),
        local("10.0.0.1", INSIDE),
        route("192.0.2.0/24", OUTSIDE, None),
        route("10.0.0.0/24", INSIDE, None),
        route("0.0.0.0/0", OUTSIDE, Some("192.0.2.254")),
    ] {
        add(&mut snapshot, route);
    }
    snapshot
}

pub fn add(snapshot: &mut Snapshot, route: RouteEntry) -> Effect {
    snapshot.apply(Event::Route(route, Insertion::Front))
}

/// The interface and gateway that packets for an address take.
pub fn way(snapshot: &Snapshot, to: &str) -> Option<(u32, Option<IpAddr>)> {
    match snapshot.route(ip(to)) {
        Lookup::Unicast(route) => Some((route.ifindex, route.gateway)),
        _ => None,
    }
}
