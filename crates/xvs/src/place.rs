//! Where a director of this network namespace keeps its state and its socket.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::settings::explained;

/// Names another folder than [`DEFAULT`] to the command lines.
const VARIABLE: &str = "XVS_STATE_DIR";
/// Where state is kept, in a folder of its own for each network namespace.
pub const DEFAULT: &str = "/run/xvs";

/// The folder of one network namespace.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
    /// The namespace's cookie: never used again while the machine runs, other than inode numbers.
    pub cookie: u64,
}

impl Place {
    /// The place of this process's network namespace, below `root`.
    ///
    /// # Errors
    /// When the kernel does not tell the namespace's cookie.
    pub fn here(root: impl Into<PathBuf>) -> Result<Self> {
        let cookie = plane_bpf::netns_cookie()?;
        Ok(Self {
            root: root.into(),
            cookie,
        })
    }

    /// Where all namespaces' folders are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder itself.
    pub fn folder(&self) -> PathBuf {
        self.root.join(self.cookie.to_string())
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.folder().join("control.sock")
    }

    /// Held by the daemon while it runs.
    pub fn lock(&self) -> PathBuf {
        self.folder().join("daemon.lock")
    }

    /// What the next daemon goes on from.
    pub fn state(&self) -> PathBuf {
        self.folder().join("state.json")
    }
}

/// Where the command lines look for the daemon.
pub fn root() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(DEFAULT), PathBuf::from)
}

/// A client of this network namespace's daemon.
///
/// # Errors
/// When the kernel does not tell which namespace this is.
pub fn client() -> Result<api::Client> {
    Ok(api::Client::new(Place::here(root())?.socket()))
}

/// As [`client`], once the daemon has answered.
///
/// # Errors
/// When there is none, or it may not be spoken to.
pub fn connected() -> Result<api::Client> {
    let mut client = client()?;
    adm::Director::connect(&mut client).map_err(|error| explained(error.into()))?;
    Ok(client)
}
