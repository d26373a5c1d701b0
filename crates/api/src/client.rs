//! The other programs' side: a director behind a socket.

use std::io;
use std::path::{Path, PathBuf};

use adm::{Connections, Director, DirectorError, Unavailable};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use model::{
    Command, ConnectionEntry, DirectorInfo, MarkChange, MarkRules, Refusal, ServiceKey,
    ServiceStatus, SettingRequest, SettingStatus, SyncDaemon, SyncDaemonRequest, SyncRole,
    TimeoutChange, Timeouts,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::{Outcomes, Problem, Reloaded, Status, Transaction, Zero};

/// A director behind a Unix socket. Every call blocks until the answer is there.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    runtime: Option<Runtime>,
    connection: Option<SendRequest<Full<Bytes>>>,
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
        let response = self.request(method, path, body)?;
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
        body: Bytes,
    ) -> Result<Response<Incoming>, DirectorError> {
        self.open()?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "xvs")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| broken(&error))?;
        let Some(connection) = &mut self.connection else {
            return Err(broken(&"the connection is closed"));
        };
        let Some(runtime) = &self.runtime else {
            return Err(broken(&"the connection is closed"));
        };
        let answer = runtime.block_on(async {
            connection.ready().await?;
            connection.send_request(request).await
        });
        answer.map_err(|error| {
            self.connection = None;
            broken(&error)
        })
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

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DirectorError> {
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

fn split_hint(message: &str) -> (String, String) {
    let (reason, hint) = message.split_once("\nhint: ").unwrap_or((message, ""));
    (reason.to_owned(), hint.to_owned())
}

/// The daemon was there, and the conversation failed.
fn broken(error: &impl ToString) -> DirectorError {
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
        commands: Vec<Command>,
    ) -> Result<Vec<Result<(), Refusal>>, DirectorError> {
        let body = self.send(Method::POST, "/v1/transactions", &Transaction { commands })?;
        let outcomes: Outcomes = read(&body)?;
        let refusal = |problem: Problem| problem.refusal.unwrap_or(Refusal::Unsupported);
        let results = outcomes.outcomes.into_iter();
        Ok(results
            .map(|outcome| outcome.problem.map_or(Ok(()), |p| Err(refusal(p))))
            .collect())
    }

    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), DirectorError> {
        self.send(Method::POST, "/v1/zero", &Zero { service })
            .map(drop)
    }

    fn services(&mut self) -> Result<Vec<ServiceStatus>, DirectorError> {
        self.get("/v1/services")
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
        let response = self.request(Method::GET, "/v1/connections", Bytes::new())?;
        // Whoever stops reading leaves the rest of the answer in the way of the next one.
        self.connection = None;
        let status = response.status();
        let mut body = response.into_body();
        let runtime = self.runtime()?;
        if !status.is_success() {
            let collected = runtime
                .block_on(body.collect())
                .map_err(|error| broken(&error))?;
            return Err(failure(status, &collected.to_bytes()));
        }
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
        Ok(Box::new(Lines {
            next,
            text: Vec::new(),
            taken: 0,
            ended: false,
        }))
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

/// Connections out of a stream of text, one a line.
struct Lines<F> {
    /// The next piece of text; `None` at its end.
    next: F,
    text: Vec<u8>,
    /// Bytes of `text` that were read already.
    taken: usize,
    ended: bool,
}

impl<F: FnMut() -> Option<Result<Bytes, DirectorError>>> Iterator for Lines<F> {
    type Item = Result<ConnectionEntry, DirectorError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let rest = &self.text[self.taken..];
            if let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                let entry = read(&rest[..end]);
                self.taken += end + 1;
                return Some(entry);
            }
            self.text.drain(..self.taken);
            self.taken = 0;
            match (self.next)() {
                Some(Ok(data)) => self.text.extend_from_slice(&data),
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                None => self.ended = true,
            }
        }
        None
    }
}
