//! From files to lines: comments, conditions, variables, sequences, lists, included files.
//!
//! Every character keeps the place where it was written. What replaces a variable on its line
//! counts as written where the variable stands; the lines of a definition of several lines keep
//! their own places.

mod blocks;
mod include;
mod variables;

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::source::{Sources, Span};
use crate::{Environment, Files};
use include::Checks;
use variables::Variables;

/// A character and where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Char {
    pub c: char,
    pub span: Span,
}

/// A line.
pub(crate) type Line = Vec<Char>;

/// How deep definitions and included files may lie in each other.
const DEEPEST: usize = 64;
/// How many lines a configuration may have once all is replaced: a definition that repeats itself
/// ends here.
const MOST_LINES: usize = 4_000_000;

/// What `@` conditions name for lines that keepalived, called otherwise, leaves out.
const OURS: &str = "xvs";

/// The lines that a file amounts to.
pub(crate) fn expand(
    first: u32,
    files: &dyn Files,
    environment: &Environment,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Line> {
    let mut expander = Expander {
        files,
        environment,
        sources,
        diagnostics,
        variables: Variables::new(environment.random_seed),
        checks: Checks::default(),
        folder: PathBuf::new(),
        definition: None,
        out: Vec::new(),
        depth: 0,
    };
    expander.file(first);
    expander.out
}

struct Expander<'a> {
    files: &'a dyn Files,
    environment: &'a Environment,
    sources: &'a mut Sources,
    diagnostics: &'a mut Vec<Diagnostic>,
    variables: Variables,
    checks: Checks,
    /// Of the file that is being read.
    folder: PathBuf,
    /// The definition that goes on on the next line.
    definition: Option<(String, Vec<Line>)>,
    out: Vec<Line>,
    depth: usize,
}

impl Expander<'_> {
    fn file(&mut self, number: u32) {
        let Some(source) = self.sources.get(number) else {
            return;
        };
        let folder = source.path.parent().unwrap_or(&source.path).to_owned();
        let lines = lines_of(&source.text, number);
        let before = std::mem::replace(&mut self.folder, folder);
        let checks = self.checks;
        for line in lines {
            self.physical_line(line);
        }
        if let Some((name, lines)) = self.definition.take() {
            self.variables.define(name, lines);
        }
        self.checks = checks;
        self.folder = before;
    }

    fn physical_line(&mut self, line: Line) {
        let line = without_comment(&line);
        let Some((name, mut lines)) = self.definition.take() else {
            return self.line(trimmed(line).to_vec());
        };
        match continued(line) {
            Some(begun) => {
                lines.push(begun.to_vec());
                self.definition = Some((name, lines));
            }
            None => {
                lines.push(trimmed(line).to_vec());
                self.variables.define(name, lines);
            }
        }
    }

    /// A line without comment and without spaces at its ends.
    fn line(&mut self, line: Line) {
        let Some(first) = line.first().copied() else {
            return;
        };
        if self.depth >= DEEPEST || self.out.len() >= MOST_LINES {
            return self.endless(first.span);
        }
        self.depth += 1;
        match first.c {
            '@' => self.condition(&line),
            '~' => self.repeat(line),
            '$' if variables::definition(&line).is_some() => self.define(&line),
            _ => self.plain(line),
        }
        self.depth -= 1;
    }

    fn endless(&mut self, span: Span) {
        let told = self
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.message == ENDLESS);
        if !told {
            self.diagnostics.push(Diagnostic::error(
                span,
                ENDLESS,
                "more than 64 deep, or more than four million lines",
                "look for a definition that uses itself, or a file that includes itself",
            ));
        }
    }

    /// `@id rest`: the rest counts if the configuration's id is this; `@^id`: if it is another.
    fn condition(&mut self, line: &[Char]) {
        let end = line
            .iter()
            .position(|here| here.c.is_whitespace())
            .unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        let word = text(&word[1..]);
        let is_named = |id: &str| id == OURS || id == self.environment.config_id;
        let holds = match word.strip_prefix('^') {
            Some(other) => !is_named(other),
            None => is_named(&word),
        };
        if holds {
            self.line(trimmed(rest).to_vec());
        }
    }

    /// `$NAME=value`, or the first line of a definition of several.
    fn define(&mut self, line: &[Char]) {
        let Some((name, value)) = variables::definition(line) else {
            return;
        };
        match continued(value) {
            Some(begun) if trimmed(begun).is_empty() => {
                self.definition = Some((name, Vec::new()));
            }
            Some(begun) => self.definition = Some((name, vec![begun.to_vec()])),
            None => self.variables.define(name, vec![trimmed(value).to_vec()]),
        }
    }

    fn plain(&mut self, line: Line) {
        if self.include(&line) {
            return;
        }
        match self
            .variables
            .replaced(&line, self.environment, &self.folder)
        {
            None => {
                if !trimmed(&line).is_empty() {
                    self.out.push(line);
                }
            }
            Some(lines) => {
                for line in lines {
                    self.replaced_line(trimmed(&line).to_vec());
                }
            }
        }
    }

    /// A line of a definition: within the definition of another it goes on collecting.
    fn replaced_line(&mut self, line: Line) {
        if self.definition.is_some() {
            self.physical_line(line);
        } else {
            self.line(line);
        }
    }
}

const ENDLESS: &str = "replacing variables does not come to an end";

fn lines_of(text: &str, file: u32) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    for (start, c) in text.char_indices() {
        if c == '\n' {
            lines.push(std::mem::take(&mut line));
        } else if c != '\r' {
            line.push(Char {
                c,
                span: Span {
                    file,
                    start: offset(start),
                    end: offset(start + c.len_utf8()),
                },
            });
        }
    }
    lines.push(line);
    lines
}

/// Files of 4 GB and more do not get here: what is behind is not told apart.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The line up to a `#` or `!` that is neither in quotes nor behind a backslash.
fn without_comment(line: &[Char]) -> &[Char] {
    let mut quote = None;
    let mut escaped = false;
    for (index, here) in line.iter().enumerate() {
        match here.c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(here.c),
            '#' | '!' if quote.is_none() => return &line[..index],
            _ => {}
        }
    }
    line
}

/// What stands before the backslash at the end of a line, if there is one.
fn continued(line: &[Char]) -> Option<&[Char]> {
    match trimmed(line) {
        [begun @ .., last] if last.c == '\\' => Some(begun),
        _ => None,
    }
}

pub(crate) fn trimmed(line: &[Char]) -> &[Char] {
    let solid = |here: &Char| !here.c.is_whitespace();
    match (line.iter().position(solid), line.iter().rposition(solid)) {
        (Some(first), Some(last)) => &line[first..=last],
        _ => &[],
    }
}

pub(crate) fn text(chars: &[Char]) -> String {
    chars.iter().map(|here| here.c).collect()
}
