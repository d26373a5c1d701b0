//! The checkers: what a check of keepalived.conf does to a real server.
//!
//! [`Checker::run`] runs one check once, within its timeout, and says how it went; when checks run
//! and what follows from them is [`health`]'s business.

#![forbid(unsafe_code)]

mod connect;
mod dns;
mod file;
mod http;
pub mod misc;
mod ping;
mod smtp;
mod tcp;
mod tls;
mod udp;
mod via;

use std::sync::Arc;

use config::model::{Check, CheckKind, TlsFiles};
use health::Outcome;
use nix::errno::Errno;
use thiserror::Error;
use tokio::time::timeout;

pub use misc::Owner;
pub use tls::TlsError;
pub use via::{NoWay, Way, Ways};

/// Why a check failed, in a few words.
#[derive(Debug, Error)]
enum Failure {
    /// The server does not do what it should.
    #[error("{0}")]
    Server(String),
    /// This host is out of something that asking takes: the server may be well.
    #[error("{0}")]
    Host(String),
}

impl Failure {
    /// The same, with where it was.
    fn at(self, place: impl std::fmt::Display) -> Self {
        match self {
            Self::Server(why) => Self::Server(format!("{place}: {why}")),
            Self::Host(why) => Self::Host(format!("{place}: {why}")),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS) => {
                Self::Host(error.to_string())
            }
            _ => Self::Server(error.to_string()),
        }
    }
}

/// A datagram that nobody refuses has arrived, as far as UDP can tell.
fn silence_is_well(kind: &CheckKind) -> bool {
    matches!(kind, CheckKind::Udp { reply: None, .. })
}

type Done = Result<Option<i32>, Failure>;

/// Runs checks.
#[derive(Clone)]
pub struct Checker {
    tls: tokio_rustls::TlsConnector,
    owner: Option<Owner>,
    ways: Option<Arc<dyn Ways>>,
}

impl Checker {
    /// A checker with the files of the configuration's `SSL` block, whose scripts run as the
    /// configuration's `script_user` where they name nobody.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn new(files: &TlsFiles, owner: Option<Owner>) -> Result<Self, TlsError> {
        Ok(Self {
            tls: tls::connector(files)?,
            owner,
            ways: None,
        })
    }

    /// The same checker, for `check_via_vip` too: it asks for the ways to real servers.
    pub fn with_ways(self, ways: Arc<dyn Ways>) -> Self {
        Self {
            ways: Some(ways),
            ..self
        }
    }

    /// Runs a check once.
    pub async fn run(&self, check: &Check) -> Outcome {
        let done = match timeout(check.timing.timeout, self.attempt(&check.kind)).await {
            Ok(done) => done,
            Err(_) if silence_is_well(&check.kind) => Ok(None),
            Err(_) => Err(Failure::Server(format!(
                "no answer within {} s",
                check.timing.timeout.as_secs_f64()
            ))),
        };
        match done {
            Ok(weight) => Outcome::Success { weight },
            Err(Failure::Server(why)) => Outcome::Failure(why),
            Err(Failure::Host(why)) => Outcome::NotAsked(why),
        }
    }

    async fn attempt(&self, kind: &CheckKind) -> Done {
        match kind {
            CheckKind::Tcp(connect) => tcp::check(connect).await,
            CheckKind::Http(http) => http::check(http, &self.tls).await,
            CheckKind::Smtp { hosts, helo } => smtp::check(hosts, helo.as_deref()).await,
            CheckKind::Dns {
                connect,
                record,
                name,
            } => dns::check(connect, record, name).await,
            CheckKind::Misc { script, dynamic } => {
                misc::check(script, *dynamic, self.owner.as_ref()).await
            }
            CheckKind::Udp {
                connect,
                payload,
                reply,
            } => udp::check(connect, payload.as_deref(), reply.as_ref()).await,
            CheckKind::Ping(connect) => ping::check(connect).await,
            CheckKind::Via(via) => via::check(via, self.ways.as_deref()).await,
            // Nobody runs it: its session tells.
            CheckKind::Bfd { .. } => Ok(None),
            CheckKind::File {
                path,
                weight,
                dynamic,
                ..
            } => file::check(path, *weight, *dynamic).await,
        }
    }
}
