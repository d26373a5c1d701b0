//! The values of a lab file that have a notation of their own: addresses, commands, URLs, line patterns.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// An address, with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port; none means any.
    pub port: Option<u16>,
}

impl Endpoint {
    /// Whether a packet's address and port are this one's.
    pub fn matches(&self, address: IpAddr, port: Option<u16>) -> bool {
        self.address == address && self.port.is_none_or(|wanted| port == Some(wanted))
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self {
                address,
                port: None,
            });
        }
        let socket: SocketAddr = text.parse().map_err(|_| {
            format!(
                "`{text}` is neither an address nor address:port; IPv6 is written [2001:db8::1]:80"
            )
        })?;
        Ok(Self {
            address: socket.ip(),
            port: Some(socket.port()),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

/// A MAC address (EUI-48).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether it names a group, the broadcast address included.
    pub fn is_group(&self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a MAC address; they are written 02:00:00:00:00:01");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        let mac = Self(bytes);
        if mac.is_group() || bytes == [0; 6] {
            return Err(format!(
                "`{text}` is not one interface's MAC address: its first byte must be even, and not all are 0"
            ));
        }
        Ok(mac)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and the length of its network's prefix, in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixed {
    /// The address.
    pub address: IpAddr,
    /// The prefix's length, in bits.
    pub length: u8,
}

impl FromStr for Prefixed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is not an address with its prefix; it is written 192.168.100.17/24 or 2001:db8::1/64"
            )
        };
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let length = length.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if length > longest {
            return Err(format!("`{text}`: the prefix has at most {longest} bits"));
        }
        Ok(Self { address, length })
    }
}

impl fmt::Display for Prefixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A command or an argument list, as words between blanks. No shell is involved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// From words that are separate already. None if there are none.
    pub fn new(words: Vec<String>) -> Option<Self> {
        (!words.is_empty()).then_some(Self(words))
    }

    /// The first word: a command's program.
    pub fn first(&self) -> &str {
        &self.0[0]
    }

    /// The words after the first.
    pub fn rest(&self) -> &[String] {
        &self.0[1..]
    }
}

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Self::new(words).ok_or_else(|| "it has no words".to_owned())
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// `http://ADDRESS[:PORT]/PATH`: names are not resolved in a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Where to connect to.
    pub server: SocketAddr,
    /// What to ask for, with its leading slash.
    pub path: String,
}

impl Url {
    /// The server as a URL names it: without the port if it is HTTP's own.
    pub fn authority(&self) -> String {
        match self.server {
            SocketAddr::V4(server) if server.port() == 80 => server.ip().to_string(),
            SocketAddr::V6(server) if server.port() == 80 => format!("[{}]", server.ip()),
            other => other.to_string(),
        }
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not http://ADDRESS[:PORT]/PATH with a literal address");
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let bare = authority
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(authority);
        let server = match bare.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, 80),
            Err(_) => authority.parse().map_err(|_| wrong())?,
        };
        Ok(Self {
            server,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// A line, word by word; runs of blanks count as one, and `*` in a word stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinePattern(String);

impl LinePattern {
    /// Whether the line matches, from its first word to its last.
    pub fn matches(&self, line: &str) -> bool {
        let mut words = line.split_whitespace();
        self.0
            .split_whitespace()
            .all(|pattern| words.next().is_some_and(|word| matches_word(pattern, word)))
            && words.next().is_none()
    }
}

impl From<String> for LinePattern {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for LinePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a word matches a pattern in which `*` stands for any characters, also none.
fn matches_word(pattern: &str, word: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == word;
    };
    let Some(rest) = word.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len()).any(|end| rest.is_char_boundary(end) && matches_word(after, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_matches_word_by_word_whatever_the_blanks() {
        let pattern = LinePattern::from("-> 192.168.100.39:80 Masq 2 0 *".to_owned());
        assert!(
            pattern
                .matches("  -> 192.168.100.39:80            Masq    2      0          10        ")
        );
        assert!(!pattern.matches("  -> 192.168.100.39:80            Masq    2      1          10"));
        assert!(!pattern.matches("  -> 192.168.100.39:80            Masq    2      0"));
        assert!(
            !pattern.matches("  -> 192.168.100.39:80            Masq    2      0          10  x")
        );
    }

    #[test]
    fn a_star_within_a_word_stands_for_anything() {
        assert!(matches_word("192.168.1.2:*", "192.168.1.2:40112"));
        assert!(matches_word("*:80", "10.10.10.3:80"));
        assert!(matches_word("a*b*c", "a12b3bc"));
        assert!(!matches_word("a*b", "ac"));
    }

    #[test]
    fn a_url_takes_both_families_and_an_optional_port() {
        let server = |text: &str| {
            text.parse::<Url>()
                .map(|url| (url.server.to_string(), url.path))
        };
        assert_eq!(
            server("http://172.16.10.21/"),
            Ok(("172.16.10.21:80".to_owned(), "/".to_owned()))
        );
        assert_eq!(
            server("http://172.16.10.21:8888/bytes/9"),
            Ok(("172.16.10.21:8888".to_owned(), "/bytes/9".to_owned()))
        );
        assert_eq!(
            server("http://[2001:db8::21]/x"),
            Ok(("[2001:db8::21]:80".to_owned(), "/x".to_owned()))
        );
        assert_eq!(
            server("http://[2001:db8::21]:81"),
            Ok(("[2001:db8::21]:81".to_owned(), "/".to_owned()))
        );
        assert!(server("http://example.org/").is_err());
        assert!(server("https://172.16.10.21/").is_err());
    }

    #[test]
    fn a_mac_address_of_a_group_is_refused() {
        assert!("02:00:00:00:00:01".parse::<Mac>().is_ok());
        for wrong in [
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
        ] {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_is_no_longer_than_its_address() {
        assert!("192.168.1.2/24".parse::<Prefixed>().is_ok());
        assert!("192.168.1.2/33".parse::<Prefixed>().is_err());
        assert!("2001:db8::1/64".parse::<Prefixed>().is_ok());
        assert!("2001:db8::1/129".parse::<Prefixed>().is_err());
        assert!("192.168.1.2".parse::<Prefixed>().is_err());
    }
}
