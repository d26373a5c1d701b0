//! From the kernel's messages to this crate's words: pure functions, no socket.

mod address;
mod link;
mod neighbour;
mod route;

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_APPEND, NLM_F_REPLACE, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::{Event, Insertion};

pub(crate) use self::{address::address, link::link, neighbour::neighbour, route::route};

/// The event that a message tells of. None: it is about something that is not followed.
pub(crate) fn event(message: NetlinkMessage<RouteNetlinkMessage>) -> Option<Event> {
    let insertion = insertion(message.header.flags);
    let NetlinkPayload::InnerMessage(inner) = message.payload else {
        return None;
    };
    match inner {
        RouteNetlinkMessage::NewLink(message) => link(&message).map(Event::Link),
        RouteNetlinkMessage::DelLink(message) => {
            link(&message).map(|link| Event::LinkGone(link.ifindex))
        }
        RouteNetlinkMessage::NewAddress(message) => address(&message).map(Event::Address),
        RouteNetlinkMessage::DelAddress(message) => address(&message).map(Event::AddressGone),
        RouteNetlinkMessage::NewRoute(message) => {
            route(&message).map(|route| Event::Route(route, insertion))
        }
        RouteNetlinkMessage::DelRoute(message) => route(&message).map(Event::RouteGone),
        RouteNetlinkMessage::NewNeighbour(message) => neighbour(&message).map(Event::Neighbour),
        RouteNetlinkMessage::DelNeighbour(message) => {
            neighbour(&message).map(|gone| Event::NeighbourGone {
                ifindex: gone.ifindex,
                address: gone.address,
            })
        }
        _ => None,
    }
}

/// Whether a message tells that IPv6's settings of an interface changed, without the settings that
/// matter here.
pub(crate) fn is_about_ipv6_settings(message: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
    matches!(&message.payload, NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link))
        if link.header.interface_family == AddressFamily::Inet6)
}

/// Where a new route goes. In its notifications the kernel repeats the flags of the request.
const fn insertion(flags: u16) -> Insertion {
    if flags & NLM_F_REPLACE != 0 {
        Insertion::Replace
    } else if flags & NLM_F_APPEND != 0 {
        Insertion::Back
    } else {
        Insertion::Front
    }
}

/// The all-zero address of the other's family.
const fn unspecified_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}
