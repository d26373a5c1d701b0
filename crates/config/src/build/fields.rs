//! Values of a block, by keyword. Of a keyword that stands there twice the last one counts.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::model::{Script, Weight};
use crate::tree::{Statement, Word};
use crate::value;

/// keepalived's longest timer, in seconds.
const LONGEST: f64 = 1e6;

/// The statements of a block. A keyword is given with all its names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub &'a [Statement]);

impl<'a> Fields<'a> {
    pub(super) fn all(self, names: &'static [&'static str]) -> impl Iterator<Item = &'a Statement> {
        self.0
            .iter()
            .filter(move |statement| names.contains(&statement.keyword.text.as_str()))
    }

    pub(super) fn get(self, names: &'static [&'static str]) -> Option<&'a Statement> {
        self.all(names).last()
    }

    pub(super) fn has(self, names: &'static [&'static str]) -> bool {
        self.get(names).is_some()
    }

    /// A block's statements; none if it is not there.
    pub(super) fn block(self, names: &'static [&'static str]) -> Fields<'a> {
        Fields(self.get(names).map_or(&[], Statement::inner))
    }

    /// The lines of all blocks of this keyword.
    pub(super) fn lines(
        self,
        names: &'static [&'static str],
    ) -> impl Iterator<Item = &'a Statement> {
        self.all(names).flat_map(Statement::inner)
    }

    pub(super) fn word(self, names: &'static [&'static str]) -> Option<&'a Word> {
        self.get(names)?.arguments.first()
    }

    pub(super) fn text(self, names: &'static [&'static str]) -> Option<String> {
        Some(self.word(names)?.text.clone())
    }

    pub(super) fn words(self, names: &'static [&'static str]) -> Vec<&'a str> {
        self.get(names).map_or(Vec::new(), |statement| {
            let words = statement.arguments.iter();
            words.map(|word| word.text.as_str()).collect()
        })
    }

    /// A number, where it is one.
    pub(super) fn number<T: FromStr>(self, names: &'static [&'static str]) -> Option<T> {
        self.word(names)?.text.parse().ok()
    }

    pub(super) fn address(self, names: &'static [&'static str]) -> Option<IpAddr> {
        self.number(names)
    }

    pub(super) fn seconds(self, names: &'static [&'static str]) -> Option<Duration> {
        value::seconds(&self.word(names)?.text, 0.0, LONGEST).ok()
    }

    /// Whether a switch is on; None if it is not there.
    pub(super) fn switch(self, names: &'static [&'static str]) -> Option<bool> {
        let statement = self.get(names)?;
        match statement.arguments.first() {
            Some(word) => value::switch(&word.text),
            None => Some(true),
        }
    }

    /// A command; `user` beside it names who runs it where its own line does not.
    pub(super) fn script(self, names: &'static [&'static str]) -> Option<Script> {
        let mut words = self.get(names)?.arguments.iter();
        let command = value::command_words(&words.next()?.text);
        let mut owner = self
            .get(&["user"])
            .map_or([].iter(), |user| user.arguments.iter());
        let mut text = |own: Option<&Word>| {
            let other = owner.next();
            own.or(other).map(|word| word.text.clone())
        };
        let (user, group) = (text(words.next()), text(words.next()));
        (!command.is_empty()).then_some(Script {
            command,
            user,
            group,
        })
    }

    /// `weight N [reverse]`.
    pub(super) fn weight(self, names: &'static [&'static str]) -> Option<Weight> {
        let words = self.words(names);
        Some(Weight {
            weight: words.first()?.parse().ok()?,
            reverse: words.get(1) == Some(&"reverse"),
        })
    }
}
