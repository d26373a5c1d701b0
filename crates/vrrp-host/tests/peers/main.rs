//! Virtual routers in network namespaces, beside the real keepalived. Needs root, and keepalived.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod announcements;
mod beside_keepalived;
mod failures;
mod healing;
mod keepalived;
mod mail;
mod notifications;
mod one_configuration;
mod process;
mod routes;
mod support;
mod takeover;
mod tracking;
mod virtual_mac;
