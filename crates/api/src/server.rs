//! The daemon's side.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequest, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures::{StreamExt as _, stream};
use model::{
    Command, ConnectionEntry, DirectorInfo, ExplainRequest, MarkChange, MarkRules, Refusal,
    ServiceKey, ServiceStatus, SettingRequest, SettingStatus, SyncDaemon, SyncDaemonRequest,
    SyncRole, TimeoutChange, Timeouts, TraceNews, TraceRequest, TracedPacket,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc::Receiver;

use crate::{
    Difference, DifferenceRequest, Outcome, Outcomes, Peer, Problem, Reloaded, Status, Zero, record,
};

/// The content type of a JSON object a line.
const NDJSON: &str = "application/x-ndjson";

/// How many services are sent at a time.
const SERVICES_AT_ONCE: usize = 64;

/// No command takes more bytes than this.
const LONGEST_LINE: usize = 1 << 16;

/// What requests are carried out on.
pub trait Backend: Send + Sync + 'static {
    /// What the director says about itself.
    fn info(&self) -> DirectorInfo;

    /// Carries out changes as one transaction. May take a moment longer than the change itself, so
    /// that what was added works when it returns.
    fn transact(
        &self,
        commands: Vec<Command>,
    ) -> impl Future<Output = Vec<Result<(), Problem>>> + Send;

    /// All services.
    fn services(&self) -> Vec<ServiceStatus>;

    /// One service.
    fn service(&self, key: &ServiceKey) -> Option<ServiceStatus>;

    /// Zeroes counters.
    ///
    /// # Errors
    /// When there is no such service.
    fn zero(&self, service: Option<ServiceKey>) -> Result<(), Problem>;

    /// Connections: the `part`th part of the table. `None` past its end.
    fn connections(&self, part: u32) -> Option<Vec<ConnectionEntry>>;

    /// The timeouts.
    fn timeouts(&self) -> Timeouts;

    /// Changes timeouts.
    fn set_timeouts(&self, change: TimeoutChange);

    /// The settings.
    fn settings(&self) -> Vec<SettingStatus>;

    /// Changes settings, all or none.
    ///
    /// # Errors
    /// When one of them cannot be as it is asked for.
    fn set(&self, requests: &[SettingRequest]) -> Result<(), Problem>;

    /// The rules that give packets marks.
    fn marks(&self) -> MarkRules;

    /// Changes them.
    ///
    /// # Errors
    /// When they cannot be so.
    fn mark(&self, change: &MarkChange) -> Result<(), Problem>;

    /// The sync daemons.
    fn daemons(&self) -> Vec<SyncDaemon>;

    /// Starts a sync daemon.
    ///
    /// # Errors
    /// When IPVS would refuse it.
    fn start_daemon(&self, request: SyncDaemonRequest) -> Result<(), Problem>;

    /// Stops a sync daemon.
    ///
    /// # Errors
    /// When none of this role runs.
    fn stop_daemon(&self, role: SyncRole) -> Result<(), Problem>;

    /// How the servers of the configuration file are.
    fn health(&self) -> Vec<health::VirtualServerStatus>;

    /// Reads the configuration file again and carries out what is different.
    fn reload(&self) -> impl Future<Output = Result<Reloaded, Problem>> + Send;

    /// What would change if it read a configuration file now. Nothing does.
    fn difference(
        &self,
        request: DifferenceRequest,
    ) -> impl Future<Output = Result<Difference, Problem>> + Send;

    /// How the daemon is.
    fn status(&self) -> Status;

    /// How its BFD sessions are.
    fn bfd(&self) -> impl Future<Output = Vec<bfd::Status>> + Send;

    /// Every change of its virtual routers' states from now on.
    fn vrrp_events(&self) -> broadcast::Receiver<vrrp::Event>;

    /// How its virtual routers are.
    fn vrrp(&self) -> impl Future<Output = Vec<vrrp::Status>> + Send;

    /// Its metrics in Prometheus' text format.
    fn metrics(&self) -> String;

    /// Tells what becomes of packets, until the receiver is dropped.
    fn trace(
        self: Arc<Self>,
        request: TraceRequest,
    ) -> impl Future<Output = Result<Receiver<TraceNews>, Problem>> + Send;

    /// What would become of a packet, at one hook after the other.
    ///
    /// # Errors
    /// When there is no way for it to come.
    fn explain(&self, request: &ExplainRequest) -> Result<Vec<TracedPacket>, Problem>;
}

/// Answers requests on a socket until `stop` is ready. Members of `group`, if there is one, and
/// root may make changes.
///
/// # Errors
/// When the socket fails.
pub async fn serve<B: Backend>(
    listener: UnixListener,
    backend: Arc<B>,
    group: Option<u32>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let guard = middleware::from_fn(move |peer, request, next| admit(group, peer, request, next));
    let app = routes(backend)
        .layer(guard)
        .into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await
}

/// Lets requests pass that change nothing, and those of peers that may change things.
async fn admit(
    group: Option<u32>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::GET || peer.may_write(group) {
        next.run(request).await
    } else {
        Problem::from(Refusal::Forbidden).into_response()
    }
}

fn routes<B: Backend>(backend: Arc<B>) -> Router {
    Router::new()
        .route("/v1/info", get(info::<B>))
        .route("/v1/transactions", post(transact::<B>))
        .route("/v1/services", get(services::<B>))
        .route("/v1/service", get(service::<B>))
        .route("/v1/zero", post(zero::<B>))
        .route("/v1/connections", get(connections::<B>))
        .route("/v1/timeouts", get(timeouts::<B>).patch(set_timeouts::<B>))
        .route("/v1/settings", get(settings::<B>).patch(set::<B>))
        .route("/v1/marks", get(marks::<B>).post(mark::<B>))
        .route(
            "/v1/sync-daemons",
            get(daemons::<B>).post(start_daemon::<B>),
        )
        .route("/v1/sync-daemons/{role}", delete(stop_daemon::<B>))
        .route("/v1/health", get(health::<B>))
        .route("/v1/reload", post(reload::<B>))
        .route("/v1/difference", post(difference::<B>))
        .route("/v1/status", get(status::<B>))
        .route("/v1/bfd", get(bfd::<B>))
        .route("/v1/vrrp", get(vrrp::<B>))
        .route("/v1/vrrp/events", get(vrrp_events::<B>))
        .route("/v1/trace", post(trace::<B>))
        .route("/v1/explain", post(explain::<B>))
        .route("/metrics", get(metrics::<B>))
        .fallback(unknown)
        .with_state(backend)
}

type Director<B> = State<Arc<B>>;

/// A JSON body; what is wrong with one is told as a [`Problem`].
struct Given<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| Problem::new(format!("the request's body: {error}")))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::new(format!("the request's body: {error}")))
    }
}

async fn info<B: Backend>(State(director): Director<B>) -> Json<DirectorInfo> {
    Json(director.info())
}

async fn transact<B: Backend>(
    State(director): Director<B>,
    body: Body,
) -> Result<Json<Outcomes>, Problem> {
    let outcomes = director.transact(commands(body).await?).await;
    Ok(Json(Outcomes {
        outcomes: outcomes.into_iter().map(Outcome::from).collect(),
    }))
}

/// The commands of a transaction, one a line. They are read as they come: there may be many.
async fn commands(body: Body) -> Result<Vec<Command>, Problem> {
    let mut pieces = body.into_data_stream();
    let mut commands = Vec::new();
    let mut text = Vec::new();
    loop {
        let piece = pieces.next().await.transpose();
        let piece = piece.map_err(|error| Problem::new(format!("the request's body: {error}")))?;
        let (whole, is_last) = match &piece {
            Some(piece) => {
                text.extend_from_slice(piece);
                let end = text.iter().rposition(|&byte| byte == b'\n');
                (end.map_or(0, |end| end + 1), false)
            }
            None => (text.len(), true),
        };
        for line in text[..whole].split(|&byte| byte == b'\n') {
            if !line.is_empty() {
                commands.push(command(line, commands.len())?);
            }
        }
        if is_last {
            return Ok(commands);
        }
        text.drain(..whole);
        if text.len() > LONGEST_LINE {
            return Err(Problem::new(format!(
                "command {} is longer than {LONGEST_LINE} bytes\nhint: one command a line",
                commands.len() + 1
            )));
        }
    }
}

fn command(line: &[u8], before: usize) -> Result<Command, Problem> {
    serde_json::from_slice(line)
        .map_err(|error| Problem::new(format!("command {}: {error}", before + 1)))
}

/// All services at one moment, a JSON object a line.
async fn services<B: Backend>(State(director): Director<B>) -> Response {
    let services = stream::iter(director.services()).chunks(SERVICES_AT_ONCE);
    let pieces = services.map(|services| {
        let mut bytes = Vec::new();
        services.iter().for_each(|s| write_line(&mut bytes, s));
        Ok::<Bytes, Infallible>(bytes.into())
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(pieces)).into_response()
}

#[derive(Deserialize)]
struct Which {
    key: String,
}

async fn service<B: Backend>(
    State(director): Director<B>,
    Query(which): Query<Which>,
) -> Result<Json<ServiceStatus>, Problem> {
    let key: ServiceKey = which
        .key
        .parse()
        .map_err(|error: model::ParseKeyError| Problem::new(error.to_string()))?;
    let status = director
        .service(&key)
        .ok_or(Problem::from(Refusal::NoSuchService))?;
    Ok(Json(status))
}

async fn zero<B: Backend>(
    State(director): Director<B>,
    Given(zero): Given<Zero>,
) -> Result<StatusCode, Problem> {
    director.zero(zero.service)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Connections, sent as the table is read, for there may be millions: as records where these are
/// asked for, else a JSON object a line.
async fn connections<B: Backend>(State(director): Director<B>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT);
    let (kind, write): (_, fn(&mut Vec<u8>, &ConnectionEntry)) =
        match accepted.is_some_and(|accepted| accepted == record::CONTENT_TYPE) {
            true => (record::CONTENT_TYPE, record::write),
            false => (NDJSON, write_line),
        };
    let parts = stream::unfold((director, 0), move |(director, part)| async move {
        let mut bytes = Vec::new();
        for entry in &director.connections(part)? {
            write(&mut bytes, entry);
        }
        // Others have their turn between two parts.
        tokio::task::yield_now().await;
        Some((Ok::<Bytes, Infallible>(bytes.into()), (director, part + 1)))
    });
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(parts)).into_response()
}

fn write_line<T: Serialize>(into: &mut Vec<u8>, thing: &T) {
    // Plain data with text keys is always JSON.
    if serde_json::to_writer(&mut *into, thing).is_ok() {
        into.push(b'\n');
    }
}

/// How much news is sent in one piece.
const NEWS_AT_ONCE: usize = 64;

/// One piece of news a line, as it comes, for as long as somebody reads.
async fn trace<B: Backend>(
    State(director): Director<B>,
    Given(request): Given<TraceRequest>,
) -> Result<Response, Problem> {
    let news = director.trace(request).await?;
    let parts = stream::unfold(news, |mut news| async move {
        let mut some = Vec::new();
        if news.recv_many(&mut some, NEWS_AT_ONCE).await == 0 {
            return None;
        }
        let mut bytes = Vec::new();
        some.iter().for_each(|news| write_line(&mut bytes, news));
        Some((Ok::<Bytes, Infallible>(bytes.into()), news))
    });
    let kind = [(header::CONTENT_TYPE, NDJSON)];
    Ok((kind, Body::from_stream(parts)).into_response())
}

/// One change of state a line, as it happens, for as long as somebody reads.
async fn vrrp_events<B: Backend>(State(director): Director<B>) -> Response {
    let parts = stream::unfold(director.vrrp_events(), |mut events| async move {
        loop {
            match events.recv().await {
                Ok(event) => {
                    let mut bytes = Vec::new();
                    write_line(&mut bytes, &event);
                    return Some((Ok::<Bytes, Infallible>(bytes.into()), events));
                }
                // A reader who was late goes on with what is left.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, NDJSON)];
    (kind, Body::from_stream(parts)).into_response()
}

async fn explain<B: Backend>(
    State(director): Director<B>,
    Given(request): Given<ExplainRequest>,
) -> Result<Json<Vec<TracedPacket>>, Problem> {
    Ok(Json(director.explain(&request)?))
}

async fn timeouts<B: Backend>(State(director): Director<B>) -> Json<Timeouts> {
    Json(director.timeouts())
}

async fn set_timeouts<B: Backend>(
    State(director): Director<B>,
    Given(change): Given<TimeoutChange>,
) -> StatusCode {
    director.set_timeouts(change);
    StatusCode::NO_CONTENT
}

async fn settings<B: Backend>(State(director): Director<B>) -> Json<Vec<SettingStatus>> {
    Json(director.settings())
}

async fn set<B: Backend>(
    State(director): Director<B>,
    Given(requests): Given<Vec<SettingRequest>>,
) -> Result<StatusCode, Problem> {
    director.set(&requests)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn marks<B: Backend>(State(director): Director<B>) -> Json<MarkRules> {
    Json(director.marks())
}

async fn mark<B: Backend>(
    State(director): Director<B>,
    Given(change): Given<MarkChange>,
) -> Result<StatusCode, Problem> {
    director.mark(&change)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn daemons<B: Backend>(State(director): Director<B>) -> Json<Vec<SyncDaemon>> {
    Json(director.daemons())
}

async fn start_daemon<B: Backend>(
    State(director): Director<B>,
    Given(request): Given<SyncDaemonRequest>,
) -> Result<StatusCode, Problem> {
    director.start_daemon(request)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn stop_daemon<B: Backend>(
    State(director): Director<B>,
    Path(role): Path<SyncRole>,
) -> Result<StatusCode, Problem> {
    director.stop_daemon(role)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn health<B: Backend>(
    State(director): Director<B>,
) -> Json<Vec<health::VirtualServerStatus>> {
    Json(director.health())
}

async fn reload<B: Backend>(State(director): Director<B>) -> Result<Json<Reloaded>, Problem> {
    Ok(Json(director.reload().await?))
}

/// The daemon reads the file, and errors tell lines of it: files other than its own are for root.
async fn difference<B: Backend>(
    State(director): Director<B>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Given(request): Given<DifferenceRequest>,
) -> Result<Json<Difference>, Problem> {
    if request.file.is_some() && peer.user != Some(0) {
        return Err(Refusal::Forbidden.into());
    }
    Ok(Json(director.difference(request).await?))
}

async fn status<B: Backend>(State(director): Director<B>) -> Json<Status> {
    Json(director.status())
}

async fn bfd<B: Backend>(State(director): Director<B>) -> Json<Vec<bfd::Status>> {
    Json(director.bfd().await)
}

async fn vrrp<B: Backend>(State(director): Director<B>) -> Json<Vec<vrrp::Status>> {
    Json(director.vrrp().await)
}

async fn metrics<B: Backend>(State(director): Director<B>) -> Response {
    metrics_answer(&*director)
}

/// The answer with a director's metrics, for those who serve them elsewhere too.
pub fn metrics_answer(director: &impl Backend) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    (kind, director.metrics()).into_response()
}

async fn unknown(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("there is no `{method} {path}'\nhint: this daemon answers under /v1/");
    (StatusCode::NOT_FOUND, Json(Problem::new(message))).into_response()
}
