//! `xvs bfd`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use bfd::Status;

use crate::{output, place};

/// Asks the daemon how its BFD sessions are, and prints it.
pub fn main(json: bool) -> Result<ExitCode> {
    let sessions = place::connected()?.bfd()?;
    output::json_or(json, &sessions, || text(&sessions))?;
    Ok(ExitCode::SUCCESS)
}

/// The sessions for people.
pub fn text(sessions: &[Status]) -> String {
    if sessions.is_empty() {
        return "No BFD sessions (`bfd_instance' of a configuration file)\n".to_owned();
    }
    let mut lines = vec![format!(
        "{:<20} {:<26} {:<10} {:>8} {:<10} {:>9} {:>9} {:>6}  {}",
        "Session", "Neighbor", "State", "Age", "Its state", "TX", "Detect", "Losses", "Last change"
    )];
    lines.extend(sessions.iter().map(line));
    lines.join("\n") + "\n"
}

fn line(session: &Status) -> String {
    format!(
        "{:<20} {:<26} {:<10} {:>8} {:<10} {:>9} {:>9} {:>6}  {}",
        session.name,
        session.neighbor.to_string(),
        session.state,
        format!("{} s", session.age.as_secs()),
        session.remote_state,
        milliseconds(session.transmit_interval),
        milliseconds(session.detection_time),
        session.losses,
        session.diagnostic
    )
}

fn milliseconds(duration: Option<Duration>) -> String {
    match duration {
        Some(duration) => format!("{} ms", duration.as_secs_f64() * 1e3),
        None => "-".to_owned(),
    }
}
