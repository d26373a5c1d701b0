//! What the network's snapshot means for an instance.

use std::collections::BTreeSet;
use std::net::IpAddr;

use net::{Link, LinkKind, Snapshot};

use crate::holding::Target;
use crate::plan::{Instance, VirtualAddress};
use crate::routes::Route;
use crate::vmac::is_link_local;

impl Instance {
    /// The interface that its adverts go through.
    pub(crate) fn speaks_on(&self) -> &str {
        match &self.vmac {
            Some(vmac) if !vmac.base_transmits => &vmac.name,
            _ => &self.settings.interface,
        }
    }

    /// The interface that holds an address.
    fn holder(&self, address: &VirtualAddress) -> String {
        let own = || match &self.vmac {
            Some(vmac) => vmac.name.clone(),
            None => self.settings.interface.clone(),
        };
        address.interface.clone().unwrap_or_else(own)
    }

    /// Its addresses, with those of their interfaces that are there.
    pub(crate) fn targets(&self, snapshot: &Snapshot) -> Vec<Target> {
        let target = |address: &VirtualAddress| {
            let link = snapshot.link_named(&self.holder(address))?.clone();
            let below = link.lower.filter(|_| link.kind == LinkKind::Macvlan);
            let physical = below.and_then(|below| snapshot.link(below));
            Some(Target {
                physical: physical.unwrap_or(&link).name.clone(),
                link,
                address: address.clone(),
                accepted: self.accepts,
            })
        };
        self.addresses.iter().filter_map(target).collect()
    }

    /// One address of each interface that adverts do not go through, of those that are to be told of
    /// again.
    pub(crate) fn targets_elsewhere(&self, snapshot: &Snapshot) -> Vec<Target> {
        let vmac = self.vmac.as_ref().map(|vmac| vmac.name.as_str());
        let mut targets = self.targets(snapshot);
        targets.retain(|target| {
            let name = target.link.name.as_str();
            name != self.speaks_on() && (self.announces_everywhere || Some(name) == vmac)
        });
        let mut seen = BTreeSet::new();
        targets.retain(|target| seen.insert(target.link.ifindex));
        targets
    }

    /// Its routes, but those whose interface is not there.
    pub(crate) fn route_targets(&self, snapshot: &Snapshot) -> Vec<Route> {
        let routes = self.routes.iter().filter_map(|route| {
            let ifindex = match &route.interface {
                Some(interface) => Some(snapshot.link_named(interface)?.ifindex),
                None => None,
            };
            let route = route.clone();
            Some(Route { ifindex, route })
        });
        routes.collect()
    }

    /// Whether it can send adverts, and from which address.
    pub(crate) fn link(&self, snapshot: &Snapshot) -> vrrp::Link {
        match self.usable(snapshot) {
            Ok(source) => vrrp::Link::Ready(source),
            Err(why) => vrrp::Link::Unusable(why),
        }
    }

    fn usable(&self, snapshot: &Snapshot) -> Result<IpAddr, String> {
        let base = &self.settings.interface;
        let link = snapshot
            .link_named(base)
            .ok_or_else(|| format!("{base} is not there"))?;
        if !self.ignores_link {
            check_up(link)?;
        }
        if let Some(vmac) = &self.vmac {
            let name = &vmac.name;
            let own = snapshot
                .link_named(name)
                .ok_or_else(|| format!("{name} is not there"))?;
            if !self.ignores_link {
                check_up(own)?;
            }
        }
        if self.settings.peers.addresses().is_empty() {
            return Err(format!("{base} has no unicast peer to send to"));
        }
        if let Some(source) = self.source.filter(|_| self.tracks_source)
            && !snapshot.addresses().any(|known| known.address == source)
        {
            return Err(format!(
                "{base} cannot send from {source}, which is not there"
            ));
        }
        let source = self.source.or_else(|| self.first_address(snapshot, link));
        let family = if self.settings.is_ipv6() {
            "link-local IPv6"
        } else {
            "IPv4"
        };
        source.ok_or_else(|| format!("{base} has no {family} address to send from"))
    }

    fn first_address(&self, snapshot: &Snapshot, link: &Link) -> Option<IpAddr> {
        let ipv6 = self.settings.is_ipv6();
        let is_virtual =
            |address: IpAddr| self.addresses.iter().any(|held| held.address == address);
        let mut usable = snapshot
            .addresses()
            .filter(|known| known.ifindex == link.ifindex && !known.unusable)
            .map(|known| known.address)
            .filter(|address| address.is_ipv6() == ipv6 && (!ipv6 || is_link_local(address)));
        // An owner's virtual address may be the only one that there is.
        let owner = self.settings.priority == vrrp::OWNER;
        usable.find(|address| owner || !is_virtual(*address))
    }
}

fn check_up(link: &Link) -> Result<(), String> {
    match (link.admin_up, link.carrier) {
        (false, _) => Err(format!("{} is down", link.name)),
        (true, false) => Err(format!("{} has no carrier", link.name)),
        (true, true) => Ok(()),
    }
}
