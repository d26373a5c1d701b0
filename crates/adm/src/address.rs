//! Addresses and ports as text: how the command line spells them, and how a listing does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Protocol;

use crate::names::Resolver;
use crate::number::{is_space, u16_from};

/// An address, and a port where one was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub address: IpAddr,
    pub port: Option<u16>,
}

/// Reads `host`, `host:port`, `[ipv6]:port` or `ipv6`; host and port may be names.
///
/// As in `ipvsadm`, digits alone are no host, a name is looked up for IPv4 only, and what follows
/// an IPv4 address or a name in brackets is not looked at.
pub(crate) fn endpoint(
    text: &str,
    protocol: Option<Protocol>,
    names: &dyn Resolver,
) -> Option<Endpoint> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (host, mut port) = match text.strip_prefix('[') {
        None => (text, None),
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            (host, Some(after.strip_prefix(':')?))
        }
    };
    let address = match host.parse::<Ipv6Addr>() {
        Ok(address) => IpAddr::V6(address),
        Err(_) => {
            let (host, after) = match host.rsplit_once(':') {
                Some((host, after)) => (host, Some(after)),
                None => (host, None),
            };
            port = after;
            IpAddr::V4(ipv4(host, names)?)
        }
    };
    let port = match port {
        None => None,
        Some(text) => Some(port_number(text, protocol, names)?),
    };
    Some(Endpoint { address, port })
}

/// Reads an IPv4 address, or looks up a name.
pub(crate) fn ipv4(text: &str, names: &dyn Resolver) -> Option<Ipv4Addr> {
    match inet_aton(text) {
        Some(address) => Some(address),
        None if text.is_empty() => None,
        None => names.host_address(text),
    }
}

fn port_number(text: &str, protocol: Option<Protocol>, names: &dyn Resolver) -> Option<u16> {
    u16_from(text, 0).or_else(|| match protocol {
        Some(protocol @ (Protocol::Tcp | Protocol::Udp)) => names.service_port(text, protocol),
        _ => None,
    })
}

/// Reads an IPv4 address as `inet_aton` does: one to four parts, each decimal, octal (`0…`) or
/// hexadecimal (`0x…`), the last one filling what the others leave. White space may follow, and
/// anything after it.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let text = text.split(is_space).next()?;
    let parts: Vec<u32> = text.split('.').map(part).collect::<Option<_>>()?;
    let (&last, leading) = parts.split_last()?;
    let width = match leading.len() {
        n @ 0..=3 => 32 - 8 * n as u32,
        _ => return None,
    };
    if leading.iter().any(|&byte| byte > 0xff) || u64::from(last) >> width != 0 {
        return None;
    }
    let high = leading
        .iter()
        .fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
    Some(Ipv4Addr::from_bits((high << width) as u32 | last))
}

/// Reads one part of an IPv4 address.
fn part(text: &str) -> Option<u32> {
    let (digits, radix) = if let Some(hex) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        (hex, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        (text, 8)
    } else {
        (text, 10)
    };
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// Writes an address as the C library's `inet_ntop` does, which differs from Rust's for IPv6
/// addresses that carry an IPv4 address in their last 32 bits (`::0.2.0.128`).
pub(crate) fn address_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(a) => a.to_string(),
        IpAddr::V6(a) => match a.segments() {
            [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                format!(
                    "::{}",
                    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
                )
            }
            _ => a.to_string(),
        },
    }
}

/// Writes an address and a port, by name unless `numeric`. IPv6 addresses, and their names, are
/// bracketed.
///
/// `ipvsadm` cuts the text at 59 bytes.
pub(crate) fn endpoint_text(
    address: IpAddr,
    port: u16,
    protocol: Option<Protocol>,
    numeric: bool,
    names: &dyn Resolver,
) -> String {
    // Nobody is asked for names that are not wanted: that can take long.
    let (host, service) = match numeric {
        true => (None, None),
        false => (names.host_name(address), port_name(port, protocol, names)),
    };
    let host = host.unwrap_or_else(|| address_text(address));
    let port = service.unwrap_or_else(|| port.to_string());
    let text = match address {
        IpAddr::V4(_) => format!("{host}:{port}"),
        IpAddr::V6(_) => format!("[{host}]:{port}"),
    };
    cut(&text, 59).to_owned()
}

fn port_name(port: u16, protocol: Option<Protocol>, names: &dyn Resolver) -> Option<String> {
    match protocol {
        Some(protocol @ (Protocol::Tcp | Protocol::Udp)) => names.service_name(port, protocol),
        _ => None,
    }
}

/// The first `length` bytes of a text, or a few less where a character would be cut.
pub(crate) fn cut(text: &str, length: usize) -> &str {
    let end = (0..=length).rev().find(|&end| text.is_char_boundary(end));
    if text.len() <= length {
        text
    } else {
        &text[..end.unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aton(text: &str) -> Option<String> {
        inet_aton(text).map(|a| a.to_string())
    }

    #[test]
    fn an_ipv4_address_may_be_short_octal_or_hexadecimal() {
        for (text, address) in [
            ("1", "0.0.0.1"),
            ("1.2", "1.0.0.2"),
            ("172.16.10", "172.16.0.10"),
            ("1.1.65535", "1.1.255.255"),
            ("0x7f000001", "127.0.0.1"),
            ("0xffffff00", "255.255.255.0"),
            ("010.1.1.1", "8.1.1.1"),
            ("4294967295", "255.255.255.255"),
            ("1.1.1.1 ", "1.1.1.1"),
            ("1.1.1.1 and more", "1.1.1.1"),
        ] {
            assert_eq!(aton(text).as_deref(), Some(address), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_ipv4_address_is_refused() {
        for text in [
            "",
            " ",
            ".",
            "1.",
            ".1",
            "1.1.1.1.",
            "1.1.1.1.1",
            "256.1.1.1",
            "1.16777216",
            "1.1.65536",
            "4294967296",
            "08",
            "0x",
            "0xg",
            "+1",
            "-1",
            " 1.1.1.1",
            "1.1.1.1x",
            "a",
            "１",
        ] {
            assert_eq!(aton(text), None, "{text:?}");
        }
    }

    #[test]
    fn ipv6_addresses_are_written_as_the_c_library_writes_them() {
        for (address, text) in [
            ("::2:80", "::0.2.0.128"),
            ("::1", "::1"),
            ("::", "::"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("0:9::", "0:9::"),
            ("fd00:10::21", "fd00:10::21"),
            (
                "2001:db8:1234:5678:9abc:def0:1234:5678",
                "2001:db8:1234:5678:9abc:def0:1234:5678",
            ),
        ] {
            assert_eq!(address_text(address.parse().unwrap()), text);
        }
    }
}
