//! What is remembered of a lab outside of it, until it is removed: why it is there, and its logs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// Folder of all labs' state.
pub(crate) const FOLDER: &str = "/run/xvs/lab";

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
    /// The hosts with a director's daemon, whose data planes must be removed before them.
    pub directors: Vec<String>,
}

/// What is remembered of a lab. None if it is not there, and if a crash left half a file.
pub fn read(lab: &str) -> Option<State> {
    let text = fs::read_to_string(folder(lab).join("state.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Remembers a lab. Only for the process that holds it.
pub fn write(lab: &str, state: &State) -> Result<(), LabError> {
    let path = logs(lab)?.join("state.json");
    let text = serde_json::to_string(state).expect("a state is two plain fields");
    fs::write(&path, text).map_err(|source| LabError::State { path, source })
}

/// Folder for a lab's logs, made if it is not there.
pub fn logs(lab: &str) -> Result<PathBuf, LabError> {
    let path = folder(lab);
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(LabError::State { path, source }),
    }
}

/// Folder with the program under the names that it is called by, for shells on a lab's hosts.
pub fn programs(lab: &str, xvs: &Path) -> Result<PathBuf, LabError> {
    let folder = logs(lab)?.join("bin");
    let failed = |source| LabError::State {
        path: folder.clone(),
        source,
    };
    fs::create_dir_all(&folder).map_err(failed)?;
    for name in ["xvs", "ipvsadm", "ipvsadm-save", "ipvsadm-restore"] {
        match std::os::unix::fs::symlink(xvs, folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
    }
    Ok(folder)
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
