//! VRRP, the Virtual Router Redundancy Protocol: who of several routers holds the virtual addresses.
//! Version 2 (RFC 3768, with the authentication of RFC 2338) and version 3 (RFC 9568), as keepalived
//! speaks them, with its sync groups, tracking and delays.
//!
//! The crate does no I/O. A [`Router`] is [told](Router::handle) what happened and what time it is, and
//! [hands out](Router::poll) what is to be done, until there is nothing more; then it wants to be told
//! of a timeout [at a certain time](Router::next_timeout). Whoever runs it owns the sockets, the clock
//! and the addresses.
//!
//! ```
//! use std::time::Duration;
//! use vrrp::{Input, Link, Now, Output, Router, Settings};
//!
//! let at = |milliseconds| Now {
//!     uptime: Duration::from_millis(milliseconds),
//!     utc: Duration::from_millis(milliseconds),
//! };
//! let address = "192.0.2.100".parse()?;
//! let mut router = Router::new(vec![Settings::new("VI_1", "eth0", 51, vec![address])], vec![])?;
//! let link = Link::Ready("192.0.2.1".parse()?);
//! router.handle(Input::Link { instance: "VI_1", link }, at(0));
//! router.handle(Input::Start, at(0));
//!
//! // Three intervals and the skew time of priority 100: 3 s + 156/256 s.
//! let timeout = router.next_timeout().ok_or("a backup has a timer")?;
//! assert_eq!(timeout, Duration::from_nanos(3_609_375_000));
//! router.handle(Input::Timeout, at(3610));
//! let outputs: Vec<Output> = std::iter::from_fn(|| router.poll()).collect();
//! assert!(outputs.iter().any(|output| matches!(output, Output::Hold { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! When several things have come at once, packets are to be told before the timeout: a process that
//! was stopped for a while then learns first that another one is master.

#![forbid(unsafe_code)]

mod advert;
mod ah;
mod announce;
mod datagram;
mod exchange;
mod instance;
mod machine;
pub mod neighbours;
mod outgoing;
mod reception;
mod router;
mod settings;
mod status;
mod time;
mod track;
mod trailer;

pub use advert::{Advert, Credential, LONGEST_INTERVAL, Malformed, Version};
pub use ah::Refused as HeaderRefused;
pub use announce::{Announcements, Burst};
pub use datagram::{Datagram, NotIpv4, PROTOCOL_AH, PROTOCOL_VRRP};
pub use exchange::{Group, Input, Output};
pub use instance::Link;
pub use machine::{Cause, Heard, State};
pub use reception::Refusal;
pub use router::Router;
pub use settings::{Authentication, GROUP_V4, GROUP_V6, Invalid, OWNER, Peers, Preempt, Settings};
pub use status::{Event, Peer, Status, Transition};
pub use time::Now;
pub use track::{Reading, Tracked};
pub use trailer::{Hmacs, Key, Refused as TrailerRefused};
