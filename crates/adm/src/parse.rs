//! Reads a command line.

use std::ops::RangeInclusive;

use model::{SyncRole, TimeoutChange};
use thiserror::Error;

use crate::draft::Draft;
use crate::flags::parse_flags;
use crate::invocation::Invocation;
use crate::names::Resolver;
use crate::number::number_in;
use crate::options::{CommandKind, Switch};
use crate::rules::check_options;
use crate::scan::Scanner;

/// The longest timeout that can be asked for, in seconds: 31 days.
pub(crate) const MAX_TIMEOUT: u32 = 31 * 86400;

/// A command line that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsageError {
    /// It begins with no command.
    #[error("Try `ipvsadm -h' or 'ipvsadm --help' for more information.")]
    NoCommand,
    /// It holds an option that cannot be read. In a file to restore from, the next line is gone on
    /// with.
    #[error("{option}: {problem}")]
    BadOption {
        /// The word that it stands in.
        option: String,
        /// What is the matter with it.
        problem: &'static str,
    },
    /// Something in it is wrong.
    #[error("{0}")]
    Failed(String),
}

impl UsageError {
    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoCommand | Self::BadOption { .. } => 255,
            Self::Failed(_) => 2,
        }
    }
}

/// Reads the words after the program's name.
///
/// # Errors
/// Of several things wrong, the one that `ipvsadm` reports.
pub fn parse(words: &[String], names: &dyn Resolver) -> Result<Invocation, UsageError> {
    let mut scanner = Scanner::new(words);
    let (command, role) = match scanner.next_option() {
        Ok(Some((Switch::Command(command), argument))) => (command, role(command, argument)?),
        Ok(Some((Switch::Help, _))) => return Ok(Invocation::Help),
        Ok(Some((Switch::Version, _))) => return Ok(Invocation::Version),
        _ => return Err(UsageError::NoCommand),
    };
    let mut draft = Draft::new(names);
    loop {
        match scanner.next_option() {
            Ok(Some((switch, argument))) => draft.take(switch, argument, scanner.current_word())?,
            Ok(None) => break,
            Err(problem) => {
                let option = scanner.current_word().to_owned();
                return Err(UsageError::BadOption {
                    option,
                    problem: problem.text(),
                });
            }
        }
    }
    let mut rest = scanner.into_rest().into_iter();
    let timeouts = match command {
        CommandKind::Set => timeouts(&mut rest)?,
        _ => TimeoutChange::default(),
    };
    if let Some(word) = rest.next() {
        return Err(UsageError::Failed(format!("unexpected argument {word}")));
    }
    let flags = parse_flags(draft.scheduler_flags, draft.scheduler).map_err(UsageError::Failed)?;
    check_options(command, draft.options).map_err(UsageError::Failed)?;
    match command {
        CommandKind::Set => Ok(Invocation::SetTimeouts(timeouts)),
        _ => draft.finish(command, role, flags),
    }
}

/// The role of the sync daemon that is to be started or stopped.
fn role(command: CommandKind, argument: Option<&str>) -> Result<SyncRole, UsageError> {
    let message = match command {
        CommandKind::StartDaemon => "illegal start-daemon parameter specified",
        CommandKind::StopDaemon => "illegal start_daemon specified",
        _ => return Ok(SyncRole::Master),
    };
    let named = argument.unwrap_or_default().parse();
    named.map_err(|_| UsageError::Failed(message.to_owned()))
}

/// The three values of `--set`; 0 keeps what there is.
fn timeouts<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<TimeoutChange, UsageError> {
    let (Some(tcp), Some(tcp_fin), Some(udp)) = (words.next(), words.next(), words.next()) else {
        return Err(UsageError::Failed(
            "--set option requires 3 timeout values".to_owned(),
        ));
    };
    let changed =
        |text| timeout(text, 0..=MAX_TIMEOUT).map(|seconds| Some(seconds).filter(|&s| s != 0));
    Ok(TimeoutChange {
        tcp: changed(tcp)?,
        tcp_fin: changed(tcp_fin)?,
        udp: changed(udp)?,
    })
}

/// Reads a timeout in seconds.
pub(crate) fn timeout(text: &str, range: RangeInclusive<u32>) -> Result<u32, UsageError> {
    number_in(text, i64::from(*range.start())..=i64::from(*range.end()))
        .and_then(|seconds| u32::try_from(seconds).ok())
        .ok_or_else(|| UsageError::Failed(format!("invalid timeout value `{text}' specified")))
}
