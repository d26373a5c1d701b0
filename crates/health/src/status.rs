//! How servers and their checks are, as it is shown.

use serde::{Deserialize, Serialize};

use crate::check::{Checking, Run};
use crate::monitor::Monitor;

/// How a virtual server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualServerStatus {
    /// Its services, as `ipvsadm` names them.
    pub services: Vec<String>,
    /// Whether enough of its servers live.
    pub has_quorum: bool,
    /// The weight that it needs.
    pub quorum: u32,
    /// Its real servers.
    pub real_servers: Vec<RealServerStatus>,
}

/// How a real server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealServerStatus {
    /// Its address and port.
    pub destination: String,
    /// Whether all its checks succeed.
    pub is_alive: bool,
    /// Its weight while it lives.
    pub weight: i32,
    /// Its checks.
    pub checks: Vec<CheckStatus>,
}

/// How a check is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Its number: the same for all servers that share it.
    pub number: u64,
    /// Its keyword, as in `TCP_CHECK`.
    pub kind: String,
    /// Whether it counts as successful.
    pub is_up: bool,
    /// Failures in a row.
    pub failures: u32,
    /// Its last runs, the oldest first.
    pub history: std::collections::VecDeque<Run>,
}

impl Monitor {
    /// How all servers are.
    pub fn status(&self) -> Vec<VirtualServerStatus> {
        self.servers()
            .iter()
            .map(|serving| VirtualServerStatus {
                services: serving
                    .server
                    .keys
                    .iter()
                    .map(|key| key.to_string())
                    .collect(),
                has_quorum: serving.has_quorum,
                quorum: serving.server.quorum,
                real_servers: serving
                    .real_servers
                    .iter()
                    .map(|member| RealServerStatus {
                        destination: member.server.destination.key.to_string(),
                        is_alive: member.is_alive,
                        weight: member.weight,
                        checks: member
                            .checks
                            .iter()
                            .filter_map(|id| Some(status(id.0, self.checks().get(id)?)))
                            .collect(),
                    })
                    .collect(),
            })
            .collect()
    }
}

fn status(number: u64, checking: &Checking) -> CheckStatus {
    CheckStatus {
        number,
        kind: checking.check.kind.keyword().to_owned(),
        is_up: checking.is_up,
        failures: checking.failures,
        history: checking.history.clone(),
    }
}
