//! Debian's programs and ours of the same names side by side.
//!
//! Debian's files are diverted, so that dpkg puts them beside their names, now and whenever the
//! package is upgraded. The names are links then that update-alternatives leads to either program,
//! with its companions and its pages.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{KEEPALIVED, LIBRARY, PROGRAMS};

/// What Debian's files are called while they are diverted.
const DIVERTED: &str = "debian";
/// The higher one is chosen where nobody chose.
const PRIORITY_OF_DEBIANS: &str = "40";
/// Where the names are that people call.
const FOLDER: &str = "usr/sbin";
/// Where Debian 12's package says that its files are, which is the same folder. A file that another
/// version of the package has elsewhere by name must not be in the way of this one.
const OLD_FOLDER: (&str, &str) = ("sbin", "debian-sbin");
const PAGES: &str = "usr/share/man/man8";

/// What is chosen by one choice.
struct Choice {
    /// The program that names the choice, then its companions.
    programs: &'static [&'static str],
    /// Whether we have pages of their manual, too.
    has_pages: bool,
    /// The priority of ours.
    priority: &'static str,
}

const CHOICES: [Choice; 2] = [
    Choice {
        programs: &PROGRAMS,
        has_pages: true,
        priority: "60",
    },
    // A service that runs by Debian's program goes on with it until somebody chooses.
    Choice {
        programs: &[KEEPALIVED],
        has_pages: false,
        priority: "20",
    },
];

/// Whether this system has the tools.
pub fn are_there() -> bool {
    ["update-alternatives", "dpkg-divert"].iter().all(|tool| {
        let mut command = Command::new(tool);
        let quiet = command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    })
}

/// Moves Debian's files aside, and offers both programs.
pub fn offer(root: &Path) -> Result<()> {
    let own = ["var/lib/dpkg/alternatives", "etc/alternatives", "var/log"];
    for folder in own.into_iter().chain([FOLDER, PAGES]) {
        let path = root.join(folder);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
    }
    CHOICES.iter().try_for_each(|choice| choice.offer(root))
}

/// Takes back the offer, and moves Debian's files to where they were.
pub fn withdraw(root: &Path) -> Result<()> {
    CHOICES.iter().try_for_each(|choice| choice.withdraw(root))
}

impl Choice {
    fn name(&self) -> &'static str {
        self.programs[0]
    }

    fn offer(&self, root: &Path) -> Result<()> {
        for diversion in self.diversions() {
            diversion.add(root)?;
        }
        self.alternative(root, &|name| format!("/{LIBRARY}/{name}"), self.priority)?;
        for suffix in [DIVERTED, OLD_FOLDER.1] {
            let debians = |name: &str| match name.strip_suffix(".8.gz") {
                Some(page) => format!("/{PAGES}/{page}.{DIVERTED}.8.gz"),
                None => format!("/{FOLDER}/{name}.{suffix}"),
            };
            if root.join(&debians(self.name())[1..]).exists() {
                self.alternative(root, &debians, PRIORITY_OF_DEBIANS)?;
            }
        }
        Ok(())
    }

    fn withdraw(&self, root: &Path) -> Result<()> {
        let name = self.name();
        let debians = [DIVERTED, OLD_FOLDER.1].map(|suffix| format!("/{FOLDER}/{name}.{suffix}"));
        for path in [format!("/{LIBRARY}/{name}")].into_iter().chain(debians) {
            // One that was never offered is no failure.
            run(
                root,
                "update-alternatives",
                &["--quiet", "--remove", name, &path],
            )?;
        }
        for diversion in self.diversions() {
            diversion.remove(root)?;
        }
        Ok(())
    }

    /// Offers a program with its companions and pages; `path_of` says where those of a name are.
    fn alternative(
        &self,
        root: &Path,
        path_of: &dyn Fn(&str) -> String,
        priority: &str,
    ) -> Result<()> {
        let mut links = Vec::new();
        for &name in self.programs {
            links.push([format!("/{FOLDER}/{name}"), name.to_owned(), path_of(name)]);
            if self.has_pages {
                let page = format!("{name}.8.gz");
                links.push([format!("/{PAGES}/{page}"), page.clone(), path_of(&page)]);
            }
        }
        let mut words = Vec::new();
        for (number, [link, name, path]) in links.iter().enumerate() {
            words.push(if number == 0 { "--install" } else { "--slave" });
            words.extend([link.as_str(), name, path]);
            if number == 0 {
                words.push(priority);
            }
        }
        run(
            root,
            "update-alternatives",
            &[&["--quiet"], words.as_slice()].concat(),
        )
    }

    fn diversions(&self) -> Vec<Diversion> {
        let mut diversions = Vec::new();
        let mut divert = |from: String, to: String| diversions.push(Diversion { from, to });
        let (old, suffix) = OLD_FOLDER;
        for name in self.programs {
            divert(
                format!("/{FOLDER}/{name}"),
                format!("/{FOLDER}/{name}.{DIVERTED}"),
            );
            divert(format!("/{old}/{name}"), format!("/{old}/{name}.{suffix}"));
            if self.has_pages {
                divert(
                    format!("/{PAGES}/{name}.8.gz"),
                    format!("/{PAGES}/{name}.{DIVERTED}.8.gz"),
                );
            }
        }
        diversions
    }
}

/// A name that dpkg is to put its file beside.
struct Diversion {
    from: String,
    to: String,
}

impl Diversion {
    /// Moves the file that is there, unless it is a package's by another name for the same folder.
    fn add(&self, root: &Path) -> Result<()> {
        let there = root.join(&self.from[1..]);
        let is_file = there.is_file() && !there.is_symlink();
        let moves = is_file && (is_owned(root, &self.from) || !self.is_owned_otherwise(root));
        self.run(root, "--add", moves)
    }

    /// Whether a package has the file by another name for the same folder.
    fn is_owned_otherwise(&self, root: &Path) -> bool {
        let Some((_, name)) = self.from.rsplit_once('/') else {
            return false;
        };
        let names = [FOLDER, OLD_FOLDER.0].map(|folder| format!("/{folder}/{name}"));
        names
            .iter()
            .any(|other| *other != self.from && is_owned(root, other))
    }

    /// Moves the file back, if it is there.
    fn remove(&self, root: &Path) -> Result<()> {
        self.run(root, "--remove", root.join(&self.to[1..]).exists())
    }

    fn run(&self, root: &Path, verb: &str, moves: bool) -> Result<()> {
        let rename = if moves { "--rename" } else { "--no-rename" };
        let words = [
            "--quiet", "--local", rename, "--divert", &self.to, verb, &self.from,
        ];
        run(root, "dpkg-divert", &words)
    }
}

/// Whether a package has a file by this name.
fn is_owned(root: &Path, name: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.arg("--root").arg(root).args(["--search", name]);
    query.output().is_ok_and(|output| output.status.success())
}

fn run(root: &Path, tool: &str, words: &[&str]) -> Result<()> {
    let mut command = Command::new(tool);
    command
        .arg("--root")
        .arg(root)
        .args(words)
        .stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("{tool} cannot be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{tool} {}: {}\nhint: run as root",
            words.join(" "),
            said.trim()
        );
    }
    Ok(())
}
