//! How neighbours are told whose the virtual addresses are: `garp_*` and `gna_*`.

use std::time::Duration;

use serde::Serialize;

/// How neighbours are told of a take-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Announcements {
    /// How many at a time after becoming master.
    pub repeat: u32,
    /// Until they are told again; 0: not.
    pub delay: Duration,
    /// Between refreshes as master; 0: none.
    pub refresh: Duration,
    /// How many at a time then.
    pub refresh_repeat: u32,
    /// How many after an advert of lower priority.
    pub lower_prio_repeat: u32,
    /// Until they are told again then.
    pub lower_prio_delay: Duration,
    /// Between refreshes on the interfaces of addresses that adverts do not go through; 0: none.
    pub extra_refresh: Duration,
    /// On all such interfaces (`garp_extra_if all`), not only on those with a virtual MAC address.
    pub extra_all: bool,
}

impl Default for Announcements {
    fn default() -> Self {
        Self {
            repeat: 5,
            delay: Duration::from_secs(5),
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_prio_repeat: 5,
            lower_prio_delay: Duration::from_secs(5),
            extra_refresh: Duration::ZERO,
            extra_all: false,
        }
    }
}

/// The least times between messages on an interface; 0: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// Between gratuitous ARPs.
    pub arp: Duration,
    /// Between unsolicited neighbour advertisements.
    pub advertisement: Duration,
}

/// `garp_group`: interfaces that share a pace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GarpGroup {
    /// Physical interfaces.
    pub interfaces: Vec<String>,
    /// Their pace together.
    pub pace: Pace,
}
