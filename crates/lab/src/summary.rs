//! How many labs ended, on each of the hooks: a row to a lab, a column to a hook.

use std::fmt::Write as _;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::lifecycle::Hook;
use crate::report::Report;

/// Width of the column of names, and of a hook's.
const NAMES: usize = 26;
const COLUMN: usize = 20;

/// One lab on one hook.
#[derive(Debug)]
pub(crate) struct Run {
    pub lab: String,
    pub hook: Hook,
    pub seconds: f64,
    /// What would have been printed, had it been the only one.
    pub said: String,
    /// What was found, or why it came to no end.
    pub result: Result<Report, String>,
}

impl Run {
    fn passed(&self) -> bool {
        self.result.as_ref().is_ok_and(|report| report.passed)
    }

    /// What the table says of it.
    pub fn cell(&self) -> String {
        let verdict = match &self.result {
            Ok(report) if report.passed => "ok".to_owned(),
            Ok(report) => {
                let failed = report.steps.iter().filter(|step| !step.passed);
                let numbers: Vec<String> = failed.map(|step| step.number.to_string()).collect();
                format!("FAILED {}", numbers.join(","))
            }
            Err(_) => "ERROR".to_owned(),
        };
        let width = COLUMN - 8;
        format!(" {verdict:<width$}{:>5.1} s", self.seconds)
    }

    /// All that is known of a run that failed.
    fn story(&self) -> String {
        let mut text = format!("\n== {} on {}\n{}", self.lab, self.hook.as_str(), self.said);
        if let Err(error) = &self.result {
            let _infallible = writeln!(text, "{error}");
        }
        text
    }
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut run = serializer.serialize_struct("Run", 6)?;
        run.serialize_field("lab", &self.lab)?;
        run.serialize_field("hook", self.hook.as_str())?;
        run.serialize_field("passed", &self.passed())?;
        run.serialize_field("seconds", &self.seconds)?;
        run.serialize_field("error", &self.result.as_ref().err())?;
        let steps = self.result.as_ref().ok().map(|report| &report.steps);
        run.serialize_field("steps", &steps)?;
        run.end()
    }
}

/// All runs.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Whether all were as expected.
    pub passed: bool,
    /// How long they took together, in seconds.
    seconds: f64,
    #[serde(skip)]
    hooks: Vec<Hook>,
    runs: Vec<Run>,
}

impl Summary {
    pub fn new(hooks: Vec<Hook>) -> Self {
        Self {
            passed: true,
            seconds: 0.0,
            hooks,
            runs: Vec::new(),
        }
    }

    pub fn add(&mut self, run: Run) {
        self.passed &= run.passed();
        self.seconds += run.seconds;
        self.runs.push(run);
    }

    /// The table's first line.
    pub fn heading(&self) -> String {
        let mut text = format!("{:<NAMES$}", "lab");
        for hook in &self.hooks {
            let _infallible = write!(text, " {:<width$}", hook.as_str(), width = COLUMN - 1);
        }
        format!("{}\n", text.trim_end())
    }

    /// How a row begins.
    pub fn row_name(&self, lab: &str) -> String {
        format!("{lab:<NAMES$}")
    }

    /// How many passed, after everything about those that did not.
    pub fn end(&self) -> String {
        let failed: Vec<&Run> = self.runs.iter().filter(|run| !run.passed()).collect();
        let mut text: String = failed.iter().map(|run| run.story()).collect();
        let all = self.runs.len();
        let _infallible = writeln!(
            text,
            "\n{} of {all} as expected, in {:.0} s",
            all - failed.len(),
            self.seconds
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lab: &str, hook: Hook, result: Result<bool, &str>) -> Run {
        let report = |passed| Report {
            lab: lab.to_owned(),
            hook: hook.as_str(),
            seconds: 1.0,
            steps: Vec::new(),
            passed,
        };
        Run {
            lab: lab.to_owned(),
            hook,
            seconds: 1.26,
            said: "what was seen\n".to_owned(),
            result: result.map(report).map_err(str::to_owned),
        }
    }

    #[test]
    fn a_row_has_a_cell_below_each_hook() {
        let summary = Summary::new(vec![Hook::Xdp, Hook::Tc]);
        let cells = [Hook::Xdp, Hook::Tc].map(|hook| run("nat-wrr", hook, Ok(true)).cell());
        let row = format!("{}{}", summary.row_name("nat-wrr"), cells.concat());
        let heading = summary.heading();
        assert_eq!(heading.find("xdp"), row.find("ok"));
        assert_eq!(heading.find("tc"), row.rfind("ok"));
        assert_eq!(row.matches("1.3 s").count(), 2, "{row}");
    }

    #[test]
    fn whatever_fails_is_told_in_full_and_fails_the_whole() {
        let mut summary = Summary::new(vec![Hook::Tc]);
        summary.add(run("a", Hook::Tc, Ok(true)));
        assert!(summary.passed);
        summary.add(run("b", Hook::Tc, Err("no such thing")));
        assert!(!summary.passed);
        let end = summary.end();
        assert!(
            end.starts_with("\n== b on tc\nwhat was seen\nno such thing\n"),
            "{end}"
        );
        assert!(end.ends_with("\n1 of 2 as expected, in 3 s\n"), "{end}");
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["runs"][1]["error"], "no such thing");
        assert_eq!(json["runs"][0]["passed"], true);
    }
}
