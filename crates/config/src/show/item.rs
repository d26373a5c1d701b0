//! Lines and blocks, as a configuration file has them.

use std::fmt::{self, Display, Formatter};

use crate::model::Script;

/// A line, and the block that follows it, if one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// What it is known by among its neighbours: the keyword, or what else makes it the only one.
    pub key: String,
    /// The line.
    pub line: String,
    /// What is between the braces behind it.
    pub inner: Option<Vec<Item>>,
}

impl Item {
    /// Adds it to a text, `depth` blocks deep.
    pub fn write(&self, text: &mut impl fmt::Write, depth: usize) -> fmt::Result {
        let indent = "    ".repeat(depth);
        let Some(inner) = &self.inner else {
            return writeln!(text, "{indent}{}", self.line);
        };
        writeln!(text, "{indent}{} {{", self.line)?;
        for item in inner {
            item.write(text, depth + 1)?;
        }
        writeln!(text, "{indent}}}")
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Gathers lines and blocks.
#[derive(Debug, Default)]
pub(super) struct Out(pub Vec<Item>);

impl Out {
    /// A line that is known by its first word.
    pub fn line(&mut self, line: &str) {
        let key = line.split_whitespace().next().unwrap_or_default();
        self.0.push(Item {
            key: key.to_owned(),
            line: line.to_owned(),
            inner: None,
        });
    }

    /// A line that is known by the whole of it.
    pub fn member(&mut self, line: &str) {
        self.0.push(Item {
            key: line.to_owned(),
            line: line.to_owned(),
            inner: None,
        });
    }

    pub fn value(&mut self, keyword: &str, value: impl Display) {
        self.line(&format!("{keyword} {value}"));
    }

    pub fn optional<T: Display>(&mut self, keyword: &str, value: Option<T>) {
        if let Some(value) = value {
            self.value(keyword, value);
        }
    }

    pub fn flag(&mut self, keyword: &str, on: bool) {
        if on {
            self.line(keyword);
        }
    }

    pub fn switch(&mut self, keyword: &str, on: bool) {
        self.value(keyword, if on { "on" } else { "off" });
    }

    pub fn script(&mut self, keyword: &str, script: Option<&Script>) {
        self.optional(keyword, script.map(command));
    }

    /// A block that is known by its whole head.
    pub fn block(&mut self, head: &str, body: impl FnOnce(&mut Self)) {
        self.block_known_by(head.to_owned(), head, body);
    }

    pub fn block_known_by(&mut self, key: String, head: &str, body: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        body(&mut inner);
        self.0.push(Item {
            key,
            line: head.to_owned(),
            inner: Some(inner.0),
        });
    }

    /// A block of lines; nothing where there is none.
    pub fn lines(&mut self, keyword: &str, lines: impl IntoIterator<Item = String>) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_some() {
            self.block(keyword, |out| lines.for_each(|line| out.line(&line)));
        }
    }
}

/// A command in quotes, then its user and group.
fn command(script: &Script) -> String {
    let words: Vec<String> = script
        .command
        .iter()
        .map(|word| match word.contains(char::is_whitespace) {
            true => format!("'{word}'"),
            false => word.clone(),
        })
        .collect();
    let mut text = quoted(&words.join(" "));
    for owner in [&script.user, &script.group].into_iter().flatten() {
        text.push(' ');
        text.push_str(owner);
    }
    text
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
