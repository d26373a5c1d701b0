//! What masters hold, kept in place.

use std::collections::BTreeSet;
use std::net::IpAddr;

use config::model::VirtualRule;

use crate::holding::{Job, Target};
use crate::host::Host;
use crate::losses::Loss;
use crate::plan::Instance;
use crate::routes::Route;
use crate::rules;

/// An interface that is up, or an address on it: what routes may need.
pub(crate) type Place = (u32, Option<IpAddr>);

impl Host {
    /// Puts back the addresses of masters that were there and are no longer, and routes that went with
    /// what they need, which the kernel does not always tell.
    pub(crate) fn keep_up(&mut self) {
        self.keep_addresses();
        let places = self.places();
        let known = std::mem::replace(&mut self.places, places);
        if !self.places.is_subset(&known) {
            self.hold_routes_again();
        }
    }

    /// Puts back what somebody removed, if it is a master's.
    pub(crate) fn lost(&mut self, loss: &Loss) {
        let now = self.now().uptime;
        let (mut routes, mut rules) = (Vec::new(), Vec::new());
        for instance in self.held_by() {
            let kept = self.kept_routes(instance).into_iter();
            routes.extend(kept.filter(|route| match loss {
                Loss::Route(told) => route.is(told),
                Loss::Replaced(told) => route.is_replaced_by(told),
                Loss::Rule(_) | Loss::Unknown => false,
            }));
            let kept = instance.rules.iter().filter(|rule| !rule.no_track);
            let lost =
                kept.filter(|rule| matches!(loss, Loss::Rule(told) if rules::is(rule, told)));
            rules.extend(lost.cloned());
        }
        routes.retain(|route| self.disputes.put_back(&route.to_string(), now));
        rules.retain(|rule| {
            let what = format!("the rule `{}'", rule.text);
            self.disputes.put_back(&what, now)
        });
        self.have_held(Vec::new(), routes, rules);
        if matches!(loss, Loss::Unknown) {
            self.hold_routes_again();
        }
    }

    /// Puts back whatever of routes and rules is not there.
    pub(crate) fn hold_routes_again(&self) {
        for instance in self.held_by() {
            let routes = self.kept_routes(instance);
            let rules = instance.rules.iter().filter(|rule| !rule.no_track);
            self.have_held(Vec::new(), routes, rules.cloned().collect());
        }
    }

    /// Has them added that are not there, if it is any.
    fn have_held(&self, addresses: Vec<Target>, routes: Vec<Route>, rules: Vec<VirtualRule>) {
        if !addresses.is_empty() || !routes.is_empty() || !rules.is_empty() {
            self.job(Job::Hold {
                addresses,
                routes,
                rules,
            });
        }
    }

    fn keep_addresses(&mut self) {
        let now = self.now().uptime;
        let targets = self.held_by().map(|one| one.targets(&self.snapshot));
        let targets: Vec<Target> = targets.flatten().collect();
        let mut missing = Vec::new();
        for target in targets {
            let place = (target.link.ifindex, target.address.address);
            if self.is_there(place.0, place.1) {
                self.in_place.insert(place);
            } else if !target.address.no_track
                && self.in_place.contains(&place)
                && self.disputes.put_back(&target.to_string(), now)
            {
                self.in_place.remove(&place);
                missing.push(target);
            }
        }
        if !missing.is_empty() {
            self.hold_addresses_again(missing);
        }
    }

    fn hold_addresses_again(&self, addresses: Vec<Target>) {
        self.have_held(addresses.clone(), Vec::new(), Vec::new());
        self.job(Job::Announce {
            addresses,
            rounds: 1,
        });
    }

    fn held_by(&self) -> impl Iterator<Item = &Instance> {
        let instances = self.plan.instances.iter();
        instances.filter(|instance| self.masters.contains(&instance.settings.name))
    }

    /// The routes of an instance that are put back, as far as their interfaces are up.
    fn kept_routes(&self, instance: &Instance) -> Vec<Route> {
        let mut routes = instance.route_targets(&self.snapshot);
        let is_up = |ifindex| self.snapshot.link(ifindex).is_some_and(net::Link::is_up);
        routes.retain(|route| !route.route.no_track && route.ifindex.is_none_or(is_up));
        routes
    }

    fn places(&self) -> BTreeSet<Place> {
        let up = self.snapshot.links().filter(|link| link.is_up());
        let up: BTreeSet<u32> = up.map(|link| link.ifindex).collect();
        let addresses = self.snapshot.addresses();
        let addresses = addresses.filter(|address| up.contains(&address.ifindex));
        addresses
            .map(|address| (address.ifindex, Some(address.address)))
            .chain(up.iter().map(|ifindex| (*ifindex, None)))
            .collect()
    }
}
