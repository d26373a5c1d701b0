//! From what a lab file says to its [`Step`]s: each action is of one kind, and names what is there.

use std::time::Duration;

use toml::Spanned;

use crate::check::{list, parsed};
use crate::check_expect::{expect_answers, expect_lines, expect_packets};
use crate::check_pattern::check_pattern;
use crate::definition::{Action, Family, Host, Lab, Request, Step, Transfer};
use crate::file::{ActionFile, DEFAULT_PATIENCE, DEFAULT_TIMEOUT, Mistake, StepFile};
use crate::notation::LinePattern;

/// The kinds of action, as the file names them.
const VERBS: &str = "one of `change`, `show`, `beside`, `get`, `download`, `upload`, `await`, \
                     `close` and `captured`";

/// Longest time that a request may be given, in seconds.
const LONGEST_TIMEOUT: f64 = 600.0;

/// Checks the steps of a lab whose hosts are known: those that are for its family.
pub(crate) fn check_steps(
    raw: Vec<StepFile>,
    lab: &Lab,
    family: Family,
) -> Result<Vec<Step>, Mistake> {
    raw.into_iter()
        .filter(|step| is_for(&step.only, family))
        .map(|step| check_step(step, lab, family))
        .collect()
}

/// Whether something is for a family.
fn is_for(only: &Option<Spanned<Family>>, family: Family) -> bool {
    only.as_ref().is_none_or(|only| *only.get_ref() == family)
}

/// What the actions of a step have begun.
#[derive(Default)]
struct Begun {
    /// Names of connections that are held open.
    held: Vec<String>,
    /// Names of requests in the background, which nothing has awaited yet.
    running: Vec<Spanned<String>>,
}

fn check_step(raw: StepFile, lab: &Lab, family: Family) -> Result<Step, Mistake> {
    let mut begun = Begun::default();
    let actions = raw
        .actions
        .iter()
        .filter(|action| is_for(&action.get_ref().only, family))
        .map(|action| check_action(action, lab, &mut begun))
        .collect::<Result<_, _>>()?;
    if let Some(name) = begun.running.first() {
        return Err(Mistake::at(
            name,
            format!("nothing in this step awaits `{}`", name.get_ref()),
        )
        .hint(format!("an action with await = \"{}\"", name.get_ref())));
    }
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
    begun: &mut Begun,
) -> Result<Action, Mistake> {
    let raw = action.get_ref();
    let verbs = [
        raw.change.is_some(),
        raw.show.is_some(),
        raw.beside.is_some(),
        raw.get.is_some(),
        raw.download.is_some(),
        raw.upload.is_some(),
        raw.awaited.is_some(),
        raw.close.is_some(),
        raw.captured.is_some(),
    ];
    if verbs.iter().filter(|given| **given).count() != 1 {
        return Err(Mistake::at(
            action,
            format!("an action has exactly {VERBS}"),
        ));
    }
    if let (Some(ready), None) = (&raw.ready, &raw.beside) {
        return Err(Mistake::at(ready, "`ready` belongs to `beside`"));
    }
    let request = [&raw.get, &raw.download, &raw.upload];
    let Some(url) = request.into_iter().flatten().next() else {
        only_with_requests(action)?;
        return match &raw.awaited {
            Some(name) => check_await(raw, name, lab, begun),
            None => check_observation(action, lab, &begun.held),
        };
    };
    let host = host_of(action, lab)?;
    let request = check_request(raw, url, begun)?;
    if let Some(expect) = raw.expect.as_ref().filter(|_| raw.background.is_some()) {
        return Err(Mistake::at(expect, "how they end is not known yet")
            .hint("the action that awaits them has the expectation"));
    }
    let expect = raw
        .expect
        .as_ref()
        .map(|expect| expect_answers(expect, lab))
        .transpose()?;
    Ok(Action::Get {
        on: host.name.clone(),
        request,
        expect,
    })
}

/// Checks the end of requests in the background.
fn check_await(
    raw: &ActionFile,
    name: &Spanned<String>,
    lab: &Lab,
    begun: &mut Begun,
) -> Result<Action, Mistake> {
    let running = &mut begun.running;
    let Some(at) = running
        .iter()
        .position(|known| known.get_ref() == name.get_ref())
    else {
        let known: Vec<&String> = running.iter().map(Spanned::get_ref).collect();
        return Err(Mistake::at(
            name,
            format!("no requests run as `{}` in this step", name.get_ref()),
        )
        .hint(format!("running so far: {}", list(&known))));
    };
    running.remove(at);
    let expect = raw.expect.as_ref();
    Ok(Action::Await {
        requests: name.get_ref().clone(),
        expect: expect
            .map(|expect| expect_answers(expect, lab))
            .transpose()?,
    })
}

/// Checks an action that is no request.
fn check_observation(
    action: &Spanned<ActionFile>,
    lab: &Lab,
    held: &[String],
) -> Result<Action, Mistake> {
    let raw = action.get_ref();
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
            patience: check_timeout(raw, DEFAULT_PATIENCE)?,
            expect: expect_lines(raw.expect.as_ref())?,
        });
    }
    if let Some(command) = &raw.beside {
        let ready = raw.ready.as_ref().map(|line| line.get_ref().clone());
        return Ok(Action::Beside {
            on,
            command: parsed(command)?,
            ready: ready.map(LinePattern::from),
            expect: expect_lines(raw.expect.as_ref())?,
        });
    }
    let pattern = raw
        .captured
        .as_ref()
        .expect("the caller has found one of the kinds, and it was none of the others");
    if lab.long {
        return Err(Mistake::at(
            pattern,
            "nothing is captured in a lab that has `long = true`",
        ));
    }
    Ok(Action::Captured {
        on,
        pattern: check_pattern(pattern.get_ref(), host, lab)?,
        expect: expect_packets(action)?,
    })
}

/// Refuses what only requests have on any other action, and times on what takes none.
fn only_with_requests(action: &Spanned<ActionFile>) -> Result<(), Mistake> {
    let raw = action.get_ref();
    let given = [
        ("times", raw.times.is_some()),
        ("keep_alive", raw.keep_alive),
        ("concurrent", raw.concurrent),
        (
            "timeout_seconds",
            raw.timeout_seconds.is_some() && raw.show.is_none(),
        ),
        ("hold", raw.hold.is_some()),
        ("background", raw.background.is_some()),
        ("bytes", raw.bytes.is_some()),
        ("over_seconds", raw.over_seconds.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Mistake::at(action, format!("`{name}` belongs to requests"))),
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

fn check_request(
    raw: &ActionFile,
    url: &Spanned<String>,
    begun: &mut Begun,
) -> Result<Request, Mistake> {
    let timeout = check_timeout(raw, DEFAULT_TIMEOUT)?;
    let times = match &raw.times {
        Some(times) if *times.get_ref() == 0 => {
            return Err(Mistake::at(times, "there is at least one request"));
        }
        Some(times) => *times.get_ref(),
        None => 1,
    };
    if raw.keep_alive && raw.concurrent {
        return Err(Mistake::at(
            url,
            "requests that share a connection cannot be concurrent",
        ));
    }
    if let Some(name) = &raw.hold {
        begun.held.push(name.get_ref().clone());
    }
    if let Some(name) = &raw.background {
        if raw.hold.is_some() {
            return Err(Mistake::at(
                name,
                "connections of the background are not held",
            ));
        }
        begun.running.push(name.clone());
    }
    let named = |name: &Option<Spanned<String>>| name.as_ref().map(|name| name.get_ref().clone());
    let (hold, background) = (named(&raw.hold), named(&raw.background));
    Ok(Request {
        url: parsed(url)?,
        transfer: check_transfer(raw, url)?,
        times,
        keep_alive: raw.keep_alive || (hold.is_some() && !raw.concurrent),
        concurrent: raw.concurrent,
        timeout,
        hold,
        background,
    })
}

/// The time that an action is given.
fn check_timeout(raw: &ActionFile, usual: Duration) -> Result<Duration, Mistake> {
    let given = raw.timeout_seconds.as_ref();
    given.map_or(Ok(usual), |seconds| check_seconds(seconds, "a timeout"))
}

fn check_seconds(raw: &Spanned<f64>, what: &str) -> Result<Duration, Mistake> {
    let seconds = *raw.get_ref();
    if !(seconds > 0.0 && seconds <= LONGEST_TIMEOUT) {
        return Err(Mistake::at(
            raw,
            format!("{what} is more than 0 and at most {LONGEST_TIMEOUT} seconds"),
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn check_transfer(raw: &ActionFile, url: &Spanned<String>) -> Result<Transfer, Mistake> {
    let slowly = raw.over_seconds.as_ref();
    if let Some(seconds) = slowly.filter(|_| raw.download.is_none()) {
        return Err(Mistake::at(seconds, "`over_seconds` belongs to `download`"));
    }
    let time = slowly.map(|seconds| check_seconds(seconds, "a download's time"));
    match (&raw.bytes, raw.download.is_some(), raw.upload.is_some()) {
        (None, false, false) => Ok(Transfer::Page),
        (Some(bytes), true, _) => Ok(match time.transpose()? {
            Some(time) => Transfer::Stream(*bytes.get_ref(), time),
            None => Transfer::Download(*bytes.get_ref()),
        }),
        (Some(bytes), _, true) => Ok(Transfer::Upload(*bytes.get_ref())),
        (Some(bytes), ..) => Err(Mistake::at(
            bytes,
            "`bytes` belongs to `download` and `upload`",
        )),
        (None, ..) => Err(Mistake::at(
            url,
            "`bytes` is missing: how many are transferred",
        )),
    }
}
