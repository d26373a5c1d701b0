//! How servers and their checks are, as it is shown.

use serde::{Deserialize, Serialize};

use crate::check::{Checking, Run};
use crate::monitor::Monitor;
use crate::server::Member;

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
                        checks: self.checks_of_member(member),
                    })
                    .collect(),
            })
            .collect()
    }

    /// How the checks of a real server are; the servers are named by their places.
    pub fn checks_of(&self, virtual_server: usize, real_server: usize) -> Vec<CheckStatus> {
        let serving = self.servers().get(virtual_server);
        let member = serving.and_then(|serving| serving.real_servers.get(real_server));
        member.map_or_else(Vec::new, |member| self.checks_of_member(member))
    }

    fn checks_of_member(&self, member: &Member) -> Vec<CheckStatus> {
        let checks = member.checks.iter();
        checks
            .filter_map(|id| Some(status(id.0, self.checks().get(id)?)))
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
