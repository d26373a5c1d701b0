//! A pair of virtual interfaces that cuts packets which travel as several in one (GSO, GRO).
//!
//! What leaves by the one end comes in by the other, and between the two the kernel cuts it, since the
//! first end takes no more than one segment at a time (`gso_max_segs`). Nothing else uses them: they
//! have no address.

use std::io;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use nix::net::if_::if_nametoindex;

use crate::Error;
use crate::connection::{Missing, OrderError, Requests};

/// The end that takes packets, and the one that gives pieces.
const NAMES: [&str; 2] = ["xvs-cut0", "xvs-cut1"];

/// Largest packet, in bytes: no piece is larger than what came in by some interface.
const MTU: u32 = 65_535;

/// The interfaces' indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutter {
    /// Takes packets.
    pub into: u32,
    /// Gives their pieces.
    pub from: u32,
}

impl Cutter {
    /// The pair that is there already.
    pub fn find() -> Option<Self> {
        let [into, from] = NAMES.map(|name| if_nametoindex(name).ok());
        Some(Self {
            into: into?,
            from: from?,
        })
    }

    /// The pair that is there, or a new one; it works when this returns.
    ///
    /// # Errors
    /// When the kernel refuses: it has no veth, or this process no right to make one.
    pub async fn make() -> Result<Self, Error> {
        let mut requests = Requests::open("the interfaces that cut packets")?;
        if Self::find().is_none() {
            order(&mut requests, "make", pair(), Missing::IsMade).await?;
        }
        let pair = Self::find().ok_or_else(|| refused("find", io::ErrorKind::NotFound.into()))?;
        for ifindex in [pair.into, pair.from] {
            // A kernel without IPv6 refuses, and has nothing to be quiet about.
            let _ = requests
                .order(set(quiet(ifindex)), Missing::IsRefused)
                .await;
            order(
                &mut requests,
                "switch on",
                set(up(ifindex)),
                Missing::IsRefused,
            )
            .await?;
        }
        Ok(pair)
    }

    /// Removes the pair, if there is one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn remove() -> Result<(), Error> {
        let Some(pair) = Self::find() else {
            return Ok(());
        };
        let mut requests = Requests::open("the interfaces that cut packets")?;
        // The other end goes with it.
        let message = RouteNetlinkMessage::DelLink(about(pair.into));
        order(&mut requests, "remove", message, Missing::IsRefused).await
    }
}

/// Gives an order; `what` says in a word what it is to do.
async fn order(
    requests: &mut Requests,
    what: &str,
    message: RouteNetlinkMessage,
    missing: Missing,
) -> Result<(), Error> {
    let answer = requests.order(message, missing).await;
    answer.map_err(|error| match error {
        OrderError::Closed(error) => error,
        OrderError::Refused(source) => refused(what, source),
    })
}

fn refused(what: &str, source: io::Error) -> Error {
    let [into, from] = NAMES;
    Error::Refused {
        request: format!("{what} the pair of interfaces {into} and {from}"),
        source,
    }
}

fn pair() -> RouteNetlinkMessage {
    let mut far = LinkMessage::default();
    let common = |name: &str| {
        [
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Mtu(MTU),
        ]
    };
    far.attributes.extend(common(NAMES[1]));
    let mut near = LinkMessage::default();
    near.attributes.extend(common(NAMES[0]));
    near.attributes.push(LinkAttribute::GsoMaxSegs(1));
    near.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far))),
    ]));
    RouteNetlinkMessage::NewLink(near)
}

fn about(ifindex: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    message
}

fn set(message: LinkMessage) -> RouteNetlinkMessage {
    RouteNetlinkMessage::SetLink(message)
}

/// Without an address of its own, an interface says nothing by itself.
fn quiet(ifindex: u32) -> LinkMessage {
    let mut message = about(ifindex);
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let families = vec![AfSpecUnspec::Inet6(vec![mode])];
    message
        .attributes
        .push(LinkAttribute::AfSpecUnspec(families));
    message
}

fn up(ifindex: u32) -> LinkMessage {
    let mut message = about(ifindex);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message
}
