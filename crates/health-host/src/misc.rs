//! MISC_CHECK, and every other command of a configuration: run as its user, without a shell.

use std::process::Stdio;

use config::model::Script;
use nix::unistd::{Group, User};
use tokio::process::Command;

use crate::{Done, Failure};

/// Who runs commands that name nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub user: u32,
    /// The group's.
    pub group: u32,
}

impl Owner {
    /// The owner of these names; the group is the user's where none is named.
    ///
    /// # Errors
    /// When there is no such user or group.
    pub fn named(user: &str, group: Option<&str>) -> Result<Self, String> {
        let found = User::from_name(user).map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| format!("there is no user `{user}'"))?;
        let group = match group {
            None => found.gid,
            Some(name) => {
                let group = Group::from_name(name).map_err(|error| error.to_string())?;
                group
                    .ok_or_else(|| format!("there is no group `{name}'"))?
                    .gid
            }
        };
        Ok(Self {
            user: found.uid.as_raw(),
            group: group.as_raw(),
        })
    }
}

/// A command, ready to be started.
///
/// # Errors
/// When its user or group is not there.
pub fn command(script: &Script, default: Option<&Owner>) -> Result<Command, String> {
    let (program, arguments) = script.command.split_first().ok_or("there is no command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let owner = match &script.user {
        Some(user) => Some(Owner::named(user, script.group.as_deref())?),
        None => default.cloned(),
    };
    // Only root can be another.
    if let Some(owner) = owner.filter(|_| nix::unistd::geteuid().is_root()) {
        command.uid(owner.user).gid(owner.group);
    }
    Ok(command)
}

pub(crate) async fn check(script: &Script, dynamic: bool, default: Option<&Owner>) -> Done {
    let status = command(script, default)
        .map_err(Failure::Server)?
        .status()
        .await?;
    match status.code() {
        Some(0) => Ok(None),
        Some(code @ 2..=255) if dynamic => Ok(Some(code - 2)),
        Some(code) => Err(Failure::Server(format!("exit code {code}"))),
        None => Err(Failure::Server("ended by a signal".to_owned())),
    }
}
