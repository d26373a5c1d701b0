//! Processes that are tracked: how many of a name there are.

use std::fs;
use std::time::{Duration, Instant};

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
    let lines = numbers.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let count = lines.filter(|line| is(process, line)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether a command line (words with a zero behind each) is the one that is looked for.
fn is(process: &TrackProcess, line: &[u8]) -> bool {
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    // Behind the last zero there is an empty word.
    let Some((_, words)) = words.split_last() else {
        return false;
    };
    if process.whole {
        return words == process.command;
    }
    let file_name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    match (words.first(), process.command.first()) {
        (Some(found), Some(wanted)) => found == wanted || file_name(found) == file_name(wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(command: &[&str], whole: bool) -> TrackProcess {
        TrackProcess {
            name: "process".to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            whole,
            quorum: 1,
            most: Some(2),
            rise_delay: Duration::ZERO,
            fall_delay: Duration::ZERO,
        }
    }

    #[test]
    fn a_process_is_known_by_its_name_or_by_all_its_words() {
        let line = b"/usr/sbin/named\0-u\0bind\0";
        assert!(is(&process(&["named"], false), line));
        assert!(is(&process(&["/usr/sbin/named"], false), line));
        assert!(!is(&process(&["name"], false), line));
        assert!(!is(&process(&["/usr/sbin/named"], true), line));
        assert!(is(&process(&["/usr/sbin/named", "-u", "bind"], true), line));
        assert!(!is(&process(&["named"], false), b""));
    }

    #[test]
    fn there_can_be_too_few_and_too_many() {
        let process = process(&["named"], false);
        assert_eq!(
            [0, 1, 2, 3].map(|count| enough(&process, count)),
            [false, true, true, false]
        );
    }

    #[test]
    fn this_process_is_found() {
        let own = std::env::args().next().unwrap();
        assert!(count(&process(&[&own], false)) >= 1);
    }
}
