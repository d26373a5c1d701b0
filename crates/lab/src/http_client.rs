//! The labs' web client: real requests over real TCP, from a host's namespace.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::definition::Request;
use crate::error::LabError;
use crate::netns::Namespace;
use crate::notation::Url;

/// How one request ended.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The client's address and port, once connected.
    pub client: Option<SocketAddr>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "detail")]
pub enum Outcome {
    /// A page came; this is who sent it, or the page itself if it does not say.
    From(String),
    /// Nothing came in time.
    TimedOut,
    /// The connection was refused.
    Refused,
    /// Something else.
    Failed(String),
}

impl Outcome {
    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::From(server) => format!("from {server}"),
            Self::TimedOut => "no answer in time".to_owned(),
            Self::Refused => "connection refused".to_owned(),
            Self::Failed(why) => why.clone(),
        }
    }
}

/// A connection that is left open. It closes when dropped.
#[derive(Debug)]
pub struct Held {
    connection: Option<Connection>,
    runtime: Runtime,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let Connection { sender, driver, .. } = connection;
        drop(sender);
        // The driver closes the socket once no more requests can come.
        let _ = self
            .runtime
            .block_on(async { timeout(Duration::from_secs(1), driver).await });
    }
}

/// Makes requests from a host. Returns the answers, in order of asking, and the connection left open.
pub fn get(from: &Namespace, request: &Request) -> Result<(Vec<Answer>, Option<Held>), LabError> {
    from.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| LabError::Program {
                program: "the web client".to_owned(),
                source,
            })?;
        let (answers, connection) = runtime.block_on(async {
            if request.keep_alive {
                one_connection(request).await
            } else if request.concurrent {
                (all_at_once(request).await, None)
            } else {
                (one_after_the_other(request).await, None)
            }
        });
        let connection = connection.filter(|_| request.hold.is_some());
        Ok((
            answers,
            Some(Held {
                connection,
                runtime,
            })
            .filter(|held| held.connection.is_some()),
        ))
    })?
}

/// Counts answers by who sent them.
pub fn count_servers(answers: &[Answer]) -> BTreeMap<String, u32> {
    answers.iter().fold(BTreeMap::new(), |mut counts, answer| {
        if let Outcome::From(server) = &answer.outcome {
            *counts.entry(server.clone()).or_default() += 1;
        }
        counts
    })
}

async fn one_after_the_other(request: &Request) -> Vec<Answer> {
    let mut answers = Vec::new();
    for _ in 0..request.times {
        answers.push(on_new_connection(&request.url, request.timeout).await);
    }
    answers
}

async fn all_at_once(request: &Request) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for _ in 0..request.times {
        let url = request.url.clone();
        let limit = request.timeout;
        tasks.spawn(async move { on_new_connection(&url, limit).await });
    }
    tasks.join_all().await
}

async fn one_connection(request: &Request) -> (Vec<Answer>, Option<Connection>) {
    let begin = Instant::now();
    let mut connection = match within(request.timeout, Connection::open(&request.url)).await {
        Ok(connection) => connection,
        Err(outcome) => {
            return (
                vec![Answer {
                    client: None,
                    outcome,
                    seconds: begin.elapsed().as_secs_f64(),
                }],
                None,
            );
        }
    };
    let mut answers = Vec::new();
    for _ in 0..request.times {
        let begin = Instant::now();
        let page = within(request.timeout, connection.ask(&request.url, true)).await;
        let outcome = page.map_or_else(|outcome| outcome, Outcome::From);
        answers.push(Answer {
            client: Some(connection.local),
            outcome,
            seconds: begin.elapsed().as_secs_f64(),
        });
    }
    (answers, Some(connection))
}

/// One request that closes its connection afterwards; the timeout is for all of it.
async fn on_new_connection(url: &Url, limit: Duration) -> Answer {
    let begin = Instant::now();
    let mut client = None;
    let outcome = within(limit, async {
        let mut connection = Connection::open(url).await?;
        client = Some(connection.local);
        let page = connection.ask(url, false).await?;
        // Until the server's FIN has come, so that the connection's end is part of the exchange.
        drop(connection.sender);
        let _ = connection.driver.await;
        Ok(page)
    })
    .await;
    let outcome = outcome.map_or_else(|outcome| outcome, Outcome::From);
    Answer {
        client,
        outcome,
        seconds: begin.elapsed().as_secs_f64(),
    }
}

/// Bounds something in time and sorts its failures.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Outcome> {
    match timeout(limit, work).await {
        Err(_) => Err(Outcome::TimedOut),
        Ok(Err(Failure::Connect(error))) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err(Outcome::Refused)
        }
        Ok(Err(Failure::Connect(error))) => Err(Outcome::Failed(error.to_string())),
        Ok(Err(Failure::Http(error))) => Err(Outcome::Failed(error.to_string())),
        Ok(Ok(done)) => Ok(done),
    }
}

/// Why a request failed.
enum Failure {
    Connect(io::Error),
    Http(hyper::Error),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Http(error)
    }
}

/// An open connection, and the task that reads and writes it.
#[derive(Debug)]
struct Connection {
    local: SocketAddr,
    sender: SendRequest<Empty<Bytes>>,
    driver: tokio::task::JoinHandle<Result<(), hyper::Error>>,
}

impl Connection {
    async fn open(url: &Url) -> Result<Self, Failure> {
        let stream = TcpStream::connect(url.server)
            .await
            .map_err(Failure::Connect)?;
        let local = stream.local_addr().map_err(Failure::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            local,
            sender,
            driver: tokio::spawn(connection),
        })
    }

    /// Asks for a page; who sent it, or its text.
    async fn ask(&mut self, url: &Url, keep_alive: bool) -> Result<String, Failure> {
        let request = hyper::Request::get(&url.path)
            .header("host", url.authority())
            .header(
                "connection",
                if keep_alive { "keep-alive" } else { "close" },
            )
            .body(Empty::new())
            .map_err(|error| Failure::Connect(io::Error::other(error)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        let line = text.lines().next().unwrap_or_default();
        Ok(line.strip_prefix("from ").unwrap_or(line).to_owned())
    }
}
