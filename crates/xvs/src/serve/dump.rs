//! What SIGUSR1 and SIGUSR2 have written: keepalived's data and statistics, beside the daemon's state.

use std::fmt::Write as _;

use api::Backend as _;
use tracing::{error, info};

use crate::serve::shared::Shared;
use crate::serve::state;
use crate::{bfd, health_command, list, vrrp};

/// The file of SIGUSR1, in the daemon's folder.
const DATA: &str = "keepalived.data";
/// The file of SIGUSR2.
const STATISTICS: &str = "keepalived.stats";

/// Writes the configuration with every default, and how everything is.
pub async fn data(shared: &Shared) {
    let mut text = String::new();
    if let Some(checks) = shared.checks() {
        section(&mut text, "Configuration", &checks.config().to_string());
    }
    let routers = shared.virtual_routers.status().await;
    section(&mut text, "VRRP Topology", &vrrp::text(&routers));
    let sessions = shared.neighbours.status().await;
    section(&mut text, "BFD Topology", &bfd::text(&sessions));
    let servers = shared.health();
    section(
        &mut text,
        "Health checkers",
        &health_command::text(&servers),
    );
    write(shared, DATA, &text);
}

/// Writes what was counted.
pub async fn statistics(shared: &Shared) {
    let mut text = String::new();
    let services = shared.services();
    section(&mut text, "LVS Topology", &list::counted(&services));
    let routers = shared.virtual_routers.status().await;
    section(&mut text, "VRRP Topology", &vrrp::text(&routers));
    let sessions = shared.neighbours.status().await;
    section(&mut text, "BFD Topology", &bfd::text(&sessions));
    write(shared, STATISTICS, &text);
}

/// A part under a heading as keepalived has them.
fn section(text: &mut String, heading: &str, part: &str) {
    // A string takes everything.
    let _ = writeln!(text, "------< {heading} >------\n{part}");
}

fn write(shared: &Shared, name: &str, text: &str) {
    let path = shared.place().folder().join(name);
    match state::write_atomically(&path, text.as_bytes()) {
        Ok(()) => info!(file = %path.display(), "written"),
        Err(error) => error!(file = %path.display(), %error, "not written"),
    }
}
