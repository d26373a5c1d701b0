//! `xvs list`: what `ipvsadm -l` lists, for people and as JSON.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use ::adm::Director as _;
use anyhow::Result;
use clap::{Args, ValueEnum};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};
use model::{Destination, DestinationStatus, Rates, ServiceStatus, Stats, SyncDaemon, Timeouts};

use crate::output::{self, Reader};
use crate::place;

/// What to list, and how.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// What to list
    #[arg(value_enum, default_value = "services")]
    what: What,
    /// Which columns, in this order
    #[arg(long, value_enum, value_delimiter = ',', value_name = "COLUMN,...", default_values_t = USUAL)]
    columns: Vec<Column>,
    /// Numbers as they are, without k, M and G
    #[arg(long)]
    exact: bool,
    /// List again every so many seconds, until stopped
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "json")]
    watch: Option<u64>,
    /// Print JSON; connections one a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Virtual services with their real servers
    Services,
    /// The connection table
    Connections,
    /// The timeouts of connections
    Timeouts,
    /// The connection sync daemons
    Daemons,
}

/// What is said of a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Column {
    /// How packets get there
    Forward,
    /// Its weight
    Weight,
    /// Connections that are established, or about to be
    Active,
    /// Connections that are over, but not forgotten
    Inactive,
    /// Persistence templates
    Persistent,
    /// Connections at which no more are scheduled, 0 without a limit
    Upper,
    /// Connections below which they are scheduled again
    Lower,
    /// Connections so far
    Conns,
    /// Packets from clients
    InPkts,
    /// Packets to clients
    OutPkts,
    /// Bytes from clients
    InBytes,
    /// Bytes to clients
    OutBytes,
    /// Connections a second
    Cps,
    /// Packets a second from clients
    InPps,
    /// Packets a second to clients
    OutPps,
    /// Bytes a second from clients
    InBps,
    /// Bytes a second to clients
    OutBps,
}

const USUAL: [Column; 7] = [
    Column::Forward,
    Column::Weight,
    Column::Active,
    Column::Inactive,
    Column::Cps,
    Column::InBps,
    Column::OutBps,
];

/// What counters there are, and what they count of.
const COUNTED: [Column; 7] = [
    Column::Active,
    Column::Inactive,
    Column::Conns,
    Column::InPkts,
    Column::OutPkts,
    Column::InBytes,
    Column::OutBytes,
];

/// Lists what is asked for.
pub fn main(options: &ListOptions) -> Result<ExitCode> {
    let mut director = place::connected()?;
    loop {
        let reader = output::print(|out| {
            if options.watch.is_some() && io::stdout().is_terminal() {
                // Clears the screen (ECMA-48: ED 2, CUP).
                write!(out, "\x1b[2J\x1b[H")?;
            }
            list(out, options, &mut director)
        })?;
        let (Some(seconds), Reader::There) = (options.watch, reader) else {
            return Ok(ExitCode::SUCCESS);
        };
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

fn list(out: &mut dyn Write, options: &ListOptions, director: &mut api::Client) -> Result<()> {
    match options.what {
        What::Services => services(out, options, director),
        What::Connections => connections(out, options.json, director),
        What::Timeouts => {
            let timeouts = director.timeouts()?;
            match options.json {
                true => output::json(out, &timeouts),
                false => timeouts_text(out, timeouts),
            }
        }
        What::Daemons => {
            let daemons = director.daemons()?;
            match options.json {
                true => output::json(out, &daemons),
                false => daemons_text(out, &daemons),
            }
        }
    }
}

fn services(out: &mut dyn Write, options: &ListOptions, director: &mut api::Client) -> Result<()> {
    let services = director.services()?;
    if options.json {
        return output::json(out, &services);
    }
    let mut table = services_table(&services, options);
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        table.force_no_tty();
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    if services.is_empty() {
        writeln!(out, "No virtual services (`ipvsadm -A' makes one)")?;
    }
    Ok(())
}

/// What was counted of services, for a file.
pub fn counted(services: &[ServiceStatus]) -> String {
    let options = ListOptions {
        what: What::Services,
        columns: COUNTED.to_vec(),
        exact: true,
        watch: None,
        json: false,
    };
    let mut table = services_table(services, &options);
    table.force_no_tty();
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

fn timeouts_text(out: &mut dyn Write, timeouts: Timeouts) -> Result<()> {
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    for (what, seconds) in [
        ("TCP, established", tcp),
        ("TCP, after a FIN", tcp_fin),
        ("UDP", udp),
    ] {
        writeln!(out, "{what:<18}{seconds:>8} s")?;
    }
    Ok(())
}

fn daemons_text(out: &mut dyn Write, daemons: &[SyncDaemon]) -> Result<()> {
    for daemon in daemons {
        writeln!(
            out,
            "{:<8}{} id {}, group {} port {}, messages of {} bytes, TTL {}",
            daemon.role,
            daemon.interface,
            daemon.sync_id,
            daemon.group,
            daemon.port,
            daemon.max_length,
            daemon.ttl
        )?;
    }
    if daemons.is_empty() {
        writeln!(out, "No sync daemons (`ipvsadm --start-daemon' starts one)")?;
    }
    Ok(())
}

fn services_table(services: &[ServiceStatus], options: &ListOptions) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if services.is_empty() {
        return table;
    }
    let titles = options.columns.iter().map(|column| right(column.title()));
    let titles = [Cell::new("service")].into_iter().chain(titles);
    table.add_row(titles.map(|cell| cell.add_attribute(Attribute::Dim)));
    for status in services {
        let (key, scheduler) = (status.service.key, status.service.scheduler);
        let numbers = Numbers::of_service(status);
        let cells = row(format!("{key} {scheduler}"), None, &numbers, options);
        table.add_row(cells.map(|cell| cell.add_attribute(Attribute::Bold)));
        for status in &status.destinations {
            let destination = &status.destination;
            let name = format!("  {}", destination.key);
            let cells = row(name, Some(destination), &Numbers::from(status), options);
            let takes_no_more = destination.weight == 0;
            table.add_row(cells.map(|cell| match takes_no_more {
                true => cell.fg(Color::Yellow),
                false => cell,
            }));
        }
    }
    table
}

/// The cells of a row. A service has no destination's settings.
fn row(
    name: String,
    destination: Option<&Destination>,
    numbers: &Numbers,
    options: &ListOptions,
) -> impl Iterator<Item = Cell> + use<> {
    let cell = |&column: &Column| {
        right(match column.number(numbers) {
            Some(number) if options.exact => number.to_string(),
            Some(number) => short(number),
            None => destination.map_or_else(String::new, |found| column.setting(found)),
        })
    };
    let cells: Vec<Cell> = options.columns.iter().map(cell).collect();
    [Cell::new(name)].into_iter().chain(cells)
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// A number in at most four digits, with a thousand's or a million's letter and so on.
fn short(number: u64) -> String {
    if number < 10_000 {
        return number.to_string();
    }
    let mut rest = number as f64;
    let mut unit = ' ';
    for next in ['k', 'M', 'G', 'T', 'P', 'E'] {
        if rest < 1000.0 {
            break;
        }
        (rest, unit) = (rest / 1000.0, next);
    }
    match rest < 99.95 {
        true => format!("{rest:.1}{unit}"),
        false => format!("{rest:.0}{unit}"),
    }
}

/// What is counted.
struct Numbers {
    active: u64,
    inactive: u64,
    persistent: u64,
    stats: Stats,
    rates: Rates,
}

impl From<&DestinationStatus> for Numbers {
    fn from(status: &DestinationStatus) -> Self {
        Self {
            active: status.active_connections.into(),
            inactive: status.inactive_connections.into(),
            persistent: status.persistent_connections.into(),
            stats: status.stats,
            rates: status.rates,
        }
    }
}

impl Numbers {
    fn of_service(status: &ServiceStatus) -> Self {
        let sum = |number: fn(&DestinationStatus) -> u32| {
            let numbers = status.destinations.iter().map(number);
            numbers.map(u64::from).sum()
        };
        Self {
            active: sum(|status| status.active_connections),
            inactive: sum(|status| status.inactive_connections),
            persistent: sum(|status| status.persistent_connections),
            stats: status.stats,
            rates: status.rates,
        }
    }
}

impl Column {
    fn title(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The number, unless it is a setting.
    fn number(self, numbers: &Numbers) -> Option<u64> {
        let Numbers { stats, rates, .. } = numbers;
        Some(match self {
            Self::Forward | Self::Weight | Self::Upper | Self::Lower => return None,
            Self::Active => numbers.active,
            Self::Inactive => numbers.inactive,
            Self::Persistent => numbers.persistent,
            Self::Conns => stats.connections,
            Self::InPkts => stats.in_packets,
            Self::OutPkts => stats.out_packets,
            Self::InBytes => stats.in_bytes,
            Self::OutBytes => stats.out_bytes,
            Self::Cps => rates.connections,
            Self::InPps => rates.in_packets,
            Self::OutPps => rates.out_packets,
            Self::InBps => rates.in_bytes,
            Self::OutBps => rates.out_bytes,
        })
    }

    /// The setting, empty for a number.
    fn setting(self, destination: &Destination) -> String {
        match self {
            Self::Forward => destination.forwarding.to_string(),
            Self::Weight => destination.weight.to_string(),
            Self::Upper => destination.upper_threshold.to_string(),
            Self::Lower => destination.lower_threshold.to_string(),
            _ => String::new(),
        }
    }
}

/// Connections, as they come: there may be millions.
fn connections(out: &mut dyn Write, is_json: bool, director: &mut api::Client) -> Result<()> {
    if !is_json {
        writeln!(
            out,
            "{:<5}{:>8}  {:<12}{:<24}{:<24}real server",
            "prot", "expires", "state", "client", "service"
        )?;
    }
    for entry in director.connections()? {
        let entry = entry?;
        if is_json {
            serde_json::to_writer(&mut *out, &entry)?;
            writeln!(out)?;
            continue;
        }
        let (minutes, seconds) = (entry.expires / 60, entry.expires % 60);
        writeln!(
            out,
            "{:<5}{:>8}  {:<12}{:<24}{:<24}{}",
            entry.protocol,
            format!("{minutes}:{seconds:02}"),
            entry.state,
            entry.client,
            entry.virtual_address,
            entry.destination
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_short() {
        for (number, text) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0k"),
            (99_949, "99.9k"),
            (99_950, "100k"),
            (123_456_789, "123M"),
            (2_500_000_000, "2.5G"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(short(number), text, "{number}");
        }
    }
}
