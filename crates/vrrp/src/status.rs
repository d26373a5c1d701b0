//! What is told of virtual routers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::advert::Version;
use crate::machine::{Cause, State};

/// One virtual router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// The interface of its adverts.
    pub interface: String,
    /// Its number.
    pub virtual_router: u8,
    /// Its protocol.
    pub version: Version,
    /// Where it stands.
    pub state: State,
    /// For how long, in milliseconds; None before it ever changed.
    pub state_ms: Option<u64>,
    /// The priority that its adverts tell.
    pub priority: u8,
    /// The priority without what is tracked.
    pub base_priority: u8,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// The address that adverts are sent from.
    pub source: Option<IpAddr>,
    /// Its last change of state.
    pub last: Option<Transition>,
    /// Who was heard.
    pub peers: Vec<Peer>,
    /// Between adverts, in milliseconds.
    pub interval_ms: u64,
    /// Master_Down_Interval, in milliseconds.
    pub master_down_ms: u64,
    /// Until its next advert (master) or its take-over (backup), in milliseconds.
    pub timer_ms: Option<u64>,
    /// How many packets were refused.
    pub refused: u64,
    /// The last of them, and why.
    pub last_refusal: Option<String>,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub utc_ms: u64,
}

/// A change of state, told as it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The virtual router.
    pub instance: String,
    /// The priority that its adverts tell.
    pub priority: u8,
    /// How and why it changed.
    #[serde(flatten)]
    pub transition: Transition,
}

/// Another router of the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// What its last advert said; 0: it ceased to be master.
    pub priority: u8,
    /// Its interval, in milliseconds.
    pub interval_ms: u64,
    /// How long ago it was last heard, in milliseconds.
    pub heard_ms_ago: u64,
}
