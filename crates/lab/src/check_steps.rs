//! From what a lab file says to its [`Step`]s: each action is of one kind, and names what is there.

use std::time::Duration;

use toml::Spanned;

use crate::check::{list, parsed};
use crate::definition::{
    Action, AnswersExpected, Host, Lab, LinesExpected, PacketPattern, PacketsExpected, Request,
    Serve, Step,
};
use crate::file::{ActionFile, DEFAULT_TIMEOUT, ExpectFile, Mistake, PatternFile, StepFile};
use crate::notation::LinePattern;

/// The kinds of action, as the file names them.
const VERBS: &str = "one of `change`, `show`, `get`, `close` and `captured`";

/// Longest time that a request may be given, in seconds.
const LONGEST_TIMEOUT: f64 = 600.0;

/// TCP flags in the order in which they are written.
pub(crate) const TCP_FLAGS: [&str; 8] = ["SYN", "FIN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/// Checks the steps of a lab whose hosts are known.
pub(crate) fn check_steps(raw: Vec<StepFile>, lab: &Lab) -> Result<Vec<Step>, Mistake> {
    raw.into_iter().map(|step| check_step(step, lab)).collect()
}

fn check_step(raw: StepFile, lab: &Lab) -> Result<Step, Mistake> {
    let mut held = Vec::new();
    let actions = raw
        .actions
        .iter()
        .map(|action| check_action(action, lab, &mut held))
        .collect::<Result<_, _>>()?;
    let why = raw.why.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Step {
        title: raw.title,
        why,
        actions,
    })
}

fn check_action(
    action: &Spanned<ActionFile>,
    lab: &Lab,
    held: &mut Vec<String>,
) -> Result<Action, Mistake> {
    let raw = action.get_ref();
    let verbs = [
        raw.change.is_some(),
        raw.show.is_some(),
        raw.get.is_some(),
        raw.close.is_some(),
        raw.captured.is_some(),
    ];
    if verbs.iter().filter(|given| **given).count() != 1 {
        return Err(Mistake::at(
            action,
            format!("an action has exactly {VERBS}"),
        ));
    }
    if raw.get.is_none() {
        only_with_get(action)?;
    }
    if let Some(name) = &raw.close {
        if !held.contains(name.get_ref()) {
            return Err(Mistake::at(
                name,
                format!("no connection is held as `{}` in this step", name.get_ref()),
            )
            .hint(format!("held so far: {}", list(held))));
        }
        return Ok(Action::Close {
            held: name.get_ref().clone(),
        });
    }
    let host = host_of(action, lab)?;
    let on = host.name.clone();
    if let Some(command) = &raw.change {
        if raw.expect.is_some() {
            return Err(
                Mistake::at(command, "a change has nothing to expect; it must succeed")
                    .hint("use `show` for a command whose output is looked at"),
            );
        }
        return Ok(Action::Change {
            on,
            command: parsed(command)?,
        });
    }
    if let Some(command) = &raw.show {
        return Ok(Action::Show {
            on,
            command: parsed(command)?,
            expect: expect_lines(raw.expect.as_ref())?,
        });
    }
    if let Some(pattern) = &raw.captured {
        return Ok(Action::Captured {
            on,
            pattern: check_pattern(pattern.get_ref(), host)?,
            expect: expect_packets(action)?,
        });
    }
    let request = check_request(raw, held)?;
    let expect = raw
        .expect
        .as_ref()
        .map(|expect| expect_answers(expect, lab))
        .transpose()?;
    Ok(Action::Get {
        on,
        request,
        expect,
    })
}

/// Refuses what only requests have on any other action.
fn only_with_get(action: &Spanned<ActionFile>) -> Result<(), Mistake> {
    let raw = action.get_ref();
    let given = [
        ("times", raw.times.is_some()),
        ("keep_alive", raw.keep_alive),
        ("concurrent", raw.concurrent),
        ("timeout_seconds", raw.timeout_seconds.is_some()),
        ("hold", raw.hold.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Mistake::at(action, format!("`{name}` belongs to `get`"))),
        None => Ok(()),
    }
}

fn host_of<'lab>(action: &Spanned<ActionFile>, lab: &'lab Lab) -> Result<&'lab Host, Mistake> {
    let known: Vec<&str> = lab.hosts.iter().map(|host| host.name.as_str()).collect();
    let hint = format!("hosts here: {}", list(&known));
    let Some(on) = &action.get_ref().on else {
        return Err(Mistake::at(action, "`on` is missing: the host that does it").hint(hint));
    };
    lab.hosts
        .iter()
        .find(|host| host.name == *on.get_ref())
        .ok_or_else(|| {
            Mistake::at(
                on,
                format!("`{}` is not one of this lab's hosts", on.get_ref()),
            )
            .hint(hint)
        })
}

fn check_request(raw: &ActionFile, held: &mut Vec<String>) -> Result<Request, Mistake> {
    let url = raw
        .get
        .as_ref()
        .expect("the caller has found that this action is a `get`");
    let timeout = match &raw.timeout_seconds {
        Some(seconds) if !(*seconds.get_ref() > 0.0 && *seconds.get_ref() <= LONGEST_TIMEOUT) => {
            return Err(Mistake::at(
                seconds,
                format!("a timeout is more than 0 and at most {LONGEST_TIMEOUT} seconds"),
            ));
        }
        Some(seconds) => Duration::from_secs_f64(*seconds.get_ref()),
        None => DEFAULT_TIMEOUT,
    };
    let times = match &raw.times {
        Some(times) if *times.get_ref() == 0 => {
            return Err(Mistake::at(times, "there is at least one request"));
        }
        Some(times) => *times.get_ref(),
        None => 1,
    };
    let keep_alive = raw.keep_alive || raw.hold.is_some();
    if keep_alive && raw.concurrent {
        return Err(Mistake::at(
            url,
            "requests that share a connection cannot be concurrent",
        ));
    }
    if let Some(name) = &raw.hold {
        held.push(name.get_ref().clone());
    }
    let hold = raw.hold.as_ref().map(|name| name.get_ref().clone());
    Ok(Request {
        url: parsed(url)?,
        times,
        keep_alive,
        concurrent: raw.concurrent,
        timeout,
        hold,
    })
}

fn check_pattern(raw: &PatternFile, host: &Host) -> Result<PacketPattern, Mistake> {
    if let Some(name) = &raw.interface {
        let known: Vec<&str> = host
            .interfaces
            .iter()
            .map(|interface| interface.name.as_str())
            .collect();
        if !known.contains(&name.get_ref().as_str()) {
            return Err(Mistake::at(
                name,
                format!("host `{}` has no interface `{}`", host.name, name.get_ref()),
            )
            .hint(format!("it has {}", list(&known))));
        }
    }
    if let Some(flags) = &raw.tcp {
        let good = flags.get_ref() == "any"
            || flags
                .get_ref()
                .split('+')
                .all(|flag| TCP_FLAGS.contains(&flag));
        if !good {
            return Err(
                Mistake::at(flags, format!("`{}` are not TCP flags", flags.get_ref())).hint(
                    format!(
                        "`any`, or flags joined by +, for instance SYN+ACK, of {}",
                        list(&TCP_FLAGS)
                    ),
                ),
            );
        }
    }
    Ok(PacketPattern {
        interface: raw.interface.as_ref().map(|name| name.get_ref().clone()),
        direction: raw.direction,
        tcp: raw.tcp.as_ref().map(|flags| flags.get_ref().clone()),
        source: raw.source.as_ref().map(parsed).transpose()?,
        destination: raw.destination.as_ref().map(parsed).transpose()?,
    })
}

/// How many of the kinds of expectation are given: for answers, for lines, for packets.
fn kinds(expect: &ExpectFile) -> [usize; 3] {
    let answers = [
        expect.answers.is_some(),
        expect.servers.is_some(),
        expect.hangs,
        expect.refused,
    ];
    let lines = [expect.lines.is_some(), expect.no_lines.is_some()];
    let packets = [expect.packets.is_some(), expect.packets_at_least.is_some()];
    let count = |given: &[bool]| given.iter().filter(|given| **given).count();
    [count(&answers), count(&lines), count(&packets)]
}

fn expect_lines(expect: Option<&Spanned<ExpectFile>>) -> Result<LinesExpected, Mistake> {
    let Some(expect) = expect else {
        return Ok(LinesExpected::default());
    };
    let [answers, _, packets] = kinds(expect.get_ref());
    if answers + packets > 0 {
        return Err(Mistake::at(
            expect,
            "what is shown is expected to have `lines` or `no_lines`",
        ));
    }
    let patterns = |lines: &Option<Vec<String>>| {
        lines
            .iter()
            .flatten()
            .map(|line| LinePattern::from(line.clone()))
            .collect()
    };
    let expect = expect.get_ref();
    Ok(LinesExpected {
        present: patterns(&expect.lines),
        absent: patterns(&expect.no_lines),
    })
}

fn expect_packets(action: &Spanned<ActionFile>) -> Result<PacketsExpected, Mistake> {
    let wrong = || {
        Mistake::at(
            action,
            "captured packets are expected as `packets` or `packets_at_least`",
        )
    };
    let expect = action
        .get_ref()
        .expect
        .as_ref()
        .ok_or_else(wrong)?
        .get_ref();
    match (kinds(expect), expect.packets, expect.packets_at_least) {
        ([0, 0, 1], Some(exactly), None) => Ok(PacketsExpected::Exactly(exactly)),
        ([0, 0, 1], None, Some(least)) => Ok(PacketsExpected::AtLeast(least)),
        _ => Err(wrong()),
    }
}

fn expect_answers(expect: &Spanned<ExpectFile>, lab: &Lab) -> Result<AnswersExpected, Mistake> {
    let raw = expect.get_ref();
    if kinds(raw) != [1, 0, 0] {
        return Err(Mistake::at(
            expect,
            "requests are expected to have one of `answers`, `servers`, `hangs` and `refused`",
        ));
    }
    if let Some(answers) = &raw.answers {
        let known: Vec<String> = lab
            .hosts
            .iter()
            .filter_map(|host| host.serve.as_ref())
            .map(Serve::identity)
            .collect();
        if let Some(unknown) = answers.keys().find(|name| !known.contains(name)) {
            return Err(Mistake::at(
                expect,
                format!("no server here says that it is `{unknown}`"),
            )
            .hint(format!("servers here: {}", list(&known))));
        }
        return Ok(AnswersExpected::From(answers.clone()));
    }
    Ok(match raw.servers {
        Some(servers) => AnswersExpected::Servers(servers),
        None if raw.hangs => AnswersExpected::Hang,
        None => AnswersExpected::Refused,
    })
}
