//! Which cases are measured (`--only`).

/// Words that the names of cases must have.
#[derive(Debug, Clone, Default)]
pub struct Selection(Vec<String>);

impl Selection {
    /// By the arguments of `--only`; upper and lower case are the same.
    pub fn new(words: &[String]) -> Self {
        Self(words.iter().map(|word| word.to_lowercase()).collect())
    }

    /// Whether a case is measured: each word is in the name of its part or in its own.
    pub fn wants(&self, part: &str, case: &str) -> bool {
        let name = format!("{part} {case}").to_lowercase();
        self.0.iter().all(|word| name.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(words: &[&str]) -> Selection {
        Selection::new(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_case_is_wanted_if_every_word_is_in_its_name_or_its_parts() {
        assert!(only(&[]).wants("XDP", "IPv4 DR: known connection, 1 flows"));
        assert!(only(&["xdp", "DR: known"]).wants("XDP", "IPv4 DR: known connection, 1 flows"));
        assert!(!only(&["tc", "DR: known"]).wants("XDP", "IPv4 DR: known connection, 1 flows"));
    }
}
