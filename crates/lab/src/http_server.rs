//! The labs' web server: says who it is, sends and takes as many bytes as it is asked to.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::error::LabError;

/// Bytes handed out at a time.
const CHUNK: u64 = 64 * 1024;

/// The pattern's period: a prime, so that it falls in step with no block or segment size.
const PERIOD: u64 = 251;

/// The byte at a place of a body: what is sent and what is received can be compared by it.
pub fn pattern_byte(offset: u64) -> u8 {
    u8::try_from(offset % PERIOD).expect("a remainder of 251 fits a byte")
}

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

async fn bytes(Path(count): Path<u64>) -> Response {
    let block: Bytes = (0..CHUNK + PERIOD).map(pattern_byte).collect();
    let chunks = stream::unfold(0, move |sent| {
        let block = block.clone();
        async move {
            let length = CHUNK.min(count - sent);
            let phase = usize::try_from(sent % PERIOD).expect("a remainder of 251 fits");
            let length_here = usize::try_from(length).expect("a chunk fits the memory");
            let chunk = block.slice(phase..phase + length_here);
            (length > 0).then(|| (Ok::<_, std::io::Error>(chunk), sent + length))
        }
    });
    (
        [(header::CONTENT_LENGTH, HeaderValue::from(count))],
        Body::from_stream(chunks),
    )
        .into_response()
}

async fn upload(State(name): State<Arc<str>>, body: Body) -> String {
    let mut chunks: BodyDataStream = body.into_data_stream();
    let (mut count, mut altered) = (0_u64, 0_u64);
    while let Some(Ok(chunk)) = chunks.next().await {
        for byte in chunk {
            altered += u64::from(byte != pattern_byte(count));
            count += 1;
        }
    }
    format!("from {name}: {count} bytes, {altered} altered\n")
}
