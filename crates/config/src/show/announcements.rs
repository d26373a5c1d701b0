//! `garp_*` and `gna_*`.

use super::item::Out;
use super::seconds;
use crate::model::{Announcements, GarpGroup, Pace};

/// The keywords of an instance, or with the prefix `vrrp_` of all.
pub(super) fn announcements(out: &mut Out, prefix: &str, told: &Announcements) {
    let mut number = |keyword, value: u32| out.value(&format!("{prefix}{keyword}"), value);
    number("garp_master_repeat", told.repeat);
    number("garp_master_refresh_repeat", told.refresh_repeat);
    number("garp_lower_prio_repeat", told.lower_prio_repeat);
    let mut time = |keyword, value| out.value(&format!("{prefix}{keyword}"), seconds(value));
    time("garp_master_delay", told.delay);
    time("garp_master_refresh", told.refresh);
    time("garp_lower_prio_delay", told.lower_prio_delay);
    // Of all, none cannot be said.
    if !told.extra_refresh.is_zero() || prefix.is_empty() {
        let all = if told.extra_all { "all " } else { "" };
        let value = format!("{all}{}", seconds(told.extra_refresh));
        out.value(&format!("{prefix}garp_extra_if"), value);
    }
}

/// The pace on interfaces of no group.
pub(super) fn pace(out: &mut Out, pace: &Pace) {
    out.value("vrrp_garp_interval", seconds(pace.arp));
    out.value("vrrp_gna_interval", seconds(pace.advertisement));
}

pub(super) fn group(out: &mut Out, group: &GarpGroup) {
    let key = format!("garp_group {}", group.interfaces.join(" "));
    out.block_known_by(key, "garp_group", |out| {
        out.value("garp_interval", seconds(group.pace.arp));
        out.value("gna_interval", seconds(group.pace.advertisement));
        out.lines("interfaces", group.interfaces.iter().cloned());
    });
}
