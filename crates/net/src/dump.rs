//! Reading everything at once.

use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Message};

use crate::connection::Requests;
use crate::{Error, Event, Link, RouteEntry, Snapshot, decode};

/// The network as it is now. Changes while it is read may be in it or not: they are in the events
/// of a subscription that was opened before.
pub(crate) async fn snapshot(requests: &mut Requests) -> Result<Snapshot, Error> {
    let mut snapshot = Snapshot::default();
    for link in links(requests).await? {
        snapshot.apply(Event::Link(link));
    }
    let question = Message::GetAddress(Default::default());
    let addresses = requests.dump("addresses", question, |answer| match answer {
        Message::NewAddress(address) => decode::address(&address),
        _ => None,
    });
    for address in addresses.await? {
        snapshot.apply(Event::Address(address));
    }
    snapshot.apply(Event::Routes(routes(requests).await?));
    let question = Message::GetNeighbour(Default::default());
    let neighbours = requests.dump("neighbours", question, |answer| match answer {
        Message::NewNeighbour(neighbour) => decode::neighbour(&neighbour),
        _ => None,
    });
    for neighbour in neighbours.await? {
        snapshot.apply(Event::Neighbour(neighbour));
    }
    Ok(snapshot)
}

/// All interfaces.
pub(crate) async fn links(requests: &mut Requests) -> Result<Vec<Link>, Error> {
    let mut question = LinkMessage::default();
    // Leaves out the counters, most of the answer.
    question
        .attributes
        .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let question = Message::GetLink(question);
    let links = requests.dump("interfaces", question, |answer| match answer {
        Message::NewLink(link) => decode::link(&link),
        _ => None,
    });
    links.await
}

/// All routes of the tables that are followed, in the kernel's order.
pub(crate) async fn routes(requests: &mut Requests) -> Result<Vec<RouteEntry>, Error> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        let answers = requests.dump(
            "routes",
            Message::GetRoute(question),
            |answer| match answer {
                Message::NewRoute(route) => decode::route(&route),
                _ => None,
            },
        );
        routes.extend(answers.await?);
    }
    Ok(routes)
}
