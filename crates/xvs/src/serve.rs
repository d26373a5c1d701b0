//! `xvs serve`: the daemon.

mod backend;
mod checks;
mod dump;
mod events;
mod explain;
mod fifo;
mod hook;
mod kernel_ipvs;
pub mod log;
mod memory;
mod metrics;
mod neighbours;
mod netfilter;
mod network;
mod notify;
pub mod options;
mod shared;
mod start;
pub mod state;
mod stop;
mod trace;
mod virtual_routers;
mod watch;
mod ways;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use control::connections::{SWEEP_EVERY, sweep_step};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch::{Receiver, channel};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::place::Place;
use crate::serve::network::Kernel;
use crate::serve::options::ServeOptions;
use crate::serve::shared::{Shared, State};
use crate::serve::state::DaemonLock;

/// Runs the daemon, or ends what one left behind.
pub fn main(options: ServeOptions) -> Result<ExitCode> {
    log::start(options.log_format);
    run(options)
}

/// Says what is wrong with the configuration file, before anything else is done.
///
/// # Errors
/// What is.
pub fn check_file(options: &ServeOptions) -> Result<()> {
    checks::Configured::read(options).map(drop)
}

/// Does it, where the log was started already.
pub fn run(options: ServeOptions) -> Result<ExitCode> {
    let place = Place::here(&options.state_dir)?;
    if options.stop_forwarding {
        stop::stop_forwarding(&place)?;
        return Ok(ExitCode::SUCCESS);
    }
    raise_limit_of_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(options, place))?;
    Ok(ExitCode::SUCCESS)
}

/// Lets the process open as many files as it may: each check that runs has a socket, and service
/// managers set 1024 for the sake of programs that use select(2).
fn raise_limit_of_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "the number of open files stays limited");
    }
}

async fn serve(options: ServeOptions, place: Place) -> Result<()> {
    state::make_folder(&place)?;
    let _lock = match DaemonLock::take(&place)? {
        Ok(lock) => lock,
        Err(held) => return Err(held.explained()),
    };
    kernel_ipvs::check()?;
    tokio::task::spawn_blocking(netfilter::check);
    // Nothing is touched for a file that is wrong.
    let configured = checks::Configured::read(&options)?;
    let options = Arc::new(options);
    let begun = start::begin(&options, place).await?;
    let shared = begun.shared;
    let (stop, stopped) = channel(false);
    let socket = start::listen(shared.place(), options.socket_group.as_deref())?;
    if let Some(address) = options.metrics_listen {
        serve_metrics(address, shared.clone(), wait(stopped.clone())).await?;
    }
    tokio::spawn(begun.watch.run());
    tokio::spawn(sweep(shared.clone()));
    tokio::spawn(estimate(shared.clone()));
    tokio::spawn(defend(shared.clone()));
    let has_file = configured.is_some();
    if let Some(configured) = configured {
        if options.dump {
            configured.dump();
        }
        checks::start(configured, &shared).await?;
    }
    // Whoever asks before waits until the file's configuration is there.
    let api = tokio::spawn(api::serve(
        socket.listener,
        shared.clone(),
        socket.group,
        wait(stopped.clone()),
    ));
    if !has_file && begun.read_rules {
        start::restore_rules(&options.rules, shared.place()).await;
    }
    tokio::spawn(notify::watchdog());
    notify::tell(notify::State::Ready);
    info!(namespace = shared.place().cookie, "ready");
    wait_for_signal(&shared).await?;
    notify::tell(notify::State::Stopping);
    if let Some(checks) = shared.checks() {
        checks.end().await;
    }
    shared.neighbours.end().await;
    if let Err(error) = shared.virtual_routers.end().await {
        warn!(
            error = format!("{error:#}"),
            "virtual routers did not end well"
        );
    }
    trace::end(&shared).await;
    shared.save(&shared.lock());
    info!("ending; forwarding goes on, until `xvs serve --stop-forwarding'");
    // Whoever still has a request open gets its answer, or an end.
    let _ = stop.send(true);
    let _in_time = tokio::time::timeout(Duration::from_secs(1), api).await;
    Ok(())
}

async fn wait(mut stopped: Receiver<bool>) {
    // The sender only goes when the program ends.
    let _ended = stopped.wait_for(|stopped| *stopped).await;
}

/// Until the daemon is to end. SIGHUP is a reload, SIGUSR1 and SIGUSR2 write files, as keepalived's.
async fn wait_for_signal(shared: &Shared) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut data = signal(SignalKind::user_defined1())?;
    let mut statistics = signal(SignalKind::user_defined2())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = data.recv() => dump::data(shared).await,
            _ = statistics.recv() => dump::statistics(shared).await,
            _ = hangup.recv() => match api::Backend::reload(shared).await {
                Ok(reloaded) => info!(changes = reloaded.changes, "reloaded"),
                Err(problem) => error!(%problem, "not reloaded: nothing has changed"),
            },
        }
    }
}

/// Frees connections that have died, all the time, so that the whole table's turn comes every few
/// seconds.
async fn sweep(shared: Arc<Shared>) {
    let step = sweep_step(shared.lock().director.plane());
    let mut clock = interval(SWEEP_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let mut state = shared.lock();
        let State {
            director, snapshot, ..
        } = &mut *state;
        if director.sweep(step, &Kernel(snapshot)) {
            shared.save(&state);
        }
    }
}

async fn estimate(shared: Arc<Shared>) {
    let mut clock = interval(Duration::from_secs(control::ESTIMATE_SECONDS.into()));
    loop {
        clock.tick().await;
        let mut state = shared.lock();
        state.director.estimate();
        shared.save_what_was_found(&state);
    }
}

/// Keeps the defence up to date with the memory that there is, every second as the kernel's IPVS does.
async fn defend(shared: Arc<Shared>) {
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        match memory::free_pages() {
            Ok(pages) => shared.lock().director.defend(pages),
            Err(error) => {
                error!(%error, "drop_entry, drop_packet and secure_tcp stay as they are");
                return;
            }
        }
    }
}

/// Serves the metrics, and nothing else, on a TCP address.
async fn serve_metrics(
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot serve metrics on {address}"))?;
    let metrics = move || async move { api::metrics_answer(&*shared) };
    let app = Router::new().route("/metrics", get(metrics));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app)
            .with_graceful_shutdown(stop)
            .await
        {
            error!(%error, "metrics are not served any more");
        }
    });
    Ok(())
}
