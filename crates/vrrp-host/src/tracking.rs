//! What is looked at from time to time: scripts and files.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;
use vrrp::Reading;

use crate::plan::{Plan, TrackFile, TrackScript};
use crate::{notify, processes};

/// How often files are read.
const FILE_PERIOD: Duration = Duration::from_millis(200);

/// A tracked thing's name, and what it was found to be.
pub(crate) type Found = (String, Reading);

/// What is looked at, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Trackers {
    tasks: Vec<JoinHandle<()>>,
    found: UnboundedReceiver<Found>,
}

impl Trackers {
    /// Begins to look at what a plan tracks.
    pub fn start(plan: &Plan) -> Self {
        let (tell, found) = unbounded_channel();
        let scripts = plan.scripts.iter().cloned();
        let files = plan.files.iter().cloned();
        let processes = plan.processes.iter().cloned();
        let processes =
            processes.map(|process| tokio::spawn(processes::follow(process, tell.clone())));
        let scripts = scripts.map(|script| tokio::spawn(follow_script(script, tell.clone())));
        let files = files.map(|file| tokio::spawn(follow_file(file, tell.clone())));
        Self {
            tasks: scripts.chain(files).chain(processes).collect(),
            found,
        }
    }

    /// The next finding; None: nothing is looked at.
    pub async fn next(&mut self) -> Option<Found> {
        self.found.recv().await
    }
}

impl Drop for Trackers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Runs a script again and again, and tells when its outcome counts.
async fn follow_script(script: TrackScript, found: UnboundedSender<Found>) {
    let mut streak = Streak::new(&script);
    let mut clock = interval(script.interval);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let up = succeeds(&script).await;
        if let Some(reading) = streak.count(up)
            && found.send((script.name.clone(), reading)).is_err()
        {
            return;
        }
    }
}

/// Reads a file again and again, and tells when its number changed.
async fn follow_file(file: TrackFile, found: UnboundedSender<Found>) {
    initialise(&file);
    let mut clock = interval(FILE_PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        clock.tick().await;
        let text = std::fs::read_to_string(&file.path).unwrap_or_default();
        let value = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(0);
        if known.replace(value) != Some(value)
            && found
                .send((file.name.clone(), Reading::Value(value)))
                .is_err()
        {
            return;
        }
    }
}

/// Writes a file's first number.
fn initialise(file: &TrackFile) {
    let Some((value, overwrite)) = file.initial else {
        return;
    };
    if (overwrite || !file.path.exists())
        && let Err(error) = std::fs::write(&file.path, format!("{value}\n"))
    {
        warn!(%error, "{} cannot be written", file.path.display());
    }
}

async fn succeeds(script: &TrackScript) -> bool {
    let child = notify::prepared(&script.command, &[])
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            warn!(%error, "{} of {} cannot be run", script.command.program.display(), script.name);
            return false;
        }
    };
    match timeout(script.timeout, child.wait()).await {
        Ok(Ok(status)) => status.success(),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Outcomes in a row.
#[derive(Debug)]
struct Streak {
    rise: u32,
    fall: u32,
    known: Option<bool>,
    last: bool,
    length: u32,
}

impl Streak {
    fn new(script: &TrackScript) -> Self {
        Self {
            rise: script.rise.max(1),
            fall: script.fall.max(1),
            known: script.initially_down.then_some(false),
            last: false,
            length: 0,
        }
    }

    /// Counts an outcome in. What it changes, if anything: the first one of all decides alone.
    fn count(&mut self, up: bool) -> Option<Reading> {
        self.length = if up == self.last {
            self.length.saturating_add(1)
        } else {
            1
        };
        self.last = up;
        let needed = if up { self.rise } else { self.fall };
        let decided = self.known.is_none() || self.length >= needed;
        if !decided || self.known == Some(up) {
            return None;
        }
        self.known = Some(up);
        Some(if up { Reading::Up } else { Reading::Down })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Command;

    fn streak(initially_down: bool) -> Streak {
        let program = "/bin/true".into();
        Streak::new(&TrackScript {
            name: "check".to_owned(),
            command: Command {
                program,
                arguments: Vec::new(),
                user: None,
            },
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
            initially_down,
        })
    }

    fn outcomes(streak: &mut Streak, outcomes: &[bool]) -> Vec<Option<Reading>> {
        outcomes.iter().map(|up| streak.count(*up)).collect()
    }

    #[test]
    fn the_first_outcome_decides_and_then_rows_do() {
        let mut streak = streak(false);
        let up = Some(Reading::Up);
        assert_eq!(
            outcomes(&mut streak, &[true, false, false]),
            [up, None, None]
        );
        assert_eq!(
            outcomes(&mut streak, &[true, false, false]),
            [None, None, None]
        );
        assert_eq!(
            outcomes(&mut streak, &[false, true, true]),
            [Some(Reading::Down), None, up]
        );
    }

    #[test]
    fn what_begins_as_down_rises_as_often_as_told() {
        assert_eq!(
            outcomes(&mut streak(true), &[true, true]),
            [None, Some(Reading::Up)]
        );
    }
}
