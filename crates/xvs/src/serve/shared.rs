//! What the daemon's tasks share: the director, the network, and what has happened.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use control::nexthops::HopState;
use control::wanted::{Effect, WantedService};
use control::{Director, Outcomes, not_built};
use model::{Command, Forwarding, Prefix, ServiceKey, TunnelChecksum};
use net::Snapshot;
use plane_bpf::Plane;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{error, info, warn};

use crate::place::Place;
use crate::serve::checks::Checks;
use crate::serve::hook::Choice;
use crate::serve::neighbours::Neighbours;
use crate::serve::network::Kernel;
use crate::serve::state;
use crate::serve::trace::Traces;
use crate::serve::virtual_routers::VirtualRouters;

/// Of a transaction with more changes than this only their number is logged.
const LOGGED_ONE_BY_ONE: usize = 64;

/// How long a change waits for interfaces to be taken and for the neighbours of new destinations.
const PATIENCE: Duration = Duration::from_secs(1);

/// The daemon.
pub struct Shared {
    state: Arc<Mutex<State>>,
    place: Place,
    started: Instant,
    /// Whether the data plane was found at work.
    pub adopted: bool,
    /// Told after every change of the configuration; answers when the network's side is done.
    changed: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// Told when the ways to destinations were followed.
    followed: Notify,
    /// Who traces.
    pub traces: Traces,
    /// Which neighbours are reached.
    pub neighbours: Neighbours,
    /// Who holds virtual addresses.
    pub virtual_routers: VirtualRouters,
    /// The configuration file's checks, if there is a file.
    checks: OnceLock<Arc<Checks>>,
    /// Whether there is something to be saved soon.
    is_unsaved: AtomicBool,
}

/// What a lock protects.
pub struct State {
    /// The director.
    pub director: Director<Plane>,
    /// The network.
    pub snapshot: Snapshot,
    /// Where packets are taken, by interface.
    pub interfaces: BTreeMap<u32, Taken>,
    /// Changes of the configuration so far.
    pub transactions: u64,
    /// The last of them.
    pub last: Option<api::TransactionSummary>,
}

/// An interface on which packets are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its name when it was taken.
    pub name: String,
    /// Where, and why there.
    pub choice: Choice,
}

/// The state, for a moment.
pub fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Commands are whole before and after every call that could panic; going on is better
    // than forgetting the configuration.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The addresses that lead to the interfaces to take packets on: virtual services',
    /// destinations', those that rules give marks to, and that of no host, which stands for the clients behind default routes.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let publisher = self.director.publisher();
        let known = publisher
            .addresses()
            .chain(publisher.destination_addresses());
        let marked = self.director.marks().iter().filter_map(|rule| rule.to);
        let marked = marked.map(Prefix::address);
        let known: BTreeSet<IpAddr> = known.chain(marked).collect();
        let unspecified: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let clients = unspecified
            .into_iter()
            .filter(|client| known.iter().any(|a| a.is_ipv6() == client.is_ipv6()));
        known.iter().copied().chain(clients).collect()
    }

    /// The destinations whose neighbours are to be kept resolved.
    pub fn destinations(&self) -> BTreeSet<IpAddr> {
        self.director.publisher().destination_addresses().collect()
    }

    /// Whether a destination's tunnel has a checksum around the packets.
    pub fn has_checksum_tunnels(&self) -> bool {
        let services = self.director.wanted().services();
        services.flat_map(WantedService::destinations).any(|to| {
            to.forwarding == Forwarding::Tunnel && to.tunnel.checksum != TunnelChecksum::None
        })
    }

    /// Takes in that the network changed.
    pub fn follow(&mut self) {
        let Self {
            director, snapshot, ..
        } = self;
        if let Err(error) = director.follow(&Kernel(snapshot)) {
            error!(%error, "the data plane did not take a change of the network");
        }
    }
}

impl Shared {
    /// The daemon, about to run. The receiver is told of every change of the configuration.
    pub fn new(
        director: Director<Plane>,
        snapshot: Snapshot,
        place: Place,
        adopted: bool,
    ) -> (Self, mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let state = State {
            director,
            snapshot,
            interfaces: BTreeMap::new(),
            transactions: 0,
            last: None,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Self {
            virtual_routers: VirtualRouters::new(state.clone()),
            state,
            place,
            started: Instant::now(),
            adopted,
            changed,
            followed: Notify::new(),
            traces: Traces::default(),
            neighbours: Neighbours::new(),
            checks: OnceLock::new(),
            is_unsaved: AtomicBool::new(false),
        };
        (shared, changes)
    }

    /// The state, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The configuration file's checks, if there is a file.
    pub fn checks(&self) -> Option<&Arc<Checks>> {
        self.checks.get()
    }

    /// Sets them, once.
    pub fn set_checks(&self, checks: Arc<Checks>) {
        // Whoever sets them a second time changes nothing.
        let _set_before = self.checks.set(checks);
    }

    /// Where the daemon keeps its files.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// For how long the daemon has run.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Saves the state for the next daemon.
    pub fn save(&self, state: &State) {
        self.is_unsaved.store(false, Ordering::Relaxed);
        if let Err(error) = state::write(&self.place, &state.director.saved()) {
            error!(error = format!("{error:#}"), "the state is not saved");
        }
    }

    /// Saves the state, if what checks found is not saved yet.
    pub fn save_what_was_found(&self, state: &State) {
        if self.is_unsaved.load(Ordering::Relaxed) {
            self.save(state);
        }
    }

    /// Tells those who wait for a neighbour to look again.
    pub fn tell_followed(&self) {
        self.followed.notify_waiters();
    }

    /// Carries out commands as one transaction, then waits a moment until what was added can work.
    pub async fn carry_out(&self, commands: &[Command]) -> Outcomes {
        let outcomes = self.apply(commands);
        if outcomes.iter().any(Result::is_ok) {
            self.save(&self.lock());
            let added = added(&outcomes);
            let settled = async {
                self.settle_network().await;
                self.settle_hops(&added).await;
            };
            // Whoever waits longer than this is better served by an answer.
            let _in_time = tokio::time::timeout(PATIENCE, settled).await;
        }
        outcomes
    }

    /// Carries out what checks found, without waiting for anything. It is saved soon: the next daemon
    /// asks the servers itself, and writing a large configuration takes longer than its change.
    pub fn carry_out_found(&self, commands: &[Command]) -> Outcomes {
        let outcomes = self.apply(commands);
        if outcomes.iter().any(Result::is_ok) {
            self.is_unsaved.store(true, Ordering::Relaxed);
            self.tell_changed();
        }
        outcomes
    }

    fn apply(&self, commands: &[Command]) -> Outcomes {
        let mut state = self.lock();
        let State {
            director, snapshot, ..
        } = &mut *state;
        let outcomes = director.apply(commands, &Kernel(snapshot));
        let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let refused = outcomes.len() - accepted;
        match commands.len() {
            0..=LOGGED_ONE_BY_ONE => {
                for (command, outcome) in commands.iter().zip(&outcomes) {
                    log(command, outcome);
                }
            }
            _ => info!(
                accepted,
                refused, "many changes of the configuration at once"
            ),
        }
        warn_of_not_built(&outcomes, director);
        state.transactions += 1;
        state.last = Some(api::TransactionSummary {
            number: state.transactions,
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            accepted,
            refused,
        });
        outcomes
    }

    /// Lets the task that looks after the network look whether it concerns other interfaces now.
    pub fn tell_changed(&self) {
        // An error means that the daemon is about to end.
        let _ended = self.changed.send(oneshot::channel().0);
    }

    /// Until the task that looks after the network has taken a change in.
    async fn settle_network(&self) {
        let (done, settled) = oneshot::channel();
        if self.changed.send(done).is_ok() {
            // An error means that the daemon is about to end.
            let _ended = settled.await;
        }
    }

    /// Until the ways to these destinations are known, one way or the other.
    async fn settle_hops(&self, destinations: &[IpAddr]) {
        loop {
            let followed = self.followed.notified();
            let open = {
                let state = self.lock();
                destinations
                    .iter()
                    .any(|&address| state.director.hop_state(address) == Some(HopState::Incomplete))
            };
            if !open {
                return;
            }
            followed.await;
        }
    }
}

/// The addresses of the destinations that were added.
fn added(outcomes: &Outcomes) -> Vec<IpAddr> {
    outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Ok(Effect::DestinationAdded { destination, .. }) => Some(destination.key.address),
            _ => None,
        })
        .collect()
}

fn log(command: &Command, outcome: &Result<Effect, control::CommandError>) {
    match outcome {
        Ok(_) => info!(change = summary(command), "the configuration changed"),
        Err(control::CommandError::Refused(refusal)) => {
            info!(change = summary(command), %refusal, "a change was refused");
        }
        Err(error) => {
            warn!(change = summary(command), %error, "a change was refused");
        }
    }
}

/// Says what was accepted, but is not carried out yet.
fn warn_of_not_built(outcomes: &Outcomes, director: &Director<Plane>) {
    let accepted = outcomes.iter().flatten();
    let warnings = accepted.flat_map(|effect| not_built::warnings(effect, director.wanted()));
    for warning in warnings.take(LOGGED_ONE_BY_ONE) {
        warn!("{warning}");
    }
}

/// A command in one line.
fn summary(command: &Command) -> String {
    let pair = |what: &str, service: &ServiceKey, destination: &dyn std::fmt::Display| {
        format!("{what} destination {destination} of {service}")
    };
    match command {
        Command::AddService(request) => {
            format!("add service {} {}", request.key, request.scheduler)
        }
        Command::EditService(request) => {
            format!("edit service {} {}", request.key, request.scheduler)
        }
        Command::DeleteService(key) => format!("delete service {key}"),
        Command::AddDestination {
            service,
            destination,
        } => pair("add", service, &destination.key),
        Command::EditDestination {
            service,
            destination,
        } => pair("edit", service, &destination.key),
        Command::DeleteDestination {
            service,
            destination,
        } => pair("delete", service, destination),
        Command::AddLocalAddress { service, address } => {
            format!("add local address {address} of {service}")
        }
        Command::DeleteLocalAddress { service, address } => {
            format!("delete local address {address} of {service}")
        }
        Command::Flush => "delete all services".to_owned(),
    }
}
