//! The benchmark (`./x bench`): what a packet costs in the director's programs, and how many pass
//! through it and what a TCP stream gets, beside the kernel's own forwarding and nftables in the same run;
//! and what commands take for large tables. Its generator of packets is for users too
//! ([`generator`]; `xvs bench`).
#![forbid(unsafe_code)]

mod case;
mod chart;
mod commands;
mod daemon;
mod director;
mod error;
mod farm;
pub mod generator;
mod hosts;
mod large;
mod method;
mod network;
mod object;
mod packets;
mod pattern;
mod plot;
mod report;
mod selection;
mod table;
mod tcp;
mod tracing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

pub use crate::error::Error;
use crate::error::refused;
use crate::report::{Group, Machine, Report};
use crate::selection::Selection;

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
    /// Measures only what has this in its name, or in that of its part (XDP, TC, network, stream,
    /// commands, trace, capacity); given several times, all of it.
    #[arg(long, value_name = "WORDS")]
    only: Vec<String>,
    /// Draws into a folder, as SVG files: what a packet costs by the number of flows, in the program
    /// and on its whole way beside others, and packets a second by processors.
    #[arg(long, value_name = "FOLDER")]
    plot: Option<PathBuf>,
    /// Puts the medians of an earlier run's JSON beside these.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// The benchmark, by the words of the command line.
pub fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let earlier = arguments.compare.as_deref().map(read).transpose()?;
    let selection = Selection::new(&arguments.only);
    let runs = arguments.runs.into();
    let mut report = Report {
        machine: Machine::this(),
        groups: measure(runs, &selection)?,
    };
    if report.groups.is_empty() {
        return Err(Error::NothingWanted);
    }
    if let Some(earlier) = earlier {
        report.compare(&earlier);
    }
    print!("{report}");
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report).map_err(refused("JSON"))?;
        std::fs::write(path, json + "\n").map_err(refused(path.display().to_string()))?;
    }
    match &arguments.plot {
        Some(folder) => plot::draw(&report, folder),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<Report, Error> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(refused(name()))?;
    serde_json::from_str(&text).map_err(refused(name()))
}

fn measure(runs: usize, selection: &Selection) -> Result<Vec<Group>, Error> {
    let mut groups = Vec::new();
    if selection.wants("commands", "") {
        groups.extend(commands::measure(runs)?);
    }
    if selection.wants("trace", "") {
        groups.extend(tracing::measure(runs)?);
    }
    network::stay_on(0)?;
    groups.extend(packets::measure(runs, selection)?);
    groups.extend(large::measure(runs, selection)?);
    if selection.wants("network", "") {
        groups.extend(network::measure(runs)?);
    }
    if selection.wants("stream", "") {
        groups.push(tcp::measure(runs)?);
    }
    if selection.wants("capacity", "") {
        groups.extend(table::measure()?);
    }
    Ok(groups)
}
