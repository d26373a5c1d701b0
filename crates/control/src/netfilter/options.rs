//! One rule's matches and target.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::slice::Iter;

use model::{Family, MarkRule, PortRange, Prefix, Protocol};

/// Targets that leave marks alone, and let the packet go on to the next rule.
const HARMLESS: [&str; 11] = [
    "AUDIT", "CHECKSUM", "CLASSIFY", "DSCP", "ECN", "HL", "LOG", "NFLOG", "TCPMSS", "TOS", "TTL",
];
/// Matches that say nothing of their own.
const PLAIN: [&str; 5] = ["comment", "multiport", "sctp", "tcp", "udp"];

/// What a rule says.
#[derive(Default)]
struct Rule {
    matches: MarkRule,
    /// The destination ports; any where there are none.
    ports: Vec<PortRange>,
    target: Option<String>,
    mark: Option<u32>,
    /// The first thing that xvs's rules cannot say.
    odd: Option<String>,
}

/// The rules that do the same as netfilter's with these words; none where it does nothing to marks.
///
/// # Errors
/// When there are none that do.
pub(super) fn read_rule(words: &[String], family: Family) -> Result<Vec<MarkRule>, String> {
    let mut rule = Rule::default();
    rule.matches.family = Some(family);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        rule.take(word, &mut words);
    }
    rule.outcome()
}

impl Rule {
    fn take(&mut self, word: &str, words: &mut Iter<'_, String>) {
        if word == "!" {
            return self.is_odd("a match that is negated".to_owned());
        }
        let value = words.next().map_or("", String::as_str);
        match word {
            "-j" | "-g" => self.target = Some(value.to_owned()),
            "--set-xmark" | "--set-mark" => match mark(value) {
                Ok(mark) => self.mark = Some(mark),
                Err(why) => self.is_odd(why),
            },
            "-s" => self.matches.from = self.prefix(value),
            "-d" => self.matches.to = self.prefix(value),
            "-p" => match protocol(value) {
                Some(protocol) => self.matches.protocol = Some(protocol),
                None => self.is_odd(format!("xvs does not balance the protocol {value}")),
            },
            "-i" if value.ends_with('+') => {
                self.is_odd(format!("the names of several interfaces, {value}"));
            }
            "-i" => self.matches.interface = Some(value.to_owned()),
            "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
                self.take_ports(value);
            }
            "--comment" => {}
            "-m" if PLAIN.contains(&value) => {}
            "-m" => self.is_odd(format!("the match `{value}'")),
            option => self.is_odd(format!("the option `{option}'")),
        }
    }

    /// Remembers the first thing that cannot be said.
    fn is_odd(&mut self, what: String) {
        self.odd.get_or_insert(what);
    }

    fn prefix(&mut self, text: &str) -> Option<Prefix> {
        let prefix = prefix(text);
        if prefix.is_none() {
            self.is_odd(format!("the address {text}"));
        }
        prefix
    }

    fn take_ports(&mut self, text: &str) {
        for range in text.split(',') {
            match range.replace(':', "-").parse() {
                Ok(range) => self.ports.push(range),
                Err(_) => self.is_odd(format!("the ports {text}")),
            }
        }
    }

    fn outcome(self) -> Result<Vec<MarkRule>, String> {
        match (self.target.as_deref(), self.odd, self.mark) {
            (Some("MARK"), None, Some(mark)) => {
                let ports: Vec<Option<PortRange>> = match self.ports.as_slice() {
                    [] => vec![None],
                    some => some.iter().copied().map(Some).collect(),
                };
                let with = |ports| MarkRule {
                    mark,
                    ports,
                    ..self.matches.clone()
                };
                Ok(ports.into_iter().map(with).collect())
            }
            (Some("MARK"), Some(odd), _) => Err(format!("xvs's rules have no {odd}")),
            (Some("MARK"), None, None) => Err("it sets no mark".to_owned()),
            (Some(harmless), ..) if HARMLESS.contains(&harmless) => Ok(Vec::new()),
            (None, ..) => Ok(Vec::new()),
            (Some(other), ..) => Err(format!(
                "the target `{other}' decides what becomes of rules behind it, or of the mark"
            )),
        }
    }
}

/// The mark that is set, whatever it was before.
fn mark(text: &str) -> Result<u32, String> {
    let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    match (number(value), number(mask)) {
        (Some(mark), Some(u32::MAX)) => Ok(mark),
        (Some(_), Some(_)) => Err(format!("marks that change in some bits, {text}")),
        _ => Err(format!("mark {text}")),
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn protocol(name: &str) -> Option<Protocol> {
    match name.parse::<u8>() {
        Ok(number) => Protocol::from_number(number),
        Err(_) => name.to_uppercase().parse().ok(),
    }
}

/// A prefix, also with a mask in place of its length.
fn prefix(text: &str) -> Option<Prefix> {
    if let Ok(prefix) = text.parse() {
        return Some(prefix);
    }
    let (address, mask) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let (ones, is_contiguous) = if address.is_ipv4() {
        let bits = mask.parse::<Ipv4Addr>().ok()?.to_bits();
        (
            bits.leading_ones(),
            bits.count_ones() == bits.leading_ones(),
        )
    } else {
        let bits = mask.parse::<Ipv6Addr>().ok()?.to_bits();
        (
            bits.leading_ones(),
            bits.count_ones() == bits.leading_ones(),
        )
    };
    let length = u8::try_from(ones).ok().filter(|_| is_contiguous)?;
    Prefix::new(address, length)
}
