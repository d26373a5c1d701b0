//! The connection table from outside: what it promises to packets, sweepers and the daemon.

mod concurrent;
mod load_factor;
mod model;
mod partners;
mod room;
mod settle;
mod support;
mod templates;
mod torn;
mod v6;
