//! HTTP_GET and SSL_GET: every page is as wanted.

use bytes::Bytes;
use config::model::{HttpCheck, HttpVersion, RegexSettings, Url};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use md5::{Digest, Md5};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::{Done, Failure, connect, tls};

/// The largest page that is read.
const LARGEST: usize = 16 << 20;

pub(crate) async fn check(check: &HttpCheck, connector: &TlsConnector) -> Done {
    for url in &check.urls {
        let stream = connect::tcp(&check.connect).await?;
        let (status, body) = match &check.tls {
            None => get(stream, check, url).await?,
            Some(settings) => {
                let name = settings.server_name.as_deref();
                let stream = tls::handshake(connector, name, &check.connect, stream).await?;
                get(stream, check, url).await?
            }
        };
        judge(url, status, &body)?;
    }
    Ok(None)
}

async fn get<S>(stream: S, check: &HttpCheck, url: &Url) -> Result<(u16, Bytes), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let told = |error: hyper::Error| Failure::Server(format!("{}: {error}", url.path));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let exchange = async {
        let response = sender
            .send_request(request(check, url)?)
            .await
            .map_err(told)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST)
            .collect()
            .await
            .map_err(|error| Failure::Server(format!("{}: {error}", url.path)))?;
        Ok((status, body.to_bytes()))
    };
    // The connection does its work while the exchange waits; it ends with it.
    let connection = async {
        let _ended = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = exchange => answer,
        () = connection => Err(Failure::Server("the connection ended".to_owned())),
    }
}

/// As keepalived asks: a host by its name or address, with its port unless it is the usual one.
fn request(check: &HttpCheck, url: &Url) -> Result<Request<Empty<Bytes>>, Failure> {
    let to = connect::target(&check.connect);
    let usual = if check.tls.is_some() { 443 } else { 80 };
    let host = match (&url.virtual_host, to.port() == usual) {
        (Some(name), true) => name.clone(),
        (Some(name), false) => format!("{name}:{}", to.port()),
        (None, true) if to.is_ipv4() => to.ip().to_string(),
        (None, true) => format!("[{}]", to.ip()),
        (None, false) => to.to_string(),
    };
    let mut request = Request::get(&url.path)
        .header(HOST, host)
        .header(USER_AGENT, "KeepAliveClient");
    request = match check.version {
        HttpVersion::V10 => request.version(Version::HTTP_10),
        HttpVersion::V10Close => request
            .version(Version::HTTP_10)
            .header(CONNECTION, "close"),
        HttpVersion::V11 => request
            .version(Version::HTTP_11)
            .header(CONNECTION, "close"),
    };
    request
        .body(Empty::new())
        .map_err(|error| Failure::Server(format!("{}: {error}", url.path)))
}

fn judge(url: &Url, status: u16, body: &[u8]) -> Result<(), Failure> {
    let path = &url.path;
    let is_wanted =
        |range: &config::model::StatusRange| (range.first..=range.last).contains(&status);
    if !url.status.iter().any(is_wanted) {
        return Err(Failure::Server(format!("{path}: status code {status}")));
    }
    if let Some(wanted) = url.digest {
        let digest = Md5::digest(body);
        if digest[..] != wanted.0 {
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(Failure::Server(format!(
                "{path}: the page's digest is {hex}"
            )));
        }
    }
    match &url.regex {
        Some(regex) => {
            matches(regex, body).map_err(|why| Failure::Server(format!("{path}: {why}")))
        }
        None => Ok(()),
    }
}

fn matches(settings: &RegexSettings, body: &[u8]) -> Result<(), String> {
    let regex =
        regex::bytes::Regex::new(&settings.pattern).map_err(|error| format!("regex: {error}"))?;
    let found = (settings.min_offset <= body.len())
        .then(|| regex.find_at(body, settings.min_offset))
        .flatten()
        .is_some_and(|found| settings.max_offset.is_none_or(|most| found.start() < most));
    match (found, settings.negated) {
        (false, false) => Err("the page does not match the regex".to_owned()),
        (true, true) => Err("the page matches the regex".to_owned()),
        _ => Ok(()),
    }
}
