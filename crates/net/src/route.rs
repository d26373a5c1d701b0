//! Rows of the kernel's routing tables.

use std::net::IpAddr;

use crate::Prefix;

/// The routing tables that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Table 255, kept by the kernel: this machine's own addresses and broadcasts. Asked first.
    Local,
    /// Table 254: where routes go unless said otherwise.
    Main,
}

/// One route of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteEntry {
    /// The table it is in.
    pub table: Table,
    /// The destinations it is for.
    pub prefix: Prefix,
    /// What happens to packets for them.
    pub kind: RouteKind,
    /// Its metric: of routes for the same prefix, the lowest wins.
    pub metric: u32,
    /// The type of service it is for; 0 for all.
    pub tos: u8,
    /// The source prefix it is bound to (IPv6 only).
    pub from: Option<Prefix>,
    /// The source address that this machine's own packets should have.
    pub preferred_source: Option<IpAddr>,
    /// An MTU of its own, in bytes.
    pub mtu: Option<u32>,
    /// How much its router wants to be chosen among those of the same metric (IPv6 only).
    pub preference: Preference,
    /// Where packets go: one leg, or several for a multipath route. None for those that reject.
    pub legs: Vec<Leg>,
}

/// One way out that a route names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leg {
    /// The interface to send through.
    pub ifindex: u32,
    /// The router to send to. None: the destination itself is on the link. It may be of the other
    /// address family (RFC 8950).
    pub gateway: Option<IpAddr>,
    /// The kernel has given it up (`RTNH_F_DEAD`).
    pub dead: bool,
    /// A lightweight tunnel wraps what is sent here (`RTA_ENCAP`).
    pub encapsulated: bool,
}

/// A router's preference (RFC 4191 section 2.1), as it advertises it or the administrator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Preference {
    /// Only when there is no other.
    Low,
    /// As usual.
    #[default]
    Medium,
    /// Before others.
    High,
}

/// What a route does with its packets (rtnetlink's `RTN_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Send them to a neighbour.
    Unicast,
    /// They are for this machine.
    Local,
    /// Sent to all on the link.
    Broadcast,
    /// For the nearest of many; delivered to this machine.
    Anycast,
    /// Sent to a group.
    Multicast,
    /// Discarded silently.
    Blackhole,
    /// Discarded, and the sender told that the host is unreachable.
    Unreachable,
    /// Discarded, and the sender told that it is prohibited.
    Prohibit,
    /// Not answered by this table: the next one is asked.
    Throw,
    /// A kind that is not known here.
    Other(u8),
}

impl RouteEntry {
    /// Whether lookups for a destination address alone may use it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.tos == 0 && self.from.is_none_or(|from| from.is_default())
    }

    /// Whether both are the same route to the kernel, whatever the state of their legs.
    pub(crate) fn same_route(&self, other: &Self) -> bool {
        self.same_key(other)
            && self.kind == other.kind
            && self.legs.len() == other.legs.len()
            && self
                .legs
                .iter()
                .zip(&other.legs)
                .all(|(mine, theirs)| mine.same_way(theirs))
    }

    /// Whether both stand for the same key of the kernel's table.
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        self.table == other.table
            && self.prefix == other.prefix
            && self.tos == other.tos
            && self.metric == other.metric
            && self.from == other.from
    }
}

impl Leg {
    fn same_way(&self, other: &Self) -> bool {
        (self.ifindex, self.gateway) == (other.ifindex, other.gateway)
    }
}
