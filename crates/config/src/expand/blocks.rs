//! `~SEQ(var, start, step, end) rest` and `~LST(var, value, ...) rest`.

use super::{Char, Expander, Line, text, trimmed};
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// What a block repeats its line with.
struct Repetition {
    names: Vec<String>,
    rounds: Vec<Vec<String>>,
}

impl Expander<'_> {
    /// Repeats the rest of a line that begins with a sequence or list.
    pub(super) fn repeat(&mut self, line: Line) {
        // Its own numbers may be variables.
        if let Some(lines) = self.replaced_head(&line) {
            for line in lines {
                self.line(trimmed(&line).to_vec());
            }
            return;
        }
        let Some((kind, inside, rest)) = parts(&line) else {
            return self.plain(line);
        };
        let span = line[0].span.to(inside.last().unwrap_or(&line[0]).span);
        let repetition = match kind.as_str() {
            "~SEQ" => sequence(&text(inside), false),
            "~SEQx" => sequence(&text(inside), true),
            "~LST" => list(&text(inside)),
            _ => return self.plain(line.clone()),
        };
        match repetition {
            Ok(repetition) => self.rounds(&repetition, span, trimmed(rest)),
            Err(why) => self.diagnostics.push(Diagnostic::error(
                span,
                format!("this {kind} cannot be"),
                why,
                "write ~SEQ(name, start, step, end) or ~LST(name, value, value, ...)",
            )),
        }
    }

    /// The line with the variables of its first block replaced, if there are any.
    fn replaced_head(&mut self, line: &Line) -> Option<Vec<Line>> {
        let (_, inside, _) = parts(line)?;
        let start = line.iter().position(|here| here.c == '(')? + 1;
        let end = start + inside.len();
        let head = self
            .variables
            .replaced(inside, self.environment, &self.folder)?;
        let [head] = &head[..] else { return None };
        let mut line = line.clone();
        line.splice(start..end, head.iter().copied());
        Some(vec![line])
    }

    fn rounds(&mut self, repetition: &Repetition, span: Span, rest: &[Char]) {
        for round in &repetition.rounds {
            for (name, value) in repetition.names.iter().zip(round) {
                let value = value.chars().map(|c| Char { c, span }).collect();
                self.variables.define(name.clone(), vec![value]);
            }
            self.line(rest.to_vec());
        }
    }
}

/// The word before the parenthesis, what is in it, and what follows.
fn parts(line: &[Char]) -> Option<(String, &[Char], &[Char])> {
    let open = line.iter().position(|here| here.c == '(')?;
    let close = line.iter().position(|here| here.c == ')')?;
    let inside = line.get(open + 1..close)?;
    Some((text(&line[..open]), inside, &line[close + 1..]))
}

fn sequence(inside: &str, hexadecimal: bool) -> Result<Repetition, String> {
    let mut words = inside.split(',').map(str::trim);
    let name = words.next().unwrap_or_default().to_owned();
    let numbers = words.map(number).collect::<Result<Vec<i64>, String>>()?;
    let towards = |start: i64, end: i64| if end >= start { 1 } else { -1 };
    let (start, step, end) = match numbers[..] {
        [end] => {
            let start = if end > 0 { 1 } else { -1 };
            (start, towards(start, end), end)
        }
        [start, end] => (start, towards(start, end), end),
        [start, step, end] => (start, step, end),
        _ => return Err("it takes a name and one to three numbers".to_owned()),
    };
    if step == 0 {
        return Err("its step is 0: it would not end".to_owned());
    }
    let within = |value: &i64| {
        if step > 0 {
            *value <= end
        } else {
            *value >= end
        }
    };
    let values = std::iter::successors(Some(start), |value| value.checked_add(step));
    let written = |value: i64| match hexadecimal {
        true if value < 0 => format!("-{:x}", value.unsigned_abs()),
        true => format!("{value:x}"),
        false => value.to_string(),
    };
    Ok(Repetition {
        names: vec![name],
        rounds: values
            .take_while(within)
            .take(super::MOST_LINES)
            .map(|value| vec![written(value)])
            .collect(),
    })
}

fn number(word: &str) -> Result<i64, String> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let value = value.map_err(|_| format!("`{word}' is no number"))?;
    Ok(if negative { -value } else { value })
}

fn list(inside: &str) -> Result<Repetition, String> {
    let mut groups = groups(inside).into_iter();
    let names = groups.next().unwrap_or_default();
    let rounds: Vec<Vec<String>> = groups.collect();
    if rounds.is_empty() {
        return Err("it has no values".to_owned());
    }
    match rounds.iter().find(|round| round.len() != names.len()) {
        Some(round) => Err(format!("{} values for {} names", round.len(), names.len())),
        None => Ok(Repetition { names, rounds }),
    }
}

/// `{a,b},{c,d},e` as lists.
fn groups(inside: &str) -> Vec<Vec<String>> {
    let mut groups = Vec::new();
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let (group, after) = match rest.strip_prefix('{') {
            Some(open) => open.split_once('}').unwrap_or((open, "")),
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        groups.push(
            group
                .split(',')
                .map(|word| word.trim().to_owned())
                .collect(),
        );
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    groups
}
