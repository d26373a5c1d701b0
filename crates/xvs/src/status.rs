//! `xvs status`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use api::Status;

use crate::{output, place};

/// Asks the daemon and prints what it says.
pub fn main(json: bool) -> Result<ExitCode> {
    let mut client = place::connected()?;
    let status = client.status()?;
    output::json_or(json, &status, || text(&status))?;
    Ok(ExitCode::SUCCESS)
}

/// The status for people.
fn text(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut out, status);
    out
}

fn write_text(out: &mut String, status: &Status) -> std::fmt::Result {
    let adopted = if status.adopted {
        ", went on with the data plane it found"
    } else {
        ""
    };
    writeln!(
        out,
        "xvs {} (process {}), up {}{adopted}",
        status.version,
        status.pid,
        span(status.uptime)
    )?;
    writeln!(
        out,
        "Network namespace {}, table layout {}",
        status.namespace, status.abi
    )?;
    match &status.last_transaction {
        Some(last) => writeln!(
            out,
            "Last change: number {}, {} commands carried out, {} refused",
            last.number, last.accepted, last.refused
        )?,
        None => writeln!(out, "No change since the daemon started")?,
    }
    writeln!(out, "\nInterfaces")?;
    for interface in &status.interfaces {
        writeln!(
            out,
            "  {:<16} {:<12} {}",
            interface.name, interface.hook, interface.why
        )?;
    }
    if status.interfaces.is_empty() {
        writeln!(out, "  none yet: no service, or no interface leads to one")?;
    }
    write_tables(out, status)?;
    write_reasons(out, status)
}

fn write_tables(out: &mut String, status: &Status) -> std::fmt::Result {
    writeln!(out, "\nTables")?;
    for (name, table) in [
        ("connections", &status.connections),
        ("connections IPv6", &status.connections_v6),
    ] {
        writeln!(
            out,
            "  {:<16} {:>10} of {:<10} longest probe {} slots, {} outside their home bucket",
            name, table.used, table.size, table.longest_probe, table.in_other_buckets
        )?;
    }
    for table in &status.tables {
        writeln!(
            out,
            "  {:<16} {:>10} of {}",
            table.name, table.used, table.size
        )?;
    }
    Ok(())
}

fn write_reasons(out: &mut String, status: &Status) -> std::fmt::Result {
    for (outcome, title) in [
        ("forward", "Forwarded"),
        ("pass", "Left to the kernel"),
        ("drop", "Dropped"),
        ("note", "Also counted"),
    ] {
        let mut seen = status
            .reasons
            .iter()
            .filter(|r| r.outcome == outcome && r.count > 0)
            .peekable();
        if seen.peek().is_none() {
            continue;
        }
        writeln!(out, "\n{title}")?;
        for reason in seen {
            writeln!(
                out,
                "  {:<24} {:>12}  {}",
                reason.name, reason.count, reason.sentence
            )?;
        }
    }
    Ok(())
}

/// Seconds as a person says them.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let reason = |name: &str, outcome: &str, count| api::Reason {
            name: name.to_owned(),
            outcome: outcome.to_owned(),
            count,
            sentence: format!("About {name}."),
        };
        Status {
            version: "1.2.3".to_owned(),
            abi: 1,
            pid: 42,
            uptime: 3700,
            namespace: 7,
            adopted: true,
            interfaces: vec![api::Interface {
                name: "eth0".to_owned(),
                ifindex: 2,
                hook: "tc".to_owned(),
                why: "the other end computes no checksums".to_owned(),
            }],
            connections: api::ConnectionTable {
                used: 5,
                size: 1024,
                longest_probe: 2,
                in_other_buckets: 0,
            },
            connections_v6: api::ConnectionTable {
                used: 1,
                size: 256,
                longest_probe: 1,
                in_other_buckets: 0,
            },
            tables: Vec::new(),
            reasons: vec![
                reason("forwarded", "forward", 9),
                reason("no_route", "drop", 0),
            ],
            last_transaction: None,
        }
    }

    #[test]
    fn the_status_says_where_packets_are_taken_and_why() {
        let text = text(&status());
        assert!(text.contains("eth0"), "{text}");
        assert!(
            text.contains("the other end computes no checksums"),
            "{text}"
        );
        assert!(
            text.contains("up 1 h 1 min, went on with the data plane it found"),
            "{text}"
        );
    }

    #[test]
    fn reasons_that_no_packet_met_are_left_out() {
        let text = text(&status());
        assert!(text.contains("About forwarded."), "{text}");
        assert!(
            !text.contains("no_route") && !text.contains("Dropped"),
            "{text}"
        );
    }
}
