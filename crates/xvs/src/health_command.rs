//! `xvs health` and `xvs reload`.

use std::process::ExitCode;

use anyhow::Result;
use health::{CheckStatus, VirtualServerStatus};

use crate::{output, place};

/// Asks the daemon how real servers are, and prints it.
pub fn main(json: bool) -> Result<ExitCode> {
    let mut client = place::connected()?;
    let servers = client.health()?;
    output::json_or(json, &servers, || text(&servers))?;
    Ok(ExitCode::SUCCESS)
}

/// Has the daemon read its file again.
pub fn reload() -> Result<ExitCode> {
    let reloaded = place::connected()?.reload()?;
    for warning in &reloaded.warnings {
        eprintln!("warning: {warning}");
    }
    match reloaded.changes {
        0 => output::text("Reloaded; nothing changed\n")?,
        changes => output::text(format_args!(
            "Reloaded; {changes} changes, in one transaction\n"
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The servers for people.
pub fn text(servers: &[VirtualServerStatus]) -> String {
    let mut lines = Vec::new();
    for server in servers {
        let quorum = if server.has_quorum { "met" } else { "LOST" };
        let names = server.services.join(", ");
        lines.push(format!("{names}  quorum {} {quorum}", server.quorum));
        for real in &server.real_servers {
            let state = if real.is_alive { "up" } else { "DOWN" };
            lines.push(format!(
                "  {:<28} {state:<5} weight {}",
                real.destination, real.weight
            ));
            lines.extend(real.checks.iter().map(check));
        }
    }
    if lines.is_empty() {
        lines.push("No virtual servers of a configuration file (`xvs serve -f FILE')".to_owned());
    }
    lines.join("\n") + "\n"
}

/// A check with its last runs, the newest at the right: `+' succeeded, `-' failed.
fn check(check: &CheckStatus) -> String {
    let runs = check.history.iter();
    let marks: String = runs
        .map(|run| if run.failure.is_none() { '+' } else { '-' })
        .collect();
    let last = match check.history.back() {
        None => "not run yet".to_owned(),
        Some(run) => match &run.failure {
            Some(why) => why.clone(),
            None => format!("{:.1} ms", run.took.as_secs_f64() * 1e3),
        },
    };
    let state = if check.is_up { "up" } else { "DOWN" };
    format!("    {:<26} {state:<5} {marks:<16} {last}", check.kind)
}
