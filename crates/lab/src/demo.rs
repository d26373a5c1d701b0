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

/// The lab that is shown: the requests, and what must be found, are those of its first step.
pub const LAB: &str = "nat-wrr";

/// Segments of the one connection that are shown wire by wire: SYN, SYN+ACK, and the request with its ACK.
const SEGMENTS_SHOWN: usize = 4;

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
            "  up after {:.1} s; the director forwards on eBPF, without the ip_vs module\n",
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
    show(&running, &words("ipvsadm -lnc"), out)?;
    one_way(&capture, &answers, out)?;
    if let Some(wrong) = findings.iter().find(|finding| !finding.holds) {
        let found = wrong.found.as_deref().unwrap_or("something else");
        return Err(LabError::Unexpected(format!(
            "expected {}; found {found}",
            wrong.expected
        )));
    }

    heading(out, "The end")?;
    show(&running, &words("ipvsadm -C"), out)?;
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
    say(out, NEXT)
}

/// What to type next.
const NEXT: &str = "
What to type next:
  xvs lab up nat-wrr                              the same hosts, to stay
  xvs lab exec nat-wrr director ipvsadm -ln       any command on any of them
  xvs lab exec nat-wrr client curl 172.16.10.21
  xvs lab down nat-wrr
  xvs lab run nat-two-nics                        why a page hangs, and how to tell
";

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
                command, expect, ..
            } => {
                let output = show(running, command, out)?;
                findings.extend(expect::lines(expect, &output));
            }
            Action::Change { .. } | Action::Close { .. } | Action::Captured { .. } => {}
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
            let end = if number % ANSWERS_IN_A_ROW == 0 || number == times {
                "\n"
            } else {
                ""
            };
            say(out, &format!("  {:<24}{end}", answer.outcome.describe()))?;
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
fn show(running: &Running<'_>, command: &Words, out: &mut dyn Write) -> Result<String, LabError> {
    let director = running.lab().hosts.iter().find(|host| host.director);
    let host = director.map_or("director", |host| host.name.as_str());
    say(out, &format!("\n  {host} # {command}\n"))?;
    let output = running.change(host, command)?;
    for line in output.lines() {
        say(out, &format!("  {line}\n"))?;
    }
    Ok(output)
}

fn words(command: &str) -> Words {
    command.parse().expect("a command written here has a word")
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
