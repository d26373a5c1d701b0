//! `virtual_rules`.

use std::net::IpAddr;

use super::super::fields::Fields;
use crate::diagnostic::Diagnostic;
use crate::model::{RuleAction, VirtualRule};
use crate::tree::{Statement, Word};
use crate::value;

/// What the first rule without a preference gets; each further one of its family gets one less.
const FIRST_PREFERENCE: u32 = 16384;

/// Rules that can be set. One with a word that is not known is left out, as keepalived does: without it, it
/// would be another rule.
pub(super) fn rules(given: Fields<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<VirtualRule> {
    given
        .lines(&["virtual_rules"])
        .filter_map(|line| rule(line, diagnostics))
        .collect()
}

/// Gives those rules a preference that have none, as keepalived does: from 16384 down, by family.
pub(super) fn prefer<'a>(rules: impl Iterator<Item = &'a mut VirtualRule>) {
    let mut next = [FIRST_PREFERENCE; 2];
    for rule in rules {
        let next = &mut next[usize::from(rule.is_ipv6)];
        if rule.preference.is_none() {
            rule.preference = Some(*next);
            *next -= 1;
        }
    }
}

fn rule(line: &Statement, diagnostics: &mut Vec<Diagnostic>) -> Option<VirtualRule> {
    let words: Vec<&Word> = line.words().collect();
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let mut rule = VirtualRule {
        text: text.join(" "),
        ..VirtualRule::default()
    };
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        if option(&mut rule, word, &mut rest).is_none() {
            diagnostics.push(Diagnostic::warning(
                word.span,
                format!("`{}' is not known in a rule, or its value is wrong", word.text),
                "without it the rule would be another one, so that it is left out",
                "write `from PREFIX to PREFIX iif NAME oif NAME fwmark MARK[/MASK] tos TOS table TABLE preference NUMBER', each where it is wanted",
            ));
            return None;
        }
    }
    Some(rule)
}

/// Takes one selector or action in; None if it is not known, or its value is wrong.
fn option<'a>(
    rule: &mut VirtualRule,
    word: &Word,
    words: &mut impl Iterator<Item = &'a Word>,
) -> Option<()> {
    let mut value = || words.next().map(|word| word.text.as_str());
    match word.text.as_str() {
        "from" => rule.from = prefix(&mut rule.is_ipv6, value()?)?,
        "to" => rule.to = prefix(&mut rule.is_ipv6, value()?)?,
        "iif" | "dev" => rule.input = Some(value()?.to_owned()),
        "oif" => rule.output = Some(value()?.to_owned()),
        "fwmark" => rule.mark = Some(mark(value()?)?),
        "tos" | "dsfield" => rule.tos = u8::try_from(number(value()?)?).ok()?,
        "table" | "lookup" => {
            rule.action = RuleAction::Table(match value()? {
                "main" => 254,
                "local" => 255,
                "default" => 253,
                table => number(table)?,
            });
        }
        "blackhole" => rule.action = RuleAction::Blackhole,
        "unreachable" => rule.action = RuleAction::Unreachable,
        "prohibit" => rule.action = RuleAction::Prohibit,
        "preference" | "pref" | "priority" | "order" => rule.preference = Some(number(value()?)?),
        "suppress_prefixlength" | "suppress_prefixlen" => {
            rule.suppress_prefix_length = Some(number(value()?)?);
        }
        "not" => rule.inverted = true,
        "inet" => rule.is_ipv6 = false,
        "inet6" => rule.is_ipv6 = true,
        "no_track" => rule.no_track = true,
        _ => return None,
    }
    Some(())
}

/// `all`, or a prefix, which tells the family.
#[expect(clippy::option_option, reason = "`all' is no prefix, and is not wrong")]
fn prefix(is_ipv6: &mut bool, text: &str) -> Option<Option<(IpAddr, u8)>> {
    if matches!(text, "all" | "any" | "default") {
        return Some(None);
    }
    let (address, length) = value::prefixed(text)?;
    *is_ipv6 = address.is_ipv6();
    let whole = if address.is_ipv4() { 32 } else { 128 };
    Some(Some((address, length.unwrap_or(whole))))
}

fn mark(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once('/') {
        Some((mark, mask)) => Some((number(mark)?, Some(number(mask)?))),
        None => Some((number(text)?, None)),
    }
}

/// Decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
