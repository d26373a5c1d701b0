//! `vrrp_script`, `track_file`, `vrrp_track_process`.

use std::time::Duration;

use super::fields::Fields;
use crate::diagnostic::Diagnostic;
use crate::model::{ArgumentMatch, TrackFile, TrackProcess, VrrpScript, Weight};
use crate::tree::Statement;

pub(super) fn scripts(file: Fields<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<VrrpScript> {
    let mut scripts = Vec::new();
    for statement in file.all(&["vrrp_script"]) {
        let given = Fields(statement.inner());
        let Some(script) = given.script(&["script"]) else {
            missing(
                statement,
                "script",
                "add `script \"/path/to/script\"'",
                diagnostics,
            );
            continue;
        };
        scripts.push(VrrpScript {
            name: name(statement),
            script,
            interval: given
                .seconds(&["interval"])
                .unwrap_or(Duration::from_secs(1)),
            timeout: given.seconds(&["timeout"]),
            weight: given.weight(&["weight"]).unwrap_or_default(),
            rise: given.number(&["rise"]).unwrap_or(1),
            fall: given.number(&["fall"]).unwrap_or(1),
            init_fail: given.has(&["init_fail"]),
        });
    }
    scripts
}

pub(super) fn files(file: Fields<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<TrackFile> {
    let mut files = Vec::new();
    for statement in file.all(&["track_file", "vrrp_track_file"]) {
        let given = Fields(statement.inner());
        let Some(path) = given.text(&["file"]) else {
            missing(statement, "file", "add `file \"/path\"'", diagnostics);
            continue;
        };
        let init = given.has(&["init_file"]).then(|| {
            let words = given.words(&["init_file"]);
            let value = words.iter().find_map(|word| word.parse().ok());
            (value.unwrap_or(0), words.contains(&"overwrite"))
        });
        files.push(TrackFile {
            name: name(statement),
            path,
            weight: given.weight(&["weight"]).unwrap_or(Weight {
                weight: 1,
                reverse: false,
            }),
            init,
        });
    }
    files
}

pub(super) fn processes(file: Fields<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<TrackProcess> {
    let mut processes = Vec::new();
    for statement in file.all(&["vrrp_track_process", "track_process"]) {
        let given = Fields(statement.inner());
        let command = given.words(&["process"]);
        if command.is_empty() {
            missing(statement, "process", "add `process NAME'", diagnostics);
            continue;
        }
        let delay = given.seconds(&["delay"]).unwrap_or_default();
        processes.push(TrackProcess {
            name: name(statement),
            weight: given.weight(&["weight"]).unwrap_or(Weight {
                weight: 1,
                reverse: false,
            }),
            quorum: given.number(&["quorum"]).unwrap_or(1),
            quorum_max: given.number(&["quorum_max"]),
            fork_delay: given.seconds(&["fork_delay"]).unwrap_or(delay),
            terminate_delay: given.seconds(&["terminate_delay"]).unwrap_or(delay),
            arguments: arguments(given, command.len()),
            command: command.into_iter().map(str::to_owned).collect(),
            full_command: given.has(&["full_command"]),
        });
    }
    processes
}

/// Arguments are compared where there are some, or where it is said how.
fn arguments(given: Fields<'_>, words: usize) -> Option<ArgumentMatch> {
    match given.text(&["param_match"]).as_deref() {
        Some("partial") => Some(ArgumentMatch::First),
        Some("initial") => Some(ArgumentMatch::Beginning),
        Some(_) => Some(ArgumentMatch::Exact),
        None => (words > 1).then_some(ArgumentMatch::Exact),
    }
}

pub(super) fn name(statement: &Statement) -> String {
    let name = statement.arguments.first();
    name.map(|name| name.text.clone()).unwrap_or_default()
}

fn missing(statement: &Statement, what: &str, help: &str, diagnostics: &mut Vec<Diagnostic>) {
    let keyword = &statement.keyword.text;
    diagnostics.push(Diagnostic::error(
        statement.span(),
        format!("`{keyword}' without `{what}'"),
        "nothing could be tracked",
        help,
    ));
}
