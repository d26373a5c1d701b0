//! The labs' web client: real requests over real TCP, from a host's namespace.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::definition::{Request, Transfer};
use crate::error::LabError;
use crate::netns::Namespace;
use crate::transfer::{self, Received};

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
    /// A page came, or all bytes of a transfer; this is who sent it, or the page itself if it does
    /// not say.
    From(String),
    /// Nothing came in time.
    TimedOut,
    /// The connection was refused.
    Refused,
    /// The connection was reset in its middle.
    Reset,
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
            Self::Reset => "connection reset".to_owned(),
            Self::Failed(why) => why.clone(),
        }
    }
}

/// Connections that are left open. They close when dropped.
#[derive(Debug)]
pub struct Held {
    connections: Vec<Connection>,
    runtime: Runtime,
}

impl Drop for Held {
    fn drop(&mut self) {
        for connection in self.connections.drain(..) {
            let Connection { sender, driver, .. } = connection;
            drop(sender);
            // The driver closes the socket once no more requests can come.
            let _ = self
                .runtime
                .block_on(async { timeout(Duration::from_secs(1), driver).await });
        }
    }
}

/// Makes requests from a host. Returns the answers, in order of asking, and the connections left open.
pub fn get(from: &Namespace, request: &Request) -> Result<(Vec<Answer>, Option<Held>), LabError> {
    from.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| LabError::Program {
                program: "the web client".to_owned(),
                source,
            })?;
        let (answers, connections) = runtime.block_on(async {
            if request.keep_alive {
                one_connection(request).await
            } else if request.concurrent {
                all_at_once(request).await
            } else {
                (one_after_the_other(request).await, Vec::new())
            }
        });
        let held = request.hold.is_some().then_some(Held {
            connections,
            runtime,
        });
        Ok((answers, held))
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
        answers.push(on_new_connection(request).await.0);
    }
    answers
}

async fn all_at_once(request: &Request) -> (Vec<Answer>, Vec<Connection>) {
    let mut tasks = JoinSet::new();
    for _ in 0..request.times {
        let request = request.clone();
        tasks.spawn(async move { on_new_connection(&request).await });
    }
    let (answers, connections): (_, Vec<_>) = tasks.join_all().await.into_iter().unzip();
    (answers, connections.into_iter().flatten().collect())
}

async fn one_connection(request: &Request) -> (Vec<Answer>, Vec<Connection>) {
    let begin = Instant::now();
    let mut connection = match within(request.timeout, Connection::open(request)).await {
        Ok(connection) => connection,
        Err(outcome) => {
            return (
                vec![Answer {
                    client: None,
                    outcome,
                    seconds: begin.elapsed().as_secs_f64(),
                }],
                Vec::new(),
            );
        }
    };
    let mut answers = Vec::new();
    for _ in 0..request.times {
        let begin = Instant::now();
        let page = within(request.timeout, connection.ask(request, true)).await;
        let outcome = page.map_or_else(|outcome| outcome, Outcome::From);
        answers.push(Answer {
            client: Some(connection.local),
            outcome,
            seconds: begin.elapsed().as_secs_f64(),
        });
    }
    (answers, vec![connection])
}

/// One request on a connection of its own, which is closed afterwards unless it is to be held; the
/// timeout is for all of it.
async fn on_new_connection(request: &Request) -> (Answer, Option<Connection>) {
    let begin = Instant::now();
    let (mut client, mut held) = (None, None);
    let outcome = within(request.timeout, async {
        let mut connection = Connection::open(request).await?;
        client = Some(connection.local);
        let page = connection.ask(request, request.hold.is_some()).await?;
        if request.hold.is_some() {
            held = Some(connection);
        } else {
            // Until the server's FIN has come, so that the connection's end is part of the exchange.
            drop(connection.sender);
            let _ = connection.driver.await;
        }
        Ok(page)
    })
    .await;
    let outcome = outcome.map_or_else(|outcome| outcome, Outcome::From);
    let answer = Answer {
        client,
        outcome,
        seconds: begin.elapsed().as_secs_f64(),
    };
    (answer, held)
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
        Ok(Err(Failure::Http(error))) if is_reset(&error) => Err(Outcome::Reset),
        Ok(Err(Failure::Http(error))) => Err(Outcome::Failed(error.to_string())),
        Ok(Err(Failure::Transfer(what))) => Err(Outcome::Failed(what)),
        Ok(Ok(done)) => Ok(done),
    }
}

/// Whether a connection ended by a RST.
fn is_reset(error: &hyper::Error) -> bool {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::ConnectionReset)
}

/// Why a request failed.
enum Failure {
    Connect(io::Error),
    Http(hyper::Error),
    Transfer(String),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Http(error)
    }
}

/// What a request sends: nothing, or an upload.
type Sent = BoxBody<Bytes, Infallible>;

/// An open connection, and the task that reads and writes it.
#[derive(Debug)]
struct Connection {
    local: SocketAddr,
    sender: SendRequest<Sent>,
    driver: tokio::task::JoinHandle<Result<(), hyper::Error>>,
}

impl Connection {
    async fn open(request: &Request) -> Result<Self, Failure> {
        let stream = TcpStream::connect(request.url.server)
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

    /// Does what is to be done once; who answered, or its page.
    async fn ask(&mut self, request: &Request, keep_alive: bool) -> Result<String, Failure> {
        let message = message(request, keep_alive)
            .map_err(|error| Failure::Connect(io::Error::other(error)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(message).await?;
        match request.transfer {
            Transfer::Page => identity(response.into_body()).await,
            Transfer::Download(count) | Transfer::Stream(count, _) => {
                downloaded(response, count).await
            }
            Transfer::Upload(count) => {
                let said = identity(response.into_body()).await?;
                let complete = format!(": {count} bytes, 0 altered");
                match said.strip_suffix(&complete) {
                    Some(server) => Ok(server.to_owned()),
                    None => Err(Failure::Transfer(said)),
                }
            }
        }
    }
}

fn message(
    request: &Request,
    keep_alive: bool,
) -> Result<hyper::Request<Sent>, hyper::http::Error> {
    let url = &request.url;
    let (path, body): (_, Sent) = match request.transfer {
        Transfer::Page => (url.path.clone(), Empty::new().boxed()),
        Transfer::Download(count) => (format!("/bytes/{count}"), Empty::new().boxed()),
        Transfer::Stream(count, time) => (
            format!("/bytes/{count}/over/{}", time.as_millis()),
            Empty::new().boxed(),
        ),
        Transfer::Upload(count) => {
            let pieces = transfer::pieces(count).map(|piece| Ok(Frame::data(piece)));
            (
                "/upload".to_owned(),
                BodyExt::boxed(StreamBody::new(pieces)),
            )
        }
    };
    let mut message = match request.transfer {
        Transfer::Upload(count) => hyper::Request::post(path).header(header::CONTENT_LENGTH, count),
        Transfer::Page | Transfer::Download(_) | Transfer::Stream(..) => hyper::Request::get(path),
    };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    message = message
        .header(header::HOST, url.authority())
        .header(header::CONNECTION, connection);
    message.body(body)
}

/// Who a page is from, or its first line.
async fn identity(body: Incoming) -> Result<String, Failure> {
    let body = body.collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let line = text.lines().next().unwrap_or_default();
    Ok(line.strip_prefix("from ").unwrap_or(line).to_owned())
}

/// Who sent a download that is complete and unaltered.
async fn downloaded(response: hyper::Response<Incoming>, count: u64) -> Result<String, Failure> {
    let server = response.headers().get(header::SERVER);
    let server = server.and_then(|name| name.to_str().ok()).unwrap_or("?");
    let server = server.to_owned();
    let mut body = response.into_body();
    let mut received = Received::default();
    while let Some(frame) = body.frame().await {
        if let Some(piece) = frame?.data_ref() {
            received.take_in(piece);
        }
    }
    let complete = Received { count, altered: 0 };
    if received == complete {
        return Ok(server);
    }
    let Received {
        count: came,
        altered,
    } = received;
    Err(Failure::Transfer(format!(
        "{came} of {count} bytes from {server}, {altered} altered"
    )))
}
