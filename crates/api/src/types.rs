//! Bodies of requests and answers that are not the model's own types.

use std::path::PathBuf;

use config::{Change, CheckChanges};
use model::{Command, ServiceKey};
use serde::{Deserialize, Serialize};

use crate::Problem;

/// What became of each change of a transaction, in order. A refused one does not keep the others
/// from being carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// One for each change.
    pub outcomes: Vec<Outcome>,
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why it was refused, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl From<Result<(), Problem>> for Outcome {
    fn from(result: Result<(), Problem>) -> Self {
        Self {
            problem: result.err(),
        }
    }
}

/// What a reload has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Changes that were carried out, as one transaction.
    pub changes: usize,
    /// What there is to say about the file, a line each.
    pub warnings: Vec<String>,
}

/// Which file to compare with the running configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceRequest {
    /// Its absolute path; the daemon's own file where it is absent. Only root may name another.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// What its `@` conditions name; what the daemon was told where it is absent.
    #[serde(default)]
    pub config_id: Option<String>,
}

/// What a reload would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// In the configuration.
    pub changes: Vec<Change>,
    /// In the director's tables, all in one transaction, as servers are now.
    pub commands: Vec<Command>,
    /// Among the checks.
    pub checks: CheckChanges,
    /// What there is to say about the file, a line each.
    pub warnings: Vec<String>,
}

/// Whose counters to set to zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zero {
    /// One service's and its destinations'; all where it is absent.
    #[serde(default)]
    pub service: Option<ServiceKey>,
}
