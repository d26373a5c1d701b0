//! The labs' web server: says who it is, sends and takes as many bytes as it is asked to.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::StreamExt;

use crate::error::LabError;
use crate::transfer::{self, Received};

/// Serves HTTP/1.1 until the process ends: `GET /`, `GET /bytes/N`, `POST /upload`.
///
/// `name` is what the server says that it is, for instance `RS1:192.168.100.39`.
pub fn serve(name: &str, listen: SocketAddr) -> Result<(), LabError> {
    let failed = |source| LabError::Listen {
        address: listen.to_string(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .map_err(failed)?;
        axum::serve(listener, router(name)).await.map_err(failed)
    })
}

fn router(name: &str) -> Router {
    Router::new()
        .route("/", get(identity))
        .route("/bytes/{count}", get(bytes))
        .route("/upload", post(upload))
        .with_state(Arc::from(name))
}

async fn identity(State(name): State<Arc<str>>) -> String {
    format!("from {name}\n")
}

async fn bytes(State(name): State<Arc<str>>, Path(count): Path<u64>) -> Response {
    let pieces = transfer::pieces(count).map(Ok::<_, std::io::Error>);
    let length = (header::CONTENT_LENGTH, HeaderValue::from(count));
    let body = Body::from_stream(pieces);
    match HeaderValue::from_str(&name) {
        Ok(name) => ([length, (header::SERVER, name)], body).into_response(),
        // A name that no header can hold stays unsaid.
        Err(_) => ([length], body).into_response(),
    }
}

async fn upload(State(name): State<Arc<str>>, body: Body) -> String {
    let mut pieces: BodyDataStream = body.into_data_stream();
    let mut received = Received::default();
    while let Some(Ok(piece)) = pieces.next().await {
        received.take_in(&piece);
    }
    let Received { count, altered } = received;
    format!("from {name}: {count} bytes, {altered} altered\n")
}
