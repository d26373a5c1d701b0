//! The demonstration: a director from its first `ipvsadm` command to its last, over real TCP.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Instant;

use crate::capture::Capture;
use crate::definition::{Action, AnswersExpected, Lab, Request};
use crate::error::LabError;
use crate::expect;
use crate::http_client::{self, Answer};
use crate::interrupt::Gate;
use crate::journey::Connection;
use crate::lifecycle::{Options, Running};
use crate::notation::Words;
use crate::report::Finding;
use crate::run::observe;

/// The lab that is shown: the requests, and what must be found, are those of its first step.
pub const LAB: &str = "nat-wrr";

/// Segments of the one connection that are shown wire by wire: one each way.
const SEGMENTS_SHOWN: usize = 2;

/// Answers printed in a row.
const ANSWERS_IN_A_ROW: usize = 5;

/// The network, as it is built.
const PICTURE: &str = "
  client ─────────────────── director ─────────────────┬── rs1 192.168.100.39  weight 2
  172.16.10.22       VIP 172.16.10.21                  └── rs2 192.168.100.23  weight 3
                           192.168.100.17 = gateway of the real servers
";

/// Shows the lab. Fails with a sentence when what is found is not what must be.
pub fn demo(
    lab: &Lab,
    options: &Options,
    gate: &Gate,
    out: &mut dyn Write,
) -> Result<(), LabError> {
    let begin = Instant::now();
    say(out, &format!("{}{PICTURE}\n", lab.title))?;
    heading(
        out,
        "Five network namespaces, two bridges, two web servers and a director",
    )?;
    let running = Running::up(lab, options, gate)?;
    say(
        out,
        &format!(
            "  up after {:.1} s; the director, `xvs serve`, is ready\n",
            seconds(begin)
        ),
    )?;

    heading(out, "The virtual service and its real servers")?;
    for (host, command) in lab
        .hosts
        .iter()
        .flat_map(|host| host.setup.iter().map(move |command| (host, command)))
    {
        say(out, &format!("  {} # {command}\n", host.name))?;
        running.change(&host.name, command)?;
    }

    let capture = Capture::start(lab)?;
    let (findings, answers) = first_step(&running, out)?;
    show(&running, "ipvsadm -lnc", out)?;
    if let Some(wrong) = findings.iter().find(|finding| !finding.holds) {
        let found = wrong.found.as_deref().unwrap_or("something else");
        let message = format!("expected {}; found {found}", wrong.expected);
        return Err(LabError::Unexpected(message));
    }
    one_way(&capture, &answers, out)?;

    heading(out, "The end")?;
    show(&running, "ipvsadm -C", out)?;
    running.down()?;
    say(out, "  namespaces, processes and data plane are removed\n")?;
    say(
        out,
        &format!(
            "\n{} answers: {}, in {:.1} s\n",
            answers.len(),
            expect::summary(&answers),
            seconds(begin)
        ),
    )?;
    say(out, &next(&options.tools.as_typed()))
}

/// What to type next.
fn next(xvs: &str) -> String {
    format!(
        "
What to type next, as root:
  {xvs} lab up nat-wrr                           the same hosts, to stay
  {xvs} lab exec nat-wrr director ipvsadm -ln    any command on any of them
  {xvs} lab exec nat-wrr client curl 172.16.10.21
  {xvs} lab down nat-wrr
  {xvs} lab run nat-two-nics                     why a page hangs, and how to tell
"
    )
}

/// Does what the lab's first step says, one request at a time.
fn first_step(
    running: &Running<'_>,
    out: &mut dyn Write,
) -> Result<(Vec<Finding>, Vec<Answer>), LabError> {
    let (mut findings, mut all) = (Vec::new(), Vec::new());
    for action in running
        .lab()
        .steps
        .iter()
        .take(1)
        .flat_map(|step| &step.actions)
    {
        match action {
            Action::Get {
                on,
                request,
                expect,
            } => {
                let answers = ask(running, on, request, expect.as_ref(), &mut findings, out)?;
                all.extend(answers);
            }
            Action::Show {
                on,
                command,
                patience,
                expect,
            } => {
                let (output, found) = observe(running, on, command, *patience, expect)?;
                print(on, command, &output, out)?;
                findings.extend(found);
            }
            Action::Change { .. }
            | Action::Await { .. }
            | Action::Beside { .. }
            | Action::Close { .. }
            | Action::Captured { .. } => {}
        }
    }
    Ok((findings, all))
}

fn ask(
    running: &Running<'_>,
    on: &str,
    request: &Request,
    expected: Option<&AnswersExpected>,
    findings: &mut Vec<Finding>,
    out: &mut dyn Write,
) -> Result<Vec<Answer>, LabError> {
    let times = usize::try_from(request.times).unwrap_or(usize::MAX);
    heading(
        out,
        &format!(
            "{times} requests for {} from the {on}, a connection each",
            request.url
        ),
    )?;
    let once = Request {
        times: 1,
        ..request.clone()
    };
    let mut answers = Vec::new();
    for number in 1..=times {
        let (answer, _) = http_client::get(&running.namespace(on), &once)?;
        for answer in answer {
            let text = answer.outcome.describe();
            match number % ANSWERS_IN_A_ROW == 0 || number == times {
                true => say(out, &format!("  {text}\n"))?,
                false => say(out, &format!("  {text:<24}"))?,
            }
            answers.push(answer);
        }
    }
    findings.extend(expected.map(|expected| expect::answers(expected, &answers)));
    Ok(answers)
}

/// Shows one answered connection wire by wire.
fn one_way(capture: &Capture, answers: &[Answer], out: &mut dyn Write) -> Result<(), LabError> {
    let client: Option<SocketAddr> = answers.iter().find_map(|answer| answer.client);
    let seen = capture.so_far()?;
    let Some(connection) = client.and_then(|client| Connection::of(client, &seen)) else {
        return Err(LabError::Unexpected(
            "none of the connections was seen on the wires".to_owned(),
        ));
    };
    heading(
        out,
        &format!(
            "One connection's way, wire by wire: {} asking {}",
            connection.client, connection.asked
        ),
    )?;
    say(out, &connection.describe(SEGMENTS_SHOWN))
}

/// Runs a command on the director and prints it with its output.
fn show(running: &Running<'_>, command: &str, out: &mut dyn Write) -> Result<(), LabError> {
    let director = running.lab().hosts.iter().find(|host| host.director);
    let host = director.map_or("director", |host| host.name.as_str());
    let command = command.parse().expect("a command written here has a word");
    let output = running.change(host, &command)?;
    print(host, &command, &output, out)
}

/// Prints a command with its output.
fn print(host: &str, command: &Words, output: &str, out: &mut dyn Write) -> Result<(), LabError> {
    say(out, &format!("\n  {host} # {command}\n"))?;
    for line in output.lines() {
        say(out, &format!("  {line}\n"))?;
    }
    Ok(())
}

fn heading(out: &mut dyn Write, text: &str) -> Result<(), LabError> {
    say(out, &format!("\n== {text}\n"))
}

fn say(out: &mut dyn Write, text: &str) -> Result<(), LabError> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(LabError::Output)
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}
