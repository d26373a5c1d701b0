//! What actions are expected to show: each kind of action has its own kinds of expectation.

use toml::Spanned;

use crate::check::list;
use crate::definition::{AnswersExpected, Lab, LinesExpected, PacketsExpected, Serve};
use crate::file::{ActionFile, ExpectFile, Mistake};
use crate::notation::LinePattern;

/// How many of the kinds of expectation are given: for answers, for lines, for packets.
fn kinds(expect: &ExpectFile) -> [usize; 3] {
    let answers = [
        expect.answers.is_some(),
        expect.servers.is_some(),
        expect.hangs,
        expect.refused,
        expect.reset,
    ];
    let lines = [expect.lines.is_some(), expect.no_lines.is_some()];
    let packets = [expect.packets.is_some(), expect.packets_at_least.is_some()];
    let count = |given: &[bool]| given.iter().filter(|given| **given).count();
    [count(&answers), count(&lines), count(&packets)]
}

/// For commands whose output is looked at.
pub(crate) fn expect_lines(expect: Option<&Spanned<ExpectFile>>) -> Result<LinesExpected, Mistake> {
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

/// For captured packets.
pub(crate) fn expect_packets(action: &Spanned<ActionFile>) -> Result<PacketsExpected, Mistake> {
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

/// For requests.
pub(crate) fn expect_answers(
    expect: &Spanned<ExpectFile>,
    lab: &Lab,
) -> Result<AnswersExpected, Mistake> {
    let raw = expect.get_ref();
    if kinds(raw) != [1, 0, 0] {
        return Err(Mistake::at(
            expect,
            "requests are expected to have one of `answers`, `servers`, `hangs`, `refused` and `reset`",
        ));
    }
    if raw.unanswered.is_some() && raw.answers.is_none() {
        return Err(Mistake::at(
            expect,
            "`unanswered` says how many requests hang besides those of `answers`",
        ));
    }
    if let Some(answers) = &raw.answers {
        let known: Vec<String> = lab
            .hosts
            .iter()
            .filter_map(|host| host.serve.as_ref())
            .map(Serve::identity)
            .collect();
        let is_known = |answer: &str| {
            let name = answer.split_once(" for ").map_or(answer, |(name, _)| name);
            known.iter().any(|known| known == name)
        };
        if let Some(unknown) = answers.keys().find(|answer| !is_known(answer)) {
            return Err(Mistake::at(
                expect,
                format!("no server here says that it is `{unknown}`"),
            )
            .hint(format!("servers here: {}", list(&known))));
        }
        let unanswered = raw.unanswered.unwrap_or(0);
        return Ok(AnswersExpected::From(answers.clone(), unanswered));
    }
    Ok(match raw.servers {
        Some(servers) => AnswersExpected::Servers(servers),
        None if raw.hangs => AnswersExpected::Hang,
        None if raw.reset => AnswersExpected::Reset,
        None => AnswersExpected::Refused,
    })
}
