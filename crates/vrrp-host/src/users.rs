//! The users that commands run as.

use nix::unistd::{Group, User};

/// Who runs commands if the configuration does not say, and is there.
const USUAL: &str = "keepalived_script";

/// A user or group that is not there.
#[derive(Debug, thiserror::Error)]
#[error("there is no {kind} {name}, who is to run commands\nhint: another script_user, or make it")]
pub struct NoSuchUser {
    kind: &'static str,
    name: String,
}

/// The numbers of a user and a group; None: the user's own.
pub(crate) fn find(user: &str, group: Option<&str>) -> Result<(u32, u32), NoSuchUser> {
    let missing = |kind, name: &str| NoSuchUser {
        kind,
        name: name.to_owned(),
    };
    let found = User::from_name(user)
        .ok()
        .flatten()
        .ok_or_else(|| missing("user", user))?;
    let group = match group {
        Some(name) => {
            Group::from_name(name)
                .ok()
                .flatten()
                .ok_or_else(|| missing("group", name))?
                .gid
        }
        None => found.gid,
    };
    Ok((found.uid.as_raw(), group.as_raw()))
}

/// keepalived's own user for commands; None: as this process.
pub(crate) fn usual() -> Option<(u32, u32)> {
    find(USUAL, None).ok()
}
