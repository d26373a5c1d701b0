//! Comparing what was found with what a lab says must be found.

use crate::capture::Sighting;
use crate::definition::{AnswersExpected, LinesExpected, PacketPattern, PacketsExpected};
use crate::http_client::{Answer, Outcome, count_servers};
use crate::report::Finding;

/// Judges how requests ended.
pub fn answers(expected: &AnswersExpected, answers: &[Answer]) -> Finding {
    let counts = count_servers(answers);
    let all = |wanted: &Outcome| {
        !answers.is_empty() && answers.iter().all(|answer| answer.outcome == *wanted)
    };
    let answered: u32 = counts.values().sum();
    let complete = usize::try_from(answered) == Ok(answers.len());
    let (wanted, holds) = match expected {
        AnswersExpected::From(wanted, hanging) => {
            let mut words: Vec<String> = wanted
                .iter()
                .map(|(server, count)| format!("{count} from {server}"))
                .collect();
            if *hanging > 0 {
                words.push(format!("{hanging} {}", Outcome::TimedOut.describe()));
            }
            let hung = |answer: &&Answer| answer.outcome == Outcome::TimedOut;
            let hung = answers.iter().filter(hung).count();
            let others = usize::try_from(answered) != Ok(answers.len() - hung);
            (
                words.join(", "),
                *wanted == counts && hung == *hanging && !others,
            )
        }
        AnswersExpected::Servers(1) => (
            "all from one server".to_owned(),
            counts.len() == 1 && complete,
        ),
        AnswersExpected::Servers(servers) => (
            format!("all answered, by {servers} servers"),
            counts.len() == *servers && complete,
        ),
        AnswersExpected::Hang => (
            "no answer, until the client gives up".to_owned(),
            all(&Outcome::TimedOut),
        ),
        AnswersExpected::Refused => ("connection refused".to_owned(), all(&Outcome::Refused)),
        AnswersExpected::Reset => ("connection reset".to_owned(), all(&Outcome::Reset)),
    };
    Finding::new(wanted, holds, || summary(answers))
}

/// How requests ended, counted.
pub fn summary(answers: &[Answer]) -> String {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for answer in answers {
        let kind = answer.outcome.describe();
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    kinds.sort();
    kinds
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Judges a command's output.
pub fn lines(expected: &LinesExpected, output: &str) -> Vec<Finding> {
    let present = expected.present.iter().map(|pattern| {
        let holds = output.lines().any(|line| pattern.matches(line));
        Finding::new(format!("a line `{pattern}`"), holds, || {
            "no such line".to_owned()
        })
    });
    let absent = expected.absent.iter().map(|pattern| {
        let line = output.lines().find(|line| pattern.matches(line));
        let found = || line.unwrap_or_default().to_owned();
        Finding::new(format!("no line `{pattern}`"), line.is_none(), found)
    });
    present.chain(absent).collect()
}

/// Judges the output of a command that went on for a while: the lines that must be there come one
/// after the other.
pub fn lines_in_order(expected: &LinesExpected, output: &str) -> Vec<Finding> {
    let mut rest = output.lines();
    let present = expected.present.iter().map(|pattern| {
        // A line that is missing uses up those after it, which then are missing, too.
        let holds = rest.any(|line| pattern.matches(line));
        Finding::new(format!("next a line `{pattern}`"), holds, || {
            "no such line after those before".to_owned()
        })
    });
    let present: Vec<_> = present.collect();
    let absent = LinesExpected {
        present: Vec::new(),
        absent: expected.absent.clone(),
    };
    present.into_iter().chain(lines(&absent, output)).collect()
}

/// Judges how many packets of a kind were captured.
pub fn packets(expected: PacketsExpected, found: usize) -> Finding {
    let (wanted, holds) = match expected {
        PacketsExpected::Exactly(0) => ("no such packet".to_owned(), found == 0),
        PacketsExpected::Exactly(wanted) => (format!("{wanted} of them"), found == wanted),
        PacketsExpected::AtLeast(least) => (format!("{least} of them or more"), found >= least),
    };
    Finding::new(wanted, holds, || format!("{found} of them"))
}

/// The packets on a host's wire that a pattern means.
pub fn pick<'a>(
    sightings: &'a [Sighting],
    host: &str,
    pattern: &PacketPattern,
) -> Vec<&'a Sighting> {
    sightings
        .iter()
        .filter(|sighting| *sighting.host == *host && sighting.matches(pattern))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn answer(outcome: Outcome) -> Answer {
        Answer {
            client: None,
            outcome,
            seconds: 0.0,
        }
    }

    fn from(server: &str) -> Answer {
        answer(Outcome::From(server.to_owned()))
    }

    #[test]
    fn answers_must_come_from_exactly_the_servers_named() {
        let expected = AnswersExpected::From(
            BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]),
            0,
        );
        assert!(answers(&expected, &[from("a"), from("b"), from("a")]).holds);
        let finding = answers(&expected, &[from("a"), from("b"), from("b")]);
        assert!(!finding.holds);
        assert_eq!(finding.found.as_deref(), Some("1 from a, 2 from b"));
        assert!(
            !answers(
                &expected,
                &[from("a"), from("b"), from("a"), answer(Outcome::TimedOut)]
            )
            .holds
        );
    }

    #[test]
    fn what_a_command_said_meanwhile_has_its_lines_in_their_order() {
        let expected = LinesExpected {
            present: ["in * SYN", "out *"]
                .map(|line| line.to_owned().into())
                .to_vec(),
            absent: vec!["lost".to_owned().into()],
        };
        let holds = |output: &str| {
            let findings = lines_in_order(&expected, output);
            findings
                .iter()
                .map(|finding| finding.holds)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            holds("ready\nin eth0 SYN\nother\nout eth1\n"),
            [true, true, true]
        );
        assert_eq!(holds("out eth1\nin eth0 SYN\n"), [true, false, true]);
        assert_eq!(holds("lost\n"), [false, false, false]);
    }

    #[test]
    fn those_that_hang_are_counted_beside_those_that_are_answered() {
        let expected = AnswersExpected::From(BTreeMap::from([("a".to_owned(), 1)]), 2);
        let hung = || answer(Outcome::TimedOut);
        assert!(answers(&expected, &[hung(), from("a"), hung()]).holds);
        assert!(!answers(&expected, &[hung(), from("a")]).holds);
        let refused = || answer(Outcome::Refused);
        assert!(!answers(&expected, &[hung(), from("a"), hung(), refused()]).holds);
        let finding = answers(&expected, &[from("a"), from("a"), hung()]);
        assert_eq!(finding.expected, "1 from a, 2 no answer in time");
    }

    #[test]
    fn a_hang_is_that_nothing_at_all_was_answered() {
        assert!(
            answers(
                &AnswersExpected::Hang,
                &[answer(Outcome::TimedOut), answer(Outcome::TimedOut)]
            )
            .holds
        );
        assert!(
            !answers(
                &AnswersExpected::Hang,
                &[answer(Outcome::TimedOut), from("a")]
            )
            .holds
        );
        assert!(!answers(&AnswersExpected::Hang, &[answer(Outcome::Refused)]).holds);
        assert!(!answers(&AnswersExpected::Hang, &[]).holds);
    }

    #[test]
    fn one_server_is_not_two_and_not_none() {
        assert!(answers(&AnswersExpected::Servers(1), &[from("a"), from("a")]).holds);
        assert!(!answers(&AnswersExpected::Servers(1), &[from("a"), from("b")]).holds);
        assert!(!answers(&AnswersExpected::Servers(1), &[answer(Outcome::TimedOut)]).holds);
    }
}
