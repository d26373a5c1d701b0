//! keepalived.conf: its language, its keywords, and what a file of it means.
//!
//! [`read`] takes a file through four steps, each of which goes on after a mistake, so that one
//! reading tells of all of them:
//!
//! 1. [`expand`]: lines without comments, conditions decided, variables, sequences and lists
//!    replaced, included files in place. Every character still knows where it was written.
//! 2. [`tree`]: words, statements and blocks.
//! 3. [`schema`]: every keyword that keepalived knows, with the values it takes, and whether it has
//!    an effect here. What is not known, or means nothing here, is told; nothing is skipped in
//!    silence.
//! 4. [`model`]: the typed configuration, with every default filled in.
//!
//! The files come in through a trait, the host's name and the seed of random numbers as values.

#![forbid(unsafe_code)]

mod build;
mod check;
mod diagnostic;
mod difference;
mod expand;
pub mod model;
mod nearest;
pub mod schema;
mod show;
mod source;
pub mod tree;
mod value;

use std::path::{Path, PathBuf};

pub use diagnostic::{Diagnostic, Severity};
pub use difference::{Change, CheckChanges, difference};
pub use model::Config;
pub use source::{Sources, Span};
pub use value::PASSWORD_LENGTH;

/// Where the text of configuration files comes from.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    fn read(&self, path: &Path) -> Result<String, String>;

    /// The files that match a pattern of a shell (`*`, `?`, `[a-z]`, `{a,b}`), in order.
    fn matching(&self, pattern: &Path) -> Vec<PathBuf>;
}

/// What a configuration may ask of its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// What `@` conditions and `${_INSTANCE}` name: the host's name up to its first dot, if nobody
    /// chooses another.
    pub config_id: String,
    /// Where `${_RANDOM}` begins, unless the file has a `random_seed`.
    pub random_seed: u64,
}

/// A file that was read.
#[derive(Debug)]
pub struct Reading {
    /// What it means; the parts that are wrong are left out, or have their defaults.
    pub config: Config,
    /// What there is to say about it, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that it was read from.
    pub sources: Sources,
}

impl Reading {
    /// Whether the file must not be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All diagnostics as a terminal shows them, with colours if it has them.
    pub fn rendered(&self, colours: bool) -> String {
        diagnostic::render(&self.diagnostics, &self.sources, colours)
    }
}

/// Reads a configuration.
///
/// # Errors
/// Why the file cannot be read. Whatever is wrong within it is told by its diagnostics.
pub fn read(path: &Path, files: &dyn Files, environment: &Environment) -> Result<Reading, String> {
    let text = files.read(path)?;
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let first = sources.add(path, text);
    let lines = expand::expand(first, files, environment, &mut sources, &mut diagnostics);
    let statements = tree::parse(&lines, &mut diagnostics);
    check::check(&statements, &mut diagnostics);
    let config = build::build(&statements, &mut diagnostics);
    // A definition that is used often is wrong as often.
    let mut told = std::collections::HashSet::new();
    diagnostics.retain(|diagnostic| told.insert(diagnostic.clone()));
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    Ok(Reading {
        config,
        diagnostics,
        sources,
    })
}
