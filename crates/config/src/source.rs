//! The files of a configuration, and places in them.

use std::path::{Path, PathBuf};

/// A place in the files of a configuration, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// From the beginning of this place to the end of another; this place where they are in
    /// different files, or the wrong way round (a variable's text may stand anywhere).
    pub fn to(self, other: Self) -> Self {
        if self.file == other.file && self.start <= other.end {
            Self {
                end: other.end.max(self.end),
                ..self
            }
        } else {
            self
        }
    }
}

/// A file that was read.
#[derive(Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

/// The files that were read, the configuration itself first.
#[derive(Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    pub(crate) fn add(&mut self, path: &Path, text: String) -> u32 {
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push(Source {
            path: path.to_owned(),
            text,
        });
        number
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Source> {
        self.0.get(usize::try_from(number).ok()?)
    }

    /// The files, in the order in which they were read.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Source> {
        self.0.iter()
    }

    /// The file of a place, and its line, counted from 1.
    pub fn line(&self, span: Span) -> Option<(&Path, usize)> {
        let source = self.get(span.file)?;
        let before = source.text.get(..usize::try_from(span.start).ok()?)?;
        Some((&source.path, before.matches('\n').count() + 1))
    }
}
