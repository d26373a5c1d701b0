//! Making the kernel resolve neighbours before packets need them.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Instant;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteType;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use tracing::debug;

use crate::connection::{Missing, OrderError, Requests};
use crate::interests::{Interests, Question};
use crate::{Error, NextHop, Snapshot};

/// Keeps the next hops of destinations resolved.
///
/// Frames that an XDP or TC program sends do not pass the kernel's neighbour code, so the kernel
/// neither resolves their receivers nor notices that they are in use. The resolver does both in
/// their stead, by the kernel's means, so that neighbour entries are always the kernel's own:
///
/// - A neighbour that is not known is *used* (`NTF_USE`, as `ip neigh replace … use` does), once a
///   second. The kernel then asks everybody on the link, by ARP or neighbour solicitation.
/// - A neighbour that is known is *probed* every two seconds (`NUD_PROBE`, as `ip neigh change …
///   nud probe` does). The kernel asks it at the Ethernet address that is known, which stays in use
///   meanwhile. After three questions without an answer, a second apart, it fails, is used, and
///   found again if it answers at another address.
///
/// So a real server that silently got another Ethernet address is found within five seconds. Left
/// to itself the kernel would ask half a minute after the last answer at the earliest, and only if
/// it saw that the neighbour is in use. This costs one question and one answer of some 50 bytes per
/// neighbour, to it alone, every two seconds; and never more than 200 of them a second: from 400
/// neighbours on they are confirmed less often, 2,000 every ten seconds. Entries that others keep
/// (permanent ones, a routing daemon's, `managed` ones) are left alone.
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
    pub fn resolve_only(&mut self, destinations: &BTreeSet<IpAddr>) {
        self.interests
            .keep(|destination| destinations.contains(&destination));
        for destination in destinations {
            self.interests.add(*destination);
        }
    }

    /// Keeps these neighbours resolved, and no others but those on the way to destinations: each by
    /// the interface it is on, such as [`Snapshot::gateways`] names.
    pub fn keep_neighbours(&mut self, neighbours: &BTreeSet<(u32, IpAddr)>) {
        self.interests.keep_neighbours(neighbours);
    }

    /// Looks at the network and asks for the neighbours whose time has come.
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
        let (order, missing) = order(question);
        let mut answer = self.requests.order(order.clone(), missing).await;
        if let Err(OrderError::Closed(_)) = answer {
            self.requests = Requests::open(PURPOSE)?;
            answer = self.requests.order(order, missing).await;
        }
        let (ifindex, address) = question.whom();
        match answer {
            Ok(()) => Ok(()),
            Err(OrderError::Closed(error)) => Err(error),
            Err(OrderError::Refused(source))
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                let request = format!("resolve {address} on interface {ifindex}");
                Err(Error::Refused { request, source })
            }
            // The interface or the neighbour went meanwhile, or the neighbour table is full: a
            // change of the snapshot or the next attempt tells.
            Err(OrderError::Refused(error)) => {
                debug!(%address, ifindex, %error, "the neighbour cannot be asked for now");
                Ok(())
            }
        }
    }
}

/// The order that makes the kernel ask.
///
/// That to confirm names no Ethernet address and replaces nothing: the kernel keeps what it has,
/// be it the address or that an IPv6 neighbour is a router.
fn order(question: Question) -> (RouteNetlinkMessage, Missing) {
    let (ifindex, address) = question.whom();
    let mut message = NeighbourMessage::default();
    message.header.ifindex = ifindex;
    message.header.kind = RouteType::Unspec;
    let (family, address) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message
        .attributes
        .push(NeighbourAttribute::Destination(address));
    let missing = match question {
        Question::Find(_) => {
            message.header.flags = NeighbourFlags::Use;
            Missing::IsMade
        }
        Question::Confirm(_) => {
            message.header.state = NeighbourState::Probe;
            Missing::IsRefused
        }
    };
    (RouteNetlinkMessage::NewNeighbour(message), missing)
}
