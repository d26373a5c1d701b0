//! Every statement against the keywords of its block.

use std::net::IpAddr;

use crate::diagnostic::Diagnostic;
use crate::nearest::nearest;
use crate::schema::{Block, FILE, Keyword, Reason, Shape};
use crate::source::Span;
use crate::tree::{Statement, Word};
use crate::value;

/// Tells of what is not known, has no effect, or has values that cannot be.
pub(crate) fn check(statements: &[Statement], diagnostics: &mut Vec<Diagnostic>) {
    let mut checker = Checker {
        diagnostics,
        without_effect: Vec::new(),
    };
    checker.block(&FILE, statements);
    checker.tell_without_effect();
}

struct Checker<'a> {
    diagnostics: &'a mut Vec<Diagnostic>,
    /// By the reason: the keywords, and where the first one is.
    without_effect: Vec<(Reason, Vec<&'static str>, Span)>,
}

impl Checker<'_> {
    fn block(&mut self, block: &'static Block, statements: &[Statement]) {
        for statement in statements {
            match block.keyword(&statement.keyword.text) {
                Some(keyword) => self.statement(keyword, statement),
                None if block.takes_names && is_name(statement) => self.old_member(statement),
                None => self.unknown(block, statement),
            }
        }
    }

    fn old_member(&mut self, statement: &Statement) {
        self.diagnostics.push(Diagnostic::warning(
            statement.keyword.span,
            "an instance outside its `group' block",
            "it is taken as a member, as keepalived's first versions did",
            "write `group { INSTANCE ... }'",
        ));
    }

    fn unknown(&mut self, block: &'static Block, statement: &Statement) {
        let word = &statement.keyword;
        let place = if block.name.is_empty() {
            "at the top of a file".to_owned()
        } else {
            format!("in `{}'", block.name)
        };
        let names = block.keywords.iter().flat_map(|keyword| {
            std::iter::once(keyword.name).chain(keyword.aliases.iter().copied())
        });
        let homes = FILE.homes(&word.text);
        let at_top = FILE.keyword(&word.text).is_some();
        let help = if at_top {
            format!(
                "`{}' stands at the top of a file: end the blocks before it with `}}'",
                word.text
            )
        } else if let Some(home) = homes.first() {
            format!("`{}' belongs into a `{home}' block", word.text)
        } else if let Some(near) = nearest(&word.text, names) {
            format!("a keyword of a similar name is `{near}'")
        } else {
            "remove it, or see keepalived.conf(5) for what stands here".to_owned()
        };
        self.diagnostics.push(Diagnostic::error(
            word.span,
            format!("unknown keyword `{}'", word.text),
            format!("no keyword of this name is known {place}"),
            help,
        ));
    }

    fn statement(&mut self, keyword: &'static Keyword, statement: &Statement) {
        if let Some(reason) = keyword.without_effect {
            self.note_without_effect(reason, keyword.name, statement.keyword.span);
        }
        let takes_block = matches!(keyword.shape, Shape::Block(..) | Shape::Lines(..));
        match (&statement.block, takes_block) {
            (None, true) => self.diagnostics.push(Diagnostic::error(
                statement.span(),
                format!("`{}' without its block", keyword.name),
                "a block in braces must follow",
                format!(
                    "write `{} ... {{', the block's lines, and `}}'",
                    keyword.name
                ),
            )),
            (Some(_), false) => self.diagnostics.push(Diagnostic::error(
                statement.span(),
                format!("`{}' has no block", keyword.name),
                "no brace may follow it",
                "remove the braces, and what is between them",
            )),
            _ => self.arguments(keyword, statement),
        }
        if let Shape::Block(block, _, _) = keyword.shape {
            self.block(block, statement.inner());
        }
    }

    fn arguments(&mut self, keyword: &'static Keyword, statement: &Statement) {
        let (least, most) = arity(keyword.shape);
        let given = statement.arguments.len();
        if given < least {
            return self.diagnostics.push(Diagnostic::error(
                statement.span(),
                format!("`{}' without its value", keyword.name),
                format!("{} must follow", description(keyword.shape)),
                format!("write `{} {}'", keyword.name, example(keyword.shape)),
            ));
        }
        if let Some(extra) = statement.arguments.get(most) {
            let last = statement
                .arguments
                .last()
                .map_or(extra.span, |last| last.span);
            self.diagnostics.push(Diagnostic::warning(
                extra.span.to(last),
                format!("`{}' takes less than this", keyword.name),
                "this is not read",
                "remove it, or put a value of several words into quotes",
            ));
        }
        if let Some(word) = statement.arguments.first() {
            self.value(keyword, word);
        }
    }

    fn value(&mut self, keyword: &'static Keyword, word: &Word) {
        let text = word.text.as_str();
        let wrong = match keyword.shape {
            Shape::Switch => value::switch(text)
                .is_none()
                .then(|| format!("`{text}' is neither on nor off")),
            Shape::Integer(least, most) | Shape::OptionalInteger(least, most) => {
                value::integer(text, least, most).err()
            }
            Shape::Seconds(least, most) => value::seconds(text, least, most).err(),
            Shape::Milliseconds(least, most) => value::milliseconds(text, least, most).err(),
            Shape::Address => text
                .parse::<IpAddr>()
                .is_err()
                .then(|| format!("`{text}' is no IP address")),
            Shape::Choice(choices) => {
                return self.choice(keyword, word, choices);
            }
            _ => None,
        };
        if let Some(why) = wrong {
            self.diagnostics.push(Diagnostic::error(
                word.span,
                format!("`{}' has a value that cannot be", keyword.name),
                why,
                format!("write {}", description(keyword.shape)),
            ));
        }
    }

    fn choice(&mut self, keyword: &Keyword, word: &Word, choices: &'static [&'static str]) {
        if choices.contains(&word.text.as_str()) {
            return;
        }
        let all = choices.join(", ");
        let help = match nearest(&word.text, choices.iter().copied()) {
            Some(near) => format!("a similar one is `{near}'; all are {all}"),
            None => format!("choose one of {all}"),
        };
        self.diagnostics.push(Diagnostic::error(
            word.span,
            format!("`{}' has a value that cannot be", keyword.name),
            format!("`{}' is not one of its values", word.text),
            help,
        ));
    }

    fn note_without_effect(&mut self, reason: Reason, name: &'static str, span: Span) {
        let known = self
            .without_effect
            .iter_mut()
            .find(|(known, _, _)| *known == reason);
        match known {
            Some((_, names, _)) if names.contains(&name) => {}
            Some((_, names, _)) => names.push(name),
            None => self.without_effect.push((reason, vec![name], span)),
        }
    }

    /// One warning for all keywords that have no effect for the same reason.
    fn tell_without_effect(&mut self) {
        for (reason, names, span) in &self.without_effect {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}'")).collect();
            let verb = if names.len() == 1 { "has" } else { "have" };
            self.diagnostics.push(Diagnostic::warning(
                *span,
                format!("{} {verb} no effect", names.join(", ")),
                reason.why,
                reason.remedy,
            ));
        }
    }
}

/// Whether a line is a single word.
pub(crate) fn is_name(statement: &Statement) -> bool {
    statement.arguments.is_empty() && statement.block.is_none()
}

/// How many words a keyword takes, at least and at most.
fn arity(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Flag => (0, 0),
        Shape::Switch | Shape::OptionalInteger(..) => (0, 1),
        Shape::Choice(&["allow_if_changes"]) => (0, 1),
        Shape::Integer(..) | Shape::Seconds(..) | Shape::Milliseconds(..) => (1, 1),
        Shape::Address | Shape::Choice(_) | Shape::Word => (1, 1),
        Shape::Command => (1, 3),
        Shape::Words(least, most) | Shape::Block(_, least, most) | Shape::Lines(least, most) => {
            (least, most)
        }
    }
}

fn description(shape: Shape) -> String {
    match shape {
        Shape::Flag => "nothing".to_owned(),
        Shape::Switch => "on or off".to_owned(),
        Shape::Integer(least, most) | Shape::OptionalInteger(least, most) => {
            format!("a whole number from {least} to {most}")
        }
        Shape::Seconds(least, most) => format!("seconds from {least} to {most}"),
        Shape::Milliseconds(least, most) => format!("milliseconds from {least} to {most}"),
        Shape::Address => "an IP address".to_owned(),
        Shape::Choice(choices) => format!("one of {}", choices.join(", ")),
        Shape::Word => "one word, or several in quotes".to_owned(),
        Shape::Command => "a command, in quotes if it has arguments".to_owned(),
        Shape::Words(1, _) => "a value".to_owned(),
        Shape::Words(least, _) => format!("{least} words"),
        Shape::Block(..) | Shape::Lines(..) => "its name".to_owned(),
    }
}

fn example(shape: Shape) -> String {
    match shape {
        Shape::Integer(least, _) => least.max(1).to_string(),
        Shape::Seconds(..) => "3".to_owned(),
        Shape::Milliseconds(..) => "1000".to_owned(),
        Shape::Address => "192.0.2.1".to_owned(),
        Shape::Choice(choices) => choices.first().copied().unwrap_or_default().to_owned(),
        Shape::Command => "\"/path/to/command argument\"".to_owned(),
        _ => "VALUE".to_owned(),
    }
}
