//! A configuration as keepalived.conf, with every default written out.

mod announcements;
mod bfd;
mod checks;
mod globals;
mod item;
mod servers;
mod track;
mod vrrp;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use item::Out;

pub(crate) use item::Item;

use crate::model::Config;

impl Display for Config {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        items(self).iter().try_for_each(|item| item.write(f, 0))
    }
}

/// A configuration's blocks, in the order in which keepalived's manual has them.
pub(crate) fn items(config: &Config) -> Vec<Item> {
    let mut out = Out::default();
    globals::globals(&mut out, &config.globals);
    globals::tls(&mut out, &config.tls);
    for file in &config.track_files {
        track::file(&mut out, file);
    }
    for instance in &config.bfd_instances {
        bfd::instance(&mut out, instance);
    }
    for script in &config.scripts {
        track::script(&mut out, script);
    }
    for process in &config.track_processes {
        track::process(&mut out, process);
    }
    for group in &config.garp_groups {
        announcements::group(&mut out, group);
    }
    for instance in &config.vrrp_instances {
        vrrp::instance(&mut out, instance);
    }
    for group in &config.sync_groups {
        vrrp::sync_group(&mut out, group);
    }
    for group in &config.groups {
        servers::group(&mut out, group);
    }
    for server in &config.virtual_servers {
        servers::virtual_server(&mut out, server);
    }
    out.0
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
