//! The configuration file at work: its virtual servers, its checks, and reloads.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use bfd::Settings;
use config::{CheckChanges, Config, Diagnostic, Reading, Severity};
use control::Outcomes;
use health::{CheckId, Monitor, Outcome};
use health_host::{Checker, Owner, Ways};
use model::{Destination, Service, ServiceKey, TimeoutChange};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};
use vrrp_host::Plan;

use crate::keepalived::{self, FileOptions};
use crate::serve::events::Teller;
use crate::serve::options::ServeOptions;
use crate::serve::shared::Shared;

/// Who runs scripts where nobody is named, if this user exists (keepalived.conf(5), SCRIPTS).
const SCRIPT_USER: &str = "keepalived_script";
/// How long a monitor without checks waits.
const IDLE: Duration = Duration::from_secs(3600);
/// Between two warnings that this host cannot run checks.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);
/// How often it is looked whether virtual addresses are here, for servers with `ha_suspend`.
const LOOK_FOR_ADDRESSES: Duration = Duration::from_millis(200);

/// A file that was read and is without errors.
pub struct Configured {
    options: FileOptions,
    config: Config,
    checker: Checker,
    owner: Option<Owner>,
    /// The BFD sessions that it wants.
    sessions: Vec<Settings>,
    /// The virtual routers that it wants.
    plan: Plan,
    warnings: Vec<String>,
}

impl Configured {
    /// The file of the options, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or is wrong: with every place and remedy.
    pub fn read(options: &ServeOptions) -> Result<Option<Self>> {
        let Some(file) = &options.file else {
            return Ok(None);
        };
        Self::of(FileOptions {
            file: absolute(file)?,
            config_id: options.config_id.clone(),
            parts: options.parts,
        })
        .map(Some)
    }

    /// Logs what the file means, line by line.
    pub fn dump(&self) {
        let text = self.config.to_string();
        text.lines().for_each(|line| info!("{line}"));
    }

    /// Reads a file beside the daemon's work: a large one takes a while.
    async fn beside(options: FileOptions) -> Result<Self, api::Problem> {
        tokio::task::spawn_blocking(move || Self::of(options))
            .await
            .map_err(anyhow::Error::from)
            .and_then(|configured| configured)
            .map_err(|error| api::Problem::new(format!("{error:#}")))
    }

    fn of(options: FileOptions) -> Result<Self> {
        let reading = keepalived::read(&options)?;
        if reading.has_errors() {
            bail!(
                "{} is wrong:\n{}\nhint: `xvs check {0}' shows the places",
                options.file.display(),
                lines(&reading, Severity::Error).join("\n")
            );
        }
        let owner = owner(&reading.config).map_err(anyhow::Error::msg)?;
        Ok(Self {
            checker: Checker::new(&reading.config.tls, owner.clone())?,
            warnings: lines(&reading, Severity::Warning),
            sessions: bfd_host::settings(&reading.config),
            plan: Plan::of(&reading.config)?,
            config: reading.config,
            owner,
            options,
        })
    }
}

fn absolute(file: &PathBuf) -> Result<PathBuf> {
    Ok(std::path::absolute(file)?)
}

fn lines(reading: &Reading, severity: Severity) -> Vec<String> {
    let of_this = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
    let diagnostics = reading.diagnostics.iter().filter(of_this);
    diagnostics
        .map(|diagnostic| diagnostic.line(&reading.sources))
        .collect()
}

/// `script_user`, else the user that keepalived takes, else this process's.
fn owner(config: &Config) -> Result<Option<Owner>, String> {
    match &config.globals.script_user {
        Some((user, group)) => Owner::named(user, group.as_deref())
            .map(Some)
            .map_err(|why| format!("script_user: {why}\nhint: make the user, or name another")),
        None => Ok(Owner::named(SCRIPT_USER, None).ok()),
    }
}

/// The checks of the file, and what they do.
pub struct Checks {
    options: FileOptions,
    /// The configuration that runs.
    config: Mutex<Arc<Config>>,
    started: Instant,
    monitor: Mutex<Monitor>,
    checker: Mutex<Checker>,
    /// For checks on the way of clients' packets.
    ways: Arc<dyn Ways>,
    teller: Mutex<Teller>,
    /// The services that the file makes.
    keys: Mutex<HashSet<ServiceKey>>,
    /// Held while the wanted state is being brought up to the monitor's.
    applying: tokio::sync::Mutex<()>,
    /// Told when destinations may have changed.
    changed: Notify,
    /// Told when there are other checks.
    configured: Notify,
    /// When it was last told that checks cannot be run.
    told_of_want: Mutex<Option<Instant>>,
}

/// Makes the file's virtual servers and begins its checks.
///
/// # Errors
/// When the director refuses a part of it.
pub async fn start(configured: Configured, shared: &Arc<Shared>) -> Result<()> {
    for warning in &configured.warnings {
        warn!("{warning}");
    }
    let sessions = configured.sessions;
    shared.neighbours.follow(sessions, seed()).await?;
    shared.virtual_routers.follow(configured.plan).await?;
    let there = if configured.options.parts.checks {
        let state = shared.lock();
        let services = state.director.wanted().services();
        services.map(|wanted| wanted.service().key).collect()
    } else {
        // They are somebody else's.
        HashSet::new()
    };
    let checks = Arc::new(Checks {
        options: configured.options,
        started: Instant::now(),
        monitor: Mutex::default(),
        checker: Mutex::new(configured.checker.with_ways(shared.clone())),
        ways: shared.clone(),
        teller: Mutex::new(Teller::new(&configured.config, configured.owner, None)),
        config: Mutex::new(Arc::new(configured.config)),
        keys: Mutex::new(there),
        applying: tokio::sync::Mutex::new(()),
        changed: Notify::new(),
        configured: Notify::new(),
        told_of_want: Mutex::default(),
    });
    let config = checks.config();
    checks.configure(&config, shared);
    checks.apply(shared).await;
    if config.globals.rs_init_notifies {
        lock(&checks.teller).begin(&lock(&checks.monitor));
    }
    shared.set_checks(checks.clone());
    tokio::spawn(checks.clone().run());
    tokio::spawn(checks.clone().follow_sessions(shared.clone()));
    tokio::spawn(checks.clone().follow(shared.clone()));
    tokio::spawn(checks.follow_addresses(shared.clone()));
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is whole between any two calls.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Checks {
    /// The configuration that runs.
    pub fn config(&self) -> Arc<Config> {
        lock(&self.config).clone()
    }

    /// How all servers are.
    pub fn status(&self) -> Vec<health::VirtualServerStatus> {
        lock(&self.monitor).status()
    }

    /// Reads the file again, and carries out what is different in one transaction.
    ///
    /// # Errors
    /// When it is wrong: nothing has changed then.
    pub async fn reload(&self, shared: &Shared) -> Result<api::Reloaded, api::Problem> {
        let configured = Configured::beside(self.options.clone()).await?;
        // First, since they are the only parts that may be refused now.
        let sessions = shared.neighbours.follow(configured.sessions, seed()).await;
        sessions.map_err(|error| api::Problem::new(format!("{error:#}")))?;
        let followed = shared.virtual_routers.follow(configured.plan).await;
        followed.map_err(|error| api::Problem::new(format!("{error:#}")))?;
        *lock(&self.checker) = configured.checker.with_ways(self.ways.clone());
        {
            let mut teller = lock(&self.teller);
            let before = std::mem::take(&mut *teller);
            *teller = Teller::new(&configured.config, configured.owner, Some(before));
        }
        self.configure(&configured.config, shared);
        *lock(&self.config) = Arc::new(configured.config);
        for event in shared.neighbours.told().await {
            self.session_is(&event, shared).await;
        }
        let changes = self.apply(shared).await;
        Ok(api::Reloaded {
            changes,
            warnings: configured.warnings,
        })
    }

    /// What a reload would change, were a file the configuration. Nothing changes.
    ///
    /// # Errors
    /// When the file is wrong.
    pub async fn difference(
        &self,
        shared: &Shared,
        request: api::DifferenceRequest,
    ) -> Result<api::Difference, api::Problem> {
        let own = self.options.clone();
        let configured = Configured::beside(FileOptions {
            file: request.file.unwrap_or(own.file),
            config_id: request.config_id.or(own.config_id),
            parts: own.parts,
        })
        .await?;
        let before = self.config();
        let mut monitor = lock(&self.monitor).clone();
        let now = self.started.elapsed();
        let compared = tokio::task::spawn_blocking(move || {
            let after = &configured.config;
            monitor.configure(&after.virtual_servers, now, || 0);
            (
                config::difference(&before, after),
                CheckChanges::between(&before, after),
                paired(monitor.services()),
            )
        });
        let (changes, checks, services) = compared
            .await
            .map_err(|error| api::Problem::new(error.to_string()))?;
        let there = lock(&self.keys).clone();
        let commands = control::difference(shared.lock().director.wanted(), &services, there);
        Ok(api::Difference {
            changes,
            commands,
            checks,
            warnings: configured.warnings,
        })
    }

    fn configure(&self, config: &Config, shared: &Shared) {
        let timeouts = config.globals.lvs_timeouts;
        let change = TimeoutChange {
            tcp: timeouts.tcp,
            tcp_fin: timeouts.tcp_fin,
            udp: timeouts.udp,
        };
        if (change.tcp, change.tcp_fin, change.udp) != (None, None, None) {
            shared.lock().director.set_timeouts(change);
        }
        let mut random = seed();
        lock(&self.monitor).configure(&config.virtual_servers, self.started.elapsed(), || {
            // SplitMix64's step is enough to scatter first runs.
            random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            (random ^ (random >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
        });
        self.suspend(shared);
        self.configured.notify_one();
    }

    /// Brings the director up to what the monitor wants, in one transaction. How many changes that
    /// took.
    async fn apply(&self, shared: &Shared) -> usize {
        let _one_at_a_time = self.applying.lock().await;
        let services = paired(lock(&self.monitor).services());
        let keys = services.iter().map(|(service, _)| service.key).collect();
        let before = std::mem::replace(&mut *lock(&self.keys), keys);
        let commands = {
            let state = shared.lock();
            control::difference(state.director.wanted(), &services, before)
        };
        if commands.is_empty() {
            return 0;
        }
        accepted(&shared.carry_out(&commands).await)
    }

    /// Brings the services that checks have changed up to what the monitor wants, in one
    /// transaction.
    async fn apply_changed(&self, shared: &Shared) {
        let _one_at_a_time = self.applying.lock().await;
        let services = paired(lock(&self.monitor).take_changed());
        let commands = control::difference(shared.lock().director.wanted(), &services, []);
        if !commands.is_empty() {
            accepted(&shared.carry_out_found(&commands));
        }
    }

    /// Carries out what checks change. Changes that come while one is carried out are one.
    async fn follow(self: Arc<Self>, shared: Arc<Shared>) {
        loop {
            self.changed.notified().await;
            self.apply_changed(&shared).await;
        }
    }

    /// Lets checks of servers with `ha_suspend` rest while their addresses are elsewhere.
    async fn follow_addresses(self: Arc<Self>, shared: Arc<Shared>) {
        let mut clock = tokio::time::interval(LOOK_FOR_ADDRESSES);
        loop {
            clock.tick().await;
            if self.suspend(&shared) {
                self.configured.notify_one();
            }
        }
    }

    /// Whether there is anything to suspend.
    fn suspend(&self, shared: &Shared) -> bool {
        let mut monitor = lock(&self.monitor);
        let is_needed = monitor.has_suspended();
        if is_needed {
            let state = shared.lock();
            let is_here = |address| state.snapshot.is_local(address);
            monitor.suspend(is_here, self.started.elapsed());
        }
        is_needed
    }

    /// Runs checks when they are due.
    async fn run(self: Arc<Self>) {
        let mut running: JoinSet<(CheckId, Outcome)> = JoinSet::new();
        loop {
            self.begin_due(&mut running);
            let now = self.started.elapsed();
            let next = lock(&self.monitor).poll_timeout();
            let pause = next.map_or(IDLE, |at| at.saturating_sub(now));
            tokio::select! {
                Some(done) = running.join_next() => match done {
                    Ok((id, outcome)) => self.finished(id, &outcome),
                    Err(error) => error!(%error, "a check ended without an outcome"),
                },
                () = tokio::time::sleep(pause) => {}
                () = self.configured.notified() => {}
            }
        }
    }

    /// Takes in what becomes of BFD sessions.
    async fn follow_sessions(self: Arc<Self>, shared: Arc<Shared>) {
        while let Some(event) = shared.neighbours.next().await {
            self.session_is(&event, &shared).await;
        }
    }

    /// Tells how a BFD session is to those who are checked by it, or track it.
    async fn session_is(&self, event: &bfd::Event, shared: &Shared) {
        shared.virtual_routers.bfd(&event.name, event.is_up).await;
        let outcome = match event.is_up {
            true => Outcome::Success { weight: None },
            false => Outcome::Failure(event.diagnostic.to_string()),
        };
        let mut monitor = lock(&self.monitor);
        monitor.bfd(&event.name, &outcome, self.started.elapsed());
        self.tell(&mut monitor);
    }

    fn begin_due(&self, running: &mut JoinSet<(CheckId, Outcome)>) {
        let checker = lock(&self.checker).clone();
        let mut monitor = lock(&self.monitor);
        while let Some((id, check)) = monitor.poll_start(self.started.elapsed()) {
            let (check, checker) = (check.clone(), checker.clone());
            running.spawn(async move { (id, checker.run(&check).await) });
        }
    }

    fn finished(&self, id: CheckId, outcome: &Outcome) {
        let mut monitor = lock(&self.monitor);
        if let (Outcome::Failure(why), Some(check)) = (outcome, monitor.check(id)) {
            let kind = check.kind.keyword();
            if check.log_all_failures {
                info!(check = id.0, kind, why, "a check failed");
            } else {
                debug!(check = id.0, kind, why, "a check failed");
            }
        }
        if let Outcome::NotAsked(why) = outcome {
            self.warn_of_want(why);
        }
        monitor.finished(id, outcome, self.started.elapsed());
        self.tell(&mut monitor);
    }

    /// Tells now and then that checks cannot be run here, whatever their servers do.
    fn warn_of_want(&self, why: &str) {
        let mut told = lock(&self.told_of_want);
        if told.is_none_or(|at| at.elapsed() > BETWEEN_WARNINGS) {
            warn!(
                why,
                "checks could not be run: their servers count as they were"
            );
            *told = Some(Instant::now());
        }
    }

    /// Tells what has happened, and has it carried out.
    fn tell(&self, monitor: &mut Monitor) {
        let teller = lock(&self.teller);
        while let Some(event) = monitor.poll_event() {
            teller.tell(&event, monitor);
        }
        if monitor.has_changed() {
            self.changed.notify_one();
        }
    }

    /// The daemon ends: those who asked for it (`omega') are told that servers go down.
    pub async fn end(&self) {
        let ended = {
            let (monitor, teller) = (lock(&self.monitor), lock(&self.teller));
            teller.end(&monitor)
        };
        for script in ended {
            let _done = tokio::time::timeout(Duration::from_secs(1), script).await;
        }
    }
}

/// How many commands were carried out; the others are told.
fn accepted(outcomes: &Outcomes) -> usize {
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        error!(%refused, "a part of the configuration file is not carried out");
    }
    outcomes.iter().filter(|outcome| outcome.is_ok()).count()
}

fn paired(services: Vec<health::Service>) -> Vec<(Service, Vec<Destination>)> {
    let services = services.into_iter();
    services
        .map(|service| (service.settings, service.destinations))
        .collect()
}

/// Different at every start.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.subsec_nanos().into())
}
