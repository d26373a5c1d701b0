//! The lab file: TOML text to a checked [`Lab`], with the place and a remedy for what is wrong.
//!
//! The format is described in the labs that come with the program. Checking is in [`crate::check`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::definition::{Direction, Family, Lab};
use crate::twin;

/// What is wrong in a lab file, and where.
#[derive(Debug, thiserror::Error)]
pub struct FileError {
    /// The file's name, as given.
    file: String,
    /// Line and column, from 1.
    at: Option<(usize, usize)>,
    /// The line's text.
    line: String,
    /// What is wrong.
    message: String,
    /// What to do, or what there is instead.
    hint: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => {
                write!(
                    f,
                    "{}:{line}:{column}: {}\n {line:4} | {}",
                    self.file, self.message, self.line
                )?;
            }
            None => write!(f, "{}: {}", self.file, self.message)?,
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A mistake at a place of the text, in bytes; [`parse`] turns it into a [`FileError`].
#[derive(Debug)]
pub(crate) struct Mistake {
    pub span: Option<Range<usize>>,
    pub message: String,
    pub hint: Option<String>,
}

impl Mistake {
    /// A mistake at a value of the file.
    pub fn at<T>(value: &Spanned<T>, message: impl Into<String>) -> Self {
        Self {
            span: Some(value.span()),
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads a lab from the text of its file. `file` is the name that errors give.
pub fn parse(file: &str, text: &str) -> Result<Lab, FileError> {
    checked(file, text, Family::Ipv4)
}

/// Reads the twin of a lab, the same with IPv6 addresses, if the text of its file describes one.
/// Errors show the twin's lines.
pub fn parse_twin(file: &str, text: &str) -> Result<Option<Lab>, FileError> {
    let Some(twin) = read(file, text)?.twin else {
        return Ok(None);
    };
    let networks = twin::networks(&twin.networks).map_err(|mistake| locate(file, text, mistake))?;
    let text = twin::text(text, &networks).map_err(|mistake| locate(file, text, mistake))?;
    checked(file, &text, Family::Ipv6).map(Some)
}

/// Reads what a file says to one family's lab.
fn checked(file: &str, text: &str, family: Family) -> Result<Lab, FileError> {
    let raw = read(file, text)?;
    crate::check::check(raw, family).map_err(|mistake| locate(file, text, mistake))
}

/// Reads a file as it is written.
fn read(file: &str, text: &str) -> Result<LabFile, FileError> {
    toml::from_str(text).map_err(|error| {
        let mistake = Mistake {
            span: error.span(),
            message: error.message().to_owned(),
            hint: None,
        };
        locate(file, text, mistake)
    })
}

/// Finds the line of a mistake.
fn locate(file: &str, text: &str, mistake: Mistake) -> FileError {
    let at = mistake.span.map(|span| {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    });
    let line = at
        .and_then(|(line, _)| text.lines().nth(line - 1))
        .unwrap_or_default()
        .to_owned();
    FileError {
        file: file.to_owned(),
        at,
        line,
        message: mistake.message,
        hint: mistake.hint,
    }
}

/// The file as it is written. `Spanned` is what may be complained about later.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabFile {
    pub name: Spanned<String>,
    pub title: String,
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    pub long: bool,
    pub twin: Option<TwinFile>,
    pub segments: Vec<Spanned<String>>,
    pub host: Vec<HostFile>,
    #[serde(default)]
    pub step: Vec<StepFile>,
}

/// The same lab with IPv6 addresses: which network there stands for which one here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TwinFile {
    #[serde(default)]
    pub about: String,
    pub networks: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostFile {
    pub name: Spanned<String>,
    #[serde(default)]
    pub director: bool,
    pub configuration: Option<Spanned<String>>,
    #[serde(default)]
    pub router: bool,
    pub interfaces: Vec<InterfaceFile>,
    #[serde(default)]
    pub loopback: Vec<Spanned<String>>,
    pub gateway: Option<Spanned<Gateway>>,
    #[serde(default)]
    pub routes: Vec<Spanned<String>>,
    #[serde(default)]
    pub rp_filter: Option<Spanned<u8>>,
    #[serde(default)]
    pub arp_ignore: Option<Spanned<u8>>,
    #[serde(default)]
    pub arp_announce: Option<Spanned<u8>>,
    #[serde(default)]
    pub sysctls: BTreeMap<Spanned<String>, Setting>,
    pub serve: Option<ServeFile>,
    #[serde(default)]
    pub decapsulate: Vec<Spanned<String>>,
    #[serde(default)]
    pub setup: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InterfaceFile {
    pub name: Spanned<String>,
    pub segment: Spanned<String>,
    pub mac: Spanned<String>,
    #[serde(default)]
    pub addresses: Vec<Spanned<String>>,
    pub mtu: Option<Spanned<u32>>,
    pub rp_filter: Option<Spanned<u8>>,
    pub arp_ignore: Option<Spanned<u8>>,
    pub arp_announce: Option<Spanned<u8>>,
}

/// One default gateway, or one per address family.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a gateway's address, or a list of them"
)]
pub(crate) enum Gateway {
    One(IpAddr),
    Several(Vec<IpAddr>),
}

/// A setting's value: most are numbers, some are lists of words.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number or a text")]
pub(crate) enum Setting {
    Number(i64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServeFile {
    pub name: String,
    pub address: Spanned<IpAddr>,
    pub port: u16,
    #[serde(default)]
    pub proxy: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepFile {
    pub only: Option<Spanned<Family>>,
    pub title: String,
    pub why: String,
    #[serde(rename = "do", default)]
    pub actions: Vec<Spanned<ActionFile>>,
}

/// An action: exactly one of `change`, `show`, `beside`, `get`, `download`, `upload`, `await`, `close`,
/// `captured` says which.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionFile {
    pub only: Option<Spanned<Family>>,
    pub on: Option<Spanned<String>>,
    pub change: Option<Spanned<String>>,
    pub show: Option<Spanned<String>>,
    pub beside: Option<Spanned<String>>,
    pub ready: Option<Spanned<String>>,
    pub get: Option<Spanned<String>>,
    pub download: Option<Spanned<String>>,
    pub upload: Option<Spanned<String>>,
    pub bytes: Option<Spanned<u64>>,
    pub over_seconds: Option<Spanned<f64>>,
    pub close: Option<Spanned<String>>,
    #[serde(rename = "await")]
    pub awaited: Option<Spanned<String>>,
    pub captured: Option<Spanned<PatternFile>>,
    pub times: Option<Spanned<u32>>,
    #[serde(default)]
    pub keep_alive: bool,
    #[serde(default)]
    pub concurrent: bool,
    pub timeout_seconds: Option<Spanned<f64>>,
    pub hold: Option<Spanned<String>>,
    pub background: Option<Spanned<String>>,
    pub expect: Option<Spanned<ExpectFile>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatternFile {
    pub interface: Option<Spanned<String>>,
    pub direction: Option<Direction>,
    pub tcp: Option<Spanned<String>>,
    pub icmp: Option<Spanned<String>>,
    pub mtu: Option<Spanned<u32>>,
    pub client: Option<IpAddr>,
    pub source: Option<Spanned<String>>,
    pub destination: Option<Spanned<String>>,
    pub source_mac: Option<Spanned<String>>,
    pub destination_mac: Option<Spanned<String>>,
    pub ttl: Option<u8>,
    pub tunnel: Option<Spanned<String>>,
    pub outer_source: Option<IpAddr>,
    pub outer_destination: Option<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectFile {
    pub answers: Option<BTreeMap<String, u32>>,
    pub unanswered: Option<usize>,
    pub servers: Option<usize>,
    #[serde(default)]
    pub hangs: bool,
    #[serde(default)]
    pub refused: bool,
    #[serde(default)]
    pub reset: bool,
    pub lines: Option<Vec<String>>,
    pub no_lines: Option<Vec<String>>,
    pub packets: Option<usize>,
    pub packets_at_least: Option<usize>,
}

/// How long a request may take when the file does not say.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long what is shown may take to become what is expected: counters follow packets, but not at once.
pub(crate) const DEFAULT_PATIENCE: Duration = Duration::from_secs(2);
