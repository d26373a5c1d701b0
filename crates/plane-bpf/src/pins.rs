//! The pins of one data plane: its folder in the BPF file system.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::mount::BpfFs;

/// Where the file system is mounted, beside the folders of state.
const FILE_SYSTEM: &str = "bpf";
/// Folders in the folder, in the order in which they are emptied.
const FOLDERS: [&str; 5] = ["links", "trace", "programs", "needs", "maps"];

/// The folder of a data plane's pins.
#[derive(Debug)]
pub struct Pins {
    file_system: BpfFs,
    /// The folder's name: that of the folder of state.
    name: PathBuf,
}

impl Pins {
    /// The pins that belong to a folder of state, if there are any.
    pub fn find(state: &Path) -> Option<Self> {
        let (mount_point, name) = place(state);
        let file_system = BpfFs::find(&mount_point)?;
        let pins = Self { file_system, name };
        pins.path("").exists().then_some(pins)
    }

    /// A new folder of pins for a folder of state.
    ///
    /// # Errors
    /// When there is one already, or the file system cannot be mounted.
    pub fn make(state: &Path) -> Result<Self, Error> {
        let (mount_point, name) = place(state);
        let held = BpfFs::find_or_mount(&mount_point);
        let (file_system, _lock) =
            held.map_err(|cause| Error::NoFileSystem { mount_point, cause })?;
        let pins = Self { file_system, name };
        fs::create_dir(pins.path("")).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists {
                pins: pins.shown(""),
            },
            _ => pins.failed("a folder of pins cannot be made", "")(cause),
        })?;
        for folder in FOLDERS {
            pins.make_folder(folder)?;
        }
        Ok(pins)
    }

    /// Where a pin is, for this process.
    pub fn path(&self, pin: impl AsRef<Path>) -> PathBuf {
        self.file_system.path().join(&self.name).join(pin)
    }

    /// Where a pin is, for people.
    pub fn shown(&self, pin: impl AsRef<Path>) -> PathBuf {
        self.file_system.mount_point().join(&self.name).join(pin)
    }

    /// The error when something fails with a pin.
    pub fn failed<P: AsRef<Path>>(
        &self,
        what: &'static str,
        pin: P,
    ) -> impl FnOnce(io::Error) -> Error + use<P> {
        Error::file(what, self.shown(pin))
    }

    /// Makes a folder, if it is not there.
    pub fn make_folder(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        match fs::create_dir(self.path(&folder)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(self
                .failed("a folder of pins cannot be made", folder)(
                error
            )),
            _ => Ok(()),
        }
    }

    /// The names in a folder, sorted; none where there is no such folder.
    pub fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }

    /// Removes a pin or a folder with all its pins. What is not there is removed already.
    pub fn remove(&self, pin: impl AsRef<Path>) -> Result<(), Error> {
        let path = self.path(&pin);
        let removed = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("a pin cannot be removed", pin)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the folder. What is pinned in it ends, unless something else holds it.
    pub fn remove_all(self) -> Result<(), Error> {
        for folder in FOLDERS {
            self.remove(folder)?;
        }
        self.remove("")?;
        self.file_system.unmount_if_unused();
        Ok(())
    }
}

/// The names of all folders of pins beside some folders of state.
pub fn all(root: &Path) -> Vec<String> {
    let file_system = BpfFs::find(&root.join(FILE_SYSTEM));
    let folders = file_system.and_then(|found| found.folders().ok());
    folders.unwrap_or_default()
}

/// The mount point and the folder's name that belong to a folder of state.
fn place(state: &Path) -> (PathBuf, PathBuf) {
    let root = state.parent().unwrap_or(Path::new("/"));
    let name = state.file_name().unwrap_or_default();
    (root.join(FILE_SYSTEM), name.into())
}
