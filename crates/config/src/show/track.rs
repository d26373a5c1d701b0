//! What virtual routers and checks depend on.

use super::item::{Out, quoted};
use super::seconds;
use crate::model::{ArgumentMatch, TrackFile, TrackProcess, TrackedBy, VrrpScript, Weight};

pub(super) fn weight(weight: Weight) -> String {
    let reverse = if weight.reverse { " reverse" } else { "" };
    format!("{}{reverse}", weight.weight)
}

pub(super) fn script(out: &mut Out, script: &VrrpScript) {
    out.block(&format!("vrrp_script {}", script.name), |out| {
        out.script("script", Some(&script.script));
        out.value("interval", seconds(script.interval));
        out.optional("timeout", script.timeout.map(seconds));
        out.value("weight", weight(script.weight));
        out.value("rise", script.rise);
        out.value("fall", script.fall);
        out.flag("init_fail", script.init_fail);
    });
}

pub(super) fn file(out: &mut Out, file: &TrackFile) {
    out.block(&format!("track_file {}", file.name), |out| {
        out.value("file", quoted(&file.path));
        out.value("weight", weight(file.weight));
        if let Some((value, overwrite)) = file.init {
            let overwrite = if overwrite { " overwrite" } else { "" };
            out.value("init_file", format!("{value}{overwrite}"));
        }
    });
}

pub(super) fn process(out: &mut Out, process: &TrackProcess) {
    out.block(&format!("vrrp_track_process {}", process.name), |out| {
        let words: Vec<String> = process.command.iter().map(|word| quoted(word)).collect();
        out.value("process", words.join(" "));
        let arguments = process.arguments.map(|arguments| match arguments {
            // What holds anyway where there are arguments.
            ArgumentMatch::Exact if process.command.len() > 1 => None,
            ArgumentMatch::Exact => Some("exact"),
            ArgumentMatch::First => Some("partial"),
            ArgumentMatch::Beginning => Some("initial"),
        });
        out.optional("param_match", arguments.flatten());
        out.value("weight", weight(process.weight));
        out.value("quorum", process.quorum);
        out.optional("quorum_max", process.quorum_max);
        out.value("fork_delay", seconds(process.fork_delay));
        out.value("terminate_delay", seconds(process.terminate_delay));
        out.flag("full_command", process.full_command);
    });
}

/// `track_script` and its like: a name to a line, with the weight where it is another.
pub(super) fn tracked(out: &mut Out, keyword: &str, tracked: &[TrackedBy]) {
    let lines = tracked.iter().map(|by| match by.weight {
        None => by.name.clone(),
        Some(own) => format!("{} weight {}", by.name, weight(own)),
    });
    out.lines(keyword, lines);
}
