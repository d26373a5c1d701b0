//! All virtual routers of a host, and their sync groups.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::datagram::Datagram;
use crate::exchange::{Group, Input, Output};
use crate::instance::Instance;
use crate::machine::{Cause, State};
use crate::settings::{Invalid, Settings};
use crate::status::Status;
use crate::time::Now;

/// So many senders of unknown virtual routers are told of.
const UNKNOWN: usize = 64;

/// All virtual routers of a host.
#[derive(Debug)]
pub struct Router {
    instances: Vec<Instance>,
    groups: Vec<Members>,
    /// Who was heard of a virtual router that is not configured where.
    unknown: BTreeSet<(String, IpAddr, u8)>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Members {
    name: String,
    state: State,
    /// Indices of instances.
    members: Vec<usize>,
}

impl Router {
    /// Virtual routers by their settings. None runs before [`Input::Start`], nor before something was
    /// said about its interface.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: Vec<Settings>, groups: Vec<Group>) -> Result<Self, Invalid> {
        settings.iter().try_for_each(Settings::check)?;
        check_numbers(&settings)?;
        let groups = resolve(&settings, groups)?;
        Ok(Self {
            instances: settings.into_iter().map(Instance::new).collect(),
            groups,
            unknown: BTreeSet::new(),
            outputs: VecDeque::new(),
        })
    }

    /// Goes on with other settings. Instances of the same name, number, interface and family keep their
    /// state; those that are no more cease, and new ones begin, if this router runs. Masters are told
    /// to hold their addresses again, which may be others.
    ///
    /// # Errors
    /// What is wrong with the settings. Nothing has changed then.
    pub fn reload(
        &mut self,
        settings: Vec<Settings>,
        groups: Vec<Group>,
        now: Now,
    ) -> Result<(), Invalid> {
        let mut other = Self::new(settings, groups)?;
        let running = self.instances.iter().any(Instance::is_running);
        let mut before = std::mem::take(&mut self.instances);
        for instance in &mut other.instances {
            if let Some(at) = before
                .iter()
                .position(|known| known.is_same(&instance.settings))
            {
                let mut known = before.swap_remove(at);
                known.adopt(std::mem::replace(
                    &mut instance.settings,
                    known.settings.clone(),
                ));
                *instance = known;
            } else if running {
                instance.run();
            }
        }
        for mut gone in before {
            gone.stop(now);
            self.outputs.extend(std::iter::from_fn(|| gone.poll()));
        }
        for group in &mut other.groups {
            let known = self.groups.iter().find(|known| known.name == group.name);
            group.state = known.map_or(State::Initialize, |known| known.state);
        }
        (self.instances, self.groups) = (other.instances, other.groups);
        self.settle(now);
        Ok(())
    }

    /// Takes an input in. What follows from it, [`Router::poll`] hands out.
    pub fn handle(&mut self, input: Input<'_>, now: Now) {
        match input {
            Input::Start => self.instances.iter_mut().for_each(Instance::run),
            Input::Stop => self
                .instances
                .iter_mut()
                .for_each(|instance| instance.stop(now)),
            Input::Received {
                interface,
                datagram,
            } => self.receive(interface, datagram, now),
            Input::Link { instance, link } => {
                for found in self
                    .instances
                    .iter_mut()
                    .filter(|known| known.settings.name == instance)
                {
                    found.set_link(link.clone());
                }
            }
            Input::Reading { tracked, reading } => {
                for instance in &mut self.instances {
                    instance.set_reading(tracked, reading);
                }
            }
            Input::Timeout => {
                for instance in &mut self.instances {
                    instance.timeout(now);
                }
            }
        }
        self.settle(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, in uptime.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.instances
            .iter()
            .filter_map(Instance::next_timeout)
            .min()
    }

    /// What every instance is now.
    pub fn status(&self, now: Now) -> Vec<Status> {
        self.instances
            .iter()
            .map(|instance| instance.status(now.uptime))
            .collect()
    }

    fn receive(&mut self, interface: &str, datagram: &Datagram, now: Now) {
        let mut known = false;
        for instance in &mut self.instances {
            let settings = &instance.settings;
            if settings.interface == interface
                && Some(settings.virtual_router) == datagram.virtual_router()
                && settings.is_ipv6() == datagram.source().is_ipv6()
            {
                known = true;
                instance.receive(datagram, now);
            }
        }
        if let Some(virtual_router) = datagram.virtual_router().filter(|_| !known) {
            self.unknown(interface, datagram.source(), virtual_router);
        }
    }

    /// Tells of a virtual router that is not configured, once as long as there are not too many.
    fn unknown(&mut self, interface: &str, source: IpAddr, virtual_router: u8) {
        let who = (interface.to_owned(), source, virtual_router);
        if self.unknown.len() < UNKNOWN && self.unknown.insert(who) {
            self.outputs.push_back(Output::Unknown {
                interface: interface.to_owned(),
                source,
                virtual_router,
            });
        }
    }

    /// Where each sync group stands.
    pub fn groups(&self) -> impl Iterator<Item = (&str, State)> {
        let groups = self.groups.iter();
        groups.map(|group| (group.name.as_str(), group.state))
    }

    /// Brings each group, and each instance that is in none, to what its members allow.
    fn settle(&mut self, now: Now) {
        for at in 0..self.groups.len() {
            self.settle_group(at, now);
        }
        let grouped: BTreeSet<usize> = self
            .groups
            .iter()
            .flat_map(|group| group.members.iter().copied())
            .collect();
        for (at, instance) in self.instances.iter_mut().enumerate() {
            if !grouped.contains(&at) {
                settle_alone(instance, now);
            }
            while let Some(output) = instance.poll() {
                self.outputs.push_back(output);
            }
        }
    }

    fn settle_group(&mut self, at: usize, now: Now) {
        let group = &mut self.groups[at];
        let cause = || Cause::Group(group.name.clone());
        let running = group
            .members
            .iter()
            .any(|&member| self.instances[member].is_running());
        let obstacle = group
            .members
            .iter()
            .find_map(|&member| self.instances[member].obstacle());
        let members = || group.members.iter().copied();
        let to = if !running {
            State::Initialize
        } else if let Some((state, _)) = obstacle {
            for member in members() {
                let own = self.instances[member].obstacle();
                self.instances[member].halt(own.unwrap_or_else(|| (state, cause())), now);
            }
            state
        } else {
            for member in members() {
                let instance = &mut self.instances[member];
                if matches!(instance.state(), State::Initialize | State::Fault) {
                    instance.start(Cause::Started, now);
                }
            }
            elect(&mut self.instances, &group.members, group.state, cause, now)
        };
        if group.state != to {
            group.state = to;
            let group = group.name.clone();
            self.outputs
                .push_back(Output::GroupChanged { group, state: to });
        }
    }
}

/// A group becomes master when all of its members would, and ceases to be when one does.
fn elect(
    instances: &mut [Instance],
    members: &[usize],
    before: State,
    cause: impl Fn() -> Cause,
    now: Now,
) -> State {
    let is = |instance: &Instance, state| instance.state() == state;
    let all_masters = members.iter().all(|&at| is(&instances[at], State::Master));
    if before == State::Master && !all_masters {
        for &at in members {
            if is(&instances[at], State::Master) {
                instances[at].demote(cause(), now);
            }
        }
        return State::Backup;
    }
    let all_want = members
        .iter()
        .all(|&at| instances[at].wants_master().is_some());
    if !all_masters && !all_want {
        return State::Backup;
    }
    for &at in members {
        if let Some(cause) = instances[at].wants_master().cloned() {
            instances[at].promote(cause, now);
        }
    }
    State::Master
}

/// Brings an instance without a group to what it can be.
fn settle_alone(instance: &mut Instance, now: Now) {
    if !instance.is_running() {
        return;
    }
    match instance.obstacle() {
        Some(obstacle) => instance.halt(obstacle, now),
        None if matches!(instance.state(), State::Initialize | State::Fault) => {
            instance.start(Cause::Started, now);
        }
        None => {}
    }
    if let Some(cause) = instance.wants_master().cloned() {
        instance.promote(cause, now);
    }
}

/// Two instances of one number can be on one interface only if they are of two families.
fn check_numbers(settings: &[Settings]) -> Result<(), Invalid> {
    let mut seen = BTreeMap::new();
    for settings in settings {
        let place = (
            &settings.interface,
            settings.is_ipv6(),
            settings.virtual_router,
        );
        if let Some(first) = seen.insert(place, &settings.name) {
            return Err(Invalid::Twice {
                first: first.clone(),
                second: settings.name.clone(),
                virtual_router: settings.virtual_router,
                interface: settings.interface.clone(),
            });
        }
    }
    Ok(())
}

fn resolve(settings: &[Settings], groups: Vec<Group>) -> Result<Vec<Members>, Invalid> {
    let mut taken = BTreeSet::new();
    let mut resolved = Vec::new();
    for group in groups {
        let mut members = Vec::new();
        for member in group.members {
            let found = settings.iter().position(|settings| settings.name == member);
            let Some(at) = found else {
                let group = group.name;
                return Err(Invalid::NoSuchMember { group, member });
            };
            if !taken.insert(at) {
                return Err(Invalid::TwoGroups(member));
            }
            members.push(at);
        }
        resolved.push(Members {
            name: group.name,
            state: State::Initialize,
            members,
        });
    }
    Ok(resolved)
}
