//! Processes that are tracked: how many of a name there are.

use std::fs;
use std::time::{Duration, Instant};

use config::model::ArgumentMatch;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{MissedTickBehavior, interval};
use vrrp::Reading;

use crate::plan::TrackProcess;
use crate::tracking::Found;

/// How often processes are counted.
const PERIOD: Duration = Duration::from_millis(250);

/// Counts processes again and again, and tells when there are too few, too many, or enough again.
pub(crate) async fn follow(process: TrackProcess, found: UnboundedSender<Found>) {
    let mut clock = interval(PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    let mut since = Instant::now();
    loop {
        clock.tick().await;
        let up = enough(&process, count(&process));
        if known == Some(up) {
            since = Instant::now();
            continue;
        }
        let delay = if up {
            process.rise_delay
        } else {
            process.fall_delay
        };
        if known.is_some() && since.elapsed() < delay {
            continue;
        }
        known = Some(up);
        let reading = if up { Reading::Up } else { Reading::Down };
        if found.send((process.name.clone(), reading)).is_err() {
            return;
        }
    }
}

fn enough(process: &TrackProcess, count: u32) -> bool {
    count >= process.quorum && process.most.is_none_or(|most| count <= most)
}

fn count(process: &TrackProcess) -> u32 {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    let found = numbers.filter_map(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((name, fs::read(entry.path().join("cmdline")).ok()?))
    });
    let count = found
        .filter(|(name, line)| is(process, name.trim_end(), line))
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether a process of this name and command line (words with a zero behind each) is the one that is
/// looked for.
fn is(process: &TrackProcess, name: &str, line: &[u8]) -> bool {
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    // Behind the last zero there is an empty word.
    let found = words
        .split_last()
        .and_then(|(_, words)| words.split_first());
    let (Some((program, arguments)), Some((wanted, looked_for))) =
        (found, process.command.split_first())
    else {
        return false;
    };
    let named = program == wanted
        || !process.whole && (is_named(wanted, name) || file_name(program) == file_name(wanted));
    let matching = if process.whole {
        Some(process.arguments.unwrap_or(ArgumentMatch::Exact))
    } else {
        process.arguments
    };
    named && matching.is_none_or(|matching| matches(matching, arguments, looked_for))
}

/// The kernel keeps 15 bytes of a process' name.
fn is_named(wanted: &str, name: &str) -> bool {
    let wanted = file_name(wanted).as_bytes();
    name.as_bytes() == &wanted[..wanted.len().min(15)]
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn matches(matching: ArgumentMatch, found: &[String], wanted: &[String]) -> bool {
    match (matching, wanted.split_last()) {
        (ArgumentMatch::Exact, _) | (_, None) => found == wanted,
        (ArgumentMatch::First, _) => found.starts_with(wanted),
        (ArgumentMatch::Beginning, Some((last, before))) => {
            found.starts_with(before)
                && found
                    .get(before.len())
                    .is_some_and(|word| word.starts_with(last.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(command: &[&str], arguments: Option<ArgumentMatch>) -> TrackProcess {
        TrackProcess {
            name: "process".to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            arguments,
            whole: false,
            quorum: 1,
            most: Some(2),
            rise_delay: Duration::ZERO,
            fall_delay: Duration::ZERO,
        }
    }

    const LINE: &[u8] = b"/usr/sbin/named\0-u\0bind\0";

    #[test]
    fn a_process_is_known_by_its_name_or_its_program() {
        let is_named = |name: &str, line| is(&process(&[name], None), "named", line);
        assert!(is_named("named", LINE) && is_named("/usr/sbin/named", LINE));
        assert!(!is_named("name", LINE) && !is_named("named", b""));
        let of_another_line = b"named: worker of 7\0";
        assert!(is_named("named", of_another_line));
        let whole = TrackProcess {
            whole: true,
            ..process(&["named"], None)
        };
        assert!(!is(&whole, "named", LINE));
        let long = process(&["a-very-long-name-of-it"], None);
        assert!(is(&long, "a-very-long-nam", b"x\0"));
    }

    #[test]
    fn its_arguments_are_all_the_first_or_the_beginning_of_them() {
        use ArgumentMatch::{Beginning, Exact, First};
        let cases = [
            (Exact, &["named", "-u", "bind"][..], true),
            (Exact, &["named", "-u"], false),
            (Exact, &["named"], false),
            (First, &["named", "-u"], true),
            (First, &["named", "-u", "bi"], false),
            (Beginning, &["named", "-u", "bi"], true),
            (Beginning, &["named", "-u", "nd"], false),
            (Beginning, &["named"], false),
        ];
        for (matching, command, expected) in cases {
            let found = is(&process(command, Some(matching)), "named", LINE);
            assert_eq!(found, expected, "{matching:?} {command:?}");
        }
    }

    #[test]
    fn there_can_be_too_few_and_too_many() {
        let process = process(&["named"], None);
        assert_eq!(
            [0, 1, 2, 3].map(|count| enough(&process, count)),
            [false, true, true, false]
        );
    }

    #[test]
    fn this_process_is_found() {
        let own = std::env::args().next().unwrap();
        assert!(count(&process(&[&own], None)) >= 1);
    }
}
