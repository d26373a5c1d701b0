//! A lab's twin: the same lab with IPv6 addresses.
//!
//! It is made from the lab file's text: every IPv4 address in it, in whichever command or pattern it
//! stands, is replaced by the address of the same numbers in the network that stands for its own.
//! `192.168.100.46/24` becomes `2001:db8:100::46/64`, and `192.168.100.11:80` `[2001:db8:100::11]:80`.
//! Lines stay where they are, so that a mistake is found where it was made.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use toml::Spanned;

use crate::file::Mistake;
use crate::notation::Prefixed;

/// Which IPv6 network stands for which IPv4 network.
#[derive(Debug)]
pub(crate) struct Network {
    from: Prefixed,
    to: Prefixed,
}

/// Reads the table of networks.
pub(crate) fn networks(
    raw: &BTreeMap<Spanned<String>, Spanned<String>>,
) -> Result<Vec<Network>, Mistake> {
    raw.iter()
        .map(|(from, to)| {
            let network = Network {
                from: crate::check::parsed(from)?,
                to: crate::check::parsed(to)?,
            };
            // The number that is carried over is the last one.
            if !network.from.address.is_ipv4() || !(24..32).contains(&network.from.length) {
                return Err(Mistake::at(
                    from,
                    "this is not an IPv4 network of a /24 or less",
                ));
            }
            if !network.to.address.is_ipv6() || network.to.length > 112 {
                return Err(Mistake::at(
                    to,
                    "this is not an IPv6 network of a /112 or more",
                ));
            }
            Ok(network)
        })
        .collect()
}

/// A lab file's text with IPv6 addresses in the place of the IPv4 ones, comments aside.
pub(crate) fn text(text: &str, networks: &[Network]) -> Result<String, Mistake> {
    let mut result = String::with_capacity(text.len() * 2);
    let mut copied = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        while !line.trim_start().starts_with('#')
            && let Some(found) = Notation::find(text, at..end)
        {
            result.push_str(&text[copied..found.span.start]);
            let in_url = result.ends_with("//");
            result.push_str(&found.translated(networks, in_url)?);
            copied = found.span.end;
            at = copied;
        }
        at = end;
    }
    result.push_str(&text[copied..]);
    Ok(result)
}

/// An IPv4 address as it is written, with what belongs to it.
#[derive(Debug)]
struct Notation {
    span: Range<usize>,
    numbers: [u8; 3],
    /// The last number, or `*`.
    last: String,
    /// `/24`.
    length: Option<u8>,
    /// `:80`, or `:*`.
    port: Option<String>,
}

impl Notation {
    /// The first one in a range of the text.
    fn find(text: &str, range: Range<usize>) -> Option<Self> {
        let begins = |at: &usize| {
            let before = text[..*at].chars().next_back();
            before.is_none_or(|before| !before.is_ascii_alphanumeric() && before != '.')
        };
        let mut places = range.clone().filter(|at| text.is_char_boundary(*at));
        places.find_map(|at| {
            let notation = begins(&at).then(|| Self::at(&text[at..range.end], at));
            notation.flatten()
        })
    }

    fn at(text: &str, start: usize) -> Option<Self> {
        let mut rest = text;
        let mut numbers = [0; 3];
        for number in &mut numbers {
            *number = take_digits(&mut rest)?.parse().ok()?;
            rest = rest.strip_prefix('.')?;
        }
        // A network's mask stays one.
        if numbers[0] == 255 {
            return None;
        }
        let last = take_digits_or_star(&mut rest)?;
        if last != "*" {
            last.parse::<u8>().ok()?;
        }
        let mut notation = Self {
            span: start..start,
            numbers,
            last: last.to_owned(),
            length: None,
            port: None,
        };
        if let Some(mut after) = rest.strip_prefix('/')
            && let Some(length) = take_digits(&mut after).and_then(|text| text.parse().ok())
        {
            notation.length = Some(length);
            rest = after;
        } else if let Some(mut after) = rest.strip_prefix(':')
            && let Some(port) = take_digits_or_star(&mut after)
        {
            notation.port = Some(port.to_owned());
            rest = after;
        }
        notation.span.end = start + text.len() - rest.len();
        ends_here(rest).then_some(notation)
    }

    /// The same of the twin.
    fn translated(&self, networks: &[Network], in_url: bool) -> Result<String, Mistake> {
        let network = self.network(networks)?;
        let address = match network {
            Some(network) => network.address(&self.last),
            None if self.numbers[0] == 0 => Ipv6Addr::UNSPECIFIED.to_string(),
            None => Ipv6Addr::LOCALHOST.to_string(),
        };
        Ok(match (self.length, &self.port) {
            (Some(0), _) => format!("{address}/0"),
            (Some(length), _) => match network {
                Some(network) if length == network.from.length => {
                    format!("{address}/{}", network.to.length)
                }
                _ => format!("{address}/128"),
            },
            (None, Some(port)) => format!("[{address}]:{port}"),
            (None, None) if in_url => format!("[{address}]"),
            (None, None) => address,
        })
    }

    /// The network that it is in; none for 0.0.0.0 and 127.0.0.0/8, which have their twins anyway.
    fn network<'n>(&self, networks: &'n [Network]) -> Result<Option<&'n Network>, Mistake> {
        let [a, b, c] = self.numbers;
        let address = Ipv4Addr::new(a, b, c, self.last.parse().unwrap_or(0));
        if address.is_loopback() || address.is_unspecified() {
            return Ok(None);
        }
        let found = networks.iter().find(|network| network.has(address));
        found.map(Some).ok_or_else(|| Mistake {
            span: Some(self.span.clone()),
            message: format!("{address} is in none of the networks that have a twin"),
            hint: Some("[twin.networks] says which IPv6 network stands for which".to_owned()),
        })
    }
}

impl Network {
    fn has(&self, address: Ipv4Addr) -> bool {
        let IpAddr::V4(own) = self.from.address else {
            return false;
        };
        let differing = u32::from(own) ^ u32::from(address);
        differing.leading_zeros() >= u32::from(self.from.length)
    }

    /// The address of this last number, which is written with the same digits, or `*`.
    fn address(&self, last: &str) -> String {
        let IpAddr::V6(prefix) = self.to.address else {
            return last.to_owned();
        };
        let mut groups = prefix.segments();
        groups[7] = u16::from_str_radix(last, 16).unwrap_or(ANY);
        let text = Ipv6Addr::from(groups).to_string();
        match text.strip_suffix("ffff") {
            Some(before) => format!("{before}*"),
            None => text,
        }
    }
}

/// Stands for `*` while an address is written: no last number reads so.
const ANY: u16 = 0xffff;

/// Whether an address ends before this text: no part of a longer thing of numbers and dots.
fn ends_here(rest: &str) -> bool {
    let mut after = rest.chars();
    match after.next() {
        Some('.') => !after
            .next()
            .is_some_and(|next| next.is_ascii_alphanumeric()),
        Some(next) => !next.is_ascii_alphanumeric(),
        None => true,
    }
}

fn take_digits<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    (!digits.is_empty()).then_some(digits)
}

fn take_digits_or_star<'a>(rest: &mut &'a str) -> Option<&'a str> {
    match rest.strip_prefix('*') {
        Some(after) => {
            *rest = after;
            Some("*")
        }
        None => take_digits(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The twin of a text, with 192.168.100.0/24 and 172.16.10.0/24 in the table.
    fn twin(written: &str) -> String {
        let network = |from: &str, to: &str| Network {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        };
        let networks = [
            network("192.168.100.0/24", "2001:db8:100::/64"),
            network("172.16.10.0/24", "2001:db8:10::/64"),
        ];
        text(written, &networks).unwrap_or_else(|mistake| panic!("{}", mistake.message))
    }

    #[test]
    fn an_address_keeps_its_last_number_and_its_network_gets_its_twin() {
        let cases = [
            ("\"192.168.100.46/24\"", "\"2001:db8:100::46/64\""),
            ("\"192.168.100.11/32\"", "\"2001:db8:100::11/128\""),
            ("via 192.168.100.254", "via 2001:db8:100::254"),
            ("-t 172.16.10.21:80 -s", "-t [2001:db8:10::21]:80 -s"),
            ("http://172.16.10.21/", "http://[2001:db8:10::21]/"),
            ("http://172.16.10.21:81/x", "http://[2001:db8:10::21]:81/x"),
            ("RS1:192.168.100.47", "RS1:2001:db8:100::47"),
            (
                "route add 172.16.10.0/24 via",
                "route add 2001:db8:10::/64 via",
            ),
            ("192.168.100.*:80 Masq", "[2001:db8:100::*]:80 Masq"),
            (
                "172.16.10.22:* 172.16.10.21:80",
                "[2001:db8:10::22]:* [2001:db8:10::21]:80",
            ),
            ("-r 127.0.0.1 -g", "-r ::1 -g"),
            ("127.0.0.1:80", "[::1]:80"),
            ("to 0.0.0.0/0", "to ::/0"),
            ("it is 172.16.10.21. It", "it is 2001:db8:10::21. It"),
        ];
        for (written, expected) in cases {
            assert_eq!(twin(written), expected);
        }
    }

    #[test]
    fn what_is_no_address_stays_as_it_is() {
        for written in [
            "# 10.0.0.1 in a comment",
            "version 1.2.1",
            "1.2.3.4.5",
            "02:00:00:68:00:17",
            "net.ipv4.ip_forward",
            "a 300.1.1.1 b",
            "nat_mask 255.255.255.0",
            "— 1 000 €",
        ] {
            assert_eq!(twin(written), written);
        }
    }

    #[test]
    fn an_address_of_a_network_without_twin_is_found_at_its_place() {
        let networks = [];
        let mistake = text("x\ny 10.1.2.3/8", &networks).unwrap_err();
        assert_eq!(mistake.span, Some(4..14));
        assert!(mistake.message.starts_with("10.1.2.3 is in none"));
    }
}
