//! One routing table, for lookups by longest prefix.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::{Insertion, Prefix, RouteEntry};

/// Routes by prefix length, then prefix; those of one prefix in the kernel's order: by metric,
/// and among equals in the order that insertions asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RouteTable {
    v4: Lengths,
    v6: Lengths,
}

type Lengths = BTreeMap<u8, HashMap<IpAddr, Vec<RouteEntry>>>;

impl RouteTable {
    /// Adds a route. Returns whether the table changed: the same route again does not.
    pub(crate) fn insert(&mut self, route: RouteEntry, insertion: Insertion) -> bool {
        let same_prefix = self
            .lengths_mut(route.prefix.address())
            .entry(route.prefix.length())
            .or_default()
            .entry(route.prefix.address())
            .or_default();
        if let Some(known) = same_prefix
            .iter_mut()
            .find(|known| known.same_route(&route))
        {
            let changed = *known != route;
            *known = route;
            return changed;
        }
        let first_equal = same_prefix.iter().position(|known| known.same_key(&route));
        if let (Insertion::Replace, Some(position)) = (insertion, first_equal) {
            same_prefix[position] = route;
            return true;
        }
        let position = same_prefix.partition_point(|known| match insertion {
            Insertion::Back => known.metric <= route.metric,
            Insertion::Front | Insertion::Replace => known.metric < route.metric,
        });
        same_prefix.insert(position, route);
        true
    }

    /// Takes a route away. Returns whether it was there.
    pub(crate) fn remove(&mut self, route: &RouteEntry) -> bool {
        let lengths = self.lengths_mut(route.prefix.address());
        let Some(prefixes) = lengths.get_mut(&route.prefix.length()) else {
            return false;
        };
        let Some(same_prefix) = prefixes.get_mut(&route.prefix.address()) else {
            return false;
        };
        let Some(position) = same_prefix.iter().position(|known| known.same_route(route)) else {
            return false;
        };
        same_prefix.remove(position);
        if same_prefix.is_empty() {
            prefixes.remove(&route.prefix.address());
        }
        if prefixes.is_empty() {
            lengths.remove(&route.prefix.length());
        }
        true
    }

    /// Whether another route stands under this one's key.
    pub(crate) fn has_key_of(&self, route: &RouteEntry) -> bool {
        self.of_prefix(route.prefix)
            .iter()
            .any(|known| known.same_key(route))
    }

    /// The routes whose prefixes hold `address`, the longest prefix first; those of one prefix and
    /// metric together, the lowest metric first.
    pub(crate) fn candidates(&self, address: IpAddr) -> impl Iterator<Item = &[RouteEntry]> {
        self.lengths(address)
            .iter()
            .rev()
            .filter_map(move |(length, prefixes)| {
                prefixes.get(&Prefix::new(address, *length).address())
            })
            .flat_map(|same_prefix| same_prefix.chunk_by(|one, other| one.metric == other.metric))
    }

    /// All routes, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &RouteEntry> {
        self.v4
            .values()
            .chain(self.v6.values())
            .flat_map(HashMap::values)
            .flatten()
    }

    /// Removes the routes that `keep` refuses. Returns whether there were any.
    pub(crate) fn retain(&mut self, keep: impl Fn(&RouteEntry) -> bool) -> bool {
        let mut removed = false;
        for lengths in [&mut self.v4, &mut self.v6] {
            for prefixes in lengths.values_mut() {
                prefixes.retain(|_, same_prefix| {
                    let before = same_prefix.len();
                    same_prefix.retain(&keep);
                    removed |= same_prefix.len() != before;
                    !same_prefix.is_empty()
                });
            }
            lengths.retain(|_, prefixes| !prefixes.is_empty());
        }
        removed
    }

    /// The routes for exactly this prefix, the best first.
    fn of_prefix(&self, prefix: Prefix) -> &[RouteEntry] {
        self.lengths(prefix.address())
            .get(&prefix.length())
            .and_then(|prefixes| prefixes.get(&prefix.address()))
            .map_or(&[], Vec::as_slice)
    }

    fn lengths(&self, address: IpAddr) -> &Lengths {
        match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        }
    }

    fn lengths_mut(&mut self, address: IpAddr) -> &mut Lengths {
        match address {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        }
    }
}
