//! Splits a command line into options and the rest, as the popt library does for `ipvsadm`.
//!
//! Long options are spelled out, and may carry their argument after `=`. Short ones may be put
//! together, the last one with its argument, with or without `=`. Everything else is left over, as
//! is all that follows `--`. An optional argument is the next word, unless that begins with a dash.

use crate::options::Switch;
use crate::table::{Argument, OPTIONS, OptionSpec};

/// Why the scanner stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanProblem {
    Unknown,
    MissingArgument,
    UnwantedArgument,
}

impl ScanProblem {
    /// The problem in popt's words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unknown => "unknown option",
            Self::MissingArgument => "missing argument",
            Self::UnwantedArgument => "option does not take an argument",
        }
    }
}

/// An option that was found, and its argument.
pub(crate) type Found<'a> = (Switch, Option<&'a str>);

/// Walks over the words after the program's name.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    words: &'a [String],
    next: usize,
    /// The short options of the current word that are still to come.
    cluster: &'a str,
    /// `--` was seen.
    only_rest: bool,
    rest: Vec<&'a str>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(words: &'a [String]) -> Self {
        Self {
            words,
            next: 0,
            cluster: "",
            only_rest: false,
            rest: Vec::new(),
        }
    }

    /// The word that the last option, or the problem with it, was found in.
    pub(crate) fn current_word(&self) -> &'a str {
        self.next
            .checked_sub(1)
            .and_then(|i| self.words.get(i))
            .map_or("", String::as_str)
    }

    /// The words that belong to no option.
    pub(crate) fn into_rest(self) -> Vec<&'a str> {
        self.rest
    }

    /// The next option, or `None` at the end.
    pub(crate) fn next_option(&mut self) -> Result<Option<Found<'a>>, ScanProblem> {
        while self.cluster.is_empty() {
            let Some(word) = self.next_word() else {
                return Ok(None);
            };
            match word.strip_prefix('-') {
                Some("-") if !self.only_rest => self.only_rest = true,
                Some(option) if !self.only_rest && !option.is_empty() => {
                    match option.strip_prefix('-') {
                        Some(long) => return self.long(long).map(Some),
                        None => self.cluster = option,
                    }
                }
                _ => self.rest.push(word),
            }
        }
        self.short().map(Some)
    }

    fn next_word(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    fn long(&mut self, option: &'a str) -> Result<Found<'a>, ScanProblem> {
        let (name, attached) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let spec = OPTIONS
            .iter()
            .find(|spec| spec.long == name)
            .ok_or(ScanProblem::Unknown)?;
        if spec.argument == Argument::No {
            return match attached {
                None => Ok((spec.switch, None)),
                Some(_) => Err(ScanProblem::UnwantedArgument),
            };
        }
        self.with_argument(spec, attached)
    }

    fn short(&mut self) -> Result<Found<'a>, ScanProblem> {
        let mut letters = self.cluster.chars();
        let letter = letters.next();
        let after = letters.as_str();
        let spec = OPTIONS
            .iter()
            .find(|spec| spec.short.is_some() && spec.short == letter)
            .ok_or(ScanProblem::Unknown)?;
        if spec.argument == Argument::No {
            if after.starts_with('=') {
                return Err(ScanProblem::UnwantedArgument);
            }
            self.cluster = after;
            return Ok((spec.switch, None));
        }
        self.cluster = "";
        let attached = (!after.is_empty()).then(|| after.strip_prefix('=').unwrap_or(after));
        self.with_argument(spec, attached)
    }

    /// Finds the argument of an option that takes one: attached, or else the next word.
    fn with_argument(
        &mut self,
        spec: &OptionSpec,
        attached: Option<&'a str>,
    ) -> Result<Found<'a>, ScanProblem> {
        let optional = matches!(spec.argument, Argument::Optional(_));
        let argument = match (attached, self.words.get(self.next)) {
            (Some(argument), _) => Some(argument),
            (None, Some(word)) if optional && word.starts_with('-') => None,
            (None, Some(_)) => self.next_word(),
            (None, None) if optional => None,
            (None, None) => return Err(ScanProblem::MissingArgument),
        };
        Ok((spec.switch, argument))
    }
}
