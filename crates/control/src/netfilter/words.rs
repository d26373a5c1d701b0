//! The words of a line that `iptables-save` printed.

/// Splits a line as `iptables-restore` does: at blanks, but not within double quotes; a backslash
/// there takes the next character as it is.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        match c {
            _ if escaped => {
                word.get_or_insert_default().push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_ascii_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn blanks_within_quotes_belong_to_the_word() {
        let line = r#"-A  X --comment "a \"b\" c" -j "" D"#;
        assert_eq!(
            words(line),
            ["-A", "X", "--comment", r#"a "b" c"#, "-j", "", "D"]
        );
    }
}
