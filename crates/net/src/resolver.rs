//! Making the kernel resolve neighbours before packets need them.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteType;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use tracing::debug;

use crate::connection::{OrderError, Requests};
use crate::interests::{Interests, Question};
use crate::{Error, NextHop, Snapshot};

/// Keeps the next hops of destinations resolved.
///
/// Frames that an XDP or TC program sends do not pass the kernel's neighbour code, so the kernel
/// neither resolves their receivers nor notices that they are in use. The resolver does both in
/// their stead: it *uses* the neighbours (`NTF_USE`, as `ip neigh replace … use` does), whereupon
/// the kernel sends ARP requests or neighbour solicitations to those it does not know, and confirms
/// those that have grown stale; the old Ethernet address stays in use meanwhile. One that does not
/// answer is asked for again, once a second.
///
/// It does not look at the network itself: [`drive`](Self::drive) is handed the snapshot, after
/// every change and whenever the time has come that it returned. The answers arrive as changes of
/// the snapshot.
#[derive(Debug)]
pub struct Resolver {
    requests: Requests,
    interests: Interests,
}

/// How things stand with the destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The destinations whose next hops are new or differ from those of the review before.
    pub changed: Vec<(IpAddr, NextHop)>,
    /// When to drive the resolver again, if the snapshot does not change before.
    pub wakeup: Instant,
}

const PURPOSE: &str = "resolving neighbours";

impl Resolver {
    /// A resolver for the network namespace of the calling thread, without destinations. Must be
    /// called within a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// When its socket cannot be opened.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            requests: Requests::open(PURPOSE)?,
            interests: Interests::default(),
        })
    }

    /// Keeps the next hop of `destination` resolved from now on.
    pub fn resolve(&mut self, destination: IpAddr) {
        self.interests.add(destination);
    }

    /// Cares no longer for `destination`.
    pub fn forget(&mut self, destination: IpAddr) {
        self.interests.remove(destination);
    }

    /// Cares for these destinations, and no others.
    pub fn resolve_only(&mut self, destinations: &std::collections::BTreeSet<IpAddr>) {
        self.interests
            .keep(|destination| destinations.contains(&destination));
        for destination in destinations {
            self.interests.add(*destination);
        }
    }

    /// Looks at the network and asks for the neighbours that are missing or growing stale.
    ///
    /// # Errors
    /// When the kernel lets nobody ask (the capability `CAP_NET_ADMIN` is missing), or the socket
    /// cannot be opened again after it broke. The changes are then reported by the next call that
    /// succeeds.
    pub async fn drive(&mut self, snapshot: &Snapshot) -> Result<Review, Error> {
        let now = Instant::now();
        let plan = self.interests.plan(snapshot, now);
        for question in &plan.questions {
            self.ask(*question).await?;
        }
        self.interests.carried_out(&plan, now);
        Ok(Review {
            changed: plan.changed,
            wakeup: plan.wakeup,
        })
    }

    async fn ask(&mut self, question: Question) -> Result<(), Error> {
        let mut answer = self.requests.order(use_neighbour(question)).await;
        if let Err(OrderError::Closed(_)) = answer {
            self.requests = Requests::open(PURPOSE)?;
            answer = self.requests.order(use_neighbour(question)).await;
        }
        let Question { ifindex, address } = question;
        match answer {
            Ok(()) => Ok(()),
            Err(OrderError::Closed(error)) => Err(error),
            Err(OrderError::Refused(source))
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                let request = format!("resolve {address} on interface {ifindex}");
                Err(Error::Refused { request, source })
            }
            // The interface went meanwhile, or the neighbour table is full: a change of the
            // snapshot or the next attempt tells.
            Err(OrderError::Refused(error)) => {
                debug!(%address, ifindex, %error, "the neighbour cannot be asked for now");
                Ok(())
            }
        }
    }
}

/// The order that makes the kernel act as if a packet were sent to a neighbour.
fn use_neighbour(question: Question) -> RouteNetlinkMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = question.ifindex;
    message.header.state = NeighbourState::None;
    message.header.flags = NeighbourFlags::Use;
    message.header.kind = RouteType::Unspec;
    let (family, address) = match question.address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message
        .attributes
        .push(NeighbourAttribute::Destination(address));
    RouteNetlinkMessage::NewNeighbour(message)
}
