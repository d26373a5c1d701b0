//! The labs' web server: says who it is, sends and takes as many bytes as it is asked to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Path, State};
use axum::http::{Extensions, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::{IncomingStream, Listener};
use futures::StreamExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::error::LabError;
use crate::told;
use crate::transfer::{self, Received};

/// Serves HTTP/1.1 until the process ends: `GET /`, `GET /bytes/N`,
/// `GET /bytes/N/over/MILLISECONDS`, `POST /upload`.
///
/// `name` is what the server says that it is, for instance `RS1:192.168.100.39`. With `proxy`, connections
/// begin with the PROXY protocol's header, and it says whom that tells of, too.
pub fn serve(name: &str, listen: SocketAddr, proxy: bool) -> Result<(), LabError> {
    let failed = |source| LabError::Listen {
        address: listen.to_string(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        if !proxy {
            return axum::serve(listener, router(name)).await.map_err(failed);
        }
        let clients = router(name).into_make_service_with_connect_info::<Client>();
        let listener = Told(listener);
        axum::serve(listener, clients).await.map_err(failed)
    })
}

/// How long a connection may take to tell of its client. Others wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes connections that begin with the PROXY protocol's header.
struct Told(TcpListener);

impl Listener for Told {
    type Io = TcpStream;
    type Addr = IpAddr;

    async fn accept(&mut self) -> (TcpStream, IpAddr) {
        loop {
            let (mut stream, _) = Listener::accept(&mut self.0).await;
            if let Ok(Some(client)) = timeout(PATIENCE, told::take(&mut stream)).await {
                return (stream, client);
            }
        }
    }

    fn local_addr(&self) -> io::Result<IpAddr> {
        Ok(self.0.local_addr()?.ip())
    }
}

/// Whom a connection told of.
#[derive(Debug, Clone, Copy)]
struct Client(IpAddr);

impl Connected<IncomingStream<'_, Told>> for Client {
    fn connect_info(stream: IncomingStream<'_, Told>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// What the server says that it is, to whom it was told of.
fn identified(name: &str, extensions: &Extensions) -> String {
    match extensions.get::<ConnectInfo<Client>>() {
        Some(ConnectInfo(Client(client))) => format!("{name} for {client}"),
        None => name.to_owned(),
    }
}

fn router(name: &str) -> Router {
    Router::new()
        .route("/", get(identity))
        .route("/bytes/{count}", get(bytes))
        .route("/bytes/{count}/over/{milliseconds}", get(slow_bytes))
        .route("/upload", post(upload))
        .with_state(Arc::from(name))
}

async fn identity(State(name): State<Arc<str>>, extensions: Extensions) -> String {
    format!("from {}\n", identified(&name, &extensions))
}

async fn bytes(
    State(name): State<Arc<str>>,
    Path(count): Path<u64>,
    extensions: Extensions,
) -> Response {
    let body = Body::from_stream(transfer::pieces(count).map(Ok::<_, io::Error>));
    of_bytes(count, body, &identified(&name, &extensions))
}

async fn slow_bytes(
    State(name): State<Arc<str>>,
    Path((count, milliseconds)): Path<(u64, u64)>,
    extensions: Extensions,
) -> Response {
    let pieces = transfer::pieces_over(count, Duration::from_millis(milliseconds));
    let body = Body::from_stream(pieces.map(Ok::<_, io::Error>));
    of_bytes(count, body, &identified(&name, &extensions))
}

fn of_bytes(count: u64, body: Body, name: &str) -> Response {
    let length = (header::CONTENT_LENGTH, HeaderValue::from(count));
    match HeaderValue::from_str(name) {
        Ok(name) => ([length, (header::SERVER, name)], body).into_response(),
        // A name that no header can hold stays unsaid.
        Err(_) => ([length], body).into_response(),
    }
}

async fn upload(State(name): State<Arc<str>>, extensions: Extensions, body: Body) -> String {
    let mut pieces: BodyDataStream = body.into_data_stream();
    let mut received = Received::default();
    while let Some(Ok(piece)) = pieces.next().await {
        received.take_in(&piece);
    }
    let Received { count, altered } = received;
    let name = identified(&name, &extensions);
    format!("from {name}: {count} bytes, {altered} altered\n")
}
