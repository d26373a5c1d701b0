//! The daemon as the API sees it.

use std::sync::Arc;

use abi::Outcome;
use control::{CommandError, Plane as _, connections};
use model::{
    Command, ConnectionEntry, DirectorInfo, ExplainRequest, MarkChange, MarkRules, Refusal,
    ServiceKey, ServiceStatus, SettingRequest, SettingStatus, SyncDaemon, SyncDaemonRequest,
    SyncRole, TimeoutChange, Timeouts, TraceNews, TraceRequest, TracedPacket,
};
use tokio::sync::broadcast;
use tokio::sync::mpsc::Receiver;
use tracing::{info, warn};

use crate::serve::explain;
use crate::serve::metrics;
use crate::serve::network::Kernel;
use crate::serve::notify;
use crate::serve::shared::{Shared, State};
use crate::serve::trace;

/// The version of IPVS whose behaviour is offered.
const IPVS_VERSION: (u8, u8, u8) = (1, 2, 1);
/// Buckets of the connection table that are listed at a time.
const PART: u32 = 4096;

impl api::Backend for Shared {
    fn info(&self) -> DirectorInfo {
        let director = &self.lock().director;
        let plane = director.plane();
        let slots = plane.connections().len() * conntable::BUCKET_SLOTS;
        let (stats, rates) = director.total();
        DirectorInfo {
            version: IPVS_VERSION,
            connection_table_size: u32::try_from(slots).unwrap_or(u32::MAX),
            ticks_per_second: plane.hz(),
            stats,
            rates,
        }
    }

    async fn transact(&self, commands: Vec<Command>) -> Vec<Result<(), api::Problem>> {
        let outcomes = self.carry_out(&commands).await;
        outcomes
            .into_iter()
            .map(|outcome| outcome.map(drop).map_err(problem))
            .collect()
    }

    fn services(&self) -> Vec<ServiceStatus> {
        self.lock().director.services()
    }

    fn service(&self, key: &ServiceKey) -> Option<ServiceStatus> {
        self.lock().director.service(key)
    }

    fn zero(&self, service: Option<ServiceKey>) -> Result<(), api::Problem> {
        let mut state = self.lock();
        state.director.zero(service.as_ref())?;
        self.save(&state);
        Ok(())
    }

    fn connections(&self, part: u32) -> Option<Vec<ConnectionEntry>> {
        let state = self.lock();
        connections::list(state.director.plane(), part.checked_mul(PART)?, PART)
    }

    fn timeouts(&self) -> Timeouts {
        self.lock().director.timeouts()
    }

    fn set_timeouts(&self, change: TimeoutChange) {
        let mut state = self.lock();
        state.director.set_timeouts(change);
        info!(timeouts = ?state.director.timeouts(), "the timeouts changed");
        self.save(&state);
    }

    fn settings(&self) -> Vec<SettingStatus> {
        SettingStatus::all(self.lock().director.settings())
    }

    fn set(&self, requests: &[SettingRequest]) -> Result<(), api::Problem> {
        let mut state = self.lock();
        let set = state.director.set(requests);
        set.map_err(|error| api::Problem::new(error.to_string()))?;
        for SettingRequest { name, value } in requests {
            info!(name, value, "a setting changed");
        }
        self.save(&state);
        Ok(())
    }

    fn marks(&self) -> MarkRules {
        self.lock().director.marks().clone()
    }

    fn mark(&self, change: &MarkChange) -> Result<(), api::Problem> {
        let mut state = self.lock();
        let State {
            director, snapshot, ..
        } = &mut *state;
        let marked = director.mark(change, &Kernel(snapshot));
        marked.map_err(|error| api::Problem::new(error.to_string()))?;
        info!(
            rules = director.marks().iter().len(),
            "the rules for marks changed"
        );
        for name in director
            .marks()
            .iter()
            .filter_map(|rule| rule.interface.as_ref())
        {
            if snapshot.link_named(name).is_none() {
                warn!(
                    name,
                    "a rule for marks names an interface that is not there yet"
                );
            }
        }
        self.save(&state);
        self.tell_changed();
        Ok(())
    }

    fn daemons(&self) -> Vec<SyncDaemon> {
        self.lock().director.wanted().daemons().cloned().collect()
    }

    fn start_daemon(&self, request: SyncDaemonRequest) -> Result<(), api::Problem> {
        let mut state = self.lock();
        let daemon = sync_daemon(&state, request)?;
        warn!(role = %daemon.role, "connection sync is not built yet: the daemon is only listed");
        state.director.start_daemon(daemon)?;
        self.save(&state);
        Ok(())
    }

    fn stop_daemon(&self, role: SyncRole) -> Result<(), api::Problem> {
        let mut state = self.lock();
        state.director.stop_daemon(role)?;
        self.save(&state);
        Ok(())
    }

    fn health(&self) -> Vec<health::VirtualServerStatus> {
        self.checks()
            .map_or_else(Vec::new, |checks| checks.status())
    }

    async fn reload(&self) -> Result<api::Reloaded, api::Problem> {
        match self.checks() {
            Some(checks) => {
                notify::tell(notify::State::Reloading);
                let reloaded = checks.reload(self).await;
                notify::tell(notify::State::Ready);
                reloaded
            }
            None => Err(without_file()),
        }
    }

    async fn difference(
        &self,
        request: api::DifferenceRequest,
    ) -> Result<api::Difference, api::Problem> {
        match self.checks() {
            Some(checks) => checks.difference(self, request).await,
            None => Err(without_file()),
        }
    }

    fn status(&self) -> api::Status {
        let state = self.lock();
        api::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            abi: abi::ABI_VERSION,
            pid: std::process::id(),
            uptime: self.uptime().as_secs(),
            namespace: self.place().cookie,
            adopted: self.adopted,
            interfaces: interfaces(&state),
            connections: fill(
                state.director.plane().connections().len(),
                state.director.census().map(|census| census.v4),
            ),
            connections_v6: fill(
                state.director.plane().connections_v6().len(),
                state.director.census().map(|census| census.v6),
            ),
            tables: tables(&state),
            reasons: reasons(&state),
            last_transaction: state.last.clone(),
        }
    }

    async fn bfd(&self) -> Vec<bfd::Status> {
        self.neighbours.status().await
    }

    fn vrrp_events(&self) -> broadcast::Receiver<vrrp::Event> {
        self.virtual_routers.events()
    }

    async fn vrrp(&self) -> Vec<vrrp::Status> {
        self.virtual_routers.status().await
    }

    fn metrics(&self) -> String {
        let (services, transactions) = {
            let state = self.lock();
            (state.director.services(), state.transactions)
        };
        metrics::text(&self.status(), &services, transactions)
    }

    async fn trace(
        self: Arc<Self>,
        request: TraceRequest,
    ) -> Result<Receiver<TraceNews>, api::Problem> {
        trace::begin(self, request).await
    }

    fn explain(&self, request: &ExplainRequest) -> Result<Vec<TracedPacket>, api::Problem> {
        explain::explain(self, request)
    }
}

fn without_file() -> api::Problem {
    api::Problem::new(
        "the daemon has no configuration file\nhint: start it with `xvs serve -f FILE'",
    )
}

fn problem(error: CommandError) -> api::Problem {
    match error {
        CommandError::Refused(refusal) => refusal.into(),
        CommandError::NoRoom(error) => api::Problem {
            refusal: Some(Refusal::NoRoom),
            message: error.to_string(),
        },
        CommandError::NotPrepared(message) => api::Problem {
            refusal: Some(Refusal::Unsupported),
            message,
        },
    }
}

/// The sync daemon of a request, with the kernel's defaults.
fn sync_daemon(state: &State, request: SyncDaemonRequest) -> Result<SyncDaemon, Refusal> {
    let link = state
        .snapshot
        .link_named(&request.interface)
        .ok_or(Refusal::NoSuchDevice)?;
    Ok(request.on_interface(link.mtu))
}

fn interfaces(state: &State) -> Vec<api::Interface> {
    state
        .interfaces
        .iter()
        .map(|(&ifindex, taken)| api::Interface {
            name: state
                .snapshot
                .link(ifindex)
                .map_or(&taken.name, |link| &link.name)
                .clone(),
            ifindex,
            hook: taken.choice.hook.as_str().to_owned(),
            why: taken.choice.why.clone(),
        })
        .collect()
}

fn fill(buckets: usize, found: Option<connections::Fill>) -> api::ConnectionTable {
    let found = found.unwrap_or_default();
    api::ConnectionTable {
        used: found.entries,
        size: u32::try_from(buckets * conntable::BUCKET_SLOTS).unwrap_or(u32::MAX),
        longest_probe: found.longest_probe,
        in_other_buckets: found.in_other_buckets,
    }
}

fn tables(state: &State) -> Vec<api::Table> {
    let [services, destinations] = state.director.publisher().usage();
    [
        ("services", services),
        ("destinations", destinations),
        ("next hops", state.director.hops().usage()),
    ]
    .into_iter()
    .map(|(name, (used, size))| api::Table {
        name: name.to_owned(),
        used,
        size,
    })
    .collect()
}

fn reasons(state: &State) -> Vec<api::Reason> {
    let counters = state.director.plane().view().reasons;
    let count = |reason: abi::Reason| -> u64 {
        counters
            .iter()
            .map(|processor| processor.0[reason as usize].load())
            .sum()
    };
    abi::Reason::ALL
        .iter()
        .map(|&reason| api::Reason {
            name: reason.name().to_owned(),
            outcome: outcome_name(reason.outcome()).to_owned(),
            count: count(reason),
            sentence: reason.sentence().to_owned(),
        })
        .collect()
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Forward => "forward",
        Outcome::Pass => "pass",
        Outcome::Drop => "drop",
        Outcome::Note => "note",
    }
}
