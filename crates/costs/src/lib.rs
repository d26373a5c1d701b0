//! Costs that may not grow unnoticed: numbers that a test finds, beside those that were recorded.
//!
//! They are kept in a text file in the test's package. Its first line says what they were found
//! with, since compilers and kernels change them; then there is a line to a number, `name number`.
//! A number that has grown by more than [`TOLERATED`] per cent fails the test, which says how to
//! accept it; one that has shrunk as much is only told, on standard error.
//!
//! The program of this package is what [`instructions`](../tests/instructions.rs) counts.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Set, it has what is found recorded, and accepted.
pub const ACCEPT: &str = "XVS_ACCEPT";
/// Per cent by which a number may differ from what was recorded.
pub const TOLERATED: u64 = 3;

/// Numbers by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Costs {
    /// What they were found with: kernel, compiler.
    pub surroundings: String,
    /// Instructions, of whatever kind.
    pub numbers: BTreeMap<String, u64>,
}

/// Why costs are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of recorded numbers cannot be read or written.
    #[error("{}: {source}\nhint: {ACCEPT}=1 records what is found", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of the file is no name with a number.
    #[error("{}:{line}: there should be a name and a number", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Numbers have grown, are new, or are gone.
    #[error("{complaints}hint: if that is worth it, accept it by {ACCEPT}=1 {command}")]
    Differs {
        /// A line to each.
        complaints: String,
        /// The command that runs the test.
        command: String,
    },
}

/// Whether [`ACCEPT`] is set.
pub fn is_accepted() -> bool {
    env::var_os(ACCEPT).is_some()
}

impl Costs {
    /// Reads recorded numbers.
    ///
    /// # Errors
    /// When the file is not there, or not of this format.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| failed(path, source))?;
        let mut lines = text.lines();
        let surroundings = lines.next().unwrap_or_default().to_owned();
        let numbers = lines.zip(2..).map(|(text, line)| {
            let number = text
                .rsplit_once(' ')
                .and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
            number.ok_or_else(|| Error::Line {
                path: path.to_owned(),
                line,
            })
        });
        Ok(Self {
            surroundings,
            numbers: numbers.collect::<Result<_, _>>()?,
        })
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let lines = self.numbers.iter();
        let lines: String = lines
            .map(|(name, number)| format!("{name} {number}\n"))
            .collect();
        let text = format!("{}\n{lines}", self.surroundings);
        fs::write(path, text).map_err(|source| failed(path, source))
    }

    /// Compares them with those that were recorded in a file, or records them where
    /// [`ACCEPT`] is set. `command` is what runs the test.
    ///
    /// # Errors
    /// When a number has grown by more than is tolerated, is new or is gone, or when the file
    /// cannot be used.
    pub fn hold(&self, path: &Path, command: &str) -> Result<(), Error> {
        if is_accepted() {
            return self.write(path);
        }
        let recorded = Self::read(path)?;
        let Changes { for_worse, better } = self.since(&recorded);
        if !better.is_empty() {
            // Past the test harness, which keeps what tests print that pass.
            let _told_or_not = write!(
                io::stderr(),
                "\n{better}hint: to keep it so, record it by {ACCEPT}=1 {command}\n"
            );
        }
        if for_worse.is_empty() {
            return Ok(());
        }
        Err(Error::Differs {
            complaints: for_worse + &self.reason(&recorded),
            command: command.to_owned(),
        })
    }

    /// What may be why numbers differ.
    fn reason(&self, recorded: &Self) -> String {
        let (now, then) = (&self.surroundings, &recorded.surroundings);
        if now == then {
            return String::new();
        }
        format!("this is {now}; recorded was with {then}, which may be all that has changed\n")
    }

    fn since(&self, recorded: &Self) -> Changes {
        let names: BTreeSet<_> = self.numbers.keys().chain(recorded.numbers.keys()).collect();
        let mut changes = Changes::default();
        for name in names {
            match (recorded.numbers.get(name), self.numbers.get(name)) {
                (Some(&then), Some(&now)) if now * 100 > then * (100 + TOLERATED) => {
                    changes.for_worse += &changed(name, then, now);
                }
                (Some(&then), Some(&now)) if now * 100 < then * (100 - TOLERATED) => {
                    changes.better += &changed(name, then, now);
                }
                (None, Some(now)) => {
                    changes.for_worse += &format!("{name}: new, {now} instructions\n");
                }
                (Some(_), None) => changes.for_worse += &format!("{name}: gone\n"),
                (_, _) => {}
            }
        }
        changes
    }
}

/// A line to each number that differs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    for_worse: String,
    better: String,
}

fn changed(name: &str, then: u64, now: u64) -> String {
    let percent = (now as f64 / then as f64 - 1.0) * 100.0;
    format!("{name}: {then} instructions, now {now} ({percent:+.1} %)\n")
}

fn failed(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs<const N: usize>(surroundings: &str, numbers: [(&str, u64); N]) -> Costs {
        let numbers = numbers.map(|(name, number)| (name.to_owned(), number));
        Costs {
            surroundings: surroundings.to_owned(),
            numbers: numbers.into(),
        }
    }

    #[test]
    fn what_costs_over_three_per_cent_more_or_less_is_told_and_nothing_else() {
        let recorded = costs("here", [("a", 1000)]);
        let since = |now| costs("here", [("a", now)]).since(&recorded);
        for same in [970, 1000, 1030] {
            assert_eq!(since(same), Changes::default());
        }
        let told = since(1031);
        assert_eq!(told.for_worse, "a: 1000 instructions, now 1031 (+3.1 %)\n");
        assert_eq!(told.better, "");
        let told = since(500);
        assert_eq!(told.for_worse, "");
        assert_eq!(told.better, "a: 1000 instructions, now 500 (-50.0 %)\n");
    }

    #[test]
    fn what_is_new_or_gone_is_told() {
        let found = costs("here", [("a", 5)]);
        let told = found.since(&costs("here", [("b", 1)]));
        assert_eq!(told.for_worse, "a: new, 5 instructions\nb: gone\n");
    }

    #[test]
    fn another_compiler_is_named_as_a_reason_of_what_differs() {
        let (old, new) = (costs("rustc 1", [("a", 1)]), costs("rustc 2", [("a", 9)]));
        assert_eq!(old.reason(&old), "");
        let reason = new.reason(&old);
        assert!(
            reason.starts_with("this is rustc 2; recorded was with rustc 1"),
            "{reason}"
        );
    }

    #[test]
    fn what_is_written_is_read_again_and_a_line_that_is_none_is_told() {
        let path = env::temp_dir().join(format!("xvs-costs-{}", std::process::id()));
        let found = costs("Linux 0, rustc 0", [("a name", 1), ("b", 2)]);
        found.write(&path).unwrap();
        assert_eq!(Costs::read(&path).unwrap(), found);
        fs::write(&path, "Linux 0\na 1\nb\n").unwrap();
        let error = Costs::read(&path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(matches!(error, Error::Line { line: 3, .. }), "{error}");
    }
}
