//! A command that runs beside the other actions of a step, until the step ends.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::definition::LinesExpected;
use crate::error::LabError;
use crate::expect;
use crate::lifecycle::Running;
use crate::notation::{LinePattern, Words};
use crate::process;
use crate::report::ActionReport;

/// How long it may take until it says that it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// How long its output may take to become what is expected, after the step's last action.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The command, from its start on. Dropping it ends it.
pub struct Beside<'a> {
    /// What a person would have typed.
    typed: String,
    expected: &'a LinesExpected,
    child: Child,
    /// Both of its outputs go here.
    log: PathBuf,
}

impl<'a> Beside<'a> {
    /// Starts it, and waits for the line that says that it is ready. `number` tells it from others.
    pub fn start(
        lab: &Running<'_>,
        number: usize,
        (on, command): (&str, &Words),
        ready: Option<&LinePattern>,
        expected: &'a LinesExpected,
    ) -> Result<Self, LabError> {
        let log = lab.log(&format!("{on}-beside{number}.log"))?;
        // What an earlier step's said is no answer of this one's.
        let _ = fs::remove_file(&log);
        let mut beside = Self {
            typed: format!("{on} # {command}"),
            expected,
            child: lab.start(on, command, &log)?,
            log,
        };
        let Some(ready) = ready else {
            return Ok(beside);
        };
        let deadline = Instant::now() + READY_TIMEOUT;
        while !beside.said().lines().any(|line| ready.matches(line)) {
            let ended = beside.ended();
            if ended.is_some() || Instant::now() > deadline {
                let how = ended.map_or("it goes on".to_owned(), |status| {
                    format!("it ended ({status})")
                });
                return Err(LabError::NotReady {
                    what: format!("`{command}`"),
                    host: on.to_owned(),
                    message: format!("no line `{ready}`; {how} and said:\n{}", beside.said()),
                });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(beside)
    }

    /// What was started.
    pub fn begun(&self) -> ActionReport {
        ActionReport::new(format!("{} &", self.typed))
    }

    /// Looks at what it has said until that is as expected, or patience ends; then ends it.
    pub fn finish(self) -> ActionReport {
        let mut report = ActionReport::new(format!("what was said meanwhile by {}", self.typed));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            report.findings = expect::lines_in_order(self.expected, &said);
            report.output = Some(said);
            if report.passed() || Instant::now() > deadline {
                return report;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn said(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        // One that has been waited for is not there any more, and its number may be another's.
        if self.ended().is_none() {
            process::end(&[Pid::from_raw(self.child.id().cast_signed())]);
        }
    }
}
