//! The map of the house: the table in ARCHITECTURE.md, a crate to a row, with its tier and its folder.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::command::root;

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 0 (leaves) to 3 (programs).
    pub tier: u8,
    /// The folder, relative to the project's root.
    pub folder: String,
}

impl Entry {
    /// The package's name as cargo knows it.
    pub fn package(&self) -> String {
        self.folder.replace("crates/", "xvs-")
    }
}

/// The rows of the table in ARCHITECTURE.md.
pub fn read() -> Result<Vec<Entry>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let entries: Vec<Entry> = text.lines().filter_map(entry).collect();
    if entries.is_empty() {
        bail!("ARCHITECTURE.md has no row like: | 0 | [`abi`](crates/abi) | ... |");
    }
    Ok(entries)
}

/// Reads ``| 0 | [`abi`](crates/abi) | ... |``; any other line is none.
fn entry(line: &str) -> Option<Entry> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let tier = cells.next()?.parse().ok()?;
    let link = cells.next()?.strip_prefix("[`")?;
    let folder = link.split_once("](")?.1.strip_suffix(')')?.to_owned();
    Some(Entry { tier, folder })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};

    use toml::{Table, Value};

    use super::*;

    /// The folders of all crates, as the workspace's manifest and the disk have them.
    fn folders() -> BTreeSet<String> {
        let crates = fs::read_dir(root().join("crates")).unwrap();
        let crates = crates.map(|entry| format!("crates/{}", entry.unwrap().file_name().display()));
        let crates = crates.filter(|folder| root().join(folder).join("Cargo.toml").exists());
        crates
            .chain(["xtask".to_owned(), "ebpf".to_owned()])
            .collect()
    }

    fn manifest(folder: &Path) -> Table {
        let path = folder.join("Cargo.toml");
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.parse()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The folders of the project's own crates that a crate depends on, its tests aside.
    fn dependencies(folder: &str) -> Vec<String> {
        let root = root().canonicalize().unwrap();
        let workspace = manifest(&root)["workspace"]["dependencies"].clone();
        let own = manifest(&root.join(folder));
        let sections = ["dependencies", "build-dependencies"]
            .iter()
            .filter_map(|section| own.get(*section));
        let named = sections.flat_map(|section| section.as_table().unwrap());
        let paths = named.filter_map(|(name, value)| match value.get("workspace") {
            Some(_) => path_of(&root, workspace.get(name)?),
            None => path_of(&root.join(folder), value),
        });
        paths
            .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
            .collect()
    }

    fn path_of(base: &Path, dependency: &Value) -> Option<PathBuf> {
        Some(
            base.join(dependency.get("path")?.as_str()?)
                .canonicalize()
                .unwrap(),
        )
    }

    #[test]
    fn the_map_names_every_crate_and_none_that_is_not_there() {
        let named: BTreeSet<String> = read()
            .unwrap()
            .into_iter()
            .map(|entry| entry.folder)
            .collect();
        assert_eq!(named, folders());
    }

    #[test]
    fn no_crate_depends_on_a_higher_tier() {
        let tiers: BTreeMap<String, u8> = read()
            .unwrap()
            .into_iter()
            .map(|entry| (entry.folder, entry.tier))
            .collect();
        for (folder, tier) in &tiers {
            for dependency in dependencies(folder) {
                let other = tiers[&dependency];
                assert!(
                    other <= *tier,
                    "{folder} (tier {tier}) depends on {dependency} (tier {other})"
                );
            }
        }
    }

    #[test]
    fn the_programs_dependencies_are_seen() {
        assert!(dependencies("ebpf").contains(&"crates/forward".to_owned()));
        assert!(dependencies("crates/conntable").contains(&"crates/cell".to_owned()));
    }

    #[test]
    fn only_rows_of_the_table_are_read() {
        let row = entry("| 1 | [`forward`](crates/forward) | the life of a packet |").unwrap();
        assert_eq!((row.tier, row.folder.as_str()), (1, "crates/forward"));
        for line in [
            "| tier | crate | what |",
            "|---|---|---|",
            "`forward` is written once",
            "| 1 | forward | x |",
        ] {
            assert_eq!(entry(line), None, "{line}");
        }
    }
}
