//! The three programs.

use std::io::{self, BufRead, Write};

use crate::director::Director;
use crate::invocation::{Format, Invocation, Listing};
use crate::names::Resolver;
use crate::parse::parse;
use crate::restore::without_comments;
use crate::session::{Exit, Session};

/// Which of the three programs is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `ipvsadm`.
    Ipvsadm,
    /// `ipvsadm-save`.
    Save,
    /// `ipvsadm-restore`.
    Restore,
}

impl Program {
    /// The program that goes by the last part of this path.
    pub fn from_path(path: &str) -> Option<Self> {
        match path.rsplit('/').next() {
            Some("ipvsadm") => Some(Self::Ipvsadm),
            Some("ipvsadm-save") => Some(Self::Save),
            Some("ipvsadm-restore") => Some(Self::Restore),
            _ => None,
        }
    }
}

/// What the program reads and writes.
pub struct Streams<'a> {
    /// Standard input.
    pub input: &'a mut dyn BufRead,
    /// Standard output. It is buffered here.
    pub output: &'a mut dyn Write,
    /// Standard error.
    pub errors: &'a mut dyn Write,
}

/// Runs a program and returns its exit code.
///
/// `args` begins with the name under which the program was called, which goes into messages. That
/// output cannot be written is no failure, as it is none for `ipvsadm`.
pub fn run<'a>(
    program: Program,
    args: &'a [String],
    streams: Streams<'a>,
    director: &'a mut dyn Director,
    names: &'a dyn Resolver,
) -> u8 {
    let (name, words) = match args.split_first() {
        Some((name, words)) => (name.as_str(), words),
        None => ("ipvsadm", args),
    };
    let name = if program == Program::Ipvsadm {
        name
    } else {
        "ipvsadm"
    };
    let Streams {
        input,
        output,
        errors,
    } = streams;
    let mut session = Session::new(name, output, errors, director, names);
    match program {
        Program::Ipvsadm => ipvsadm(&mut session, words, input),
        Program::Save => save(&mut session, words, input),
        Program::Restore => restore(&mut session, input),
    }
}

/// `ipvsadm`.
fn ipvsadm(session: &mut Session<'_>, words: &[String], input: &mut dyn BufRead) -> u8 {
    let parsed = match words {
        [] => Ok(Invocation::List(Listing::Table, Format::default())),
        words => parse(words, session.names()),
    };
    let needs_director = !matches!(parsed, Ok(Invocation::Help | Invocation::Version));
    if needs_director && let Err(Exit(code)) = session.connect() {
        return code;
    }
    match session.step(parsed, Some(input)) {
        Ok(code) | Err(Exit(code)) => code,
    }
}

/// `ipvsadm-save`, which is a shell script: it looks for `-n`, and runs `ipvsadm -S`.
fn save(session: &mut Session<'_>, words: &[String], input: &mut dyn BufRead) -> u8 {
    let mut command = "-S";
    for word in words {
        match word.as_str() {
            "-n" => command = "-Sn",
            other if other.starts_with('-') => {
                session.complain("ipvsadm-save: Script to save the IPVS table to stdout.");
                session.complain("   With the -n option, prints out the table in numeric format.");
                return 1;
            }
            _ => {}
        }
    }
    ipvsadm(session, &[command.to_owned()], input)
}

/// `ipvsadm-restore`, which is a shell script: it runs `ipvsadm -C`, and `ipvsadm -R` on its input
/// without the comments.
fn restore(session: &mut Session<'_>, input: &mut dyn BufRead) -> u8 {
    let mut bytes = Vec::new();
    if let Err(error) = input.read_to_end(&mut bytes) {
        session.complain(&format!("ipvsadm-restore: cannot read the rules: {error}"));
        return 1;
    }
    let rules = without_comments(&String::from_utf8_lossy(&bytes));
    ipvsadm(session, &["-C".to_owned()], &mut io::empty());
    ipvsadm(session, &["-R".to_owned()], &mut rules.as_bytes())
}
