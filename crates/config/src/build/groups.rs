//! `virtual_server_group`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Family;

use super::fields::Fields;
use crate::diagnostic::Diagnostic;
use crate::model::VirtualServerGroup;
use crate::tree::{Statement, Word};
use crate::value;

/// How many addresses a range may have.
const MOST_ADDRESSES: u128 = 65_536;

pub(super) fn groups(
    file: Fields<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<VirtualServerGroup> {
    let mut groups = Vec::new();
    for statement in file.all(&["virtual_server_group"]) {
        let Some(name) = statement.arguments.first() else {
            continue;
        };
        let mut group = VirtualServerGroup {
            name: name.text.clone(),
            addresses: Vec::new(),
            marks: Vec::new(),
        };
        for line in statement.inner() {
            member(&mut group, line, diagnostics);
        }
        groups.push(group);
    }
    groups
}

fn member(group: &mut VirtualServerGroup, line: &Statement, diagnostics: &mut Vec<Diagnostic>) {
    let first = line.arguments.first();
    if line.keyword.text == "fwmark" {
        let mark = first.and_then(|word| word.text.parse().ok());
        let family = match line.arguments.get(1).map(|word| word.text.as_str()) {
            Some("inet") => Some(Family::Ipv4),
            Some("inet6") => Some(Family::Ipv6),
            _ => None,
        };
        match mark.filter(|&mark| mark != 0) {
            Some(mark) => group.marks.push((mark, family)),
            None => diagnostics.push(Diagnostic::error(
                line.span(),
                "this firewall mark cannot be",
                "a mark is a number from 1 to 4294967295",
                "write `fwmark NUMBER'",
            )),
        }
        return;
    }
    let port = match first.map(port) {
        None => Ok(0),
        Some(Ok(port)) => Ok(port),
        Some(Err(diagnostic)) => Err(diagnostic),
    };
    match (range(&line.keyword.text), port) {
        (_, Err(diagnostic)) => diagnostics.push(*diagnostic),
        (Ok(addresses), Ok(port)) => {
            group
                .addresses
                .extend(addresses.into_iter().map(|address| (address, port)));
        }
        (Err(why), _) => diagnostics.push(Diagnostic::error(
            line.keyword.span,
            format!("`{}' is no range of addresses", line.keyword.text),
            why,
            "write an address, 192.0.2.1-10, 192.0.2.250-192.0.3.10 or 192.0.2.0/28, then the port",
        )),
    }
}

/// A port, or the diagnostic for it.
pub(super) fn port(word: &Word) -> Result<u16, Box<Diagnostic>> {
    match word.text.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(Box::new(Diagnostic::error(
            word.span,
            format!("`{}' is no port", word.text),
            "a port is a number from 1 to 65535",
            "correct the number, or leave it away for all ports (persistent services only)",
        ))),
    }
}

/// The addresses of `A`, `A-N`, `A-B` or `A/LENGTH`.
fn range(text: &str) -> Result<Vec<IpAddr>, String> {
    let no_address = |text: &str| format!("`{text}' is no IP address");
    if let Some((first, last)) = text.split_once('-') {
        let first: IpAddr = first.parse().map_err(|_| no_address(first))?;
        let last = match last.parse::<IpAddr>() {
            Ok(last) if last.is_ipv4() == first.is_ipv4() => last,
            _ => with_last_part(first, last).ok_or_else(|| no_address(last))?,
        };
        return between(first, last);
    }
    match value::prefixed(text) {
        Some((address, None)) => Ok(vec![address]),
        Some((address, Some(length))) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let size = 1u128
                .checked_shl(u32::from(bits - length))
                .filter(|&size| size <= MOST_ADDRESSES)
                .ok_or("that are more than 65536 addresses")?;
            let first = number(address) & !(size - 1);
            between(
                address_of(first, address.is_ipv4()),
                address_of(first + (size - 1), address.is_ipv4()),
            )
        }
        None => Err(no_address(text)),
    }
}

/// The address with another last part: `192.0.2.3` and `10` are 192.0.2.10.
fn with_last_part(first: IpAddr, last: &str) -> Option<IpAddr> {
    match first {
        IpAddr::V4(first) => {
            let [a, b, c, _] = first.octets();
            Some(Ipv4Addr::new(a, b, c, last.parse().ok()?).into())
        }
        IpAddr::V6(first) => {
            let mut parts = first.segments();
            parts[7] = u16::from_str_radix(last, 16).ok()?;
            Some(Ipv6Addr::from(parts).into())
        }
    }
}

fn between(first: IpAddr, last: IpAddr) -> Result<Vec<IpAddr>, String> {
    let (low, high) = (number(first), number(last));
    let count = high
        .checked_sub(low)
        .ok_or("its last address is before its first")?;
    if count >= MOST_ADDRESSES {
        return Err("that are more than 65536 addresses".to_owned());
    }
    let is_v4 = first.is_ipv4();
    Ok((low..=high).map(|bits| address_of(bits, is_v4)).collect())
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address_of(bits: u128, is_v4: bool) -> IpAddr {
    match u32::try_from(bits) {
        Ok(bits) if is_v4 => Ipv4Addr::from_bits(bits).into(),
        _ => Ipv6Addr::from_bits(bits).into(),
    }
}
