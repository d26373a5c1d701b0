//! Where pins are: a BPF file system in the machine's own mount namespace.
//!
//! `ip netns exec` gives a process a mount namespace of its own, which ends with its last process,
//! and everything mounted in it. So the file system is mounted where process 1 sees it, and reached
//! by process 1's root where we would not see it otherwise.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::error::Error;

/// The folder of pins that belongs to a folder of state. Does not make it.
pub fn folder(state: &Path) -> PathBuf {
    let root = state.parent().unwrap_or(Path::new("/"));
    let name = state.file_name().unwrap_or_default();
    reached(&root.join("bpf")).join(name)
}

/// The file system of pins below a root of state folders, as this process reaches it.
pub fn reached(mount_point: &Path) -> PathBuf {
    let Ok(relative) = mount_point.strip_prefix("/") else {
        return mount_point.to_owned();
    };
    let by_first_process = Path::new("/proc/1/root").join(relative);
    let is_own_view = same_file("/proc/1/ns/mnt", "/proc/thread-self/ns/mnt");
    if is_own_view || !is_bpf(&by_first_process) {
        mount_point.to_owned()
    } else {
        by_first_process
    }
}

fn same_file(one: &str, other: &str) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        // Who may not look at process 1 cannot use its view either.
        _ => true,
    }
}

fn is_bpf(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.filesystem_type() == BPF_FS_MAGIC)
}

/// Makes sure that the folder of pins is there, with its file system.
pub fn prepare(state: &Path) -> Result<PathBuf, Error> {
    let root = state.parent().unwrap_or(Path::new("/"));
    let mount_point = root.join("bpf");
    fs::create_dir_all(&mount_point)
        .map_err(Error::file("a folder cannot be made", &mount_point))?;
    // Two that mount at once would hide each other's pins.
    let folder_of_all =
        fs::File::open(root).map_err(Error::file("a folder cannot be opened", root))?;
    let _alone = Flock::lock(folder_of_all, FlockArg::LockExclusive)
        .map_err(|(_, errno)| Error::file("a folder cannot be locked", root)(errno.into()))?;
    if !is_bpf(&reached(&mount_point)) && mount_for_machine(&mount_point).is_err() {
        tracing::warn!(
            "the BPF file system is mounted in this mount namespace only: the data plane ends with \
             its last process"
        );
        mount_bpf(&mount_point).map_err(Error::file("cannot mount the BPF file system", root))?;
    }
    let pins = folder(state);
    for name in ["maps", "programs", "links"] {
        let path = pins.join(name);
        fs::create_dir_all(&path).map_err(Error::file("a folder of pins cannot be made", path))?;
    }
    Ok(pins)
}

/// Mounts the file system in process 1's mount namespace. A thread enters it, since a thread can
/// leave its process's view for good.
fn mount_for_machine(mount_point: &Path) -> io::Result<()> {
    let mount_point = mount_point.to_owned();
    let entered = std::thread::spawn(move || -> io::Result<()> {
        let namespace = fs::File::open("/proc/1/ns/mnt")?;
        unshare(CloneFlags::CLONE_FS)?;
        setns(namespace, CloneFlags::CLONE_NEWNS)?;
        fs::create_dir_all(&mount_point)?;
        if is_bpf(&mount_point) {
            Ok(())
        } else {
            mount_bpf(&mount_point)
        }
    });
    entered
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the mounting thread panicked")))
}

fn mount_bpf(mount_point: &Path) -> io::Result<()> {
    mount(
        Some("bpf"),
        mount_point,
        Some("bpf"),
        MsFlags::empty(),
        Some("mode=0700"),
    )
    .map_err(io::Error::from)
}

/// Removes a folder of pins. What is pinned there ends, unless something else holds it.
pub fn remove(pins: &Path) -> Result<(), Error> {
    for name in ["links", "programs", "maps"] {
        let Ok(entries) = fs::read_dir(pins.join(name)) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            fs::remove_file(&path).map_err(Error::file("a pin cannot be removed", path))?;
        }
        let path = pins.join(name);
        fs::remove_dir(&path).map_err(Error::file("a folder of pins cannot be removed", path))?;
    }
    match fs::remove_dir(pins) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(
            "a folder of pins cannot be removed",
            pins,
        )(error)),
        _ => Ok(()),
    }
}
