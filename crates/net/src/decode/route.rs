//! `RTM_NEWROUTE` and `RTM_DELROUTE`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHopFlags,
    RoutePreference, RouteType, RouteVia,
};

use super::unspecified_like;
use crate::{Leg, Preference, Prefix, RouteEntry, RouteKind, Table};

/// The route that a message is about. None for tables that are not followed, for families other
/// than IP, and for cached answers (`RTM_F_CLONED`), which are no rows of a table.
pub(crate) fn route(message: &RouteMessage) -> Option<RouteEntry> {
    let header = &message.header;
    let everything = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    if header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let mut route = RouteEntry {
        table: table(header.table.into())?,
        prefix: Prefix::new(everything, header.destination_prefix_length),
        kind: kind(header.kind),
        metric: 0,
        tos: header.tos,
        from: None,
        preferred_source: None,
        mtu: None,
        preference: Preference::Medium,
        legs: Vec::new(),
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(id) => route.table = table(*id)?,
            RouteAttribute::Destination(destination) => {
                let destination = ip(destination)?;
                route.prefix = Prefix::new(destination, header.destination_prefix_length);
            }
            RouteAttribute::Source(source) => {
                route.from = Some(Prefix::new(ip(source)?, header.source_prefix_length));
            }
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::PrefSource(source) => route.preferred_source = ip(source),
            RouteAttribute::Metrics(metrics) => route.mtu = mtu(metrics),
            RouteAttribute::Preference(preference) => {
                route.preference = self::preference(*preference)
            }
            RouteAttribute::MultiPath(hops) => {
                route.legs = hops
                    .iter()
                    .map(|hop| {
                        let dead = hop.flags.contains(RouteNextHopFlags::Dead);
                        leg(hop.interface_index, &hop.attributes, dead)
                    })
                    .collect();
            }
            RouteAttribute::Oif(ifindex) => {
                let dead = header.flags.contains(RouteFlags::Dead);
                route.legs = vec![leg(*ifindex, &message.attributes, dead)];
            }
            _ => {}
        }
    }
    Some(route)
}

/// The leg through an interface, by the attributes of a route or of one of its next hops.
fn leg(ifindex: u32, attributes: &[RouteAttribute], dead: bool) -> Leg {
    let mut leg = Leg {
        ifindex,
        gateway: None,
        dead,
        encapsulated: false,
    };
    for attribute in attributes {
        match attribute {
            RouteAttribute::Gateway(gateway) => leg.gateway = ip(gateway),
            RouteAttribute::Via(RouteVia::Inet(gateway)) => {
                leg.gateway = Some(IpAddr::V4(*gateway));
            }
            RouteAttribute::Via(RouteVia::Inet6(gateway)) => {
                leg.gateway = Some(IpAddr::V6(*gateway));
            }
            RouteAttribute::Encap(_) | RouteAttribute::EncapType(_) => leg.encapsulated = true,
            _ => {}
        }
    }
    leg.gateway = leg
        .gateway
        .filter(|gateway| *gateway != unspecified_like(*gateway));
    leg
}

const fn table(id: u32) -> Option<Table> {
    match id {
        255 => Some(Table::Local),
        254 => Some(Table::Main),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

fn mtu(metrics: &[RouteMetric]) -> Option<u32> {
    metrics.iter().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) if *mtu != 0 => Some(*mtu),
        _ => None,
    })
}

/// An invalid preference counts as medium (RFC 4191 section 2.1).
const fn preference(preference: RoutePreference) -> Preference {
    match preference {
        RoutePreference::High => Preference::High,
        RoutePreference::Low => Preference::Low,
        _ => Preference::Medium,
    }
}

const fn kind(kind: RouteType) -> RouteKind {
    match kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::Local => RouteKind::Local,
        RouteType::Broadcast => RouteKind::Broadcast,
        RouteType::Anycast => RouteKind::Anycast,
        RouteType::Multicast => RouteKind::Multicast,
        RouteType::BlackHole => RouteKind::Blackhole,
        RouteType::Unreachable => RouteKind::Unreachable,
        RouteType::Prohibit => RouteKind::Prohibit,
        RouteType::Throw => RouteKind::Throw,
        RouteType::Other(kind) => RouteKind::Other(kind),
        _ => RouteKind::Other(0),
    }
}
