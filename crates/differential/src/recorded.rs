//! Cases with what the kernel showed, as a text that is kept: of what there is after a step, what has changed in it.
//!
//! ```text
//! case 7
//! tcp 172.16.10.40:1025 > 172.16.10.21:80 S 0
//!   ! to 192.168.100.39: tcp ...
//!   - TCP 172.16.10.21:80 -> 192.168.100.39:80 Masq 1 0 0
//!   + TCP 172.16.10.21:80 -> 192.168.100.39:80 Masq 1 1 0
//!   + TCP 172.16.10.40:1025 172.16.10.21:80 192.168.100.39:80 SYN_RECV for 60 s
//! ```

use std::fmt::Write as _;

use thiserror::Error;

use crate::case::{self, Case, NotAStep};
use crate::facts::{Fact, Facts};

/// A case and what the kernel showed after each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The case.
    pub case: Case,
    /// After each step.
    pub kernel: Vec<Facts>,
}

/// A line that is none of a record's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// No step.
    #[error(transparent)]
    Step(#[from] NotAStep),
    /// No fact.
    #[error("'{0}' is no fact of a recorded case")]
    Fact(String),
}

/// The text of a case and what the kernel showed.
pub fn write(recorded: &Recorded) -> String {
    let mut text = format!("case {}\n", recorded.case.name);
    let nothing = Facts::default();
    let before = std::iter::once(&nothing).chain(&recorded.kernel);
    let steps = recorded.case.steps.iter().zip(&recorded.kernel);
    for ((step, facts), before) in steps.zip(before) {
        // Writing to a string does not fail.
        let _written = writeln!(text, "{step}");
        for event in &facts.events {
            let _written = writeln!(text, "  ! {event}");
        }
        for fact in before.state.iter().filter(|fact| !is_among(fact, facts)) {
            let _written = writeln!(text, "  - {}", fact.text);
        }
        for fact in facts.state.iter().filter(|fact| is_news(fact, before)) {
            let _written = writeln!(text, "  + {fact}");
        }
    }
    text
}

fn is_among(fact: &Fact, facts: &Facts) -> bool {
    facts.state.iter().any(|other| other.text == fact.text)
}

/// Whether something was not there before, or will not be forgotten when it would have been.
fn is_news(fact: &Fact, before: &Facts) -> bool {
    let known = before.state.iter().find(|other| other.text == fact.text);
    known.is_none_or(|known| match (known.seconds, fact.seconds) {
        (Some(before), Some(now)) => before.abs_diff(now) > 2,
        _ => false,
    })
}

/// Reads recorded cases. What did not change has no time in them.
///
/// # Errors
/// The first line that makes no sense.
pub fn read(text: &str) -> Result<Vec<Recorded>, Unreadable> {
    let mut all: Vec<Recorded> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("case ") {
            let case = Case {
                name: name.to_owned(),
                steps: Vec::new(),
            };
            let kernel = Vec::new();
            all.push(Recorded { case, kernel });
            continue;
        }
        let recorded = all.last_mut().ok_or_else(|| NotAStep(line.to_owned()))?;
        match line.strip_prefix("  ") {
            None => recorded.step(line.parse()?),
            Some(fact) => recorded
                .fact(fact)
                .ok_or_else(|| Unreadable::Fact(line.to_owned()))?,
        }
    }
    Ok(all)
}

impl Recorded {
    fn step(&mut self, step: case::Step) {
        let mut state = self
            .kernel
            .last()
            .map(|facts| facts.state.clone())
            .unwrap_or_default();
        state.iter_mut().for_each(|fact| fact.seconds = None);
        self.case.steps.push(step);
        self.kernel.push(Facts {
            events: Vec::new(),
            state,
        });
    }

    fn fact(&mut self, line: &str) -> Option<()> {
        let (sign, text) = line.split_once(' ')?;
        let facts = self.kernel.last_mut()?;
        let Ok(fact) = text.parse::<Fact>();
        match sign {
            "!" => facts.events.push(text.to_owned()),
            "-" => facts.state.retain(|known| known.text != fact.text),
            "+" => {
                facts.state.retain(|known| known.text != fact.text);
                facts.state.push(fact);
                facts.state.sort_unstable();
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;
    use crate::world::World;

    #[test]
    fn what_is_recorded_agrees_with_what_was_shown() {
        for seed in 0..20 {
            let case = generate::case(seed);
            let kernel = World::native().play(&case);
            let recorded = Recorded { case, kernel };
            let read = read(&write(&recorded)).unwrap();
            assert_eq!(read.len(), 1);
            assert_eq!(read[0].case, recorded.case);
            let pairs = read[0].kernel.iter().zip(&recorded.kernel);
            assert!(pairs.into_iter().all(|(read, shown)| read.agree(shown)));
        }
    }
}
