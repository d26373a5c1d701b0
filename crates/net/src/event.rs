//! What can change, and what a change means.

use std::net::IpAddr;

use crate::{InterfaceAddress, Link, Neighbour, RouteEntry, Snapshot};

/// One thing that the kernel said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An interface is there, or is now like this.
    Link(Link),
    /// The interface of this number is gone.
    LinkGone(u32),
    /// An address is set on an interface.
    Address(InterfaceAddress),
    /// An address was taken away.
    AddressGone(InterfaceAddress),
    /// A route was added.
    Route(RouteEntry, Insertion),
    /// A route was taken away.
    RouteGone(RouteEntry),
    /// All routes of all tables were read anew; those not among them are gone.
    Routes(Vec<RouteEntry>),
    /// A neighbour is now like this.
    Neighbour(Neighbour),
    /// A neighbour entry was forgotten.
    NeighbourGone {
        /// The interface it was on.
        ifindex: u32,
        /// Its address.
        address: IpAddr,
    },
}

/// Where a new route stands among those of the same prefix and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// Before them (`ip route add`, `ip route prepend`).
    Front,
    /// After them (`ip route append`).
    Back,
    /// Instead of the first of them (`ip route replace`).
    Replace,
}

/// What the watcher reports: everything that happened in a short while, in order.
#[derive(Debug, Clone)]
pub enum Change {
    /// These things happened.
    Events(Vec<Event>),
    /// Reports were lost (the kernel's buffer ran over, or the socket broke) and everything was
    /// read anew: this is how things are now.
    Resync(Box<Snapshot>),
}

/// What a change means to those who forward packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effect {
    /// Links, addresses or routes changed: answers of [`Snapshot::route`] may differ.
    pub routing: bool,
    /// A neighbour's Ethernet address appeared, changed or went: answers of
    /// [`Snapshot::next_hop`] may differ. Merely growing old is no such change.
    pub neighbours: bool,
    /// The kernel may have changed links or routes without a word: IPv4 routes go silently when
    /// their interface or source address does, and the MTUs of IPv6 follow their interface's. They
    /// must be read anew; the watcher does so itself.
    pub in_doubt: bool,
}

impl Effect {
    /// The effect of something that changed nothing.
    pub(crate) const NONE: Self = Self {
        routing: false,
        neighbours: false,
        in_doubt: false,
    };

    /// The effect of a change of links, addresses or routes.
    pub(crate) const ROUTING: Self = Self {
        routing: true,
        ..Self::NONE
    };

    /// Whether nothing that matters to forwarding changed.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Both effects together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            routing: self.routing | other.routing,
            neighbours: self.neighbours | other.neighbours,
            in_doubt: self.in_doubt | other.in_doubt,
        }
    }
}
