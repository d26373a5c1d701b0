//! `$NAME=value`, `$NAME` and `${NAME}`.

use std::collections::HashMap;
use std::path::Path;

use super::{Char, Line, text};
use crate::Environment;
use crate::source::Span;

/// How often something is replaced in one line.
const MOST_REPLACEMENTS: usize = 10_000;
/// How many characters a line may grow to.
const LONGEST_LINE: usize = 1 << 20;

/// What is defined.
#[derive(Debug)]
pub(super) struct Variables {
    values: HashMap<String, Vec<Line>>,
    random: u64,
}

/// A variable in a line.
struct Use {
    start: usize,
    end: usize,
    /// What stands between the braces, or behind the dollar.
    name: String,
}

impl Variables {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            values: HashMap::new(),
            random: seed,
        }
    }

    pub(super) fn define(&mut self, name: String, value: Vec<Line>) {
        self.values.insert(name, value);
    }

    /// The line with all that is defined replaced, in one line or several; None if there is nothing
    /// to replace. Where a definition has several lines, what is in them is not replaced yet.
    pub(super) fn replaced(
        &mut self,
        line: &[Char],
        environment: &Environment,
        folder: &Path,
    ) -> Option<Vec<Line>> {
        let mut line = line.to_vec();
        let mut any = false;
        for _ in 0..MOST_REPLACEMENTS {
            let found = self.next(&line, environment, folder);
            let Some((used, value)) = found.filter(|_| line.len() < LONGEST_LINE) else {
                break;
            };
            any = true;
            if let [one] = &value[..] {
                let place = place(&line[used.start..used.end]);
                let one = one.iter().map(|here| Char {
                    c: here.c,
                    span: place,
                });
                line.splice(used.start..used.end, one);
                // A condition, sequence or definition is for the expander.
                if matches!(line.first().map(|first| first.c), Some('@' | '~')) {
                    return Some(vec![line]);
                }
            } else {
                return Some(split(&line, &used, value));
            }
        }
        any.then(|| vec![line])
    }

    fn next(
        &mut self,
        line: &[Char],
        environment: &Environment,
        folder: &Path,
    ) -> Option<(Use, Vec<Line>)> {
        let mut from = 0;
        while let Some(used) = next_use(line, from) {
            from = used.start + 1;
            if let Some(value) = self.values.get(&used.name) {
                return Some((used, value.clone()));
            }
            if let Some(value) = self.predefined(&used.name, environment, folder) {
                let span = place(&line[used.start..used.end]);
                let value = value.chars().map(|c| Char { c, span }).collect();
                return Some((used, vec![value]));
            }
        }
        None
    }

    fn predefined(
        &mut self,
        name: &str,
        environment: &Environment,
        folder: &Path,
    ) -> Option<String> {
        let mut words = name.split_whitespace();
        match words.next()? {
            "_PWD" => Some(folder.display().to_string()),
            "_INSTANCE" => Some(environment.config_id.clone()),
            "_HASH" => Some("#".to_owned()),
            "_BANG" => Some("!".to_owned()),
            "_RANDOM" => {
                let least = words.next().map_or(Ok(0), str::parse::<u64>).ok()?;
                let most = words.next().map_or(Ok(32_767), str::parse::<u64>).ok()?;
                let span = most.checked_sub(least)?.checked_add(1)?;
                Some((least + self.random() % span).to_string())
            }
            _ => None,
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn place(chars: &[Char]) -> Span {
    let (first, last) = (chars[0].span, chars[chars.len() - 1].span);
    first.to(last)
}

/// A definition of several lines in the place of its use.
fn split(line: &[Char], used: &Use, mut value: Vec<Line>) -> Vec<Line> {
    let (before, after) = (&line[..used.start], &line[used.end..]);
    if let Some(first) = value.first_mut() {
        first.splice(0..0, before.iter().copied());
    }
    if let Some(last) = value.last_mut() {
        last.extend_from_slice(after);
    }
    value
}

fn next_use(line: &[Char], from: usize) -> Option<Use> {
    let start = from + line.get(from..)?.iter().position(|here| here.c == '$')?;
    let rest = &line[start + 1..];
    if rest.first().is_some_and(|here| here.c == '{') {
        let length = rest.iter().position(|here| here.c == '}');
        let Some(length) = length else {
            return next_use(line, start + 1);
        };
        return Some(Use {
            start,
            end: start + 1 + length + 1,
            name: text(&rest[1..length]),
        });
    }
    let length = rest
        .iter()
        .position(|here| !is_name(here.c))
        .unwrap_or(rest.len());
    let ends = rest.get(length).is_none_or(|here| here.c.is_whitespace());
    if length == 0 || !ends {
        return next_use(line, start + 1);
    }
    Some(Use {
        start,
        end: start + 1 + length,
        name: text(&rest[..length]),
    })
}

/// The name and the value of a line that defines something.
pub(super) fn definition(line: &[Char]) -> Option<(String, &[Char])> {
    let (first, rest) = line.split_first()?;
    let length = rest.iter().position(|here| !is_name(here.c))?;
    let (name, value) = rest.split_at(length);
    let (equals, value) = value.split_first()?;
    let name = text(name);
    let begins = name.starts_with(|c: char| !c.is_ascii_digit());
    (first.c == '$' && equals.c == '=' && begins).then_some((name, value))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
