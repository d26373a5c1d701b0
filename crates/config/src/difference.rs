//! What is different between two configurations, in keepalived.conf's own words.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::model::{Check, Config, VirtualServer};
use crate::show::{Item, items};

/// Keywords whose values are nobody's business.
const SECRETS: [&str; 3] = ["auth_pass", "key", "password"];

/// A line or block that is in one configuration, or is another in each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The heads of the blocks around it, from the outermost on.
    pub within: Vec<String>,
    /// How it was: a line, or the lines of a block. None: it was not there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<String>,
    /// How it is now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
}

/// What is different between two configurations, with every default written out, in the order of
/// the file. The order of blocks means nothing.
pub fn difference(before: &Config, after: &Config) -> Vec<Change> {
    let (before, after) = without_what_is_equal(before, after);
    let mut changes = Vec::new();
    compare(&[], &items(&before), &items(&after), &mut changes);
    changes
}

/// Virtual servers are the many: those that are equal are not written out.
fn without_what_is_equal(before: &Config, after: &Config) -> (Config, Config) {
    let name = |server: &VirtualServer| (server.name.clone(), server.protocol);
    let known: HashMap<_, &VirtualServer> = before
        .virtual_servers
        .iter()
        .map(|server| (name(server), server))
        .collect();
    let equal: HashSet<_> = after
        .virtual_servers
        .iter()
        .map(|server| (name(server), server))
        .filter(|(name, server)| known.get(name) == Some(server))
        .map(|(name, _)| name)
        .collect();
    let others = |config: &Config| {
        let mut others = config.clone();
        let is_other = |server: &VirtualServer| !equal.contains(&name(server));
        others.virtual_servers.retain(is_other);
        others
    };
    (others(before), others(after))
}

/// Compares what stands in the same block. Of what is known by the same key, the first belongs to
/// the first, the second to the second.
fn compare(within: &[String], before: &[Item], after: &[Item], changes: &mut Vec<Change>) {
    let mut old = numbered(before);
    for (key, item) in order(after) {
        match old.remove(&key) {
            Some(known) if known == item => {}
            Some(known) => different(within, known, item, changes),
            None => changes.push(Change {
                within: within.to_vec(),
                before: None,
                after: Some(text(item)),
            }),
        }
    }
    for (key, item) in order(before) {
        if old.contains_key(&key) {
            changes.push(Change {
                within: within.to_vec(),
                before: Some(text(item)),
                after: None,
            });
        }
    }
}

fn different(within: &[String], before: &Item, after: &Item, changes: &mut Vec<Change>) {
    if let (Some(old), Some(new)) = (&before.inner, &after.inner) {
        let within: Vec<String> = within.iter().chain([&after.line]).cloned().collect();
        return compare(&within, old, new, changes);
    }
    changes.push(Change {
        within: within.to_vec(),
        before: Some(text(before)),
        after: Some(text(after)),
    });
}

type Numbered<'a> = (&'a str, usize);

fn order(items: &[Item]) -> impl Iterator<Item = (Numbered<'_>, &Item)> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    items.iter().map(move |item| {
        let count = seen.entry(&item.key).or_default();
        *count += 1;
        ((item.key.as_str(), *count), item)
    })
}

fn numbered(items: &[Item]) -> HashMap<Numbered<'_>, &Item> {
    order(items).collect()
}

/// The item as a file has it, without secrets.
fn text(item: &Item) -> String {
    let mut told = item.clone();
    hide(&mut told);
    told.to_string().trim_end().to_owned()
}

fn hide(item: &mut Item) {
    match &mut item.inner {
        Some(inner) => inner.iter_mut().for_each(hide),
        None if SECRETS.contains(&item.key.as_str()) => item.line = format!("{} ...", item.key),
        None => {}
    }
}

/// How many checks two configurations share, and have alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckChanges {
    /// In the second alone.
    pub begin: usize,
    /// In the first alone.
    pub end: usize,
    /// In both: they keep their state and their schedule.
    pub go_on: usize,
}

impl CheckChanges {
    /// Between two configurations. Equal checks are one, however many servers have them.
    pub fn between(before: &Config, after: &Config) -> Self {
        let (before, after) = (checks(before), checks(after));
        let go_on = after.intersection(&before).count();
        Self {
            begin: after.len() - go_on,
            end: before.len() - go_on,
            go_on,
        }
    }
}

fn checks(config: &Config) -> HashSet<&Check> {
    let servers = config.virtual_servers.iter();
    let real = servers.flat_map(|server| &server.real_servers);
    real.flat_map(|real| &real.checks).collect()
}
