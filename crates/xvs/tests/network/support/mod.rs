//! What the tests build on: namespaces, a network of them, and what runs in it.

mod client;
mod director;
mod name_server;
mod namespace;
mod network;
mod process;
mod web_server;

pub use client::{connect, get, many_at_once};
pub use director::{Counters, Director, Row, XVS};
pub use name_server::NameServer;
pub use network::{CLIENT, Hook, INSIDE, Network, RS1, RS2, VIP};
pub use process::{Process, Said, said};
pub use web_server::WebServer;

use std::time::{Duration, Instant};

/// Waits until something holds; fails with what it is otherwise.
pub fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Long enough for whatever happens at once.
pub const SOON: Duration = Duration::from_secs(20);
