//! `xvs mark`.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use control::netfilter;
use model::{Family, MarkChange, MarkRule, MarkRules, PortRange, Prefix, Protocol};

use crate::settings::explained;
use crate::{output, place};

/// What to do with the rules that give packets marks.
#[derive(Debug, Subcommand)]
pub enum MarkCommand {
    /// Add a rule: a packet has the mark of the first rule that fits it
    Add(AddOptions),
    /// List the rules in order
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a rule, or all
    Del {
        /// The rule's number in the list
        #[arg(value_name = "NUMBER", required_unless_present = "all")]
        at: Option<usize>,
        /// Delete all rules
        #[arg(long, conflicts_with = "at")]
        all: bool,
    },
    /// Translate what iptables-save or ip6tables-save printed: rules that mark packets
    Import {
        /// The file; `-' is the standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Add the rules behind those that are there, if all can be translated, rather than print
        /// the commands that do
        #[arg(long)]
        add: bool,
        /// Take rules for IPv6's where the text does not say
        #[arg(short = '6', long)]
        ipv6: bool,
    },
}

/// A rule. What is not given is not asked about.
#[derive(Debug, Clone, Args)]
pub struct AddOptions {
    /// The mark; 0 leaves packets without one
    #[arg(long, value_name = "NUMBER", value_parser = mark)]
    mark: u32,
    /// The packets' family: ipv4 or ipv6
    #[arg(long)]
    family: Option<Family>,
    /// The transport protocol: tcp or udp
    #[arg(long, value_parser = protocol)]
    protocol: Option<Protocol>,
    /// Where packets come from
    #[arg(long, value_name = "ADDRESS[/LENGTH]")]
    from: Option<Prefix>,
    /// Where they go to
    #[arg(long, value_name = "ADDRESS[/LENGTH]")]
    to: Option<Prefix>,
    /// The port that they go to, or the first and the last one
    #[arg(long = "port", value_name = "PORT[-PORT]")]
    ports: Option<PortRange>,
    /// The interface that they come in by
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// The number that the rule gets in the list; without it, it comes last
    #[arg(long, value_name = "NUMBER")]
    pub at: Option<usize>,
}

impl AddOptions {
    /// The rule.
    pub fn rule(self) -> MarkRule {
        MarkRule {
            mark: self.mark,
            family: self.family,
            protocol: self.protocol,
            from: self.from,
            to: self.to,
            ports: self.ports,
            interface: self.interface,
        }
    }
}

/// A mark, decimal or hexadecimal.
fn mark(text: &str) -> Result<u32, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a mark is a number below 2^32, as in 7 or 0x1f".to_owned())
}

fn protocol(name: &str) -> Result<Protocol, String> {
    match name.to_uppercase().parse() {
        Ok(protocol) if protocol != Protocol::Sctp => Ok(protocol),
        _ => Err("xvs balances tcp and udp".to_owned()),
    }
}

/// Does it.
pub fn main(command: MarkCommand) -> Result<ExitCode> {
    match command {
        MarkCommand::Add(options) => change(&MarkChange::Insert {
            at: options.at,
            rules: vec![options.rule()],
        })?,
        MarkCommand::List { json } => list(json)?,
        MarkCommand::Del { at: Some(at), .. } => change(&MarkChange::Remove { at })?,
        MarkCommand::Del { .. } => change(&MarkChange::Replace { rules: Vec::new() })?,
        MarkCommand::Import { file, add, ipv6 } => return import(&file, add, ipv6),
    }
    Ok(ExitCode::SUCCESS)
}

fn change(change: &MarkChange) -> Result<()> {
    place::client()?.mark(change).map_err(explained)
}

fn list(json: bool) -> Result<()> {
    let rules = place::client()?.marks().map_err(explained)?;
    output::json_or(json, &rules, || text(&rules))
}

fn text(rules: &MarkRules) -> String {
    let mut out = String::from("Rule  What `xvs mark add' is given\n");
    for (number, rule) in (1..).zip(rules.iter()) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{number:<5} {rule}");
    }
    out
}

fn import(file: &Path, add: bool, ipv6: bool) -> Result<ExitCode> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    }
    .with_context(|| format!("cannot read {}", file.display()))?;
    let family = if ipv6 { Family::Ipv6 } else { Family::Ipv4 };
    let found = netfilter::read(&text, family);
    for left in &found.left {
        eprintln!("xvs: {left}");
    }
    if !add {
        output::print(|out| {
            let mut rules = found.rules.iter();
            Ok(rules.try_for_each(|rule| writeln!(out, "xvs mark add {rule}"))?)
        })?;
    } else if found.left.is_empty() {
        let rules = found.rules;
        change(&MarkChange::Insert { at: None, rules })?;
    } else {
        bail!(
            "nothing was added, as {} of the rules cannot be translated\n\
             hint: without --add the commands for the others are printed",
            found.left.len()
        );
    }
    Ok(if found.left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: AddOptions,
    }

    /// What is listed is what makes it again.
    #[test]
    fn a_rule_is_listed_as_the_options_that_make_it() {
        for options in [
            "--mark 1",
            "--mark 7 --family ipv6 --interface eth0",
            "--mark 0 --protocol udp --from 192.0.2.0/24 --port 53",
            "--mark 4294967295 --protocol tcp --from 2001:db8::/32 --to 2001:db8::1 --port 80-90",
        ] {
            let words = std::iter::once("add").chain(options.split(' '));
            let rule = Line::try_parse_from(words).unwrap().options.rule();
            assert_eq!(rule.to_string(), options);
        }
    }

    #[test]
    fn what_is_wrong_with_an_option_is_said_with_what_is_right() {
        for (options, said) in [
            ("--mark x", "below 2^32"),
            ("--mark 4294967296", "below 2^32"),
            ("--mark 1 --protocol icmp", "tcp and udp"),
            ("--mark 1 --port 9-8", "8000-8080"),
            ("--mark 1 --to 192.0.2.0/33", "192.0.2.0/24"),
            ("--to 192.0.2.0/24", "--mark"),
        ] {
            let words = std::iter::once("add").chain(options.split(' '));
            let error = Line::try_parse_from(words).err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
