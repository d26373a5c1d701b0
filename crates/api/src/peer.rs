//! Who is at the other end of the socket.

use std::ffi::CString;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use nix::unistd::{Gid, Uid, User, getgrouplist};
use tokio::net::UnixListener;

/// The process that opened a connection, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its user; `None` where the kernel did not say.
    pub user: Option<u32>,
    /// Its group.
    pub group: Option<u32>,
}

impl Peer {
    /// Whether it is root, or a member of this group, if there is one.
    pub fn may_write(&self, group: Option<u32>) -> bool {
        match (self.user, self.group, group) {
            (Some(0), ..) => true,
            (_, Some(own), Some(group)) if own == group => true,
            (Some(user), Some(own), Some(group)) => belongs(user, own, group),
            _ => false,
        }
    }
}

/// Whether the user database says that a user is a member of a group.
fn belongs(user: u32, own: u32, group: u32) -> bool {
    let name = User::from_uid(Uid::from_raw(user))
        .ok()
        .flatten()
        .map(|user| user.name);
    let groups = name
        .and_then(|name| CString::new(name).ok())
        .and_then(|name| getgrouplist(&name, Gid::from_raw(own)).ok());
    groups.is_some_and(|groups| groups.contains(&Gid::from_raw(group)))
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred().ok();
        Self {
            user: credentials.as_ref().map(|credentials| credentials.uid()),
            group: credentials.as_ref().map(|credentials| credentials.gid()),
        }
    }
}
