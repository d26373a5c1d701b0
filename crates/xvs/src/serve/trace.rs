//! Tracing: while anybody does, packets meet the programs that trace.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use abi::{TRACERS, TraceRecord};
use control::Plane as _;
use model::{TraceInterface, TraceNews, TraceRequest, TraceTally};
use nix::time::{ClockId, clock_gettime};
use plane_bpf::{TraceRecords, Tracing};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use crate::serve::shared::Shared;

/// News that may wait for a slow reader.
const WAITING: usize = 2048;
/// Records that are made readable before others have their turn.
const AT_ONCE: usize = 128;
/// Between two looks at the records. There is room for those of 90 000 packets a second.
const LOOK: Duration = Duration::from_millis(20);
/// Between two tallies.
const TALLY: Duration = Duration::from_secs(1);

/// Who traces.
#[derive(Default)]
pub struct Traces(tokio::sync::Mutex<Option<Running>>);

/// The programs that trace, in their places.
struct Running {
    tracing: Arc<Tracing>,
    tracers: Arc<Tracers>,
    reader: JoinHandle<()>,
}

/// Who is to be told, by number.
#[derive(Default)]
struct Tracers(Mutex<[Option<Tracer>; TRACERS as usize]>);

struct Tracer {
    news: Sender<TraceNews>,
    /// Packets that it did not read in time.
    unread: u64,
    /// What the tracers before it with its number were told.
    before: TraceTally,
}

/// Traces for whoever has the receiver, until it goes.
///
/// # Errors
/// When the request cannot be met.
pub async fn begin(
    shared: Arc<Shared>,
    request: TraceRequest,
) -> Result<Receiver<TraceNews>, api::Problem> {
    let mut running = shared.traces.0.lock().await;
    let active = match running.take() {
        Some(active) => active,
        None => Running::start(&shared).await?,
    };
    let asked = active.ask(&shared, &request);
    if asked.is_err() && active.tracers.is_empty() {
        active.stop(&shared);
    } else {
        *running = Some(active);
    }
    let (number, news, receiver) = asked?;
    drop(running);
    info!(number, ?request, "packets are traced");
    tokio::spawn(look_after(shared, number, news));
    Ok(receiver)
}

/// Ends all traces.
pub async fn end(shared: &Shared) {
    if let Some(active) = shared.traces.0.lock().await.take() {
        active.stop(shared);
    }
}

/// Tells a tracer the numbers, and ends its trace when it goes.
async fn look_after(shared: Arc<Shared>, number: usize, news: Sender<TraceNews>) {
    let mut clock = interval(TALLY);
    loop {
        tokio::select! {
            () = news.closed() => break,
            _ = clock.tick() => {
                let running = shared.traces.0.lock().await;
                let Some(tally) = running.as_ref().and_then(|active| active.tally(number)) else {
                    return;
                };
                // Also where nothing has changed: a reader that is gone is known by it. Whoever reads
                // slowly is told the next time.
                let _told = news.try_send(TraceNews::Tally(tally));
            }
        }
    }
    let mut running = shared.traces.0.lock().await;
    let Some(active) = running.take() else {
        return;
    };
    active.release(number);
    info!(number, "packets are not traced any more");
    if active.tracers.is_empty() {
        active.stop(&shared);
    } else {
        *running = Some(active);
    }
}

impl Running {
    async fn start(shared: &Arc<Shared>) -> Result<Self, api::Problem> {
        let folder = shared.place().folder();
        let loading = tokio::task::spawn_blocking(move || Tracing::load(&folder));
        let loaded = loading.await.map_err(|error| problem(&error))?;
        let (tracing, records) = loaded.map_err(|error| problem(&error))?;
        let tracing = Arc::new(tracing);
        let started = shared
            .lock()
            .director
            .plane()
            .start_tracing(tracing.clone());
        started.map_err(|error| problem(&error))?;
        let tracers = Arc::new(Tracers::default());
        let reader = tokio::spawn(read(shared.clone(), records, tracers.clone()));
        Ok(Self {
            tracing,
            tracers,
            reader,
        })
    }

    fn stop(self, shared: &Shared) {
        self.reader.abort();
        if let Err(error) = shared.lock().director.plane().stop_tracing() {
            error!(%error, "packets still meet the programs that trace: restart the daemon");
        }
    }

    /// Takes a tracer on: its number, and both ends of what it is told by.
    fn ask(
        &self,
        shared: &Shared,
        request: &TraceRequest,
    ) -> Result<(usize, Sender<TraceNews>, Receiver<TraceNews>), api::Problem> {
        let mut tracers = self.tracers.lock();
        let Some(number) = tracers.iter().position(Option::is_none) else {
            return Err(api::Problem::new(format!(
                "{TRACERS} traces run already\nhint: end one of them"
            )));
        };
        let state = shared.lock();
        let before = control::trace::tally(self.tracing.processors(), number);
        let filter = &self.tracing.filters()[number];
        control::trace::ask(filter, request, state.director.plane().hz())
            .map_err(|error| problem(&error))?;
        let interfaces = state
            .interfaces
            .iter()
            .map(|(&ifindex, taken)| TraceInterface {
                name: taken.name.clone(),
                ifindex,
            });
        let (news, receiver) = mpsc::channel(WAITING);
        // There is room: nobody has told anything yet.
        let _there_is_room = news.try_send(TraceNews::Begun(interfaces.collect()));
        tracers[number] = Some(Tracer {
            news: news.clone(),
            unread: 0,
            before,
        });
        Ok((number, news, receiver))
    }

    fn release(&self, number: usize) {
        self.tracing.filters()[number].active.store(0);
        self.tracers.lock()[number] = None;
    }

    /// What a tracer was told of, and what not.
    fn tally(&self, number: usize) -> Option<TraceTally> {
        let tracers = self.tracers.lock();
        let tracer = tracers[number].as_ref()?;
        let (now, before) = (
            control::trace::tally(self.tracing.processors(), number),
            tracer.before,
        );
        Some(TraceTally {
            matched: now.matched - before.matched,
            reported: (now.reported - before.reported).saturating_sub(tracer.unread),
            sampled_out: now.sampled_out - before.sampled_out,
            withheld: now.withheld - before.withheld,
            lost: now.lost - before.lost + tracer.unread,
        })
    }
}

impl Tracers {
    fn lock(&self) -> MutexGuard<'_, [Option<Tracer>; TRACERS as usize]> {
        // Each change is whole before and after every call that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().iter().all(Option::is_none)
    }

    /// Tells those whom a record is for.
    fn tell(&self, shared: &Shared, records: &[TraceRecord]) {
        if records.is_empty() {
            return;
        }
        let since_1970 = since_1970();
        let state = shared.lock();
        let view = state.director.plane().view();
        let name = |ifindex| Some(state.snapshot.link(ifindex)?.name.clone());
        let mut tracers = self.lock();
        for record in records {
            let packet = control::trace::told(record, &view, since_1970, name);
            for (number, tracer) in tracers.iter_mut().enumerate() {
                let Some(tracer) = tracer else { continue };
                let news = || TraceNews::Packet(Box::new(packet.clone()));
                let is_for = record.tracers.load() >> number & 1 != 0;
                if is_for && tracer.news.try_send(news()).is_err() {
                    tracer.unread += 1;
                }
            }
        }
    }
}

/// Reads records as they come, for ever.
async fn read(shared: Arc<Shared>, mut records: TraceRecords, tracers: Arc<Tracers>) {
    let mut clock = interval(LOOK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        loop {
            let some: Vec<_> = std::iter::from_fn(|| records.take())
                .take(AT_ONCE)
                .collect();
            tracers.tell(&shared, &some);
            if some.len() < AT_ONCE {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Nanoseconds from 1970 to the time that the kernel's monotonic clock counts from.
pub fn since_1970() -> u64 {
    nanoseconds(ClockId::CLOCK_REALTIME).wrapping_sub(now())
}

/// The kernel's monotonic clock, in nanoseconds.
pub fn now() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).map(Duration::from);
    now.map_or(0, |now| now.as_nanos() as u64)
}

fn problem(error: &impl ToString) -> api::Problem {
    api::Problem::new(error.to_string())
}
