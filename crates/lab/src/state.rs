//! What is remembered of a lab outside of it: who works on it, and why it is there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// Folder of all labs' state.
const FOLDER: &str = "/run/xvs/lab";

/// Why a lab's namespaces are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Brought up to stay until it is taken down.
    Stay,
    /// For a run. Without a process that holds the lab, the run has crashed.
    Run,
}

/// The state file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Why it is there.
    pub purpose: Purpose,
    /// The host with the director's daemon, whose data plane must be removed before it.
    pub director: Option<String>,
}

/// The one process that may change a lab. Ends with the process, whatever ends it.
#[derive(Debug)]
pub struct LabLock {
    lab: String,
    file: File,
}

impl LabLock {
    /// Takes the lab, or says who has it.
    pub fn take(lab: &str) -> Result<Self, LabError> {
        let path = lock_path(lab);
        let failed = |source| LabError::State {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(FOLDER).map_err(failed)?;
        let mut attempts = 0..3;
        loop {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(failed)?;
            match file.try_lock() {
                // `is_held` holds it, too, for a moment.
                Err(TryLockError::WouldBlock) if attempts.next().is_some() => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = fs::read_to_string(&path).unwrap_or_default();
                    let holder = if holder.is_empty() {
                        "unknown".to_owned()
                    } else {
                        holder
                    };
                    return Err(LabError::Busy {
                        lab: lab.to_owned(),
                        holder,
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Ok(()) => {}
            }
            // Its last holder may have removed the file between our opening and locking it.
            if is_file(&file, &path) {
                file.set_len(0)
                    .and_then(|()| write!(file, "{}", std::process::id()))
                    .map_err(failed)?;
                return Ok(Self {
                    lab: lab.to_owned(),
                    file,
                });
            }
        }
    }

    /// Folder for the lab's logs, made if it is not there.
    pub fn folder(&self) -> Result<PathBuf, LabError> {
        let path = folder(&self.lab);
        fs::create_dir_all(&path).map_err(|source| LabError::State {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    /// What is remembered of the lab.
    pub fn read(&self) -> Option<State> {
        read(&self.lab)
    }

    /// Remembers why the lab is there.
    pub fn write(&self, state: &State) -> Result<(), LabError> {
        let path = self.folder()?.join("state.json");
        let text = serde_json::to_string(state).expect("a state is two plain fields");
        fs::write(&path, text).map_err(|source| LabError::State { path, source })
    }
}

impl Drop for LabLock {
    fn drop(&mut self) {
        let path = lock_path(&self.lab);
        if is_file(&self.file, &path) {
            // A lock file that stays does no harm; it is the lock on it that counts.
            let _ = fs::remove_file(path);
        }
    }
}

/// Forgets what is remembered of a lab. Only for the process that holds it.
pub fn forget(lab: &str) -> Result<(), LabError> {
    let path = folder(lab);
    match fs::remove_dir_all(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(LabError::State { path, source })
        }
        _ => Ok(()),
    }
}

/// Removes the lock's file, when the process is about to end without dropping its [`LabLock`].
pub fn abandon(lab: &str) {
    // A lock file that stays does no harm; it is the lock on it that counts.
    let _ = fs::remove_file(lock_path(lab));
}

/// Whether this process holds the lab.
pub fn is_own(lab: &str) -> bool {
    fs::read_to_string(lock_path(lab)).is_ok_and(|holder| holder == std::process::id().to_string())
}

/// What is remembered of a lab, for those who only look.
pub fn read(lab: &str) -> Option<State> {
    let text = fs::read_to_string(folder(lab).join("state.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether some process works on the lab now.
pub fn is_held(lab: &str) -> bool {
    File::open(lock_path(lab))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Names of labs of which something is remembered.
pub fn remembered() -> Vec<String> {
    fs::read_dir(FOLDER)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn folder(lab: &str) -> PathBuf {
    Path::new(FOLDER).join(lab)
}

fn lock_path(lab: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{lab}.lock"))
}

fn is_file(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(own), Ok(there)) => identity(own) == identity(there),
        _ => false,
    }
}
