//! Numbers as the C library reads them.

/// A number at the beginning of a text.
struct Leading<'a> {
    /// The number, or the nearest one that fits.
    value: i64,
    /// Whether the number fits.
    fits: bool,
    /// What follows the digits.
    rest: &'a str,
}

/// Reads a decimal number as `strtol` does: after white space, with a sign. `None` without a digit.
fn leading(text: &str) -> Option<Leading<'_>> {
    let unspaced = text.trim_start_matches(is_space);
    let (negative, unsigned) = match unspaced.as_bytes().first() {
        Some(b'-') => (true, &unspaced[1..]),
        Some(b'+') => (false, &unspaced[1..]),
        _ => (false, unspaced),
    };
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let magnitude = unsigned[..digits].parse::<i128>().unwrap_or(i128::MAX);
    let signed = if negative { -magnitude } else { magnitude };
    let (value, fits) = match i64::try_from(signed) {
        Ok(value) => (value, true),
        Err(_) => (if negative { i64::MIN } else { i64::MAX }, false),
    };
    Some(Leading {
        value,
        fits,
        rest: &unsigned[digits..],
    })
}

/// White space as `isspace` has it in the C locale.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// The number that a text consists of, if it lies in the range.
pub(crate) fn number_in(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let number = leading(text)?;
    (number.rest.is_empty() && number.fits && range.contains(&number.value)).then_some(number.value)
}

/// The number that a text consists of, if it is a 16-bit number of at least `least`.
pub(crate) fn u16_from(text: &str, least: u16) -> Option<u16> {
    let number = number_in(text, i64::from(least)..=i64::from(u16::MAX))?;
    u16::try_from(number).ok()
}

/// The number that a text begins with, cut to 32 bits; 0 without one. As `atoi` does on 64-bit
/// machines.
pub(crate) fn atoi(text: &str) -> i32 {
    leading(text).map_or(0, |number| number.value as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_have_white_space_before_but_not_after() {
        assert_eq!(number_in(" 5", 0..=9), Some(5));
        assert_eq!(number_in("+5", 0..=9), Some(5));
        assert_eq!(number_in("007", 0..=9), Some(7));
        assert_eq!(number_in("-0", 0..=9), Some(0));
        for text in [
            "",
            " ",
            "+",
            "5 ",
            "0x5",
            "1.5",
            "abc",
            "10",
            "-1",
            "99999999999999999999",
        ] {
            assert_eq!(number_in(text, 0..=9), None, "{text:?}");
        }
    }

    #[test]
    fn atoi_takes_what_it_finds() {
        assert_eq!(atoi("5x"), 5);
        assert_eq!(atoi("x"), 0);
        assert_eq!(atoi(""), 0);
        assert_eq!(atoi("4294967297"), 1);
        assert_eq!(atoi("-1"), -1);
        assert_eq!(atoi("99999999999999999999"), -1);
    }
}
