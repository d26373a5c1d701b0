//! Addresses, routes and rules: held, released, announced. One task does it all in order, so that
//! whoever sends adverts never waits for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use config::model::{FOREVER, VirtualRule};
use net::Link;
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use rtnetlink::Handle;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tracing::warn;

use crate::error::{Error, refused_with};
use crate::forwarding::Forwarding;
use crate::frames::Frames;
use crate::pacer::Pacer;
use crate::plan::{Paces, VirtualAddress};
use crate::refusal::Refusal;
use crate::routes::{self, Route};
use crate::rules;

/// An address and the interface that holds it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub link: Link,
    /// The interface that its frames leave by: `link`, or the one below a macvlan.
    pub physical: String,
    pub address: VirtualAddress,
    /// Whether this host takes packets to it.
    pub accepted: bool,
}

impl Target {
    /// Whether it is the same address in the same place, whatever else is said of it.
    pub fn is_same(&self, other: &Self) -> bool {
        let place = |target: &Self| {
            (
                target.link.ifindex,
                target.address.address,
                target.address.prefix,
            )
        };
        place(self) == place(other)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", shown(&self.address), self.link.name)
    }
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Job {
    /// Add what is not there.
    Hold {
        addresses: Vec<Target>,
        routes: Vec<Route>,
        rules: Vec<VirtualRule>,
    },
    /// Remove what is there.
    Release {
        addresses: Vec<Target>,
        routes: Vec<Route>,
        rules: Vec<VirtualRule>,
    },
    /// Tell the neighbours.
    Announce { addresses: Vec<Target>, rounds: u32 },
    /// From now on, tell them this fast.
    Pace(Paces),
}

/// Does the jobs until nobody can send more.
pub(crate) async fn work(
    handle: Handle,
    forwarding: Arc<dyn Forwarding>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
) {
    let mut worker = Worker {
        handle,
        forwarding,
        refusal: Refusal::begin().await,
        frames: Frames::default(),
        pacer: Pacer::default(),
    };
    loop {
        let turn = worker.pacer.next();
        tokio::select! {
            biased;
            job = jobs.recv() => match job {
                Some(job) => worker.work_off(job).await,
                None => return,
            },
            () = sleep_until(turn.unwrap_or_else(Instant::now).into()), if turn.is_some() => {}
        }
        worker.announce();
    }
}

struct Worker {
    handle: Handle,
    forwarding: Arc<dyn Forwarding>,
    refusal: Refusal,
    frames: Frames,
    pacer: Pacer,
}

impl Worker {
    async fn work_off(&mut self, job: Job) {
        match job {
            Job::Hold {
                addresses,
                routes,
                rules,
            } => self.hold(&addresses, &routes, &rules).await,
            Job::Release {
                addresses,
                routes,
                rules,
            } => self.release(&addresses, &routes, &rules).await,
            Job::Announce { addresses, rounds } => {
                self.pacer.put(&addresses, rounds, Instant::now());
            }
            Job::Pace(paces) => self.pacer.set(paces),
        }
    }

    async fn hold(&mut self, addresses: &[Target], routes: &[Route], rules: &[VirtualRule]) {
        tell(&self.forwarding, addresses, |to, told| to.claim(told)).await;
        let refused = |target: &Target| (target.address.address, !target.accepted);
        self.refusal.set(addresses.iter().map(refused)).await;
        for target in addresses {
            report(add(&self.handle, target).await);
        }
        for route in routes {
            report(routes::add(&self.handle, route).await);
        }
        for rule in rules {
            report(rules::add(&self.handle, rule).await);
        }
    }

    async fn release(&mut self, addresses: &[Target], routes: &[Route], rules: &[VirtualRule]) {
        for rule in rules {
            report(rules::remove(&self.handle, rule).await);
        }
        for route in routes {
            report(routes::remove(&self.handle, route).await);
        }
        for target in addresses {
            self.pacer.forget(target.address.address);
            report(remove(&self.handle, target).await);
        }
        let released = |target: &Target| (target.address.address, false);
        self.refusal.set(addresses.iter().map(released)).await;
        tell(&self.forwarding, addresses, |to, told| to.release(told)).await;
    }

    /// Tells the neighbours what they may be told now.
    fn announce(&mut self) {
        while let Some(target) = self.pacer.take(Instant::now()) {
            let told = self.frames.announce(&target.link, target.address.address);
            report(told);
        }
    }
}

/// Tells of addresses beside the loop, which has adverts to send meanwhile.
async fn tell(
    forwarding: &Arc<dyn Forwarding>,
    targets: &[Target],
    what: fn(&dyn Forwarding, &[IpAddr]),
) {
    let forwarding = forwarding.clone();
    let addresses: Vec<IpAddr> = targets
        .iter()
        .map(|target| target.address.address)
        .collect();
    let told = tokio::task::spawn_blocking(move || what(&*forwarding, &addresses));
    if let Err(panic) = told.await {
        warn!(%panic, "the data plane was not told of virtual addresses");
    }
}

fn report(outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        warn!("{error}");
    }
}

/// Adds an address, or makes the one that is there as it should be.
async fn add(handle: &Handle, target: &Target) -> Result<(), Error> {
    let Target { link, address, .. } = target;
    let mut request = handle
        .address()
        .add(link.ifindex, address.address, address.prefix)
        .replace();
    describe(request.message_mut(), address);
    let action = || format!("add {} to {}", shown(address), link.name);
    match request.execute().await {
        Err(error) if refused_with(&error, libc::EEXIST) => Ok(()),
        outcome => outcome.map_err(|error| Error::refused(action())(error)),
    }
}

async fn remove(handle: &Handle, target: &Target) -> Result<(), Error> {
    let Target { link, address, .. } = target;
    let mut message = AddressMessage::default();
    message.header.family = match address.address {
        IpAddr::V4(_) => netlink_packet_route::AddressFamily::Inet,
        IpAddr::V6(_) => netlink_packet_route::AddressFamily::Inet6,
    };
    message.header.prefix_len = address.prefix;
    message.header.index = link.ifindex;
    message
        .attributes
        .push(AddressAttribute::Local(address.address));
    let gone = [libc::EADDRNOTAVAIL, libc::ENODEV];
    match handle.address().del(message).execute().await {
        Err(error) if gone.iter().any(|errno| refused_with(&error, *errno)) => Ok(()),
        outcome => {
            let action = format!("remove {} from {}", shown(address), link.name);
            outcome.map_err(Error::refused(action))
        }
    }
}

/// What an address has beside itself and its prefix.
fn describe(message: &mut AddressMessage, address: &VirtualAddress) {
    message.header.scope = AddressScope::from(address.scope);
    // The builder takes the subnet's last address; as `ip address add` does, none unless told.
    message
        .attributes
        .retain(|attribute| !matches!(attribute, AddressAttribute::Broadcast(_)));
    if let Some(broadcast) = address.broadcast {
        message
            .attributes
            .push(AddressAttribute::Broadcast(broadcast));
    }
    if let Some(label) = &address.label {
        message
            .attributes
            .push(AddressAttribute::Label(label.clone()));
    }
    if !address.flags.is_empty() {
        // What has no room here, the attribute says.
        message.header.flags = AddressHeaderFlags::from_bits_truncate(address.flags.bits() as u8);
        message
            .attributes
            .push(AddressAttribute::Flags(address.flags));
    }
    if address.preferred_lifetime != FOREVER {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_preferred = address.preferred_lifetime;
        lifetimes.ifa_valid = FOREVER;
        message
            .attributes
            .push(AddressAttribute::CacheInfo(lifetimes));
    }
}

fn shown(address: &VirtualAddress) -> String {
    format!("{}/{}", address.address, address.prefix)
}
