//! `vrrp_instance` and `vrrp_sync_group`.

use std::fmt::{Display, Write as _};

use super::announcements::announcements;
use super::item::{Out, quoted};
use super::seconds;
use super::track::tracked;
use crate::model::{
    Authentication, FOREVER, Hmacs, Notify, SyncGroup, UnicastPeer, VirtualAddress, VirtualRoute,
    Vmac, VrrpInstance,
};

pub(super) fn instance(out: &mut Out, instance: &VrrpInstance) {
    out.block(&format!("vrrp_instance {}", instance.name), |out| {
        identity(out, instance);
        behaviour(out, instance);
        peers(out, instance);
        let address_lines = |list: &[VirtualAddress]| list.iter().map(address).collect::<Vec<_>>();
        out.lines("virtual_ipaddress", address_lines(&instance.addresses));
        out.lines(
            "virtual_ipaddress_excluded",
            address_lines(&instance.excluded_addresses),
        );
        out.lines("virtual_routes", instance.routes.iter().map(route));
        out.lines(
            "virtual_rules",
            instance.rules.iter().map(|rule| rule.text.clone()),
        );
        if let Some(authentication) = &instance.authentication {
            self::authentication(out, authentication);
        }
        if let Some(hmacs) = &instance.hmacs {
            self::hmacs(out, hmacs);
        }
        tracked(out, "track_interface", &instance.track_interfaces);
        tracked(out, "track_script", &instance.track_scripts);
        tracked(out, "track_file", &instance.track_files);
        tracked(out, "track_process", &instance.track_processes);
        tracked(out, "track_bfd", &instance.track_bfds);
        notify(out, &instance.notify);
    });
}

fn identity(out: &mut Out, instance: &VrrpInstance) {
    let state = if instance.begins_as_master {
        "MASTER"
    } else {
        "BACKUP"
    };
    out.value("state", state);
    out.optional("interface", instance.interface.as_ref());
    out.value("virtual_router_id", instance.virtual_router_id);
    out.value("priority", instance.priority);
    out.value("version", instance.version);
    out.value("advert_int", seconds(instance.advert_interval));
}

fn behaviour(out: &mut Out, instance: &VrrpInstance) {
    out.flag("nopreempt", instance.no_preempt);
    out.value("preempt_delay", seconds(instance.preempt_delay));
    out.flag("no_accept", !instance.accept);
    out.optional("use_vmac", instance.vmac.as_ref().map(vmac));
    let base = instance.vmac.as_ref().is_some_and(|vmac| vmac.xmit_base);
    out.flag("vmac_xmit_base", base);
    out.flag("dont_track_primary", instance.dont_track_primary);
    out.flag("promote_secondaries", instance.promote_secondaries);
    announcements(out, "", &instance.announcements);
    out.value("down_timer_adverts", instance.down_timer_adverts);
    out.switch("lower_prio_no_advert", instance.lower_prio_no_advert);
    out.switch("higher_prio_send_advert", instance.higher_prio_send_advert);
    out.switch("skip_check_adv_addr", instance.skip_check_adv_addr);
    out.switch("owner_ignore_adverts", instance.owner_ignores_adverts);
    out.switch("strict_mode", instance.strict);
}

fn vmac(vmac: &Vmac) -> String {
    let words = [&vmac.name, &vmac.mac].into_iter().flatten();
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn peers(out: &mut Out, instance: &VrrpInstance) {
    let source = if instance.unicast_peers.is_empty() {
        "mcast_src_ip"
    } else {
        "unicast_src_ip"
    };
    out.optional(source, instance.source);
    out.flag("track_src_ip", instance.track_source);
    out.optional("mcast_dst_ip", instance.multicast_group);
    out.lines("unicast_peer", instance.unicast_peers.iter().map(peer));
    out.optional("unicast_ttl", instance.unicast_ttl);
    out.flag("unicast_fault_no_peer", instance.unicast_fault_no_peer);
    out.flag("check_unicast_src", instance.check_unicast_src);
}

fn peer(peer: &UnicastPeer) -> String {
    let mut line = peer.address.to_string();
    option(&mut line, "min_ttl", peer.min_ttl.as_ref());
    option(&mut line, "max_ttl", peer.max_ttl.as_ref());
    line
}

/// Adds a word and its value to a line, where there is a value.
fn option<T: Display>(line: &mut String, word: &str, value: Option<T>) {
    if let Some(value) = value {
        // A string takes everything.
        let _ = write!(line, " {word} {value}");
    }
}

fn address(address: &VirtualAddress) -> String {
    let mut line = address.address.to_string();
    if let Some(prefix) = address.prefix {
        let _ = write!(line, "/{prefix}");
    }
    option(&mut line, "dev", address.interface.as_ref());
    option(&mut line, "label", address.label.as_ref());
    option(&mut line, "brd", address.broadcast.as_ref());
    if address.scope != 0 {
        option(&mut line, "scope", Some(address.scope));
    }
    let lifetime = |seconds| match seconds {
        FOREVER => "forever".to_owned(),
        seconds => seconds.to_string(),
    };
    let lifetime = address.preferred_lifetime.map(lifetime);
    option(&mut line, "preferred_lft", lifetime.as_ref());
    if address.no_track {
        line.push_str(" no_track");
    }
    for flag in &address.flags {
        line.push(' ');
        line.push_str(flag);
    }
    line
}

fn route(route: &VirtualRoute) -> String {
    let (destination, length) = route.destination;
    let mut line = format!("{destination}/{length}");
    if let Some(kind) = route.kind.word() {
        line = format!("{kind} {line}");
    }
    option(&mut line, "via", route.gateway.as_ref());
    option(&mut line, "dev", route.interface.as_ref());
    option(&mut line, "src", route.source.as_ref());
    option(&mut line, "table", route.table.as_ref());
    option(&mut line, "metric", route.metric.as_ref());
    option(&mut line, "scope", route.scope.as_ref());
    option(&mut line, "mtu", route.mtu.as_ref());
    if route.onlink {
        line.push_str(" onlink");
    }
    if route.no_track {
        line.push_str(" no_track");
    }
    line
}

fn authentication(out: &mut Out, authentication: &Authentication) {
    let (kind, password) = match authentication {
        Authentication::Pass { password } => ("PASS", password),
        Authentication::Ah { password } => ("AH", password),
    };
    out.block("authentication", |out| {
        out.value("auth_type", kind);
        out.value("auth_pass", quoted(password));
    });
}

fn hmacs(out: &mut Out, hmacs: &Hmacs) {
    out.block("auth_hmac", |out| {
        for key in &hmacs.keys {
            out.value("key", format!("{} {}", key.number, quoted(&key.secret)));
        }
        out.value("active_key", hmacs.active_key);
        out.switch("anti_replay", hmacs.anti_replay);
        out.optional("time_window", hmacs.window.map(seconds));
        out.optional("mode", hmacs.permissive.then_some("permissive"));
    });
}

fn notify(out: &mut Out, notify: &Notify) {
    out.script("notify_master", notify.master.as_ref());
    out.script("notify_backup", notify.backup.as_ref());
    out.script("notify_fault", notify.fault.as_ref());
    out.script("notify_stop", notify.stop.as_ref());
    out.script("notify", notify.any.as_ref());
    out.script("notify_master_rx_lower_pri", notify.heard_lower.as_ref());
    out.switch("notify_priority_changes", notify.priority_changes);
    out.switch("smtp_alert", notify.mail);
}

pub(super) fn sync_group(out: &mut Out, group: &SyncGroup) {
    out.block(&format!("vrrp_sync_group {}", group.name), |out| {
        out.lines("group", group.members.iter().cloned());
        tracked(out, "track_interface", &group.track_interfaces);
        tracked(out, "track_script", &group.track_scripts);
        tracked(out, "track_file", &group.track_files);
        tracked(out, "track_process", &group.track_processes);
        tracked(out, "track_bfd", &group.track_bfds);
        out.flag("sync_group_tracking_weight", group.tracking_weight);
        notify(out, &group.notify);
    });
}
