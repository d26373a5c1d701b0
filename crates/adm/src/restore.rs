//! Splits standard input into command lines.

use std::io::{self, BufRead};

/// Reads the words of the next line that has any. The word `ipvsadm` does not count, wherever it
/// stands.
///
/// Comments and quotes mean nothing. A last line that ends in more than one blank instead of a
/// newline is passed over, as `ipvsadm` does: it takes one blank with each word, and gives up where
/// the others are followed by nothing.
///
/// # Errors
/// When the input cannot be read.
pub(crate) fn next_command(input: &mut dyn BufRead) -> io::Result<Option<Vec<String>>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        let before_blank = text.strip_suffix(is_blank);
        if before_blank.is_some_and(|before| before.is_empty() || before.ends_with(is_blank)) {
            return Ok(None);
        }
        let words = text.trim_end_matches('\n').split(is_blank);
        let words: Vec<_> = words
            .filter(|word| !matches!(*word, "" | "ipvsadm"))
            .map(str::to_owned)
            .collect();
        if !words.is_empty() {
            return Ok(Some(words));
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// What `ipvsadm-restore` hands on of its input: all but comments, with a newline at the end.
pub(crate) fn without_comments(text: &str) -> String {
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    format!("{}\n", kept.join("\n").trim_end_matches('\n'))
}
