//! Configuration files in keepalived's language, from the disk.

pub mod program;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use config::{Config, Environment, Files, Reading};

use crate::output;

/// Where keepalived looks for its configuration.
pub const FILE: &str = "/etc/keepalived/keepalived.conf";
/// keepalived's exit code of a configuration that its `-t` finds errors in.
const ERRORS: u8 = 5;
/// How many patterns braces in one pattern may amount to.
const MOST_PATTERNS: usize = 1024;

/// Which file, as whom.
#[derive(Debug, Clone, Args)]
pub struct FileOptions {
    /// A configuration file in keepalived's language
    #[arg(default_value = FILE)]
    pub file: PathBuf,
    /// What `@' conditions and ${_INSTANCE} name, instead of the host's name up to its first dot
    #[arg(short = 'i', long, value_name = "ID")]
    pub config_id: Option<String>,
    /// Which parts of it are used.
    #[arg(skip)]
    pub parts: Parts,
}

/// The parts of a configuration that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Virtual routers.
    pub vrrp: bool,
    /// Virtual servers and their checks.
    pub checks: bool,
    /// BFD sessions.
    pub bfd: bool,
}

impl Default for Parts {
    /// All of them.
    fn default() -> Self {
        Self {
            vrrp: true,
            checks: true,
            bfd: true,
        }
    }
}

impl Parts {
    /// Leaves out of a configuration what is not wanted.
    fn leave(self, config: &mut Config) {
        if !self.vrrp {
            config.vrrp_instances.clear();
            config.sync_groups.clear();
            config.scripts.clear();
            config.track_processes.clear();
        }
        if !self.checks {
            config.virtual_servers.clear();
            config.groups.clear();
        }
        if !self.bfd {
            config.bfd_instances.clear();
            let instances = config.vrrp_instances.iter_mut();
            instances.for_each(|instance| instance.track_bfds.clear());
            let groups = config.sync_groups.iter_mut();
            groups.for_each(|group| group.track_bfds.clear());
        }
    }
}

/// Reads a file with all that it includes.
///
/// # Errors
/// When it cannot be read at all.
pub fn read(options: &FileOptions) -> Result<Reading> {
    let environment = Environment {
        config_id: options.config_id.clone().map_or_else(host, Ok)?,
        random_seed: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    };
    let file = std::path::absolute(&options.file)?;
    let mut reading = config::read(&file, &Disk, &environment)
        .map_err(|why| anyhow!("{}: {why}", options.file.display()))?;
    options.parts.leave(&mut reading.config);
    Ok(reading)
}

/// `xvs check`.
pub fn check(options: &FileOptions) -> Result<ExitCode> {
    let reading = read(options)?;
    eprint!("{}", reading.rendered(std::io::stderr().is_terminal()));
    if reading.has_errors() {
        return Ok(ExitCode::from(ERRORS));
    }
    Ok(ExitCode::SUCCESS)
}

/// `xvs config show`.
pub fn show(options: &FileOptions, json: bool) -> Result<ExitCode> {
    let reading = read(options)?;
    eprint!("{}", reading.rendered(std::io::stderr().is_terminal()));
    output::json_or(json, &reading.config, || &reading.config)?;
    if reading.has_errors() {
        return Ok(ExitCode::from(ERRORS));
    }
    Ok(ExitCode::SUCCESS)
}

fn host() -> Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .context("the host's name is not known")?;
    Ok(name.trim().split('.').next().unwrap_or_default().to_owned())
}

/// The files of this machine.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn matching(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut patterns = vec![pattern.to_string_lossy().into_owned()];
        while let Some(index) = patterns
            .iter()
            .position(|pattern| braces(pattern).is_some())
        {
            let Some(plain) = braces(&patterns[index]) else {
                break;
            };
            if patterns.len() + plain.len() > MOST_PATTERNS {
                break;
            }
            patterns.splice(index..=index, plain);
        }
        patterns
            .iter()
            .filter_map(|pattern| glob::glob(pattern).ok())
            .flat_map(|paths| paths.flatten())
            .filter(|path| !path.is_dir())
            .collect()
    }
}

/// The pattern once for each choice of its first outermost braces, as glob(3)
/// has them with GLOB_BRACE.
fn braces(pattern: &str) -> Option<Vec<String>> {
    let open = pattern.find('{')?;
    let mut choices = Vec::new();
    let mut begin = open + 1;
    let mut depth = 0usize;
    for (at, mark) in pattern.char_indices().filter(|&(at, _)| at > open) {
        match mark {
            '{' => depth += 1,
            ',' if depth == 0 => {
                choices.push(&pattern[begin..at]);
                begin = at + 1;
            }
            '}' if depth == 0 => {
                choices.push(&pattern[begin..at]);
                let (before, after) = (&pattern[..open], &pattern[at + 1..]);
                return Some(
                    choices
                        .iter()
                        .map(|choice| format!("{before}{choice}{after}"))
                        .collect(),
                );
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_may_have_wildcards_and_braces_within_braces() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["cat.conf", "dog.conf", "cow.txt", "ant.conf"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            Disk.matching(&folder.path().join(pattern))
                .iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names("*.conf"), ["ant.conf", "cat.conf", "dog.conf"]);
        assert_eq!(
            names("{cat,{dog,ant}}.conf"),
            ["cat.conf", "dog.conf", "ant.conf"]
        );
        assert_eq!(names("bee.conf"), Vec::<String>::new());
    }
}
