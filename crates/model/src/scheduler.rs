//! Who chooses the destination of a new connection.

use serde::{Deserialize, Serialize};

use crate::names::named;

/// A scheduler, by the name under which IPVS knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduler {
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Least connections.
    Lc,
    /// Weighted least connections: the default.
    Wlc,
    /// Locality-based least connections.
    Lblc,
    /// Locality-based least connections with replication.
    Lblcr,
    /// Destination hashing.
    Dh,
    /// Source hashing.
    Sh,
    /// Shortest expected delay.
    Sed,
    /// Never queue.
    Nq,
    /// Weighted failover.
    Fo,
    /// Weighted overflow.
    Ovf,
    /// Maglev hashing.
    Mh,
    /// The power of two choices.
    Twos,
    /// Maglev hashing as its paper has it: the same choice on every director.
    Maglev,
    /// No scheduler: every new connection is refused.
    None,
}

named!(Scheduler, "scheduler", "rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh, twos, maglev, none", {
    Rr => "rr", Wrr => "wrr", Lc => "lc", Wlc => "wlc", Lblc => "lblc", Lblcr => "lblcr", Dh => "dh",
    Sh => "sh", Sed => "sed", Nq => "nq", Fo => "fo", Ovf => "ovf", Mh => "mh", Twos => "twos", Maglev => "maglev", None => "none",
});

impl Scheduler {
    /// The scheduler of a service that names none.
    pub const DEFAULT: Self = Self::Wlc;
}

/// What makes connections belong together beyond the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersistenceEngine {
    /// The Call-ID of the Session Initiation Protocol.
    Sip,
}

named!(PersistenceEngine, "persistence engine", "sip", { Sip => "sip" });

/// Three switches whose meaning is the scheduler's own (`IP_VS_SVC_F_SCHED1` to `SCHED3`).
///
/// For `sh` and `mh` the first asks for another destination when the hashed one is not available,
/// the second takes the client's port into the hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerFlags {
    /// `flag-1`: `sh-fallback`, `mh-fallback`.
    pub first: bool,
    /// `flag-2`: `sh-port`, `mh-port`.
    pub second: bool,
    /// `flag-3`: not used by any scheduler yet.
    pub third: bool,
}

impl SchedulerFlags {
    /// Whether no flag is set.
    pub fn is_empty(self) -> bool {
        !(self.first || self.second || self.third)
    }

    /// Asks for another destination when the hashed one is not available (`sh`, `mh`).
    pub fn fallback(self) -> bool {
        self.first
    }

    /// Takes the client's port into the hash (`sh`, `mh`).
    pub fn port(self) -> bool {
        self.second
    }
}
