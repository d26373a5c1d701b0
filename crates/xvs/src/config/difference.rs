//! `xvs config diff`.

use std::path::Path;

use anyhow::{Context, Result};
use api::{Difference, DifferenceRequest};
use config::Change;

use crate::{output, place};

/// Asks the daemon what a reload would change, and prints it.
pub fn main(file: Option<&Path>, config_id: Option<String>, json: bool) -> Result<()> {
    let file = file.map(std::path::absolute).transpose();
    let request = DifferenceRequest {
        file: file.context("the file's place is not known")?,
        config_id,
    };
    let difference = place::connected()?.difference(&request)?;
    for warning in &difference.warnings {
        eprintln!("warning: {warning}");
    }
    output::json_or(json, &difference, || text(&difference))
}

/// The changes as `diff` marks them, under the heads of the blocks that they are in.
fn text(difference: &Difference) -> String {
    let mut text = String::new();
    let mut within: &[String] = &[];
    for change in &difference.changes {
        let shared = within
            .iter()
            .zip(&change.within)
            .take_while(|(known, head)| known == head)
            .count();
        for (depth, head) in change.within.iter().enumerate().skip(shared) {
            text.push_str(&marked(' ', depth, head));
        }
        within = &change.within;
        text.push_str(&one(change));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let (commands, checks) = (difference.commands.len(), difference.checks);
    text.push_str(&match difference.changes.len() {
        0 => "A reload would change nothing in the configuration".to_owned(),
        1 => "A reload would make 1 change of the configuration".to_owned(),
        changes => format!("A reload would make {changes} changes of the configuration"),
    });
    text.push_str(&format!(
        "; of the director's tables {commands}, in one transaction\n\
         Checks: {} would begin, {} end, {} go on\n",
        checks.begin, checks.end, checks.go_on
    ));
    text
}

fn one(change: &Change) -> String {
    let depth = change.within.len();
    let lines = |mark, block: &Option<String>| {
        let lines = block.iter().flat_map(|block| block.lines());
        lines
            .map(move |line| marked(mark, depth, line))
            .collect::<String>()
    };
    lines('-', &change.before) + &lines('+', &change.after)
}

fn marked(mark: char, depth: usize, line: &str) -> String {
    format!("{mark} {}{line}\n", "    ".repeat(depth))
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::CheckChanges;

    fn change(within: &[&str], before: Option<&str>, after: Option<&str>) -> Change {
        Change {
            within: within.iter().map(|&head| head.to_owned()).collect(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        }
    }

    #[test]
    fn changes_are_marked_under_the_heads_of_their_blocks_which_are_told_once() {
        let server = "virtual_server 192.0.2.1 80";
        let difference = Difference {
            changes: vec![
                change(
                    &[server, "real_server 10.0.0.1 80"],
                    Some("weight 1"),
                    Some("weight 2"),
                ),
                change(
                    &[server],
                    None,
                    Some("real_server 10.0.0.2 80 {\n    weight 1\n}"),
                ),
            ],
            commands: Vec::new(),
            checks: CheckChanges {
                begin: 0,
                end: 0,
                go_on: 1,
            },
            warnings: Vec::new(),
        };
        let expected = "  virtual_server 192.0.2.1 80
      real_server 10.0.0.1 80
-         weight 1
+         weight 2
+     real_server 10.0.0.2 80 {
+         weight 1
+     }
";
        let text = text(&difference);
        assert!(text.starts_with(expected), "{text}");
    }
}
