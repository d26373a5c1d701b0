//! The configuration as a file: what `ipvsadm-save` prints, and beside it lines of `xvs set` and `xvs mark
//! add`.

use std::fmt::Write as _;
use std::io::{self, Cursor};

use adm::{Director as _, DirectorError, Program, Streams};
use anyhow::{Result, bail};
use model::{MarkChange, MarkRule, SettingRequest, SettingStatus};
use thiserror::Error;

use crate::cli::{self, Command};
use crate::mark::MarkCommand;
use crate::names::SystemNames;
use crate::settings;

/// A configuration, read but not carried out.
#[derive(Debug, Default)]
pub struct Rules {
    settings: Vec<SettingRequest>,
    marks: Vec<MarkRule>,
    /// Lines for `ipvsadm-restore`.
    services: String,
}

/// A line that is none of a configuration.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct BadLine {
    line: usize,
    what: String,
}

impl Rules {
    /// Reads a configuration. What `ipvsadm-restore` makes of its lines shows when they are carried
    /// out.
    ///
    /// # Errors
    /// When a line of xvs's own sets nothing.
    pub fn read(text: &str) -> Result<Self, BadLine> {
        let mut rules = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            if line.split_ascii_whitespace().next() == Some("xvs") {
                rules
                    .read_own(line)
                    .map_err(|what| BadLine { line: number, what })?;
            } else {
                rules.services.push_str(line);
                rules.services.push('\n');
            }
        }
        Ok(rules)
    }

    fn read_own(&mut self, line: &str) -> Result<(), String> {
        match cli::try_parse(line.split_ascii_whitespace()) {
            Ok(Command::Set(options)) if !options.settings.is_empty() => {
                self.settings.extend(options.settings);
                Ok(())
            }
            Ok(Command::Mark(MarkCommand::Add(options))) if options.at.is_none() => {
                self.marks.push(options.rule());
                Ok(())
            }
            Ok(_) => Err(format!(
                "`{line}' configures nothing\nhint: `xvs set NAME=VALUE' and `xvs mark add' without --at do"
            )),
            Err(error) => Err(error.to_string().trim_end().to_owned()),
        }
    }

    /// The configuration of a running director, as [`Self::read`] takes it.
    ///
    /// # Errors
    /// When the director cannot be asked.
    pub fn text_of(director: &mut api::Client) -> Result<String, DirectorError> {
        let mut text = String::new();
        for SettingStatus {
            name,
            value,
            default,
            ..
        } in director.settings()?
        {
            if value != default {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "xvs set {name}={value}");
            }
        }
        for rule in director.marks()?.iter() {
            let _ = writeln!(text, "xvs mark add {rule}");
        }
        let (services, timeouts) = (director.services()?, director.timeouts()?);
        Ok(text + &adm::save_everything(&services, &timeouts))
    }

    /// Makes a director be as the configuration says, in place of what it was. Settings are
    /// changed first, then rules for marks; all or none of either.
    ///
    /// # Errors
    /// When a part is refused, with what was said about it.
    pub fn carry_out(self, director: &mut api::Client) -> Result<()> {
        let now = director.settings().map_err(settings::explained)?;
        let requests = settings::only(&self.settings, &now);
        director.set(&requests).map_err(settings::explained)?;
        let rules = self.marks;
        let replaced = director.mark(&MarkChange::Replace { rules });
        replaced.map_err(settings::explained)?;
        let mut errors = Vec::new();
        let (mut input, mut output) = (Cursor::new(self.services), io::sink());
        let streams = Streams {
            input: &mut input,
            output: &mut output,
            errors: &mut errors,
        };
        let args = ["ipvsadm-restore".to_owned()];
        let code = adm::run(
            Program::Restore,
            &args,
            streams,
            director,
            &SystemNames::new(),
        );
        if code != 0 || !errors.is_empty() {
            bail!("{}", String::from_utf8_lossy(&errors).trim_end());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_lines_are_told_from_those_for_ipvsadm() {
        let text = "xvs set drop_entry=3 sloppy_tcp=1\n--set 900 120 300\n-A -t 192.0.2.1:80\n\
            xvs set pmtu_disc=0\nxvs mark add --mark 7 --to 192.0.2.0/24\n";
        let rules = Rules::read(text).unwrap();
        let names: Vec<&str> = rules.settings.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["drop_entry", "sloppy_tcp", "pmtu_disc"]);
        assert_eq!(rules.marks[0].to_string(), "--mark 7 --to 192.0.2.0/24");
        assert_eq!(rules.services, "--set 900 120 300\n-A -t 192.0.2.1:80\n");
    }

    #[test]
    fn an_own_line_that_configures_nothing_is_refused_with_its_number() {
        for (line, what) in [
            ("xvs set", "configures nothing"),
            ("xvs status", "configures nothing"),
            ("xvs mark del --all", "configures nothing"),
            ("xvs mark add --mark 1 --at 1", "configures nothing"),
            ("xvs mark add --mark 1 --port x", "8000-8080"),
            ("xvs set drop_entry", "NAME=VALUE"),
            ("xvs sett drop_entry=1", "unrecognized subcommand"),
        ] {
            let error = Rules::read(&format!("-A -f 1\n{line}\n")).unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.what.contains(what), "{error}");
        }
    }
}
