//! From nothing, or from what an earlier daemon left, to a director at work.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use control::{Director, Saved};
use net::{Snapshot, Watcher};
use nix::unistd::{Gid, Group, chown};
use plane_bpf::Plane;
use tokio::net::UnixListener;
use tracing::{error, info, warn};

use crate::place::Place;
use crate::rules::Rules;
use crate::serve::network::Kernel;
use crate::serve::options::ServeOptions;
use crate::serve::shared::Shared;
use crate::serve::state;
use crate::serve::watch::Watch;

/// A daemon that has taken up its work.
pub struct Begun {
    pub shared: Arc<Shared>,
    pub watch: Watch,
    /// Whether there was nothing to go on from, so that the rules are to be read.
    pub read_rules: bool,
}

/// Takes up the data plane and the saved state, and follows the network.
pub async fn begin(options: &Arc<ServeOptions>, place: Place) -> Result<Begun> {
    let (snapshot, changes) = Watcher::start()
        .await
        .context("cannot follow the network")?;
    let saved = state::read(&place)?;
    let read_rules = saved.is_none();
    let (director, adopted) = take_up(options, &place, &saved.unwrap_or_default(), &snapshot)?;
    let (shared, requests) = Shared::new(director, snapshot.clone(), place, adopted);
    let shared = Arc::new(shared);
    shared.save(&shared.lock());
    let mut watch = Watch::new(shared.clone(), options.clone(), snapshot, changes, requests)?;
    watch.begin().await;
    if let Err(error) = shared.lock().director.plane().attach_clients() {
        warn!("{error}");
    }
    Ok(Begun {
        shared,
        watch,
        read_rules,
    })
}

/// The director on the data plane that is there, or on a new one.
fn take_up(
    options: &ServeOptions,
    place: &Place,
    saved: &Saved,
    snapshot: &Snapshot,
) -> Result<(Director<Plane>, bool)> {
    plane_bpf::remove_stale(place.root())
        .unwrap_or_else(|error| warn!(%error, "what vanished network namespaces left stays"));
    let folder = place.folder();
    if options.fresh {
        plane_bpf::remove(&folder)?;
    }
    let network = Kernel(snapshot);
    if let Some(plane) = Plane::adopt(&folder)? {
        let sizes = plane.sizes();
        let wanted = options.sizes(sizes.processors)?;
        if sizes != wanted {
            warn!(
                found = ?sizes,
                asked = ?wanted,
                "the tables keep the sizes they have; --fresh makes new ones and forgets all connections"
            );
        }
        let director = Director::adopt(plane, sizes, saved, &network)?;
        info!("going on with the data plane that was found");
        return Ok((director, true));
    }
    let sizes = options.sizes(plane_bpf::processors()?)?;
    let plane = Plane::create(&folder, &sizes)?;
    let mut director = Director::new(plane, sizes);
    for (command, error) in director.restore(saved, &network) {
        error!(?command, %error, "a part of the saved configuration is not restored");
    }
    Ok((director, false))
}

/// The control socket.
pub struct Socket {
    pub listener: UnixListener,
    /// The group whose members may write, besides root.
    pub group: Option<u32>,
}

/// Opens the control socket for root, and for one group where it is named.
pub fn listen(place: &Place, group: Option<&str>) -> Result<Socket> {
    let path = place.socket();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("cannot listen on {}", path.display()))?;
    let group = group.map(group_named).transpose()?;
    if group.is_some() {
        chown(&path, None, group)
            .with_context(|| format!("cannot give {} to its group", path.display()))?;
    }
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    Ok(Socket {
        listener,
        group: group.map(Gid::as_raw),
    })
}

fn group_named(name: &str) -> Result<Gid> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => bail!("there is no group `{name}'\nhint: `groupadd {name}', or another name"),
        Err(error) => Err(anyhow!(error)).with_context(|| format!("cannot look up group `{name}'")),
    }
}

/// Carries out the rules that were saved for boot, through the daemon's own socket. What is wrong
/// with them is told in the log: a director without them is better than none.
pub async fn restore_rules(rules: &Path, place: &Place) {
    let text = match std::fs::read_to_string(rules) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            error!(%error, file = %rules.display(), "the rules cannot be read");
            return;
        }
    };
    let mut client = api::Client::new(place.socket());
    let carry_out = move || Rules::read(&text)?.carry_out(&mut client);
    match tokio::task::spawn_blocking(carry_out).await {
        Ok(Ok(())) => info!(file = %rules.display(), "the rules were restored"),
        Ok(Err(error)) => {
            let error = format!("{error:#}");
            error!(file = %rules.display(), error, "not all rules were restored");
        }
        Err(error) => error!(%error, "the rules were not restored"),
    }
}
