//! What is seen after a step, from outside of the director.

use std::fmt;
use std::str::FromStr;

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// What.
    pub text: String,
    /// Of a connection: the seconds until it is forgotten, if they are known.
    pub seconds: Option<u32>,
}

/// What is seen after a step: what happened in it, and what there is after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Packets that left or went up to the director's own stack, a refusal; in order.
    pub events: Vec<String>,
    /// Services, destinations with their numbers, connections; sorted.
    pub state: Vec<Fact>,
}

/// Seconds by which two directors may differ about a connection's end: both round, and time passes while the one is
/// asked.
const TOLERANCE: u32 = 2;
/// Seconds more for a persistence template: the kernel's timers go off up to an eighth of their time late, and one
/// that is put off then starts from there.
const TEMPLATE_TOLERANCE: u32 = 40;

impl Fact {
    /// Something without a time.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            seconds: None,
        }
    }

    /// Whether both say the same.
    pub fn agrees(&self, other: &Self) -> bool {
        let tolerance = if self.is_template() {
            TEMPLATE_TOLERANCE
        } else {
            TOLERANCE
        };
        let is_close = match (self.seconds, other.seconds) {
            (Some(one), Some(other)) => one.abs_diff(other) <= tolerance,
            _ => true,
        };
        self.text == other.text && is_close
    }

    fn is_template(&self) -> bool {
        self.text.ends_with(" NONE") || self.text.ends_with(" ASSURED")
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match self.seconds {
            Some(seconds) => write!(f, " for {seconds} s"),
            None => Ok(()),
        }
    }
}

impl FromStr for Fact {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let timed = text
            .strip_suffix(" s")
            .and_then(|text| text.rsplit_once(" for "))
            .and_then(|(text, seconds)| Some((text, seconds.parse().ok()?)));
        Ok(match timed {
            Some((text, seconds)) => Self {
                text: text.to_owned(),
                seconds: Some(seconds),
            },
            None => Self::new(text),
        })
    }
}

impl Facts {
    /// What these say otherwise than the others, as lines: events and state that the others have not.
    pub fn against(&self, others: &Self) -> Vec<String> {
        let events = self.events.iter();
        let mut lines: Vec<String> = events
            .filter(|event| !others.events.contains(event))
            .cloned()
            .collect();
        let is_known = |fact: &&Fact| others.state.iter().any(|other| other.agrees(fact));
        let is_new = |fact: &&Fact| !is_known(fact);
        lines.extend(self.state.iter().filter(is_new).map(Fact::to_string));
        lines
    }

    /// Whether both say the same.
    pub fn agree(&self, others: &Self) -> bool {
        self.events == others.events
            && self.state.len() == others.state.len()
            && self.against(others).is_empty()
            && others.against(self).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(text: &str) -> Fact {
        text.parse().unwrap()
    }

    #[test]
    fn a_fact_is_read_as_it_is_written() {
        for text in ["TCP a b c SYN_RECV for 59 s", "up", "load for s"] {
            assert_eq!(fact(text).to_string(), text);
        }
        assert_eq!(fact("x for 12 s").seconds, Some(12));
    }

    #[test]
    fn times_agree_within_the_tolerance_and_where_one_is_not_known() {
        assert!(fact("x for 60 s").agrees(&fact("x for 58 s")));
        assert!(!fact("x for 60 s").agrees(&fact("x for 57 s")));
        assert!(fact("x for 60 s").agrees(&fact("x")));
        assert!(!fact("x").agrees(&fact("y")));
    }

    #[test]
    fn one_more_is_a_difference() {
        let few = Facts {
            state: vec![fact("a")],
            ..Facts::default()
        };
        let many = Facts {
            state: vec![fact("a"), fact("b for 3 s")],
            ..Facts::default()
        };
        assert!(!few.agree(&many));
        assert_eq!(many.against(&few), ["b for 3 s"]);
        assert!(few.against(&many).is_empty());
        assert!(many.agree(&many.clone()));
    }
}
