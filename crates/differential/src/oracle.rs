//! The kernel's side: cases as the machine reads them, and what it answered as facts.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

use thiserror::Error;

use crate::case::{Case, Step};
use crate::facts::{Fact, Facts};
use crate::frame;
use crate::lan::is_servers;

/// MAC of the director in the machine, on both of its interfaces.
pub const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x21];

/// Cases as the machine plays them, with their packets as frames.
pub fn questions(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        // Writing to a string does not fail.
        let _written = writeln!(text, "case {}", case.name);
        for step in &case.steps {
            let _written = match step {
                Step::Packet(packet) => {
                    let side = if is_servers(*packet.from.ip()) {
                        "servers"
                    } else {
                        "clients"
                    };
                    writeln!(text, "{side} {}", to_hex(&frame::build(packet, OWN_MAC)))
                }
                step => writeln!(text, "{step}"),
            };
        }
    }
    text
}

/// An answer that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// A line is none that the machine writes.
    #[error("the machine answered '{0}'")]
    Line(String),
    /// The machine could not play a case.
    #[error("case {0} could not be played: {1}")]
    Failed(String, String),
    /// There are not as many answers as questions.
    #[error("the machine was asked {0} cases and answered {1}")]
    Count(usize, usize),
}

/// What the machine answered to each case after each step.
///
/// # Errors
/// When the machine could not play a case, or something cannot be read.
pub fn answers(cases: &[Case], text: &str) -> Result<Vec<Vec<Facts>>, Unreadable> {
    let parts: Vec<&str> = text.split("case ").skip(1).collect();
    if parts.len() != cases.len() {
        return Err(Unreadable::Count(cases.len(), parts.len()));
    }
    let both = cases.iter().zip(parts);
    both.map(|(case, text)| answer(case, text)).collect()
}

fn answer(case: &Case, text: &str) -> Result<Vec<Facts>, Unreadable> {
    let mut steps: Vec<Seen> = Vec::new();
    for line in text.lines().skip(1) {
        match (line.strip_prefix("failed "), steps.last_mut()) {
            (Some(why), _) => return Err(Unreadable::Failed(case.name.clone(), why.to_owned())),
            (None, _) if line == "step" => steps.push(Seen::default()),
            (None, Some(seen)) => seen
                .take(line)
                .ok_or_else(|| Unreadable::Line(line.to_owned()))?,
            (None, None) => return Err(Unreadable::Line(line.to_owned())),
        }
    }
    if steps.len() != case.steps.len() {
        let why = format!("it ended after {} steps", steps.len());
        return Err(Unreadable::Failed(case.name.clone(), why));
    }
    Ok(steps.into_iter().map(Seen::facts).collect())
}

/// What the machine told of one step.
#[derive(Default)]
struct Seen {
    frames: Vec<String>,
    is_up: bool,
    is_refused: bool,
    counted: Vec<String>,
    state: Vec<Fact>,
    /// The service whose destinations are being listed, by what lists them.
    service: String,
}

impl Seen {
    fn take(&mut self, line: &str) -> Option<()> {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        match what {
            "up" => self.is_up = true,
            "refused" => self.is_refused = true,
            "clients" | "servers" => self.frame(&from_hex(rest)?),
            "table" => self.table(rest)?,
            "connection" => self.state.push(connection(rest)?),
            "stats" => self.stats(rest)?,
            "persistent" => self.persistent(rest)?,
            _ => return None,
        }
        Some(())
    }

    fn frame(&mut self, frame: &[u8]) {
        // What the kernel routes is what a data plane passes up to it.
        if frame::is_routed(frame) {
            self.is_up = true;
        } else if let Some(text) = frame::describe(frame, OWN_MAC) {
            self.frames.push(text);
        }
    }

    /// A line of /proc/net/ip_vs.
    fn table(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace();
        let fact = match words.next()? {
            "->" => {
                let to = hex_pair(words.next()?)?;
                let rest: Vec<&str> = words.collect();
                format!("{} -> {to} {}", self.service, rest.join(" "))
            }
            protocol => {
                self.service = format!("{protocol} {}", hex_pair(words.next()?)?);
                format!("{} {}", self.service, words.next()?)
            }
        };
        self.state.push(Fact::new(fact));
        Some(())
    }

    /// A line of `ipvsadm -Ln --stats --exact`.
    fn stats(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (first, numbers) = words.split_at_checked(2)?;
        let name = self.listed(first[0], first[1]);
        let numbers = numbers.join(" ");
        self.counted.push(format!("{name} counted {numbers}"));
        Some(())
    }

    /// A line of `ipvsadm -Ln --persistent-conn`: behind a destination its weight, then the templates.
    fn persistent(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = self.listed(words.first()?, words.get(1)?);
        if words[0] == "->" {
            let templates = words.get(3)?;
            self.counted.push(format!("{name} templates {templates}"));
        }
        Some(())
    }

    /// The name of what a line of ipvsadm lists.
    fn listed(&mut self, first: &str, second: &str) -> String {
        if first == "->" {
            return format!("{} -> {second}", self.service);
        }
        self.service = format!("{first} {second}");
        self.service.clone()
    }

    fn facts(mut self) -> Facts {
        let mut events = self.frames;
        if self.is_up {
            // With what the stack answered.
            events = vec!["up".to_owned()];
        }
        if self.is_refused {
            events.push("refused".to_owned());
        }
        self.counted.sort_unstable();
        events.extend(self.counted);
        self.state.sort_unstable();
        Facts {
            events,
            state: self.state,
        }
    }
}

/// A line of /proc/net/ip_vs_conn.
fn connection(line: &str) -> Option<Fact> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [
        protocol,
        client,
        cport,
        to,
        tport,
        server,
        sport,
        state,
        expires,
        ..,
    ] = words[..]
    else {
        return None;
    };
    let (client, to) = (hex_end(client, cport)?, hex_end(to, tport)?);
    let server = hex_end(server, sport)?;
    Some(Fact {
        text: format!("{protocol} {client} {to} {server} {state}"),
        seconds: Some(expires.parse().ok()?),
    })
}

/// Such as `AC100A15:0050`.
fn hex_pair(text: &str) -> Option<SocketAddrV4> {
    let (address, port) = text.split_once(':')?;
    hex_end(address, port)
}

fn hex_end(address: &str, port: &str) -> Option<SocketAddrV4> {
    let address = u32::from_str_radix(address, 16).ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddrV4::new(Ipv4Addr::from(address), port))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |digits: &[u8]| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(byte).collect()
}
