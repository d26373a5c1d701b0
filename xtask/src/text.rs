//! The project's text names no folder of one machine: what works here must work elsewhere.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::command::{Program, root};

/// Where people and machines keep what is theirs. Written in halves, so that this file passes its own check.
const FOREIGN: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

/// Fails when a file that git knows names a folder of one machine.
pub fn check() -> Result<()> {
    let mut found = Vec::new();
    for path in tracked_files()? {
        // Not text, or deleted and not yet committed: nothing to read.
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        found.extend(
            foreign_lines(&text)
                .map(|(line, folder)| format!("{}:{line}: {folder}", path.display())),
        );
    }
    if !found.is_empty() {
        bail!(
            "folders of one machine are named:\n{}\nhint: name them relative to the project",
            found.join("\n")
        );
    }
    Ok(())
}

/// The files that git knows, relative to the project's root.
fn tracked_files() -> Result<Vec<PathBuf>> {
    // Under sudo the checkout belongs to somebody else, which git refuses unless told that it is meant.
    let list = Program::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .output()?;
    Ok(list.split_terminator('\0').map(PathBuf::from).collect())
}

/// Line numbers, from 1, with the foreign folder that each names.
fn foreign_lines(text: &str) -> impl Iterator<Item = (usize, &'static str)> {
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, foreign_folder(line)?)))
}

/// A folder counts where a path begins with it: not in `https://example.net/home/`.
fn foreign_folder(line: &str) -> Option<&'static str> {
    FOREIGN.into_iter().find(|folder| {
        line.match_indices(folder)
            .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_somebodys_machine_is_found_with_its_line() {
        let text = format!("fine\nsee {}ada/xvs\n", FOREIGN[0]);
        assert_eq!(foreign_lines(&text).collect::<Vec<_>>(), [(2, FOREIGN[0])]);
    }

    #[test]
    fn the_middle_of_an_address_is_no_folder_of_a_machine() {
        let text = format!("https://example.net{}", FOREIGN[0]);
        assert_eq!(foreign_lines(&text).count(), 0);
    }
}
