//! The BPF file system that holds the pins, in the machine's own mount namespace.
//!
//! `ip netns exec` gives a command a mount namespace of its own, which ends with its last process,
//! and with it every file system that is mounted only there; pinned links would detach. So the file
//! system is mounted where the machine's first process sees it. Where that process keeps to itself
//! (a container's, or one with more privileges), the oldest ancestor that lets us takes its place.
//!
//! A mount made there is not always seen here: `ip netns exec` cuts its copy off where the
//! machine's mounts are private. So the file system is used through an open file, which no mount
//! namespace hides.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use nix::sys::statfs::{BPF_FS_MAGIC, fstatfs};

/// A mounted BPF file system.
#[derive(Debug)]
pub struct BpfFs {
    root: OwnedFd,
    /// Where it is mounted, for people.
    mount_point: PathBuf,
}

/// Held by whoever mounts, unmounts, or makes the first folder. It is on the folder above the mount
/// point, which is the same in every mount namespace.
pub type Lock = Flock<File>;

/// A mounted BPF file system that nobody unmounts meanwhile, however empty it is.
pub type Held = (BpfFs, Lock);

impl BpfFs {
    /// The file system that is mounted at `mount_point`, in the mount namespace of an ancestor or
    /// in this one.
    pub fn find(mount_point: &Path) -> Option<Self> {
        let views = views();
        let mut found = views
            .iter()
            .map(|view| view.within(mount_point, open_mounted));
        found.find_map(Result::ok)
    }

    /// Finds the file system, or mounts it where it stays longest.
    pub fn find_or_mount(mount_point: &Path) -> io::Result<Held> {
        let views = views();
        let mut found = views
            .iter()
            .map(|view| view.within(mount_point, hold_mounted));
        if let Some(found) = found.find_map(Result::ok) {
            return Ok(found);
        }
        let mut refusal = None;
        for view in &views {
            match view.within(mount_point, mount_and_hold) {
                Ok(made) => {
                    if refusal.is_some() {
                        warn_that_it_ends();
                    }
                    return Ok(made);
                }
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.unwrap_or_else(|| io::Error::other("there is no mount namespace")))
    }

    /// Its root as a path that leads there from every mount namespace, for this process.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.root.as_raw_fd()).into()
    }

    /// The names of the folders in it. The kernel may have put files of its own there.
    pub fn folders(&self) -> io::Result<Vec<String>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.extend(entry.file_name().into_string());
            }
        }
        Ok(folders)
    }

    /// Where it is mounted, for messages.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Unmounts it where there is no folder in it. Whoever has it open keeps what he has.
    pub fn unmount_if_unused(self) {
        let mount_point = self.mount_point.clone();
        drop(self);
        let views = views();
        let mut unmounted = views.iter().map(|view| view.within(&mount_point, unmount));
        // Where it is mounted nowhere, it is as it should be.
        let _done = unmounted.any(|unmounted| unmounted.is_ok());
    }
}

fn warn_that_it_ends() {
    tracing::warn!(
        "the BPF file system could not be mounted in the machine's mount namespace, only in a \
         younger one: when that one's last process ends, forwarding ends"
    );
}

/// A mount namespace to look from.
#[derive(Debug)]
enum View {
    /// This process's own.
    Own,
    /// That of an ancestor. The file is the namespace.
    Other(File),
}

impl View {
    /// Does something in the mount namespace, on a thread that can leave its process's for good.
    fn within<T: Send>(
        &self,
        mount_point: &Path,
        action: impl FnOnce(&Path) -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let Self::Other(namespace) = self else {
            return action(mount_point);
        };
        let entered = || {
            unshare(CloneFlags::CLONE_FS)?;
            setns(namespace, CloneFlags::CLONE_NEWNS)?;
            action(mount_point)
        };
        std::thread::scope(|scope| {
            let outcome = scope.spawn(entered).join();
            outcome.unwrap_or_else(|_| Err(io::Error::other("the thread that entered panicked")))
        })
    }
}

/// The mount namespaces of the first process and of our ancestors, from the oldest on, as far as
/// they may be entered, and our own.
fn views() -> Vec<View> {
    let own = identity(Path::new("/proc/thread-self/ns/mnt"));
    let mut seen = Vec::new();
    let mut views = Vec::new();
    for process in oldest_first() {
        let namespace = PathBuf::from(format!("/proc/{process}/ns/mnt"));
        let Some(found) = identity(&namespace) else {
            continue;
        };
        if Some(found) == own {
            break;
        }
        if let Ok(file) = File::open(namespace)
            && !seen.contains(&found)
        {
            seen.push(found);
            views.push(View::Other(file));
        }
    }
    views.push(View::Own);
    views
}

/// What tells a namespace from others.
fn identity(namespace: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(namespace).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The first process, and our ancestors from the oldest on.
fn oldest_first() -> Vec<u32> {
    let mut processes = vec![std::process::id()];
    while let Some(parent) = processes.last().copied().and_then(parent_of) {
        // 0 stands for a parent in another namespace of processes.
        if parent == 0 || processes.contains(&parent) {
            break;
        }
        processes.push(parent);
    }
    processes.push(1);
    processes.reverse();
    processes
}

/// The parent of a process: the second field behind its name, which stands in parentheses and may
/// contain anything (proc(5)).
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn open_mounted(mount_point: &Path) -> io::Result<BpfFs> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(mount_point, flags, Mode::empty())?;
    if fstatfs(&root)?.filesystem_type() != BPF_FS_MAGIC {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(BpfFs {
        root,
        mount_point: mount_point.to_owned(),
    })
}

fn hold_mounted(mount_point: &Path) -> io::Result<Held> {
    let lock = lock(mount_point)?;
    Ok((open_mounted(mount_point)?, lock))
}

fn mount_and_hold(mount_point: &Path) -> io::Result<Held> {
    fs::create_dir_all(mount_point.parent().unwrap_or(mount_point))?;
    let lock = lock(mount_point)?;
    // Another process may have been faster.
    if open_mounted(mount_point).is_err() {
        fs::create_dir_all(mount_point)?;
        let bpf = Some("bpf");
        let mounted = mount(bpf, mount_point, bpf, MsFlags::empty(), Some("mode=0700"));
        if mounted.is_err() {
            // A folder that holds anything stays.
            let _left = fs::remove_dir(mount_point);
        }
        mounted?;
    }
    Ok((open_mounted(mount_point)?, lock))
}

fn unmount(mount_point: &Path) -> io::Result<()> {
    let _lock = lock(mount_point)?;
    if !open_mounted(mount_point)?.folders()?.is_empty() {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    umount2(
        mount_point,
        MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW,
    )?;
    fs::remove_dir(mount_point)
}

fn lock(mount_point: &Path) -> io::Result<Lock> {
    let folder = File::open(mount_point.parent().unwrap_or(mount_point))?;
    Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}
