//! Removing what network namespaces left that are gone.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::attach;
use crate::error::Error;
use crate::links::Link;
use crate::namespace::{Census, netns_cookie};
use crate::pins::{self, Pins};

/// Removes what belongs to network namespaces that are gone: pins, and the state folders beside
/// them, both named by the namespaces' cookies. In doubt, nothing is removed.
///
/// # Errors
/// When something cannot be removed.
pub fn remove_stale(root: &Path) -> Result<(), Error> {
    let own = netns_cookie().ok();
    let mut cookies: BTreeSet<u64> = state_folders(root);
    cookies.extend(pins::all(root).iter().filter_map(|name| cookie(name)));
    cookies.retain(|&cookie| Some(cookie) != own);
    if cookies.is_empty() {
        return Ok(());
    }
    let census = Census::take();
    for cookie in cookies {
        let state = root.join(cookie.to_string());
        let pins = Pins::find(&state);
        if census.living.contains(&cookie) || !is_gone(pins.as_ref(), census.is_complete) {
            continue;
        }
        if let Some(pins) = pins {
            attach::detach_all(&pins)?;
            pins.remove_all()?;
        }
        remove_state(&state)?;
    }
    Ok(())
}

/// Whether a namespace that was not found is gone. Interfaces go with their namespace (cards go
/// back to the machine's own), and links lose theirs then: one that still has it keeps everything.
/// One that has lost it vouches for the end where the search was not complete.
fn is_gone(pins: Option<&Pins>, is_complete: bool) -> bool {
    let links = pins.map_or_else(Vec::new, Link::all);
    let mut attached = links.iter().map(Link::is_attached);
    match attached.len() {
        0 => is_complete,
        _ => !attached.any(|is_attached| is_attached),
    }
}

fn state_folders(root: &Path) -> BTreeSet<u64> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| cookie(entry.file_name().to_str()?));
    names.collect()
}

/// A folder's name as a cookie; other names are not ours to remove.
fn cookie(name: &str) -> Option<u64> {
    let cookie = name.parse().ok()?;
    // Written as we write it, without signs and zeros in front.
    (u64::to_string(&cookie) == name).then_some(cookie)
}

fn remove_state(state: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(state) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(
            "a state folder cannot be removed",
            state,
        )(error)),
        _ => Ok(()),
    }
}
