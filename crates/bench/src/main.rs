//! The benchmark (`./x bench`): what a packet costs in the director's programs, and how many pass
//! through it and what a TCP stream gets, beside the kernel's own forwarding and nftables in the same run;
//! and what commands take for large tables.
#![forbid(unsafe_code)]

mod commands;
mod daemon;
mod director;
mod error;
mod hosts;
mod network;
mod object;
mod packets;
mod pattern;
mod report;
mod tcp;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::error::{Error, refused};
use crate::report::{Machine, Report};

/// Measures the data plane, and the commands.
#[derive(Debug, Parser)]
#[command(name = "./x bench")]
struct Arguments {
    /// Writes the numbers to a file as well, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures everything so many times; the median is reported.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Measures one part alone.
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Nanoseconds per packet in the programs.
    Packets,
    /// Packets per second through namespaces.
    Network,
    /// What one TCP stream gets.
    Tcp,
    /// What commands take for large tables.
    Commands,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let machine = Machine::this();
    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    let mut groups = Vec::new();
    if wanted(Part::Commands) {
        groups.extend(commands::measure(arguments.runs.into())?);
    }
    stay_on_one_processor()?;
    if wanted(Part::Packets) {
        groups.extend(packets::measure(arguments.runs.into())?);
    }
    if wanted(Part::Network) {
        groups.push(network::measure(arguments.runs.into())?);
    }
    if wanted(Part::Tcp) {
        groups.push(tcp::measure(arguments.runs.into())?);
    }
    let report = Report { machine, groups };
    print!("{report}");
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report).map_err(refused("JSON"))?;
        std::fs::write(path, json + "\n").map_err(refused(path.display().to_string()))?;
    }
    Ok(())
}

/// Moving to another processor in the middle of a measurement would cost its caches.
fn stay_on_one_processor() -> Result<(), Error> {
    let mut processors = CpuSet::new();
    let first = processors.set(0);
    first
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &processors))
        .map_err(refused("the first processor cannot be chosen"))
}
