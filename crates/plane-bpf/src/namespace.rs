//! Network namespaces: which this is, and which are no more.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use crate::error::Error;
use crate::{attach, pins};

/// The cookie of the network namespace that this thread is in. Other than an inode number it is
/// not used again while the machine runs.
///
/// # Errors
/// On kernels before 5.14, which do not tell it.
pub fn netns_cookie() -> io::Result<u64> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").or_else(|_| any_socket())?;
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
    if result == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// In a namespace whose loopback is down, 127.0.0.1 cannot be bound to.
fn any_socket() -> io::Result<std::net::UdpSocket> {
    std::net::UdpSocket::bind("0.0.0.0:0")
}

/// Removes what belongs to network namespaces that are gone: pins, and the state folders beside
/// them. Does nothing where it cannot be sure that all namespaces are known.
///
/// # Errors
/// When pins cannot be removed.
pub fn remove_stale(root: &Path) -> Result<(), Error> {
    let reached = pins::reached(&root.join("bpf"));
    let Ok(entries) = fs::read_dir(&reached) else {
        return Ok(());
    };
    let Some(living) = living_cookies() else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let cookie = name.to_str().and_then(|name| name.parse::<u64>().ok());
        if cookie.is_none_or(|cookie| living.contains(&cookie)) {
            continue;
        }
        attach::detach_all(&entry.path());
        pins::remove(&entry.path())?;
        // State without a data plane is of no use to anybody; its absence is no error.
        let _ = fs::remove_dir_all(root.join(&name));
    }
    Ok(())
}

/// The cookies of all network namespaces that a process is in or that are mounted somewhere; `None`
/// where one of them cannot be looked at.
fn living_cookies() -> Option<BTreeSet<u64>> {
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for path in namespace_files() {
        let Ok(file) = File::open(&path) else {
            // Gone between listing and looking, or a zombie's.
            continue;
        };
        let metadata = file.metadata().ok()?;
        if seen.insert((metadata.dev(), metadata.ino())) {
            files.push(file);
        }
    }
    let entered = std::thread::spawn(move || {
        let cookies = files.iter().filter_map(|file| {
            match setns(file, CloneFlags::CLONE_NEWNET) {
                Ok(()) => Some(netns_cookie().ok()),
                // A namespace of another kind.
                Err(Errno::EINVAL) => None,
                Err(_) => Some(None),
            }
        });
        cookies.collect()
    });
    entered.join().ok()?
}

fn namespace_files() -> impl Iterator<Item = PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_processes = processes
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
        .map(|entry| entry.path().join("ns/net"));
    let mounted = ["/proc/1", "/proc/self"].into_iter().flat_map(|process| {
        let mounts = fs::read_to_string(format!("{process}/mountinfo")).unwrap_or_default();
        let of_namespaces = mounts
            .lines()
            .filter(|line| line.contains(" - nsfs "))
            .map(|line| {
                let point = line
                    .split(' ')
                    .nth(4)
                    .unwrap_or_default()
                    .trim_start_matches('/');
                Path::new(process).join("root").join(point)
            });
        of_namespaces.collect::<Vec<_>>()
    });
    of_processes.chain(mounted)
}
