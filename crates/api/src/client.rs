//! The other programs' side: a director behind a socket.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use adm::{Connections, Director, DirectorError, Refused, Unavailable};
use bytes::Bytes;
use futures::future::select;
use http_body_util::channel::Sender;
use http_body_util::{BodyExt, Channel, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use model::{
    Command, DirectorInfo, ExplainRequest, MarkChange, MarkRules, Refusal, ServiceKey,
    ServiceStatus, SettingRequest, SettingStatus, SyncDaemon, SyncDaemonRequest, SyncRole,
    TimeoutChange, Timeouts, TraceNews, TraceRequest, TracedPacket,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::stream::{Stream, read_line};
use crate::{Difference, DifferenceRequest, Outcomes, Problem, Reloaded, Status, Zero, record};

/// A request's body: whole, or piece by piece.
type Body = Either<Full<Bytes>, Channel<Bytes>>;

/// Pieces of a body are about so long, in bytes.
const PIECE: usize = 1 << 16;

/// A director behind a Unix socket. Every call blocks until the answer is there.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    runtime: Option<Runtime>,
    connection: Option<SendRequest<Body>>,
}

impl Client {
    /// A client for the daemon at this socket; the connection is made when it is needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            runtime: None,
            connection: None,
        }
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn status(&mut self) -> Result<Status, DirectorError> {
        self.get("/v1/status")
    }

    /// How the servers of its configuration file are.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn health(&mut self) -> Result<Vec<health::VirtualServerStatus>, DirectorError> {
        self.get("/v1/health")
    }

    /// Has it read its configuration file again.
    ///
    /// # Errors
    /// When it cannot be reached, or the file is wrong: nothing has changed then.
    pub fn reload(&mut self) -> Result<Reloaded, DirectorError> {
        let bytes = self.exchange(Method::POST, "/v1/reload", Bytes::new())?;
        read(&bytes)
    }

    /// What would change if it read a configuration file now.
    ///
    /// # Errors
    /// When it cannot be reached, or the file is wrong.
    pub fn difference(&mut self, request: &DifferenceRequest) -> Result<Difference, DirectorError> {
        read(&self.send(Method::POST, "/v1/difference", request)?)
    }

    /// How its BFD sessions are.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn bfd(&mut self) -> Result<Vec<bfd::Status>, DirectorError> {
        self.get("/v1/bfd")
    }

    /// How the daemon's virtual routers are.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn vrrp(&mut self) -> Result<Vec<vrrp::Status>, DirectorError> {
        self.get("/v1/vrrp")
    }

    /// The daemon's metrics, in Prometheus' text format.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn metrics(&mut self) -> Result<String, DirectorError> {
        let bytes = self.exchange(Method::GET, "/metrics", Bytes::new())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The settings.
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub fn settings(&mut self) -> Result<Vec<SettingStatus>, DirectorError> {
        self.get("/v1/settings")
    }

    /// Changes settings, all or none.
    ///
    /// # Errors
    /// When one of them cannot be as it is asked for.
    pub fn set(&mut self, requests: &[SettingRequest]) -> Result<(), DirectorError> {
        self.send(Method::PATCH, "/v1/settings", &requests)
            .map(drop)
    }

    /// The rules that give packets marks.
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub fn marks(&mut self) -> Result<MarkRules, DirectorError> {
        self.get("/v1/marks")
    }

    /// Changes them.
    ///
    /// # Errors
    /// When they cannot be so.
    pub fn mark(&mut self, change: &MarkChange) -> Result<(), DirectorError> {
        self.send(Method::POST, "/v1/marks", change).map(drop)
    }

    /// Every change of the virtual routers' states, as it happens.
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub fn vrrp_events(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<vrrp::Event, DirectorError>> + '_, DirectorError> {
        let accept = (header::ACCEPT, "application/x-ndjson");
        self.stream("/v1/vrrp/events", accept, read_line)
    }

    /// What becomes of packets, as it happens.
    ///
    /// # Errors
    /// When the daemon cannot be reached, or cannot trace so.
    pub fn trace(
        &mut self,
        request: &TraceRequest,
    ) -> Result<impl Iterator<Item = Result<TraceNews, DirectorError>> + '_, DirectorError> {
        let body = serde_json::to_vec(request).map_err(|error| broken(&error))?;
        let kind = (header::CONTENT_TYPE, "application/json");
        let response = self.request(Method::POST, "/v1/trace", kind, body.into())?;
        self.stream_of(response, read_line)
    }

    /// What would become of a packet, hook by hook. Nothing changes.
    ///
    /// # Errors
    /// When the daemon cannot be reached, or there is no way for the packet to come.
    pub fn explain(
        &mut self,
        request: &ExplainRequest,
    ) -> Result<Vec<TracedPacket>, DirectorError> {
        let bytes = self.send(Method::POST, "/v1/explain", request)?;
        read(&bytes)
    }

    fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, DirectorError> {
        let bytes = self.exchange(Method::GET, path, Bytes::new())?;
        read(&bytes)
    }

    fn send(
        &mut self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Bytes, DirectorError> {
        let body = serde_json::to_vec(body).map_err(|error| broken(&error))?;
        self.exchange(method, path, body.into())
    }

    /// Sends a request and returns the body of a good answer.
    fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, DirectorError> {
        let kind = (header::CONTENT_TYPE, "application/json");
        let response = self.request(method, path, kind, body)?;
        self.body(response)
    }

    /// The body of a good answer.
    fn body(&mut self, response: Response<Incoming>) -> Result<Bytes, DirectorError> {
        let status = response.status();
        let runtime = self.runtime()?;
        let collected = runtime.block_on(response.into_body().collect());
        let bytes = collected.map_err(|error| broken(&error))?.to_bytes();
        if status.is_success() {
            return Ok(bytes);
        }
        Err(failure(status, &bytes))
    }

    fn request(
        &mut self,
        method: Method,
        path: &str,
        header: (HeaderName, &str),
        body: Bytes,
    ) -> Result<Response<Incoming>, DirectorError> {
        let body = Either::Left(Full::new(body));
        self.converse(request(method, path, header, body)?, async {})
    }

    /// Sends a request while `feed` sees to its body, and returns the beginning of the answer.
    fn converse(
        &mut self,
        request: Request<Body>,
        feed: impl Future<Output = ()>,
    ) -> Result<Response<Incoming>, DirectorError> {
        self.open()?;
        let (Some(connection), Some(runtime)) = (&mut self.connection, &self.runtime) else {
            return Err(broken(&"the connection is closed"));
        };
        let answer = runtime.block_on(async {
            connection.ready().await?;
            let answer = pin!(connection.send_request(request));
            // Whoever has the answer already need not be told more.
            match select(answer, pin!(feed)).await {
                futures::future::Either::Left((answer, _)) => answer,
                futures::future::Either::Right(((), answer)) => answer.await,
            }
        });
        answer.map_err(|error| {
            self.connection = None;
            broken(&error)
        })
    }

    /// Asks for a list that is read as it comes.
    fn stream<T, R>(
        &mut self,
        path: &str,
        accept: (HeaderName, &str),
        read: R,
    ) -> Result<impl Iterator<Item = Result<T, DirectorError>> + use<'_, T, R>, DirectorError>
    where
        R: Fn(&[u8]) -> Option<(Result<T, DirectorError>, usize)>,
    {
        let response = self.request(Method::GET, path, accept, Bytes::new())?;
        self.stream_of(response, read)
    }

    /// An answer that is a list, read as it comes.
    fn stream_of<T, R>(
        &mut self,
        response: Response<Incoming>,
        read: R,
    ) -> Result<impl Iterator<Item = Result<T, DirectorError>> + use<'_, T, R>, DirectorError>
    where
        R: Fn(&[u8]) -> Option<(Result<T, DirectorError>, usize)>,
    {
        if !response.status().is_success() {
            let failed = self.body(response).map(drop);
            return Err(failed.err().unwrap_or_else(|| broken(&"no list came")));
        }
        // Whoever stops reading leaves the rest of the answer in the way of the next one.
        self.connection = None;
        let mut body = response.into_body();
        let runtime = self.runtime()?;
        let next = move || loop {
            match runtime.block_on(body.frame())? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(broken(&error))),
            }
        };
        Ok(Stream::new(next, read))
    }

    fn open(&mut self) -> Result<(), Unavailable> {
        if self
            .connection
            .as_ref()
            .is_some_and(|connection| !connection.is_closed())
        {
            return Ok(());
        }
        let path = self.path.clone();
        let connected = self.runtime()?.block_on(async {
            let stream = UnixStream::connect(&path).await?;
            let (connection, driver) = handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            tokio::spawn(driver);
            Ok(connection)
        });
        self.connection = Some(connected.map_err(|error| unreachable(&self.path, &error))?);
        Ok(())
    }

    fn runtime(&mut self) -> Result<&Runtime, Unavailable> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => Builder::new_current_thread()
                .enable_io()
                .build()
                .map_err(|error| unreachable(&self.path, &error))?,
        };
        Ok(self.runtime.insert(runtime))
    }
}

fn request(
    method: Method,
    path: &str,
    (name, value): (HeaderName, &str),
    body: Body,
) -> Result<Request<Body>, DirectorError> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "xvs")
        .header(name, value)
        .body(body)
        .map_err(|error| broken(&error))
}

/// Sends commands, one a line, until they end or nobody wants more.
async fn send_lines(mut sender: Sender<Bytes>, commands: &mut dyn Iterator<Item = Command>) {
    let mut piece = Vec::new();
    for command in commands {
        // Plain data with text keys is always JSON.
        if serde_json::to_writer(&mut piece, &command).is_ok() {
            piece.push(b'\n');
        }
        if piece.len() >= PIECE
            && sender
                .send_data(std::mem::take(&mut piece).into())
                .await
                .is_err()
        {
            return;
        }
    }
    // An error means that the answer is there already.
    let _unwanted = sender.send_data(piece.into()).await;
}

pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DirectorError> {
    serde_json::from_slice(bytes).map_err(|error| broken(&error))
}

/// What a bad answer says.
fn failure(status: StatusCode, body: &[u8]) -> DirectorError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem {
            refusal: Some(refusal),
            ..
        }) => refusal.into(),
        Ok(problem) => {
            let (reason, hint) = split_hint(&problem.message);
            Unavailable { reason, hint }.into()
        }
        Err(_) => broken(&format!("the daemon answers `{status}'")),
    }
}

/// Why a change was refused, in IPVS's words and in the daemon's.
fn refused(problem: &Problem) -> Refused {
    let refusal = problem.refusal.unwrap_or(Refusal::Unsupported);
    if problem.message == refusal.to_string() {
        return refusal.into();
    }
    let hint = problem.message.replace("\nhint: ", ": ");
    Refused { refusal, hint }
}

fn split_hint(message: &str) -> (String, String) {
    let (reason, hint) = message.split_once("\nhint: ").unwrap_or((message, ""));
    (reason.to_owned(), hint.to_owned())
}

/// The daemon was there, and the conversation failed.
pub(crate) fn broken(error: &impl ToString) -> DirectorError {
    Unavailable {
        reason: error.to_string(),
        hint: "Look into the daemon's log, and whether this program is of the same version."
            .to_owned(),
    }
    .into()
}

/// The daemon is not there, or may not be spoken to.
fn unreachable(path: &Path, error: &io::Error) -> Unavailable {
    let (reason, hint) = match error.kind() {
        // These words are all that `ipvsadm' says.
        io::ErrorKind::PermissionDenied => (Refusal::Forbidden.to_string(), String::new()),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => (
            "Protocol not available".to_owned(),
            "No director runs in this network namespace: start `xvs serve'.".to_owned(),
        ),
        _ => (
            error.to_string(),
            format!("It should listen at {}.", path.display()),
        ),
    };
    Unavailable { reason, hint }
}

impl Director for Client {
    fn connect(&mut self) -> Result<(), Unavailable> {
        self.open()
    }

    fn info(&mut self) -> Result<DirectorInfo, DirectorError> {
        self.get("/v1/info")
    }

    fn apply_all(
        &mut self,
        commands: &mut dyn Iterator<Item = Command>,
    ) -> Result<Vec<Result<(), Refused>>, DirectorError> {
        let (sender, body) = Channel::new(2);
        let kind = (header::CONTENT_TYPE, "application/x-ndjson");
        let body = Either::Right(body);
        let request = request(Method::POST, "/v1/transactions", kind, body)?;
        let response = self.converse(request, send_lines(sender, commands))?;
        let outcomes: Outcomes = read(&self.body(response)?)?;
        let results = outcomes.outcomes.into_iter();
        Ok(results
            .map(|outcome| {
                outcome
                    .problem
                    .map_or(Ok(()), |problem| Err(refused(&problem)))
            })
            .collect())
    }

    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), DirectorError> {
        self.send(Method::POST, "/v1/zero", &Zero { service })
            .map(drop)
    }

    fn services(&mut self) -> Result<Vec<ServiceStatus>, DirectorError> {
        let accept = (header::ACCEPT, "application/x-ndjson");
        self.stream("/v1/services", accept, read_line)?.collect()
    }

    fn service(&mut self, key: ServiceKey) -> Result<ServiceStatus, DirectorError> {
        let key = key
            .to_string()
            .replace(' ', "%20")
            .replace('[', "%5B")
            .replace(']', "%5D");
        self.get(&format!("/v1/service?key={key}"))
    }

    fn connections(&mut self) -> Result<Connections<'_>, DirectorError> {
        let accept = (header::ACCEPT, record::CONTENT_TYPE);
        let read = |bytes: &[u8]| record::read(bytes).map(|(entry, length)| (Ok(entry), length));
        Ok(Box::new(self.stream("/v1/connections", accept, read)?))
    }

    fn timeouts(&mut self) -> Result<Timeouts, DirectorError> {
        self.get("/v1/timeouts")
    }

    fn set_timeouts(&mut self, change: TimeoutChange) -> Result<(), DirectorError> {
        self.send(Method::PATCH, "/v1/timeouts", &change).map(drop)
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, DirectorError> {
        self.get("/v1/sync-daemons")
    }

    fn start_daemon(&mut self, request: SyncDaemonRequest) -> Result<(), DirectorError> {
        self.send(Method::POST, "/v1/sync-daemons", &request)
            .map(drop)
    }

    fn stop_daemon(&mut self, role: SyncRole) -> Result<(), DirectorError> {
        let path = format!("/v1/sync-daemons/{role}");
        self.exchange(Method::DELETE, &path, Bytes::new()).map(drop)
    }
}
