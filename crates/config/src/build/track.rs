//! `vrrp_script`, `track_file`, `vrrp_track_process`.

use std::time::Duration;

use super::fields::Fields;
use crate::diagnostic::Diagnostic;
use crate::model::{TrackFile, TrackProcess, VrrpScript, Weight};
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
            command: command.into_iter().map(str::to_owned).collect(),
            weight: given.weight(&["weight"]).unwrap_or(Weight {
                weight: 1,
                reverse: false,
            }),
            quorum: given.number(&["quorum"]).unwrap_or(1),
            quorum_max: given.number(&["quorum_max"]),
            fork_delay: given.seconds(&["fork_delay"]).unwrap_or(delay),
            terminate_delay: given.seconds(&["terminate_delay"]).unwrap_or(delay),
            full_command: given.has(&["full_command"]),
        });
    }
    processes
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
