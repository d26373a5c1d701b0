//! Rules that give packets firewall marks, by which services choose them (`ipvsadm -f`).

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Family, Prefix, Protocol};

/// Ports from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A range that ends before it begins, or text that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}' is no range of ports\nhint: write 80, or 8000-8080, the smaller number first")]
pub struct NotPorts {
    text: String,
}

impl PortRange {
    /// The ports from `first` to `last`.
    ///
    /// # Errors
    /// When it ends before it begins.
    pub fn new(first: u16, last: u16) -> Result<Self, NotPorts> {
        if first > last {
            let text = format!("{first}-{last}");
            return Err(NotPorts { text });
        }
        Ok(Self { first, last })
    }

    /// The first of them.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last of them.
    pub fn last(self) -> u16 {
        self.last
    }
}

impl TryFrom<(u16, u16)> for PortRange {
    type Error = NotPorts;

    fn try_from((first, last): (u16, u16)) -> Result<Self, NotPorts> {
        Self::new(first, last)
    }
}

impl From<PortRange> for (u16, u16) {
    fn from(range: PortRange) -> Self {
        (range.first, range.last)
    }
}

impl Display for PortRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self { first, last } if first == last => write!(f, "{first}"),
            Self { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

impl FromStr for PortRange {
    type Err = NotPorts;

    /// Reads `80` or `8000-8080`.
    fn from_str(text: &str) -> Result<Self, NotPorts> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) => Self::new(first, last),
            _ => Err(NotPorts {
                text: text.to_owned(),
            }),
        }
    }
}

/// A rule that gives packets a mark. What it does not name it does not ask about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MarkRule {
    /// The mark; 0 leaves packets without one.
    pub mark: u32,
    /// The packets' family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// The transport protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Where packets come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Prefix>,
    /// Where they go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Prefix>,
    /// The ports that they go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortRange>,
    /// The name of the interface that they come in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

impl MarkRule {
    /// The family of the packets that the rule can fit; `None` for both.
    ///
    /// # Errors
    /// When it asks for both at once, and fits none.
    pub fn families(&self) -> Result<Option<Family>, MarkError> {
        let of = |prefix: Option<Prefix>| prefix.map(|prefix| Family::of(prefix.address()));
        let mut asked = [self.family, of(self.from), of(self.to)]
            .into_iter()
            .flatten();
        let first = asked.next();
        if asked.any(|family| Some(family) != first) {
            return Err(MarkError::TwoFamilies);
        }
        Ok(first)
    }

    /// Looks for what contradicts itself in the rule.
    fn check(&self) -> Result<(), MarkError> {
        if self.interface.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(MarkError::NotAnInterface {
                name: self.interface.clone().unwrap_or_default(),
            });
        }
        self.families().map(drop)
    }
}

/// Whether an interface may have this name (`dev_valid_name`).
fn is_name(name: &str) -> bool {
    let is_odd = |c: char| c == '/' || c == ':' || c.is_whitespace();
    !matches!(name, "" | "." | "..") && name.len() < 16 && !name.contains(is_odd)
}

impl Display for MarkRule {
    /// Writes the rule as the options of `xvs mark add`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "--mark {}", self.mark)?;
        let addresses = [self.from, self.to];
        if let (Some(family), [None, None]) = (self.family, addresses) {
            write!(f, " --family {family}")?;
        }
        if let Some(protocol) = self.protocol {
            write!(f, " --protocol {}", protocol.as_str().to_lowercase())?;
        }
        for (option, prefix) in [("from", self.from), ("to", self.to)] {
            if let Some(prefix) = prefix {
                write!(f, " --{option} {prefix}")?;
            }
        }
        if let Some(ports) = self.ports {
            write!(f, " --port {ports}")?;
        }
        if let Some(interface) = &self.interface {
            write!(f, " --interface {interface}")?;
        }
        Ok(())
    }
}

/// Rules in order: a packet has the mark of the first that fits it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarkRules(Vec<MarkRule>);

/// A change of the rules. Positions count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkChange {
    /// Rules come in before the one at a position, or behind all.
    Insert {
        /// The position that the first of them has then.
        #[serde(default)]
        at: Option<usize>,
        /// The rules.
        rules: Vec<MarkRule>,
    },
    /// The rule at a position goes.
    Remove {
        /// The position.
        at: usize,
    },
    /// These are all the rules.
    Replace {
        /// The rules.
        rules: Vec<MarkRule>,
    },
}

/// Why rules are not changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MarkError {
    /// A rule asks for packets of both families at once.
    #[error("a packet is of one family\nhint: make a rule for IPv4, and one for IPv6")]
    TwoFamilies,
    /// No interface can have this name.
    #[error("`{name}' is no interface's name\nhint: `ip link' lists them")]
    NotAnInterface {
        /// The name.
        name: String,
    },
    /// There is no such position.
    #[error("there is no rule {at}\nhint: `xvs mark list' shows {count}")]
    NoRule {
        /// The position that was asked for.
        at: usize,
        /// How many rules there are.
        count: usize,
    },
    /// There are more rules than the data plane looks at.
    #[error("there is room for {limit} rules\nhint: use prefixes and ranges of ports")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
}

impl MarkRules {
    /// The rules in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &MarkRule> {
        self.0.iter()
    }

    /// The rules after a change, `limit` of them at most.
    ///
    /// # Errors
    /// When it cannot be: then nothing is to change.
    pub fn changed(&self, change: &MarkChange, limit: usize) -> Result<Self, MarkError> {
        let mut rules = self.0.clone();
        let count = rules.len();
        match change {
            MarkChange::Insert { at, rules: new } => {
                let at = at.unwrap_or(count + 1);
                if at == 0 || at > count + 1 {
                    return Err(MarkError::NoRule { at, count });
                }
                rules.splice(at - 1..at - 1, new.iter().cloned());
            }
            MarkChange::Remove { at } => {
                if *at == 0 || *at > count {
                    return Err(MarkError::NoRule { at: *at, count });
                }
                rules.remove(at - 1);
            }
            MarkChange::Replace { rules: new } => rules.clone_from(new),
        }
        if rules.len() > limit {
            return Err(MarkError::TooMany { limit });
        }
        rules.iter().try_for_each(MarkRule::check)?;
        Ok(Self(rules))
    }
}
