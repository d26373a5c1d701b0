//! How a real server is, in words.

use std::fmt;
use std::net::IpAddr;

use decap::Outcome;

use crate::settings::Tunnels;

/// How a real server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The tunnels that end here.
    pub tunnels: Tunnels,
    /// The interfaces that are looked at.
    pub interfaces: Vec<String>,
    /// The virtual addresses.
    pub virtual_addresses: Vec<IpAddr>,
    /// How many packets came to each outcome.
    pub counters: Vec<(Outcome, u64)>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self
            .virtual_addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        writeln!(f, "tunnels     {}", self.tunnels)?;
        writeln!(f, "interfaces  {}", or_none(&self.interfaces))?;
        writeln!(f, "addresses   {}", or_none(&addresses))?;
        for (outcome, count) in self.counters.iter().filter(|(_, count)| *count > 0) {
            writeln!(
                f,
                "{:<11} {count:>12}  {}",
                outcome.name(),
                outcome.sentence()
            )?;
        }
        Ok(())
    }
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
