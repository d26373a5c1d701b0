//! `include` and its variants.

use std::path::Path;

use super::{Char, DEEPEST, Expander, text};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Span;

/// What is wrong with a file that is not there (`include_check`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Checks {
    /// A match must be readable.
    readable: bool,
    /// A pattern without wildcards must match.
    matching: bool,
    /// A pattern with wildcards must match.
    wildcard: bool,
}

impl Checks {
    const ALL: Self = Self {
        readable: true,
        matching: true,
        wildcard: true,
    };

    /// These, and those of a variant of `include`; None if the word is none.
    fn with(self, word: &str) -> Option<Self> {
        let with = |name| {
            let mut checks = self;
            checks.set(name, true);
            Some(checks)
        };
        match word {
            "include" => Some(self),
            "includea" => Some(Self::ALL),
            "includer" => with("readable"),
            "includem" => with("match"),
            "includew" => with("wildcard_match"),
            "includeb" => with("brace_match"),
            _ => None,
        }
    }

    fn set(&mut self, name: &str, on: bool) {
        match name {
            "readable" => self.readable = on,
            "match" => (self.matching, self.readable) = (on, self.readable || on),
            "wildcard_match" | "brace_match" => {
                (self.wildcard, self.readable) = (on, self.readable || on);
            }
            _ => {}
        }
    }

    /// `include_check [+|-]option ...`
    fn chosen(self, options: &[String]) -> Self {
        if options.is_empty() {
            return Self::ALL;
        }
        let changes = options[0].starts_with(['+', '-']);
        let mut checks = if changes { self } else { Self::default() };
        for option in options {
            checks.set(
                option.trim_start_matches(['+', '-']),
                !option.starts_with('-'),
            );
        }
        checks
    }
}

impl Expander<'_> {
    /// Reads the file that a line includes. Whether it does.
    pub(super) fn include(&mut self, line: &[Char]) -> bool {
        let words = text(line);
        let mut words = words.split_whitespace();
        let first = words.next().unwrap_or_default();
        if first == "include_check" {
            let options: Vec<String> = words.map(str::to_owned).collect();
            self.checks = self.checks.chosen(&options);
            return false;
        }
        let Some(checks) = self.checks.with(first) else {
            return false;
        };
        let span = line[0].span.to(line[line.len() - 1].span);
        match words.next() {
            Some(pattern) => self.include_all(pattern.trim_matches(['"', '\'']), checks, span),
            None => self.diagnostics.push(Diagnostic::error(
                span,
                format!("`{first}' without a file"),
                "the name of a file is missing",
                format!("write `{first} FILE', where FILE may have wildcards"),
            )),
        }
        true
    }

    fn include_all(&mut self, pattern: &str, checks: Checks, span: Span) {
        let found = self.files.matching(&self.folder.join(pattern));
        let has_wildcard = pattern.contains(['*', '?', '[', '{']);
        let must_match = if has_wildcard {
            checks.wildcard
        } else {
            checks.matching
        };
        if found.is_empty() && (must_match || !has_wildcard) {
            self.missing(pattern, must_match, span, "no file of this name is there");
        }
        for path in found {
            self.include_one(&path, checks, span);
        }
    }

    fn include_one(&mut self, path: &Path, checks: Checks, span: Span) {
        if self.depth >= DEEPEST {
            return self.endless(span);
        }
        match self.files.read(path) {
            Ok(text) => {
                let number = self.sources.add(path, text);
                self.depth += 1;
                self.file(number);
                self.depth -= 1;
            }
            Err(why) => self.missing(&path.display().to_string(), checks.readable, span, &why),
        }
    }

    fn missing(&mut self, name: &str, must: bool, span: Span, why: &str) {
        let severity = if must {
            Severity::Error
        } else {
            Severity::Warning
        };
        self.diagnostics.push(Diagnostic {
            severity,
            ..Diagnostic::warning(
                span,
                format!("`{name}' is not included"),
                why,
                "correct the name (a relative one begins at this file's folder), or remove the line",
            )
        });
    }
}
