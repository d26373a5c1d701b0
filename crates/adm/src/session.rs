//! Carries out command lines.

use std::collections::HashSet;
use std::io::{self, BufRead, BufWriter, Write};

use model::Command;

use crate::director::{Director, DirectorError, Refused, Unavailable};
use crate::invocation::{Format, Invocation, Listing};
use crate::names::Resolver;
use crate::parse::{UsageError, parse};
use crate::save::Style;
use crate::{connections, help, list, restore, save};

/// One run of `ipvsadm`.
pub(crate) struct Session<'a> {
    /// The name under which the program was called.
    name: &'a str,
    output: BufWriter<&'a mut dyn Write>,
    errors: &'a mut dyn Write,
    director: &'a mut dyn Director,
    names: &'a dyn Resolver,
}

/// Ends the program at once, with this exit code.
pub(crate) struct Exit(pub(crate) u8);

/// The exit code so far, with which the program may go on.
pub(crate) type Step = Result<u8, Exit>;

impl<'a> Session<'a> {
    pub(crate) fn new(
        name: &'a str,
        output: &'a mut dyn Write,
        errors: &'a mut dyn Write,
        director: &'a mut dyn Director,
        names: &'a dyn Resolver,
    ) -> Self {
        Self {
            name,
            output: BufWriter::new(output),
            errors,
            director,
            names,
        }
    }

    pub(crate) fn names(&self) -> &'a dyn Resolver {
        self.names
    }

    /// Makes sure that the director is there.
    pub(crate) fn connect(&mut self) -> Result<(), Exit> {
        let result = self.director.connect();
        result.map_err(|unavailable| self.unavailable(&unavailable))
    }

    /// Carries out one command line. `input` is where commands to restore come from, unless this is
    /// one.
    pub(crate) fn step(
        &mut self,
        parsed: Result<Invocation, UsageError>,
        input: Option<&mut dyn BufRead>,
    ) -> Step {
        match parsed {
            Err(error) => self.misused(&error),
            Ok(Invocation::Restore) => match input {
                Some(input) => self.restore(input),
                None => self.misused(&UsageError::NoCommand),
            },
            Ok(Invocation::Help) => {
                let text = help::text(self.name);
                self.print(|out| out.write_all(text.as_bytes()));
                Err(Exit(0))
            }
            Ok(Invocation::Version) => {
                self.print(|out| writeln!(out, "{}", help::VERSION));
                Err(Exit(0))
            }
            Ok(Invocation::Change(command)) => self.change(&mut std::iter::once(command)),
            Ok(Invocation::Zero(service)) => {
                let result = self.director.zero(service);
                self.done(result)
            }
            Ok(Invocation::SetTimeouts(change)) => {
                let result = self.director.set_timeouts(change);
                self.done(result)
            }
            Ok(Invocation::StartDaemon(request)) => {
                let result = self.director.start_daemon(request);
                self.done(result)
            }
            Ok(Invocation::StopDaemon(role)) => {
                let result = self.director.stop_daemon(role);
                self.done(result)
            }
            Ok(Invocation::List(listing, format)) => {
                let result = self.list(listing, format);
                self.listed(result)
            }
            Ok(Invocation::Save { numeric }) => {
                let result = self.save(numeric);
                self.listed(result)
            }
        }
    }

    /// Carries out the command lines on standard input. Changes in a row go to the director
    /// together, as they are read.
    fn restore(&mut self, input: &mut dyn BufRead) -> Step {
        let names = self.names;
        let mut code = 0;
        loop {
            let mut other = None;
            let changes = std::iter::from_fn(|| {
                let words = restore::next_command(input).unwrap_or(None)?;
                match parse(&words, names) {
                    Ok(Invocation::Change(command)) => Some(command),
                    parsed => {
                        other = Some(parsed);
                        None
                    }
                }
            });
            let mut changes = changes.fuse().peekable();
            if changes.peek().is_some() {
                code = self.change(&mut changes)?;
            }
            match other {
                Some(parsed) => code = self.step(parsed, None)?,
                None => return Ok(code),
            }
        }
    }

    /// Carries out changes. The exit code is that of the last one.
    fn change(&mut self, commands: &mut dyn Iterator<Item = Command>) -> Step {
        let answers = match self.director.apply_all(commands) {
            Ok(answers) => answers,
            Err(error) => return self.done(Err(error)),
        };
        let mut code = 0;
        let mut hinted = HashSet::new();
        for answer in answers {
            code = match answer {
                Ok(()) => 0,
                Err(Refused { refusal, hint }) => {
                    self.complain(&refusal.to_string());
                    if !hint.is_empty() && !hinted.contains(&hint) {
                        self.complain(&format!("hint: {hint}"));
                        hinted.insert(hint);
                    }
                    255
                }
            };
        }
        Ok(code)
    }

    fn done(&mut self, result: Result<(), DirectorError>) -> Step {
        match result {
            Ok(()) => Ok(0),
            Err(DirectorError::Refused(refusal)) => {
                self.complain(&refusal.to_string());
                Ok(255)
            }
            Err(DirectorError::Unavailable(unavailable)) => Err(self.unavailable(&unavailable)),
        }
    }

    /// A list that cannot be had ends the program, also in the middle of a restore.
    fn listed(&mut self, result: Result<(), DirectorError>) -> Step {
        match result {
            Ok(()) => Ok(0),
            Err(DirectorError::Refused(refusal)) => {
                self.complain(&refusal.to_string());
                Err(Exit(1))
            }
            Err(DirectorError::Unavailable(unavailable)) => Err(self.unavailable(&unavailable)),
        }
    }

    fn list(&mut self, listing: Listing, format: Format) -> Result<(), DirectorError> {
        let names = self.names;
        match listing {
            Listing::Table => {
                let info = self.director.info()?;
                let services = list::arrange(self.director.services()?, format.unsorted);
                self.print(|out| {
                    list::header(out, info)?;
                    list::titles(out, format.view)?;
                    services
                        .iter()
                        .try_for_each(|s| list::service(out, s, format, names))
                });
            }
            Listing::Service(key) => {
                let status = self.director.service(key)?;
                let services = list::arrange(vec![status], format.unsorted);
                self.print(|out| {
                    list::titles(out, format.view)?;
                    services
                        .iter()
                        .try_for_each(|s| list::service(out, s, format, names))
                });
            }
            Listing::Connections => self.list_connections(format)?,
            Listing::Timeouts => {
                let timeouts = self.director.timeouts()?;
                self.print(|out| list::timeouts(out, timeouts));
            }
            Listing::Daemons => {
                let daemons = self.director.daemons()?;
                self.print(|out| daemons.iter().try_for_each(|d| list::daemon(out, d)));
            }
        }
        Ok(())
    }

    fn list_connections(&mut self, format: Format) -> Result<(), DirectorError> {
        let entries = self.director.connections()?;
        let out = &mut self.output;
        if connections::titles(out, format).is_err() {
            return Ok(());
        }
        for entry in entries {
            if connections::entry(out, &entry?, format, self.names).is_err() {
                // Nobody reads on.
                break;
            }
        }
        Ok(())
    }

    fn save(&mut self, numeric: bool) -> Result<(), DirectorError> {
        let style = Style {
            numeric,
            complete: false,
            names: self.names,
        };
        let services = list::arrange(self.director.services()?, false);
        self.print(|out| {
            services
                .iter()
                .try_for_each(|s| save::service(out, s, style))
        });
        Ok(())
    }

    fn misused(&mut self, error: &UsageError) -> Step {
        match error {
            UsageError::NoCommand => {
                let name = self.name;
                self.complain(&format!(
                    "Try `{name} -h' or '{name} --help' for more information."
                ));
            }
            other => self.complain(&other.to_string()),
        }
        match error {
            UsageError::BadOption { .. } => Ok(error.exit_code()),
            _ => Err(Exit(error.exit_code())),
        }
    }

    fn unavailable(&mut self, unavailable: &Unavailable) -> Exit {
        self.complain(&format!("Can't initialize ipvs: {}", unavailable.reason));
        self.complain("Are you sure that IP Virtual Server is built in the kernel or as module?");
        if !unavailable.hint.is_empty() {
            self.complain(&format!("hint: {}", unavailable.hint));
        }
        Exit(2)
    }

    /// Prints to standard output.
    fn print(&mut self, print: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        // A failure shows in what is missing; ipvsadm looks at it as little.
        let _ = print(&mut self.output);
    }

    /// Prints a line to standard error, after all that was printed to standard output.
    pub(crate) fn complain(&mut self, line: &str) {
        self.show();
        let _ = writeln!(self.errors, "{line}");
    }

    /// Hands on what was printed so far.
    fn show(&mut self) {
        let _ = self.output.flush();
    }
}
