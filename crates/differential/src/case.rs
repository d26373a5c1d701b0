//! Cases: scripts of steps, with a text form.

use std::fmt;
use std::net::SocketAddrV4;
use std::str::FromStr;

use thiserror::Error;

/// A case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Case {
    /// What it is called: the seed that it was made from.
    pub name: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// What happens in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A command; these are the words behind `ipvsadm`.
    Ipvsadm(String),
    /// A setting under net.ipv4.vs gets a value.
    Set(String, u32),
    /// A packet arrives.
    Packet(Packet),
    /// Seconds pass.
    Wait(u32),
    /// What was counted is looked at.
    Count,
}

/// A packet without IP options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Where it comes from.
    pub from: SocketAddrV4,
    /// Where it goes to.
    pub to: SocketAddrV4,
    /// Flags of TCP; none makes it UDP.
    pub flags: Option<Flags>,
    /// Bytes of payload.
    pub length: usize,
}

/// Flags of TCP, as the header has them (RFC 9293, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u8);

/// The letters of TCP's flags, from the lowest bit on.
const LETTERS: [char; 6] = ['F', 'S', 'R', 'P', 'A', 'U'];

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        let set = (0..).zip(LETTERS).filter(|(bit, _)| self.0 >> bit & 1 == 1);
        set.map(|(_, letter)| letter)
            .try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipvsadm(words) => write!(f, "ipvsadm {words}"),
            Self::Set(name, value) => write!(f, "set {name}={value}"),
            Self::Packet(packet) => packet.fmt(f),
            Self::Wait(seconds) => write!(f, "wait {seconds}"),
            Self::Count => f.write_str("count"),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from, to, length, ..
        } = self;
        match self.flags {
            Some(flags) => write!(f, "tcp {from} > {to} {flags} {length}"),
            None => write!(f, "udp {from} > {to} {length}"),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "case {}", self.name)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// A line that is no step.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is no step of a case")]
pub struct NotAStep(pub String);

impl FromStr for Step {
    type Err = NotAStep;

    fn from_str(line: &str) -> Result<Self, NotAStep> {
        step(line).ok_or_else(|| NotAStep(line.to_owned()))
    }
}

fn step(line: &str) -> Option<Step> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match verb {
        "ipvsadm" => Some(Step::Ipvsadm(rest.to_owned())),
        "set" => {
            let (name, value) = rest.split_once('=')?;
            Some(Step::Set(name.to_owned(), value.parse().ok()?))
        }
        "tcp" | "udp" => packet(verb, rest).map(Step::Packet),
        "wait" => Some(Step::Wait(rest.parse().ok()?)),
        "count" => Some(Step::Count),
        _ => None,
    }
}

fn packet(protocol: &str, text: &str) -> Option<Packet> {
    let mut words = text.split(' ');
    let from = words.next()?.parse().ok()?;
    let to = words.by_ref().find(|word| *word != ">")?.parse().ok()?;
    let flags = match protocol {
        "tcp" => Some(flags(words.next()?)?),
        _ => None,
    };
    let length = words.next()?.parse().ok()?;
    Some(Packet {
        from,
        to,
        flags,
        length,
    })
}

fn flags(letters: &str) -> Option<Flags> {
    if letters == "-" {
        return Some(Flags(0));
    }
    let bit = |letter| LETTERS.iter().position(|known| *known == letter);
    letters
        .chars()
        .try_fold(0, |flags, letter| Some(flags | 1 << bit(letter)?))
        .map(Flags)
}

/// Reads the cases of a text.
///
/// # Errors
/// The first line that is no step.
pub fn parse(text: &str) -> Result<Vec<Case>, NotAStep> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix("case "), cases.last_mut()) {
            (Some(name), _) => cases.push(Case {
                name: name.to_owned(),
                steps: Vec::new(),
            }),
            (None, Some(case)) => case.steps.push(line.parse()?),
            (None, None) => return Err(NotAStep(line.to_owned())),
        }
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_is_written() {
        let text = "case 7\nipvsadm -A -t 172.16.10.21:80 -s rr\nset conn_reuse_mode=0\n\
                    tcp 172.16.10.40:1000 > 172.16.10.21:80 FS 0\n\
                    tcp 172.16.10.40:1000 > 172.16.10.21:80 - 3\n\
                    udp 172.16.10.40:1000 > 172.16.10.21:53 12\nwait 61\ncount\n";
        let cases = parse(text).unwrap();
        assert_eq!(cases.len(), 1);
        assert_eq!(cases[0].to_string(), text);
    }

    #[test]
    fn what_is_no_step_is_told() {
        for line in [
            "wait",
            "tcp 1 > 2 S 0",
            "set x",
            "count_all",
            "udp 1.2.3.4:5 >",
        ] {
            assert!(line.parse::<Step>().is_err(), "{line}");
        }
        assert!(parse("count\n").is_err(), "a step without a case");
    }
}
