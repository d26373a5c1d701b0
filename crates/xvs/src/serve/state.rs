//! The daemon's files: the lock, the saved state, the socket.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use control::Saved;
use nix::fcntl::{Flock, FlockArg};

use crate::place::Place;

/// Held while a daemon runs in a network namespace.
#[derive(Debug)]
pub struct DaemonLock(#[expect(dead_code, reason = "held, not read")] Flock<File>);

/// Somebody else holds the lock.
#[derive(Debug)]
pub struct Held {
    /// The process that holds it, where it says so.
    pub pid: Option<i32>,
}

impl DaemonLock {
    /// Takes the lock of a network namespace.
    ///
    /// # Errors
    /// When the file cannot be made. That somebody holds it is told inside.
    pub fn take(place: &Place) -> Result<Result<Self, Held>> {
        let path = place.lock();
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                lock.set_len(0)?;
                write!(lock, "{}", std::process::id())?;
                Ok(Ok(Self(lock)))
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                // Only for the message.
                let _ = file.read_to_string(&mut text);
                Ok(Err(Held {
                    pid: text.trim().parse().ok(),
                }))
            }
            Err((_, error)) => bail!("cannot lock {}: {error}", path.display()),
        }
    }
}

/// Makes the folder of a place.
pub fn make_folder(place: &Place) -> Result<()> {
    let folder = place.folder();
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&folder)
        .with_context(|| format!("cannot make {}\nhint: run as root", folder.display()))
}

/// Reads what an earlier daemon saved; `None` where none did.
pub fn read(place: &Place) -> Result<Option<Saved>> {
    let path = place.state();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let saved: Saved = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is damaged\nhint: remove it; the rules are read instead",
            path.display()
        )
    })?;
    if saved.format != Saved::FORMAT {
        bail!(
            "{} is of another version of xvs\nhint: remove it; the rules are read instead",
            path.display()
        );
    }
    Ok(Some(saved))
}

/// Saves the state for the next daemon.
pub fn write(place: &Place, saved: &Saved) -> Result<()> {
    let text = serde_json::to_vec(saved)?;
    let path = place.state();
    write_atomically(&path, &text).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file so that whoever reads it sees the old or the new text, never a part.
pub fn write_atomically(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.set_permissions(Permissions::from_mode(0o640))?;
    file.write_all(text)?;
    file.sync_data()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write_atomically(&path, b"a longer first text").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
