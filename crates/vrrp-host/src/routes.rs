//! Routes: held and released with the addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::model::{RouteKind, VirtualRoute};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteProtocol, RouteType,
};
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::error::{Error, refused_with};

const MAIN: u32 = 254;
/// The metric of an IPv6 route of which none is said.
const METRIC_V6: u32 = 1024;

/// A route and its interface, where it names one.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub ifindex: Option<u32>,
    pub route: VirtualRoute,
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (destination, prefix) = self.route.destination;
        write!(f, "the route to {destination}/{prefix}")
    }
}

impl Route {
    /// Whether the kernel's message about a removed route is about this one.
    pub fn is(&self, told: &RouteMessage) -> bool {
        let wanted = message(self);
        key(told) == key(&wanted) && holds_all_of(told, &wanted)
    }

    /// Whether the kernel's message about a new route that replaced another means that this one is gone.
    pub fn is_replaced_by(&self, told: &RouteMessage) -> bool {
        let wanted = message(self);
        key(told) == key(&wanted) && !holds_all_of(told, &wanted)
    }
}

/// Adds a route, in the place of one of the same destination, table and metric.
pub(crate) async fn add(handle: &Handle, route: &Route) -> Result<(), Error> {
    let request = handle.route().add(message(route)).replace();
    let action = format!("add {route}");
    request.execute().await.map_err(Error::refused(action))
}

/// Removes a route, unless it is gone.
pub(crate) async fn remove(handle: &Handle, route: &Route) -> Result<(), Error> {
    match handle.route().del(message(route)).execute().await {
        Err(error) if refused_with(&error, libc::ESRCH) => Ok(()),
        outcome => outcome.map_err(Error::refused(format!("remove {route}"))),
    }
}

/// What tells a route from others: a table has at most one of each.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    family: AddressFamily,
    /// None: the default route.
    destination: Option<RouteAddress>,
    prefix: u8,
    tos: u8,
    table: u32,
    metric: u32,
}

fn key(message: &RouteMessage) -> Key {
    let header = &message.header;
    let ipv6 = header.address_family == AddressFamily::Inet6;
    let mut key = Key {
        family: header.address_family,
        destination: None,
        prefix: header.destination_prefix_length,
        tos: header.tos,
        table: header.table.into(),
        metric: if ipv6 { METRIC_V6 } else { 0 },
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) if key.prefix > 0 => {
                key.destination = Some(address.clone());
            }
            RouteAttribute::Table(table) => key.table = *table,
            RouteAttribute::Priority(metric) => key.metric = *metric,
            _ => {}
        }
    }
    key
}

/// Whether a route of the same key is ours: what else we said of it, the kernel says, too.
fn holds_all_of(told: &RouteMessage, wanted: &RouteMessage) -> bool {
    let leads = |attribute: &&RouteAttribute| {
        matches!(
            attribute,
            RouteAttribute::Gateway(_) | RouteAttribute::Oif(_) | RouteAttribute::PrefSource(_)
        )
    };
    told.header.protocol == wanted.header.protocol
        && told.header.kind == wanted.header.kind
        && wanted
            .attributes
            .iter()
            .filter(leads)
            .all(|attribute| told.attributes.contains(attribute))
}

fn message(route: &Route) -> RouteMessage {
    let Route { ifindex, route } = route;
    let table = route.table.unwrap_or(MAIN);
    match route.destination {
        (IpAddr::V4(destination), prefix) => {
            let mut builder =
                RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(destination, prefix);
            if let Some(IpAddr::V4(gateway)) = route.gateway {
                builder = builder.gateway(gateway);
            }
            if let Some(IpAddr::V4(source)) = route.source {
                builder = builder.pref_source(source);
            }
            finish(builder.table_id(table), *ifindex, route)
        }
        (IpAddr::V6(destination), prefix) => {
            let mut builder =
                RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(destination, prefix);
            if let Some(IpAddr::V6(gateway)) = route.gateway {
                builder = builder.gateway(gateway);
            }
            if let Some(IpAddr::V6(source)) = route.source {
                builder = builder.pref_source(source);
            }
            finish(builder.table_id(table), *ifindex, route)
        }
    }
}

fn finish<T>(
    mut builder: RouteMessageBuilder<T>,
    ifindex: Option<u32>,
    route: &VirtualRoute,
) -> RouteMessage {
    if let Some(ifindex) = ifindex {
        builder = builder.output_interface(ifindex);
    }
    if let Some(metric) = route.metric {
        builder = builder.priority(metric);
    }
    let mut message = builder
        .kind(kind(route.kind))
        .protocol(RouteProtocol::KeepAlived)
        .build();
    if let Some(scope) = route.scope {
        message.header.scope = scope.into();
    }
    if route.onlink {
        message.header.flags |= RouteFlags::Onlink;
    }
    if let Some(mtu) = route.mtu {
        let metrics = vec![RouteMetric::Mtu(mtu)];
        message.attributes.push(RouteAttribute::Metrics(metrics));
    }
    message
}

fn kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
        RouteKind::Throw => RouteType::Throw,
    }
}
