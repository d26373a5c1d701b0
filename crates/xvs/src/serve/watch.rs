//! Looks after the network: follows it, takes interfaces, keeps neighbours resolved.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{Change, Cutter, Link, LinkKind, Offloads, Resolver, Snapshot};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use crate::serve::hook::{self, Choice, Facts, Hook};
use crate::serve::network::Kernel;
use crate::serve::options::{Requested, ServeOptions};
use crate::serve::shared::{Shared, State, Taken};

/// How long to wait after neighbours could not be asked for.
const RETRY: Duration = Duration::from_secs(1);

/// The task.
pub struct Watch {
    shared: Arc<Shared>,
    options: Arc<ServeOptions>,
    snapshot: Snapshot,
    changes: mpsc::Receiver<Change>,
    requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    resolver: Resolver,
    /// The routers that lead to clients.
    gateways: BTreeSet<(u32, IpAddr)>,
    /// What cuts packets, once it is needed.
    cutter: Option<Cutter>,
}

impl Watch {
    /// A task that has not looked yet.
    ///
    /// # Errors
    /// When no socket can be had to ask for neighbours.
    pub fn new(
        shared: Arc<Shared>,
        options: Arc<ServeOptions>,
        snapshot: Snapshot,
        changes: mpsc::Receiver<Change>,
        requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    ) -> Result<Self, net::Error> {
        let resolver = Resolver::new()?;
        Ok(Self {
            shared,
            options,
            snapshot,
            changes,
            requests,
            resolver,
            gateways: BTreeSet::new(),
            cutter: None,
        })
    }

    /// Takes the network in as it is.
    pub async fn begin(&mut self) {
        for name in &self.options.interfaces {
            if self.snapshot.link_named(name).is_none() {
                warn!(
                    interface = name,
                    "there is no such interface yet; it is taken when it comes"
                );
            }
        }
        self.shared.lock().follow();
        self.take_interfaces().await;
        self.resolve().await;
    }

    /// Looks after the network, for ever.
    pub async fn run(mut self) {
        loop {
            let wakeup = self.resolve().await;
            tokio::select! {
                change = self.changes.recv() => match change {
                    Some(change) => self.take_in(change).await,
                    None => {
                        error!("the network is not followed any more: restart the daemon");
                        return;
                    }
                },
                Some(done) = self.requests.recv() => {
                    self.take_interfaces().await;
                    self.resolve().await;
                    // Nobody waits any more where this fails.
                    let _ = done.send(());
                }
                () = tokio::time::sleep_until(wakeup.into()) => {}
            }
        }
    }

    async fn take_in(&mut self, change: Change) {
        let effect = self.snapshot.apply_change(change.clone());
        {
            let mut state = self.shared.lock();
            state.snapshot.apply_change(change);
            if effect.is_none() {
                return;
            }
            state.follow();
        }
        self.shared.tell_followed();
        if effect.routing {
            self.take_interfaces().await;
        }
    }

    /// Keeps the neighbours on the way to destinations and clients resolved. Returns when to do so
    /// again.
    async fn resolve(&mut self) -> Instant {
        let destinations = self.shared.lock().destinations();
        self.resolver.resolve_only(&destinations);
        self.resolver.keep_neighbours(&self.gateways);
        match self.resolver.drive(&self.snapshot).await {
            Ok(review) => review.wakeup,
            Err(error) => {
                warn!(%error, "neighbours cannot be asked for");
                Instant::now() + RETRY
            }
        }
    }

    /// Takes packets on every interface that matters now, and forgets those that are gone.
    async fn take_interfaces(&mut self) {
        let wanted: Vec<Link> = {
            let mut state = self.shared.lock();
            let State {
                interfaces,
                snapshot,
                ..
            } = &mut *state;
            interfaces.retain(|&ifindex, _| snapshot.link(ifindex).is_some());
            let wanted = self.wanted(&state);
            wanted
                .into_iter()
                .filter(|link| !state.interfaces.contains_key(&link.ifindex))
                .collect()
        };
        for link in wanted {
            self.take(&link).await;
        }
        self.take_pieces().await;
        let state = self.shared.lock();
        publish(&state, None);
        self.gateways = gateways(&state);
    }

    /// Has packets cut that travel as several in one and go into a tunnel with a checksum: it is of
    /// each piece.
    async fn take_pieces(&mut self) {
        let needed = self.shared.lock().has_checksum_tunnels();
        if !needed || self.cutter.is_some_and(|made| Cutter::find() == Some(made)) {
            return;
        }
        let made = match Cutter::make().await {
            Ok(made) => made,
            Err(error) => {
                warn!(%error, "large packets to tunnels with a checksum are dropped");
                return;
            }
        };
        let state = self.shared.lock();
        let plane = state.director.plane();
        if let Err(error) = plane.attach(made.from, plane_bpf::Mode::Tc) {
            warn!(%error, "large packets to tunnels with a checksum are dropped");
            return;
        }
        let globals = control::Plane::view(plane).globals;
        globals.cut_from.store(made.from);
        globals.cut_into.store(made.into);
        self.cutter = Some(made);
    }

    /// The interfaces to take packets on, as the network is now.
    fn wanted(&self, state: &State) -> Vec<Link> {
        let snapshot = &self.snapshot;
        let indices: BTreeSet<u32> = if self.options.interfaces.is_empty() {
            let marked = state.director.marks().iter();
            let named = marked.filter_map(|rule| snapshot.link_named(rule.interface.as_ref()?));
            let towards = snapshot.interfaces_towards(&state.addresses());
            named.map(|link| link.ifindex).chain(towards).collect()
        } else {
            let named = self.options.interfaces.iter();
            named
                .filter_map(|name| Some(snapshot.link_named(name)?.ifindex))
                .collect()
        };
        let links = indices
            .into_iter()
            .filter_map(|ifindex| snapshot.link(ifindex));
        links.filter(|link| link.meets_traffic()).cloned().collect()
    }

    async fn take(&mut self, link: &Link) {
        let offloads = offloads(link).await;
        let requested = self.options.hook_for(&link.name);
        let has_vlans = self.snapshot.links().any(|other| {
            matches!(other.kind, LinkKind::Vlan(_)) && other.lower == Some(link.ifindex)
        });
        let own_xdp = self.shared.lock().director.plane().has_xdp(link.ifindex);
        let facts = Facts {
            link,
            offloads: &offloads,
            own_xdp,
            has_vlans,
        };
        let choice = hook::choose(requested, &facts);
        let peer = self.peer(link).await;
        let mut state = self.shared.lock();
        // Packets are ours from the first one on.
        publish(&state, Some((link.ifindex, choice.hook)));
        match attach(&state, link, choice, requested) {
            Ok(choice) => {
                info!(
                    interface = link.name,
                    hook = choice.hook.as_str(),
                    why = choice.why,
                    "taking packets"
                );
                for warning in hook::warnings(choice.hook, &facts, peer.as_ref()) {
                    warn!("{warning}");
                }
                let taken = Taken {
                    name: link.name.clone(),
                    choice,
                };
                state.interfaces.insert(link.ifindex, taken);
            }
            Err(error) => {
                error!(interface = link.name, %error, "cannot take packets on this interface");
            }
        }
    }

    /// The offloads of the other end of a veth, where it is in this network namespace.
    async fn peer(&self, link: &Link) -> Option<Offloads> {
        let here = link
            .lower
            .filter(|_| link.peer_netns.is_none() && link.kind == LinkKind::Veth)?;
        Some(offloads(self.snapshot.link(here)?).await)
    }
}

/// The routers on interfaces on which packets are taken, or on VLANs on top of these.
fn gateways(state: &State) -> BTreeSet<(u32, IpAddr)> {
    let is_taken = |ifindex: u32| {
        let link = state.snapshot.link(ifindex);
        let here = link.filter(|link| link.peer_netns.is_none());
        let lower = here.and_then(|link| link.lower);
        [Some(ifindex), lower]
            .into_iter()
            .flatten()
            .any(|ifindex| state.interfaces.contains_key(&ifindex))
    };
    let mut gateways = state.snapshot.gateways();
    gateways.retain(|(ifindex, _)| is_taken(*ifindex));
    gateways
}

async fn offloads(link: &Link) -> Offloads {
    net::offloads(link).await.unwrap_or_else(|error| {
        warn!(interface = link.name, %error, "its offloads cannot be read");
        Offloads::default()
    })
}

/// Attaches the programs; by TC alone where XDP is refused after all.
fn attach(
    state: &State,
    link: &Link,
    choice: Choice,
    requested: Requested,
) -> Result<Choice, plane_bpf::Error> {
    let plane = state.director.plane();
    match plane.attach(link.ifindex, mode(choice.hook)) {
        Ok(()) => Ok(choice),
        Err(error) if choice.hook != Hook::Tc => {
            if requested != Requested::Auto {
                warn!(interface = link.name, %error, "XDP was asked for and is not possible");
            }
            plane.attach(link.ifindex, mode(Hook::Tc))?;
            Ok(hook::fallback(&error))
        }
        Err(error) => Err(error),
    }
}

fn mode(hook: Hook) -> plane_bpf::Mode {
    match hook {
        Hook::Xdp => plane_bpf::Mode::XdpNative,
        Hook::XdpGeneric => plane_bpf::Mode::XdpGeneric,
        Hook::Tc => plane_bpf::Mode::Tc,
    }
}

/// Writes the table of interfaces: those that are taken, and one about to be.
fn publish(state: &State, coming: Option<(u32, Hook)>) {
    let taken = state
        .interfaces
        .iter()
        .map(|(&ifindex, taken)| (ifindex, taken.choice.hook));
    let network = Kernel(&state.snapshot);
    let interfaces: Vec<_> = taken
        .chain(coming)
        .filter_map(|(ifindex, hook)| network.interface(ifindex, hook != Hook::Tc))
        .collect();
    let view = control::Plane::view(state.director.plane());
    let left_out = control::interfaces::publish(&view, &interfaces);
    if left_out > 0 {
        error!(
            left_out,
            "there are more interfaces than the data plane has room for"
        );
    }
}
