//! Runs the steps of a lab that is up: changes, traffic, and a comparison with what is expected.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::beside::Beside;
use crate::capture::{Capture, Sighting};
use crate::definition::{
    Action, AnswersExpected, Direction, Lab, LinesExpected, PacketPattern, PacketsExpected,
    Request, Step, Transfer,
};
use crate::error::LabError;
use crate::expect;
use crate::http_client::{self, Answer, Held, Outcome};
use crate::journey::Connection;
use crate::lifecycle::Running;
use crate::notation::Words;
use crate::report::{ActionReport, Finding, StepReport};

/// How long captured packets may take to become what is expected: captures follow packets, but not at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Time for the last packets of what was done to be captured.
const SETTLE: Duration = Duration::from_millis(60);

/// Segments of the followed connection that are printed.
const SEGMENTS_SHOWN: usize = 2;

/// Packets printed for one pattern.
const PACKETS_SHOWN: usize = 4;

/// Whether a lab has the step that is asked for.
pub fn check_step(lab: &Lab, only: Option<usize>) -> Result<(), LabError> {
    match only {
        Some(step) if !(1..=lab.steps.len()).contains(&step) => Err(LabError::UnknownStep {
            lab: lab.name.clone(),
            step,
            last: lab.steps.len(),
        }),
        _ => Ok(()),
    }
}

/// Runs all steps, or only step `only` (from 1) after the changes of those before it.
pub fn steps(
    lab: &Running<'_>,
    only: Option<usize>,
    out: &mut dyn Write,
) -> Result<Vec<StepReport>, LabError> {
    check_step(lab.lab(), only)?;
    let all = &lab.lab().steps;
    let mut reports = Vec::new();
    for (number, step) in (1..).zip(all) {
        match only {
            Some(only) if number < only => changes_only(lab, number, step, out)?,
            Some(only) if number > only => break,
            _ => reports.push(run_step(lab, number, step, out)?),
        }
    }
    Ok(reports)
}

/// What a later step needs of an earlier one.
fn changes_only(
    lab: &Running<'_>,
    number: usize,
    step: &Step,
    out: &mut dyn Write,
) -> Result<(), LabError> {
    for action in &step.actions {
        if let Action::Change { on, command } = action {
            say(out, &format!("  {on} # {command}   (of step {number})\n"))?;
            lab.change(on, command)?;
        }
    }
    Ok(())
}

fn run_step(
    lab: &Running<'_>,
    number: usize,
    step: &Step,
    out: &mut dyn Write,
) -> Result<StepReport, LabError> {
    say(out, &format!("\nStep {number}: {}\n", step.title))?;
    let mut walk = Walk {
        lab,
        capture: match lab.lab().long {
            true => None,
            false => Some(Capture::start(lab.lab())?),
        },
        held: HashMap::new(),
        background: HashMap::new(),
        followed: None,
        beside: Vec::new(),
    };
    let mut actions = Vec::new();
    for action in &step.actions {
        let report = walk.act(action)?;
        say(out, &in_words(&report))?;
        actions.push(report);
    }
    for beside in std::mem::take(&mut walk.beside) {
        let report = beside.finish();
        say(out, &in_words(&report))?;
        actions.push(report);
    }
    let connection = walk.connection()?;
    if let Some(connection) = &connection {
        let way = connection.describe(SEGMENTS_SHOWN);
        say(
            out,
            &format!(
                "  one connection's way, {} asking {}:\n{way}",
                connection.client, connection.asked
            ),
        )?;
    }
    let passed = actions.iter().all(ActionReport::passed);
    say(out, &format!("  why: {}\n", step.why))?;
    say(
        out,
        if passed {
            "  as expected\n"
        } else {
            "  NOT as expected\n"
        },
    )?;
    Ok(StepReport {
        number,
        title: step.title.clone(),
        why: step.why.clone(),
        actions,
        connection,
        passed,
    })
}

/// Requests that go on beside the step, and what they are.
struct Background {
    on: String,
    request: Request,
    thread: JoinHandle<Result<Vec<Answer>, LabError>>,
}

/// A step being walked through.
struct Walk<'a, 'lab> {
    lab: &'a Running<'lab>,
    /// None in a long lab, where there would be too much of it.
    capture: Option<Capture>,
    held: HashMap<String, Held>,
    background: HashMap<String, Background>,
    followed: Option<SocketAddr>,
    /// Commands that run until the step ends.
    beside: Vec<Beside<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn act(&mut self, action: &'a Action) -> Result<ActionReport, LabError> {
        match action {
            Action::Change { on, command } => self.change(on, command),
            Action::Show {
                on,
                command,
                patience,
                expect,
            } => self.show(on, command, *patience, expect),
            Action::Beside {
                on,
                command,
                ready,
                expect,
            } => {
                let number = self.beside.len();
                let beside =
                    Beside::start(self.lab, number, (on, command), ready.as_ref(), expect)?;
                let report = beside.begun();
                self.beside.push(beside);
                Ok(report)
            }
            Action::Get {
                on,
                request,
                expect,
            } => self.get(on, request, expect.as_ref()),
            Action::Await { requests, expect } => self.ended(requests, expect.as_ref()),
            Action::Close { held } => {
                self.held.remove(held);
                Ok(ActionReport::new(format!("{held} closes its connection")))
            }
            Action::Captured {
                on,
                pattern,
                expect,
            } => self.captured(on, pattern, *expect),
        }
    }

    fn change(&self, on: &str, command: &Words) -> Result<ActionReport, LabError> {
        let mut report = ActionReport::new(format!("{on} # {command}"));
        report.output = Some(self.lab.change(on, command)?).filter(|output| !output.is_empty());
        Ok(report)
    }

    fn show(
        &self,
        on: &str,
        command: &Words,
        patience: Duration,
        expected: &LinesExpected,
    ) -> Result<ActionReport, LabError> {
        let mut report = ActionReport::new(format!("{on} # {command}"));
        let (output, findings) = observe(self.lab, on, command, patience, expected)?;
        report.output = Some(output);
        report.findings = findings;
        Ok(report)
    }

    fn get(
        &mut self,
        on: &str,
        request: &Request,
        expected: Option<&AnswersExpected>,
    ) -> Result<ActionReport, LabError> {
        let did = in_words_request(on, request);
        if let Some(name) = &request.background {
            self.begin(name, on, request);
            return Ok(ActionReport::new(format!("{did}, in the background")));
        }
        let (answers, held) = http_client::get(&self.lab.namespace(on), request)?;
        if let (Some(name), Some(held)) = (&request.hold, held) {
            self.held.insert(name.clone(), held);
        }
        Ok(self.answered(on, request, ActionReport::new(did), answers, expected))
    }

    fn begin(&mut self, name: &str, on: &str, request: &Request) {
        let (namespace, asked) = (self.lab.namespace(on), request.clone());
        let work = move || Ok(http_client::get(&namespace, &asked)?.0);
        let background = Background {
            on: on.to_owned(),
            request: request.clone(),
            thread: std::thread::spawn(work),
        };
        self.background.insert(name.to_owned(), background);
    }

    /// Waits for the end of requests in the background.
    fn ended(
        &mut self,
        name: &str,
        expected: Option<&AnswersExpected>,
    ) -> Result<ActionReport, LabError> {
        let Background {
            on,
            request,
            thread,
        } = self
            .background
            .remove(name)
            .expect("a lab file awaits what it has begun in the same step");
        let answers = match thread.join() {
            Ok(answers) => answers?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let report = ActionReport::new(format!("the {name} of {on} end"));
        Ok(self.answered(&on, &request, report, answers, expected))
    }

    fn answered(
        &mut self,
        on: &str,
        request: &Request,
        mut report: ActionReport,
        answers: Vec<Answer>,
        expected: Option<&AnswersExpected>,
    ) -> ActionReport {
        self.followed = self
            .followed
            .or_else(|| self.first_connection(on, &answers));
        report
            .findings
            .extend(expected.map(|expected| expect::answers(expected, &answers)));
        report.output = rate(request.transfer, &answers);
        report.answers = answers;
        report
    }

    fn captured(
        &self,
        on: &str,
        pattern: &PacketPattern,
        expected: PacketsExpected,
    ) -> Result<ActionReport, LabError> {
        let mut report = ActionReport::new(format!("captured at {on}: {}", pattern));
        std::thread::sleep(SETTLE);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen()?;
            let picked = expect::pick(&seen, on, pattern);
            report.findings = vec![expect::packets(expected, picked.len())];
            if report.passed() || Instant::now() > deadline {
                report.packets = picked
                    .iter()
                    .map(|sighting| sighting.packet.to_string())
                    .collect();
                return Ok(report);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// What was on the wires since the step began.
    fn seen(&self) -> Result<Vec<Sighting>, LabError> {
        self.capture
            .as_ref()
            .map_or(Ok(Vec::new()), Capture::so_far)
    }

    /// The client's end of one of a host's connections: of the first that broke, or else of the first that
    /// is in the capture, also one that hung.
    fn first_connection(&self, on: &str, answers: &[Answer]) -> Option<SocketAddr> {
        let broken = answers
            .iter()
            .filter(|answer| !matches!(answer.outcome, Outcome::From(_)));
        let mut connected = broken.chain(answers).filter_map(|answer| answer.client);
        connected.next().or_else(|| {
            let pattern = PacketPattern {
                direction: Some(Direction::Out),
                tcp: Some("SYN".to_owned()),
                ..PacketPattern::default()
            };
            let seen = self.seen().ok()?;
            let first: &Sighting = expect::pick(&seen, on, &pattern).first().copied()?;
            first.packet.endpoints().map(|(source, _)| source)
        })
    }

    fn connection(&self) -> Result<Option<Connection>, LabError> {
        let seen = self.seen()?;
        Ok(self
            .followed
            .and_then(|client| Connection::of(client, &seen)))
    }
}

/// Looks at a command's output until it is as expected, or patience ends.
pub(crate) fn observe(
    lab: &Running<'_>,
    on: &str,
    command: &Words,
    patience: Duration,
    expected: &LinesExpected,
) -> Result<(String, Vec<Finding>), LabError> {
    let deadline = Instant::now() + patience;
    loop {
        let output = lab.change(on, command)?;
        let findings = expect::lines(expected, &output);
        if findings.iter().all(|finding| finding.holds) || Instant::now() > deadline {
            return Ok((output, findings));
        }
        std::thread::sleep(PAUSE);
    }
}

/// How fast the transfers were that came to their end.
fn rate(transfer: Transfer, answers: &[Answer]) -> Option<String> {
    let complete = answers
        .iter()
        .filter(|answer| matches!(answer.outcome, Outcome::From(_)));
    let bytes = match transfer {
        Transfer::Download(bytes) | Transfer::Upload(bytes) => bytes,
        Transfer::Stream(_, time) => {
            let longest = complete
                .map(|answer| answer.seconds)
                .max_by(f64::total_cmp)?;
            let time = time.as_secs_f64();
            return Some(format!(
                "the longest took {longest:.2} s instead of {time:.2} s"
            ));
        }
        Transfer::Page => return None,
    };
    let (count, seconds) = complete.fold((0.0, 0.0), |(count, seconds), answer| {
        (count + 1.0, seconds + answer.seconds)
    });
    (count > 0.0).then(|| {
        let mega = count * bytes as f64 / 1e6;
        format!("{mega:.0} MB in {seconds:.2} s: {:.0} MB/s", mega / seconds)
    })
}

fn in_words_request(on: &str, request: &Request) -> String {
    let times = match request.times {
        1 => String::new(),
        times => format!(" {times} times"),
    };
    let how = match (request.keep_alive, request.concurrent) {
        (true, _) => " over one connection",
        (_, true) => " at once",
        _ => "",
    };
    let what = match request.transfer {
        Transfer::Page => format!("asks for {}", request.url),
        Transfer::Download(bytes) => format!("downloads {bytes} bytes from {}", request.url),
        Transfer::Stream(bytes, time) => format!(
            "downloads {bytes} bytes from {} over {} s",
            request.url,
            time.as_secs_f64()
        ),
        Transfer::Upload(bytes) => format!("uploads {bytes} bytes to {}", request.url),
    };
    format!("{on} {what}{times}{how}")
}

/// An action's report for people.
fn in_words(report: &ActionReport) -> String {
    let mut text = format!("  {}\n", report.did);
    for line in report.output.iter().flat_map(|output| output.lines()) {
        let _ = writeln!(text, "    {line}");
    }
    if !report.answers.is_empty() {
        let _ = writeln!(text, "    {}", expect::summary(&report.answers));
    }
    for packet in report.packets.iter().take(PACKETS_SHOWN) {
        let _ = writeln!(text, "    {packet}");
    }
    if report.packets.len() > PACKETS_SHOWN {
        let _ = writeln!(
            text,
            "    and {} more",
            report.packets.len() - PACKETS_SHOWN
        );
    }
    for finding in &report.findings {
        let _ = match &finding.found {
            None => writeln!(text, "    ok: {}", finding.expected),
            Some(found) => writeln!(
                text,
                "    FAILED: expected {}; found {found}",
                finding.expected
            ),
        };
    }
    text
}

fn say(out: &mut dyn Write, text: &str) -> Result<(), LabError> {
    out.write_all(text.as_bytes()).map_err(LabError::Output)
}
