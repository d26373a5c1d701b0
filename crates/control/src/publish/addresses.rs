//! What every address is to the director, and to how many services and destinations.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use abi::address_flags::{LENT, LOCAL, REAL, VIRTUAL};

/// Who needs an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Virtual services, those that live on in their connections included.
    pub(crate) virtual_services: i32,
    /// Destinations whose replies come through the director, likewise.
    pub(crate) real_servers: i32,
    /// Services that lend it to clients, those whose connections still have it included.
    pub(crate) pools: i32,
}

/// How the uses of addresses change.
pub(crate) type UseChanges = BTreeMap<IpAddr, Uses>;

#[derive(Debug, Default)]
pub(crate) struct Addresses {
    known: HashMap<IpAddr, Known>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    uses: Uses,
    local: bool,
}

impl Known {
    fn flags(self) -> u32 {
        let role = |used: i32, flag| if used > 0 { flag } else { 0 };
        let roles = role(self.uses.virtual_services, VIRTUAL)
            | role(self.uses.real_servers, REAL)
            | role(self.uses.pools, LENT);
        if roles != 0 && self.local {
            roles | LOCAL
        } else {
            roles
        }
    }
}

impl Addresses {
    /// The flags that differ after `changes`, by address; 0 for those that are no longer needed.
    /// The tables cannot hold 0.0.0.0 and ::, and no packet is addressed to them.
    pub(crate) fn outcome(
        &self,
        changes: &UseChanges,
        is_local: &dyn Fn(IpAddr) -> bool,
    ) -> Vec<(IpAddr, u32)> {
        changes
            .iter()
            .filter(|(address, _)| !address.is_unspecified())
            .filter_map(|(&address, &change)| {
                let before = self.known.get(&address).copied();
                let after = Known {
                    local: before.map_or_else(|| is_local(address), |known| known.local),
                    uses: before.unwrap_or_default().uses.changed_by(change),
                };
                let flags = after.flags();
                (before.map_or(0, Known::flags) != flags).then_some((address, flags))
            })
            .collect()
    }

    /// Takes changes in, once they are published.
    pub(crate) fn settle(&mut self, changes: UseChanges, is_local: &dyn Fn(IpAddr) -> bool) {
        for (address, change) in changes {
            let known = self.known.entry(address).or_insert_with(|| Known {
                local: is_local(address),
                ..Known::default()
            });
            known.uses = known.uses.changed_by(change);
            if known.uses == Uses::default() {
                self.known.remove(&address);
            }
        }
    }

    /// Asks anew which addresses are local, and tells the flags that differ.
    pub(crate) fn localise(&mut self, is_local: &dyn Fn(IpAddr) -> bool) -> Vec<(IpAddr, u32)> {
        let mut changed = Vec::new();
        for (&address, known) in &mut self.known {
            let before = known.flags();
            known.local = is_local(address);
            if known.flags() != before && !address.is_unspecified() {
                changed.push((address, known.flags()));
            }
        }
        changed
    }

    /// The addresses of virtual services and of destinations.
    pub(crate) fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.known.keys().copied()
    }
}

impl Uses {
    pub(crate) const VIRTUAL: Self = Self {
        virtual_services: 1,
        real_servers: 0,
        pools: 0,
    };
    pub(crate) const REAL: Self = Self {
        virtual_services: 0,
        real_servers: 1,
        pools: 0,
    };
    pub(crate) const LENT: Self = Self {
        virtual_services: 0,
        real_servers: 0,
        pools: 1,
    };

    fn changed_by(self, change: Self) -> Self {
        Self {
            virtual_services: self.virtual_services + change.virtual_services,
            real_servers: self.real_servers + change.real_servers,
            pools: self.pools + change.pools,
        }
    }
}

/// Notes that somebody needs an address (`by` 1) or does no longer (`by` -1).
pub(crate) fn note(changes: &mut UseChanges, address: IpAddr, uses: Uses, by: i32) {
    let entry = changes.entry(address).or_default();
    entry.virtual_services += uses.virtual_services * by;
    entry.real_servers += uses.real_servers * by;
    entry.pools += uses.pools * by;
}
