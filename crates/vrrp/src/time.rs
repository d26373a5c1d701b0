//! The time now, on the two clocks that VRRP needs.

use std::time::Duration;

/// The time now, as the caller read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since any fixed moment, on a clock that only goes forward: all timers go by it.
    pub uptime: Duration,
    /// Since 1970-01-01 UTC: what `auth_hmac` stamps adverts with. It may jump.
    pub utc: Duration,
}
