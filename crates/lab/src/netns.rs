//! Network namespaces: their names, what runs in them, and how a thread gets in.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

use crate::error::LabError;

/// Where `ip netns` keeps a name for each namespace.
const NAMES: &str = "/run/netns";

/// A named network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// The namespace of a lab's host.
    pub fn of(lab: &str, host: &str) -> Self {
        Self {
            name: format!("{}{host}", prefix(lab)),
        }
    }

    /// Its name, as `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host's name within the lab. Host names have no dash.
    pub fn host(&self) -> &str {
        self.name
            .rsplit_once('-')
            .map_or(&self.name, |(_, host)| host)
    }

    /// The file that holds it.
    fn path(&self) -> PathBuf {
        Path::new(NAMES).join(&self.name)
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.path().exists()
    }

    /// Runs `work` in a thread inside the namespace. Sockets and processes made there belong to it.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        let failed = |source: io::Error| LabError::Namespace {
            name: self.name.clone(),
            source,
        };
        let file = File::open(self.path()).map_err(failed)?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(&file, CloneFlags::CLONE_NEWNET)?;
                Ok(work())
            });
            match inside.join() {
                Ok(result) => result.map_err(failed),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Moves the calling thread into the namespace for good.
    pub fn enter(&self) -> Result<(), LabError> {
        let enter = || {
            let file = File::open(self.path())?;
            Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
        };
        enter().map_err(|source| LabError::Namespace {
            name: self.name.clone(),
            source,
        })
    }

    /// The processes whose main thread is inside, this one apart.
    pub fn processes(&self) -> Vec<Pid> {
        let Ok(own) = fs::metadata(self.path()) else {
            return Vec::new();
        };
        let inside = |pid: &i32| {
            fs::metadata(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|other| (other.dev(), other.ino()) == (own.dev(), own.ino()))
        };
        let mut found: Vec<i32> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(inside)
            .collect();
        found.retain(|pid| pid.cast_unsigned() != std::process::id());
        found.into_iter().map(Pid::from_raw).collect()
    }
}

/// What the names of a lab's namespaces begin with.
fn prefix(lab: &str) -> String {
    format!("xvs-{lab}-")
}

/// The namespaces of a lab that are there, from this or from an earlier run.
pub fn of_lab(lab: &str) -> Vec<Namespace> {
    let mut found: Vec<Namespace> = fs::read_dir(NAMES)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.strip_prefix(&prefix(lab))
                .is_some_and(|host| !host.contains('-'))
        })
        .map(|name| Namespace { name })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_named_after_its_lab_and_host() {
        let namespace = Namespace::of("nat-two-nics", "web1");
        assert_eq!(namespace.name(), "xvs-nat-two-nics-web1");
        assert_eq!(namespace.host(), "web1");
    }
}
