//! Which network namespaces there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

use crate::error::Error;

/// Inode number of the machine's own namespace of processes: `PROC_PID_INIT_INO`.
const FIRST_PROCESSES: u64 = 0xEFFF_FFFC;

/// The cookie of the network namespace that this thread is in. Other than an inode number it is
/// not used again while the machine runs.
///
/// # Errors
/// On kernels before 5.14, which do not tell it, and where no socket can be had.
pub fn netns_cookie() -> Result<u64, Error> {
    cookie().map_err(|cause| match cause.raw_os_error() {
        Some(libc::ENOPROTOOPT) => Error::old_kernel(),
        _ => Error::Namespace(cause),
    })
}

fn cookie() -> io::Result<u64> {
    let socket = UnixDatagram::unbound()?;
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: `cookie` is as long as `length` says, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    match result {
        0 => Ok(cookie),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The network namespaces that were found.
#[derive(Debug, Default)]
pub struct Census {
    /// Their cookies.
    pub living: BTreeSet<u64>,
    /// Whether there can be no others. A namespace that only a socket holds is not found; nothing
    /// can be sent to it, since nobody knows it.
    pub is_complete: bool,
}

impl Census {
    /// Looks for network namespaces: those of every thread, those that a process has open, and
    /// those mounted in any mount namespace.
    pub fn take() -> Self {
        let mut search = Search {
            is_complete: sees_all_processes(),
            ..Search::default()
        };
        for process in search.entries("/proc".into()) {
            let is_process = process.file_name().and_then(|name| name.to_str());
            if is_process.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
                search.process(&process);
            }
        }
        let Search {
            found, is_complete, ..
        } = search;
        let entered = std::thread::spawn(move || -> Vec<Option<u64>> {
            found.into_values().map(|path| cookie_of(&path)).collect()
        });
        let cookies = entered.join().unwrap_or_else(|_| vec![None]);
        Self {
            is_complete: is_complete && cookies.iter().all(Option::is_some),
            living: cookies.into_iter().flatten().collect(),
        }
    }
}

/// The cookie of a namespace, which this thread enters.
fn cookie_of(path: &Path) -> Option<u64> {
    let namespace = File::open(path).ok()?;
    setns(namespace, CloneFlags::CLONE_NEWNET).ok()?;
    cookie().ok()
}

/// In a container there may be processes elsewhere.
fn sees_all_processes() -> bool {
    fs::metadata("/proc/self/ns/pid").is_ok_and(|found| found.ino() == FIRST_PROCESSES)
}

#[derive(Debug, Default)]
struct Search {
    /// By the text that links to the namespace have, which has its inode number: a way to it.
    found: BTreeMap<String, PathBuf>,
    /// Mount namespaces that were looked at.
    mounts: BTreeSet<PathBuf>,
    is_complete: bool,
}

impl Search {
    fn process(&mut self, process: &Path) {
        for thread in self.entries(process.join("task")) {
            self.link(thread.join("ns/net"));
        }
        for file in self.entries(process.join("fd")) {
            self.link(file);
        }
        let mounts = fs::read_link(process.join("ns/mnt"));
        if let Some(mounts) = self.known(mounts)
            && self.mounts.insert(mounts)
        {
            let table = fs::read_to_string(process.join("mountinfo"));
            let table = self.known(table).unwrap_or_default();
            self.mounted(process, &table);
        }
    }

    /// Takes in what a link leads to, if that is a network namespace.
    fn link(&mut self, path: PathBuf) {
        let target = fs::read_link(&path);
        let Some(target) = self.known(target) else {
            return;
        };
        if let Some(target) = target.to_str().filter(|target| is_network(target)) {
            self.found.entry(target.to_owned()).or_insert(path);
        }
    }

    /// Takes in the namespaces among a process's mounts (proc_pid_mountinfo(5)): the fourth field
    /// is what is mounted, the fifth where.
    fn mounted(&mut self, process: &Path, table: &str) {
        for mount in table.lines() {
            let mut fields = mount.split(' ').skip(3);
            let (Some(what), Some(place)) = (fields.next(), fields.next()) else {
                continue;
            };
            if !is_network(what) || self.found.contains_key(what) {
                continue;
            }
            let path = process.join("root").join(place.trim_start_matches('/'));
            // Another mount may hide it, and blanks in names are written otherwise.
            if is_inode(&path, what) {
                self.found.insert(what.to_owned(), path);
            } else {
                self.is_complete = false;
            }
        }
    }

    fn entries(&mut self, folder: PathBuf) -> Vec<PathBuf> {
        let entries = self.known(fs::read_dir(folder));
        let entries = entries.into_iter().flatten();
        let known = entries.filter_map(|entry| self.known(entry));
        known.map(|entry| entry.path()).collect()
    }

    /// What was read. Something that has ended meanwhile is no gap; something that may not be read
    /// is one.
    fn known<T>(&mut self, result: io::Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                let has_ended = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH));
                self.is_complete &= has_ended;
            })
            .ok()
    }
}

fn is_network(link: &str) -> bool {
    link.starts_with("net:[")
}

fn is_inode(path: &Path, link: &str) -> bool {
    fs::metadata(path).is_ok_and(|found| link == format!("net:[{}]", found.ino()))
}
