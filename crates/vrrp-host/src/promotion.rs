//! `promote_secondaries`: without it, the kernel removes all other addresses of a subnet from an interface
//! with the first one.

use std::collections::BTreeSet;
use std::fs;

use net::Snapshot;
use tracing::warn;

use crate::plan::Plan;

/// The interfaces where it was switched on, which goes with this.
#[derive(Debug, Default)]
pub(crate) struct Promotion(BTreeSet<String>);

impl Promotion {
    /// Switches it on where a plan wants it, and off again where none does any more.
    pub fn follow(&mut self, plan: &Plan, snapshot: &Snapshot) {
        let instances = plan.instances.iter();
        let wanted = instances.filter(|instance| instance.promotes_secondaries);
        let wanted: BTreeSet<&String> = wanted
            .map(|instance| &instance.settings.interface)
            .filter(|name| snapshot.link_named(name).is_some())
            .collect();
        self.0.retain(|name| wanted.contains(name) || off(name));
        for name in wanted {
            let path = path(name);
            let is_off = fs::read_to_string(&path).is_ok_and(|value| value.trim() == "0");
            if is_off && set(name, "1") {
                self.0.insert(name.clone());
            }
        }
    }
}

impl Drop for Promotion {
    fn drop(&mut self) {
        self.0.retain(|name| off(name));
    }
}

fn path(interface: &str) -> String {
    format!("/proc/sys/net/ipv4/conf/{interface}/promote_secondaries")
}

/// Whether something is left to be switched off: never, the interface may be gone.
fn off(interface: &str) -> bool {
    if fs::exists(path(interface)).is_ok_and(|there| there) {
        set(interface, "0");
    }
    false
}

fn set(interface: &str, value: &str) -> bool {
    let path = path(interface);
    let outcome = fs::write(&path, value);
    if let Err(error) = &outcome {
        warn!(%error, "{path} cannot be set to {value}");
    }
    outcome.is_ok()
}
