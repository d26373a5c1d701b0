//! The network's side of the loop: what changes of interfaces and addresses mean for virtual routers.

use std::net::IpAddr;

use tracing::warn;
use vrrp::{Authentication, Input, Peers, Reading};

use crate::holding::Job;
use crate::host::Host;
use crate::plan::Instance;
use crate::socket::Key;
use crate::vmac;

impl Host {
    /// Removes what an earlier run left behind: whoever is master now would not be alone. Of routes and
    /// rules, only those go that say they are ours.
    pub(crate) fn clear_leftovers(&self) {
        let instances = self.plan.instances.iter();
        for instance in instances.filter(|instance| instance.settings.priority != vrrp::OWNER) {
            let mut addresses = instance.targets(&self.snapshot);
            addresses.retain(|target| self.is_there(target.link.ifindex, target.address.address));
            self.job(Job::Release {
                addresses,
                routes: instance.route_targets(&self.snapshot),
                rules: instance.rules.clone(),
            });
        }
    }

    pub(crate) fn is_there(&self, ifindex: u32, address: IpAddr) -> bool {
        self.snapshot
            .addresses()
            .any(|known| known.ifindex == ifindex && known.address == address)
    }

    /// Tells the instances how their interfaces are, and puts back what somebody removed.
    pub(crate) async fn look_at_network(&mut self) {
        self.promotion.follow(&self.plan, &self.snapshot);
        for instance in &self.plan.instances {
            if let Some(vmac) = &instance.vmac
                && let Err(error) = vmac::ensure(&self.handle, &self.snapshot, instance, vmac).await
            {
                warn!("{}: {error}", instance.settings.name);
            }
        }
        let mut links = Vec::new();
        for instance in &self.plan.instances {
            let name = instance.settings.name.clone();
            links.push((name, instance.link(&self.snapshot)));
        }
        for (name, link) in &mut links {
            *link = self.with_socket(name, link.clone());
        }
        let wanted = self.keys.values().cloned().collect();
        self.sockets.retain(&wanted);
        for (instance, link) in links {
            self.tell(Input::Link {
                instance: &instance,
                link,
            })
            .await;
        }
        for (tracked, reading) in self.tracked_interfaces() {
            self.tell(Input::Reading {
                tracked: &tracked,
                reading,
            })
            .await;
        }
        self.keep_up();
    }

    /// Opens the socket of an instance whose interface is usable, and forgets that of one that is not.
    fn with_socket(&mut self, name: &str, link: vrrp::Link) -> vrrp::Link {
        let opened = match (&link, self.instance(name)) {
            (vrrp::Link::Ready(_), Some(instance)) => self.key(instance),
            _ => {
                self.keys.remove(name);
                return link;
            }
        };
        let Some((key, group)) = opened else {
            return link;
        };
        match self.sockets.open(&key, group) {
            Ok(()) => {
                self.keys.insert(name.to_owned(), key);
                link
            }
            Err(error) => {
                self.keys.remove(name);
                vrrp::Link::Unusable(format!("{}: {error}", key.interface))
            }
        }
    }

    /// The socket that an instance needs, and the group that it must have joined.
    fn key(&self, instance: &Instance) -> Option<(Key, Option<IpAddr>)> {
        let interface = instance.speaks_on();
        let key = Key {
            interface: interface.to_owned(),
            ifindex: self.snapshot.link_named(interface)?.ifindex,
            ipv6: instance.settings.is_ipv6(),
            authenticated: matches!(
                instance.settings.authentication,
                Authentication::AuthenticationHeader(_)
            ),
        };
        let group = match instance.settings.peers {
            Peers::Multicast(group) => Some(group),
            Peers::Unicast { .. } => None,
        };
        Some((key, group))
    }

    fn tracked_interfaces(&self) -> Vec<(String, Reading)> {
        let reading = |interface: &str| match self.snapshot.link_named(interface) {
            Some(link) if link.is_up() => Reading::Up,
            _ => Reading::Down,
        };
        let tracked = self.plan.interfaces.iter();
        tracked
            .map(|tracked| (tracked.name.clone(), reading(&tracked.interface)))
            .collect()
    }
}
