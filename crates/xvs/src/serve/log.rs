//! Where the log goes: standard error, or as keepalived's options say.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::serve::options::LogFormat;

/// The system log's socket.
const SOCKET: &str = "/dev/log";

/// Where lines go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogTo {
    /// To standard error too.
    pub console: bool,
    /// To syslog, with this facility (RFC 5424, section 6.2.1).
    pub facility: Option<u8>,
    /// To a file.
    pub file: Option<PathBuf>,
}

/// Starts the log on standard error.
pub fn start(format: LogFormat) {
    let log = fmt().with_env_filter(filter()).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_target(false).with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// Starts it elsewhere, under a program's name. Where there is no syslog, standard error takes its place.
///
/// # Errors
/// When a file cannot be written.
pub fn start_as(name: &'static str, to: &LogTo) -> Result<()> {
    let syslog = to
        .facility
        .and_then(|facility| Syslog::open(name, facility).ok());
    let is_heard = syslog.is_some() || to.file.is_some();
    let console = (to.console || !is_heard).then(|| plain().with_writer(io::stderr));
    let file = match &to.file {
        None => None,
        Some(path) => {
            let open = File::options().create(true).append(true).open(path);
            let file = open.with_context(|| format!("cannot write {}", path.display()))?;
            Some(plain().with_writer(Arc::new(file)))
        }
    };
    // syslog has the time itself.
    let syslog = syslog.map(|syslog| plain().without_time().with_level(false).with_writer(syslog));
    tracing_subscriber::registry()
        .with(console.map(|layer| layer.with_filter(filter())))
        .with(file.map(|layer| layer.with_filter(filter())))
        .with(syslog.map(|layer| layer.with_filter(filter())))
        .init();
    Ok(())
}

fn plain<S>() -> fmt::Layer<S> {
    fmt::layer().with_target(false).with_ansi(false)
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"))
}

/// The system's log.
struct Syslog {
    name: &'static str,
    facility: u8,
    socket: UnixDatagram,
}

impl Syslog {
    fn open(name: &'static str, facility: u8) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        Ok(Self {
            name,
            facility,
            socket,
        })
    }
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            log: self,
            level: Level::INFO,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        Line {
            log: self,
            level: *meta.level(),
        }
    }
}

/// One line for the system's log.
struct Line<'a> {
    log: &'a Syslog,
    level: Level,
}

impl Line<'_> {
    /// RFC 5424, section 6.2.1.
    fn severity(&self) -> u8 {
        match self.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        }
    }
}

impl Write for Line<'_> {
    /// Takes a whole line, as the log writes them.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let Syslog {
            name,
            facility,
            socket,
        } = self.log;
        let priority = facility * 8 + self.severity();
        let mut message = format!("<{priority}>{name}[{}]: ", std::process::id()).into_bytes();
        message.extend_from_slice(text.trim_ascii_end());
        socket.send(&message)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
