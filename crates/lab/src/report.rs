//! What a run found, step by step, for people as it goes and for programs as JSON.

use serde::Serialize;

use crate::http_client::Answer;
use crate::journey::Connection;

/// A run of a lab.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The lab.
    pub lab: String,
    /// The director's hook, as asked for.
    pub hook: &'static str,
    /// How long it took to bring the lab up, run it and take it down, in seconds.
    pub seconds: f64,
    /// What was run.
    pub steps: Vec<StepReport>,
    /// Whether all was as expected.
    pub passed: bool,
}

/// A step of a run.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// Its number, from 1.
    pub number: usize,
    /// What it does.
    pub title: String,
    /// Why what is seen is seen.
    pub why: String,
    /// What was done and found.
    pub actions: Vec<ActionReport>,
    /// One of its connections, wire by wire.
    pub connection: Option<Connection>,
    /// Whether all was as expected.
    pub passed: bool,
}

/// An action of a step.
#[derive(Debug, Serialize)]
pub struct ActionReport {
    /// What was done, as a person would say or type it.
    pub did: String,
    /// Output of a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Answers to requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// Packets that were looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packets: Vec<String>,
    /// What was expected, and whether it was so.
    pub findings: Vec<Finding>,
}

impl ActionReport {
    /// An action of which nothing more is known yet.
    pub fn new(did: String) -> Self {
        Self {
            did,
            output: None,
            answers: Vec::new(),
            packets: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Whether all was as expected.
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.holds)
    }
}

/// One expectation.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was expected.
    pub expected: String,
    /// What was found, where that is not the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Whether it was so.
    pub holds: bool,
}

impl Finding {
    /// An expectation, and what was found instead if it does not hold.
    pub fn new(expected: String, holds: bool, found: impl FnOnce() -> String) -> Self {
        Self {
            expected,
            found: (!holds).then(found),
            holds,
        }
    }
}
