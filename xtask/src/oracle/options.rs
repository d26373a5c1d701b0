//! The options of `./x oracle`'s verbs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::oracle::machine::{Init, Job};

/// Debian's release whose kernel is booted: 12, with Linux 6.1.
const KERNEL: &str = "bookworm";
/// How long a script may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Debian's release whose kernel is booted.
    pub kernel: String,
    /// Whether to make everything anew.
    pub fresh: bool,
    /// Whether sleeping takes no time in the machine.
    pub sleepless: bool,
    /// What stands between the options and `--`: a script and files to go with it, or checks.
    pub operands: Vec<String>,
    arguments: Vec<String>,
    out: Option<PathBuf>,
    patience: Duration,
    init: Init,
}

impl Options {
    /// Reads the words behind the verb.
    pub fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self {
            kernel: KERNEL.to_owned(),
            fresh: false,
            sleepless: false,
            operands: Vec::new(),
            arguments: Vec::new(),
            out: None,
            patience: PATIENCE,
            init: Init::Script,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let value = words.next().cloned();
                value.with_context(|| format!("{word} wants a value"))
            };
            match word.as_str() {
                "--kernel" => options.kernel = release(value()?)?,
                "--out" => options.out = Some(value()?.into()),
                "--timeout" => {
                    let seconds = value()?;
                    let number = seconds.parse().ok().filter(|&number| number > 0);
                    let number = number
                        .with_context(|| format!("--timeout wants seconds, not '{seconds}'"))?;
                    options.patience = Duration::from_secs(number);
                }
                "--systemd" => options.init = Init::Systemd,
                "--sleepless" => options.sleepless = true,
                "--fresh" => options.fresh = true,
                "--" => options.arguments = words.by_ref().cloned().collect(),
                _ if word.starts_with('-') => {
                    bail!(
                        "there is no option {word}\nhint: oracle/README.md has those that there are"
                    )
                }
                _ => options.operands.push(word.clone()),
            }
        }
        Ok(options)
    }

    /// The script to run, with everything that goes with it.
    pub fn job(self) -> Result<Job> {
        let mut files = self.operands.into_iter().map(PathBuf::from);
        let script = files
            .next()
            .context("which script? ./x oracle run SCRIPT [FILES...] [-- ARGUMENTS...]")?;
        Ok(Job {
            script,
            files: files.collect(),
            arguments: self.arguments,
            out: self.out,
            patience: self.patience,
            init: self.init,
        })
    }
}

/// The name of a Debian release; it becomes a folder's name, too.
fn release(name: String) -> Result<String> {
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '-');
    if !is_name {
        bail!(
            "--kernel wants the name of a Debian release, such as {KERNEL} or trixie, not '{name}'"
        );
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn a_script_has_files_before_the_dashes_and_arguments_behind_them() {
        let options = parse("--timeout 60 ask.sh one two -- -n --kernel").unwrap();
        assert_eq!(options.kernel, KERNEL);
        let job = options.job().unwrap();
        assert_eq!(job.script, PathBuf::from("ask.sh"));
        assert_eq!(job.files, [PathBuf::from("one"), PathBuf::from("two")]);
        assert_eq!(job.arguments, ["-n", "--kernel"]);
        assert_eq!(job.patience, Duration::from_secs(60));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "--kernel",
            "--kernel ../up",
            "--timeout soon",
            "--timeout 0",
            "--tiemout 3",
            "--out",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("").unwrap().job().is_err(), "a run without a script");
    }
}
