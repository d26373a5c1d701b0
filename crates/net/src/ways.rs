//! All routes at once, as a map from prefix to way: for those who answer lookups elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Lookup, NextHop, Prefix, Route, Snapshot};

/// Where packets for the addresses of a prefix go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To one next hop for all of them: a gateway, a neighbour that is known, or none
    /// ([`NextHop::Local`], [`NextHop::NoRoute`]).
    Via(NextHop),
    /// Each to itself on this link. Those whose Ethernet addresses are known have prefixes of
    /// their own.
    OnLink {
        /// The interface whose link it is.
        ifindex: u32,
        /// The largest packet, in bytes.
        mtu: u32,
    },
}

impl Snapshot {
    /// The ways to all prefixes. A lookup of an address by longest prefix in this one map finds
    /// what [`next_hop`](Self::next_hop) answers, with [`Way::OnLink`] in place of
    /// [`NextHop::Unresolved`] for the address itself. An address in no prefix has no route.
    #[must_use]
    pub fn ways(&self) -> BTreeMap<Prefix, Way> {
        let prefixes: BTreeSet<Prefix> = self.routes().map(|entry| entry.prefix).collect();
        let mut ways: BTreeMap<Prefix, Way> = prefixes
            .into_iter()
            .map(|prefix| (prefix, self.way(prefix)))
            .collect();
        for neighbour in self.neighbours() {
            let next_hop = self.next_hop(neighbour.address);
            if matches!(next_hop, NextHop::Resolved { .. } | NextHop::Failed { .. }) {
                ways.insert(Prefix::host(neighbour.address), Way::Via(next_hop));
            }
        }
        ways
    }

    /// The way of those addresses of a prefix that are in no longer one.
    fn way(&self, prefix: Prefix) -> Way {
        match self.lookup(prefix.address(), prefix.length()) {
            Lookup::Unicast(route) => self.unicast_way(&route),
            Lookup::Local => Way::Via(NextHop::Local),
            Lookup::Rejected(_) | Lookup::NoRoute => Way::Via(NextHop::NoRoute),
        }
    }

    fn unicast_way(&self, route: &Route) -> Way {
        if let Some(gateway) = route.gateway {
            return Way::Via(self.next_hop_of(route, gateway));
        }
        let next_hop = self.next_hop_of(route, route.prefix.address());
        let asks = self.link(route.ifindex).is_some_and(|link| !link.no_arp);
        match next_hop {
            NextHop::LinkDown { .. } | NextHop::NoLinkLayer { .. } => Way::Via(next_hop),
            _ if asks => Way::OnLink {
                ifindex: route.ifindex,
                mtu: route.mtu,
            },
            _ => Way::Via(next_hop),
        }
    }
}
