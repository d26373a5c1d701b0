//! The one process that may change a lab, for as long as it lives.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::LabError;
use crate::state::FOLDER;

/// How often a lock that is taken is tried again: who only looks holds it for a moment, too.
const ATTEMPTS: usize = 4;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// A lab that is held. The kernel lets go of it when the process ends, whatever ends it.
#[derive(Debug)]
pub struct LabLock {
    lab: String,
    file: File,
}

impl LabLock {
    /// Takes the lab, or says who has it.
    pub fn take(lab: &str) -> Result<Self, LabError> {
        let path = path(lab);
        for _ in 0..ATTEMPTS {
            let taken = try_take(&path).map_err(|source| LabError::State {
                path: path.clone(),
                source,
            })?;
            if let Some(file) = taken {
                let lab = lab.to_owned();
                return Ok(Self { lab, file });
            }
            std::thread::sleep(PAUSE);
        }
        let holder = fs::read_to_string(&path).unwrap_or_default();
        Err(LabError::Busy {
            lab: lab.to_owned(),
            holder: if holder.is_empty() {
                "unknown".to_owned()
            } else {
                holder
            },
        })
    }

    /// The lab.
    pub fn lab(&self) -> &str {
        &self.lab
    }
}

impl Drop for LabLock {
    fn drop(&mut self) {
        if is_file(&self.file, &path(&self.lab)) {
            abandon(&self.lab);
        }
    }
}

/// Removes the lock's file, also when the process is about to end without dropping its [`LabLock`].
///
/// A file that stays does no harm; it is the lock on it that counts.
pub fn abandon(lab: &str) {
    let _ = fs::remove_file(path(lab));
    // Succeeds for the last lab only.
    let _ = fs::remove_dir(FOLDER);
}

/// Whether this process holds the lab.
pub fn is_own(lab: &str) -> bool {
    fs::read_to_string(path(lab)).is_ok_and(|holder| holder == std::process::id().to_string())
}

/// Whether some process holds the lab now.
pub fn is_held(lab: &str) -> bool {
    File::open(path(lab))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The locked file with this process's number in it. None if another process has it.
fn try_take(path: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(FOLDER)?;
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path);
    let mut file = match opened {
        // Its last holder has removed the folder between our making it and using it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    // Its last holder may have removed the file between our opening and locking it.
    if !is_file(&file, path) {
        return Ok(None);
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(Some(file))
}

fn path(lab: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{lab}.lock"))
}

/// Whether an open file is still the one at that path.
fn is_file(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(own), Ok(there)) => identity(own) == identity(there),
        _ => false,
    }
}
