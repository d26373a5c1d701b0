//! The director's interface to other programs: HTTP/1.1 with JSON over a Unix socket.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/info` | [`model::DirectorInfo`] |
//! | `POST /v1/transactions`, [`model::Command`]s, one JSON object a line | [`Outcomes`]: packets see all of it or none |
//! | `GET /v1/services` | [`model::ServiceStatus`], one JSON object a line |
//! | `GET /v1/service?key=TCP 192.0.2.1:80` | [`model::ServiceStatus`] |
//! | `POST /v1/zero` [`Zero`] | nothing |
//! | `GET /v1/connections` | [`model::ConnectionEntry`], one JSON object a line; to `Accept: application/vnd.xvs.connections` records of 80 bytes |
//! | `GET`, `PATCH /v1/timeouts` | [`model::Timeouts`]; takes [`model::TimeoutChange`] |
//! | `GET`, `PATCH /v1/settings` | list of [`model::SettingStatus`]; takes a list of [`model::SettingRequest`], all made or none |
//! | `GET`, `POST /v1/marks` | [`model::MarkRules`]; takes a [`model::MarkChange`] |
//! | `GET`, `POST /v1/sync-daemons` | list of [`model::SyncDaemon`]; takes [`model::SyncDaemonRequest`] |
//! | `DELETE /v1/sync-daemons/master` | nothing |
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/health` | list of [`health::VirtualServerStatus`] |
//! | `POST /v1/reload` | [`Reloaded`]: the configuration file was read again |
//! | `POST /v1/difference` [`DifferenceRequest`] | [`Difference`]: what a reload would change |
//! | `GET /v1/bfd` | list of [`bfd::Status`] |
//! | `GET /v1/vrrp` | list of [`vrrp::Status`] |
//! | `GET /v1/vrrp/events` | [`vrrp::Event`], one JSON object a line as it happens, until the reader goes |
//! | `POST /v1/trace` [`model::TraceRequest`] | [`model::TraceNews`], one JSON object a line, until the reader goes |
//! | `POST /v1/explain` [`model::ExplainRequest`] | list of [`model::TracedPacket`]: what would become of a packet, hook by hook |
//! | `GET /metrics` | Prometheus' text format |
//!
//! Whoever may open the socket may read; only root and members of the socket's group, if it was
//! given one, may change anything. A request that fails is answered by a [`Problem`].

#![forbid(unsafe_code)]

mod client;
mod peer;
mod problem;
mod record;
mod server;
mod status;
mod stream;
mod types;

pub use client::Client;
pub use peer::Peer;
pub use problem::Problem;
pub use server::{Backend, metrics_answer, serve};
pub use status::{ConnectionTable, Interface, Reason, Status, Table, TransactionSummary};
pub use types::{Difference, DifferenceRequest, Outcome, Outcomes, Reloaded, Zero};
