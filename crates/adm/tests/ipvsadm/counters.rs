//! Counters and rates are listed as ipvsadm lists them.

use adm::NameTables;
use model::{Rates, Stats};

use crate::support::director::WantedDirector;
use crate::support::golden;
use crate::support::shell::Shell;
use crate::support::transcript::{Step, steps};

/// The five numbers at the end of a step's last line.
fn numbers(step: &Step) -> [u64; 5] {
    let line = step.stdout.last().expect("the step lists a destination");
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let last = words
        .last_chunk::<5>()
        .expect("a line of counters ends in five");
    last.map(|word| word.parse().expect("the counters are exact"))
}

/// A director that has the transcript's only service and destination, and these numbers for both.
fn director(stats: [u64; 5], rates: [u64; 5]) -> WantedDirector {
    let [connections, in_packets, out_packets, in_bytes, out_bytes] = stats;
    let stats = Stats {
        connections,
        in_packets,
        out_packets,
        in_bytes,
        out_bytes,
    };
    let [connections, in_packets, out_packets, in_bytes, out_bytes] = rates;
    let rates = Rates {
        connections,
        in_packets,
        out_packets,
        in_bytes,
        out_bytes,
    };
    WantedDirector {
        stats,
        rates,
        ..WantedDirector::default()
    }
}

fn assert_listed(mut director: WantedDirector, setup: &[Step], step: &Step, options: &str) {
    let names = NameTables::default();
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let mut shell = Shell {
        director: &mut director,
        names: &names,
        directory,
    };
    for command in setup {
        assert_eq!(shell.run(&command.command).code, 0, "{}", command.command);
    }
    let outcome = shell.run(&format!("ipvsadm -Ln {options}"));
    let listed: Vec<_> = String::from_utf8_lossy(&outcome.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, step.stdout, "{}", step.command);
}

#[test]
fn counters_of_a_large_transfer_are_cut_unless_they_are_to_be_exact() {
    let steps = steps(&golden("21-nat-bigstats.txt"));
    let find = |command| {
        steps
            .iter()
            .find(|step| step.command == command)
            .expect("it was taken")
    };
    let exact = find("ipvsadm -Ln --stats --exact");
    let cut = find("ipvsadm -Ln --stats");
    let stats = numbers(exact);
    assert_listed(
        director(stats, [0; 5]),
        &steps[..2],
        exact,
        "--stats --exact",
    );
    assert_listed(director(stats, [0; 5]), &steps[..2], cut, "--stats");
}

#[test]
fn rates_are_listed_in_their_columns() {
    let steps = steps(&golden("21-nat-bigstats.txt"));
    for step in steps.iter().filter(|step| step.command.contains("--rate")) {
        let (_, options) = step.command.split_once("-Ln ").expect("it is a listing");
        assert_listed(director([0; 5], numbers(step)), &steps[..2], step, options);
    }
}
