//! Values of keywords.

use std::net::IpAddr;
use std::time::Duration;

/// How many characters of VRRP's password count (RFC 2338, section 5.3.10).
pub const PASSWORD_LENGTH: usize = 8;

/// `on`, `off` and the other words for them.
pub(crate) fn switch(word: &str) -> Option<bool> {
    match word {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// A whole number, or what is wrong with it.
pub(crate) fn integer(word: &str, least: i64, most: i64) -> Result<i64, String> {
    let value: i64 = word
        .parse()
        .map_err(|_| format!("`{word}' is no whole number"))?;
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is not within {least} to {most}"))
    }
}

/// Seconds with decimals, or what is wrong with them.
pub(crate) fn seconds(word: &str, least: f64, most: f64) -> Result<Duration, String> {
    let plain = word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let value: f64 = word
        .parse()
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| format!("`{word}' is no number of seconds"))?;
    if value < least || value > most {
        return Err(format!("{value} s is not within {least} s to {most} s"));
    }
    // keepalived counts microseconds.
    let microseconds = (value * 1e6).round();
    Duration::try_from_secs_f64(microseconds / 1e6).map_err(|error| error.to_string())
}

/// Milliseconds with decimals, or what is wrong with them.
pub(crate) fn milliseconds(word: &str, least: f64, most: f64) -> Result<Duration, String> {
    let plain = word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let value: f64 = word
        .parse()
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| format!("`{word}' is no number of milliseconds"))?;
    if value < least || value > most {
        return Err(format!("{value} ms is not within {least} ms to {most} ms"));
    }
    Duration::try_from_secs_f64((value * 1e3).round() / 1e6).map_err(|error| error.to_string())
}

/// An address with or without the length of its prefix.
pub(crate) fn prefixed(word: &str) -> Option<(IpAddr, Option<u8>)> {
    let Some((address, length)) = word.split_once('/') else {
        return Some((word.parse().ok()?, None));
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length: u8 = length.parse().ok()?;
    (length <= most).then_some((address, Some(length)))
}

/// A command as its words: divided at spaces, but not within single quotes.
pub(crate) fn command_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Bytes of hexadecimal digits: an odd digit before a space is a byte of its own, and `x` a digit
/// that may be anything. Each byte comes with the mask of what counts in it.
pub(crate) fn hexadecimal(words: &[&str], wildcards: bool) -> Option<Vec<(u8, u8)>> {
    let mut bytes = Vec::new();
    for word in words {
        let digits: Vec<char> = word.chars().collect();
        for pair in digits.chunks(2) {
            let mut byte = (0, 0xf0 * u8::from(pair.len() == 1));
            for digit in pair {
                let (value, mask) = match digit.to_digit(16) {
                    Some(value) => (u8::try_from(value).ok()?, 0xf),
                    None if wildcards && matches!(digit, 'x' | 'X') => (0, 0),
                    None => return None,
                };
                byte = (byte.0 << 4 | value, byte.1 << 4 | mask);
            }
            if pair.len() == 1 {
                byte.1 |= 0xf0;
            }
            bytes.push(byte);
        }
    }
    Some(bytes)
}
