//! `global_defs`.

use std::net::IpAddr;
use std::time::Duration;

use super::announcements;
use super::fields::Fields;
use crate::model::{Fifo, Globals, LvsTimeouts, Mail};

const SMTP_PORT: u16 = 25;
/// keepalived's.
const SMTP_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn globals(file: Fields<'_>) -> Globals {
    let statements: Vec<_> = file.lines(&["global_defs"]).cloned().collect();
    let given = Fields(&statements);
    let defaults = Globals::default();
    let group4 = match given.address(&["vrrp_mcast_group4"]) {
        Some(IpAddr::V4(group)) => group,
        _ => defaults.vrrp_mcast_group4,
    };
    let group6 = match given.address(&["vrrp_mcast_group6"]) {
        Some(IpAddr::V6(group)) => group,
        _ => defaults.vrrp_mcast_group6,
    };
    let on = |names| given.switch(names).unwrap_or(false);
    Globals {
        router_id: given.text(&["router_id"]),
        log_all_failures: on(&["checker_log_all_failures"]),
        default_interface: given
            .text(&["default_interface"])
            .unwrap_or(defaults.default_interface),
        lvs_timeouts: timeouts(&given.words(&["lvs_timeouts"])),
        lvs_flush: given.has(&["lvs_flush"]),
        notify_fifo: fifo(given, &["notify_fifo"], &["notify_fifo_script"]),
        lvs_notify_fifo: fifo(given, &["lvs_notify_fifo"], &["lvs_notify_fifo_script"]),
        vrrp_notify_fifo: fifo(given, &["vrrp_notify_fifo"], &["vrrp_notify_fifo_script"]),
        mail: mail(given),
        mail_alerts: given
            .switch(&["smtp_alert_vrrp"])
            .or_else(|| given.switch(&["smtp_alert"]))
            .unwrap_or(false),
        rs_init_notifies: given.has(&["rs_init_notifies"]),
        script_user: script_user(&given.words(&["script_user"])),
        vrrp_mcast_group4: group4,
        vrrp_mcast_group6: group6,
        vrrp_version: given
            .number(&["vrrp_version"])
            .unwrap_or(defaults.vrrp_version),
        announcements: announcements::of_all(given),
        announcement_pace: announcements::pace(given),
        down_timer_adverts: given
            .number(&["vrrp_down_timer_adverts"])
            .unwrap_or(defaults.down_timer_adverts),
        lower_prio_no_advert: on(&["vrrp_lower_prio_no_advert"]),
        higher_prio_send_advert: on(&["vrrp_higher_prio_send_advert"]),
        check_unicast_src: given.has(&["vrrp_check_unicast_src"]),
        skip_check_adv_addr: on(&["vrrp_skip_check_adv_addr"]),
        strict: on(&["vrrp_strict"]),
        notify_priority_changes: on(&["vrrp_notify_priority_changes"]),
        owner_ignores_adverts: on(&["vrrp_owner_ignore_adverts"]),
        delay_after_boot: given
            .seconds(&["vrrp_delay_after_boot"])
            .unwrap_or_default(),
        states_on_reload: given.has(&["fifo_write_vrrp_states_on_reload"]),
        startup_delay: given
            .seconds(&["vrrp_startup_delay"])
            .unwrap_or(defaults.startup_delay),
        log_unknown_vrids: given.has(&["log_unknown_vrids"]),
        vmac_prefix: given.text(&["vmac_prefix"]).unwrap_or(defaults.vmac_prefix),
    }
}

/// `lvs_timeouts [tcp SECS] [tcpfin SECS] [udp SECS]`.
fn timeouts(words: &[&str]) -> LvsTimeouts {
    let value = |name: &str| {
        let pairs = words.chunks_exact(2);
        pairs
            .filter(|pair| pair[0] == name)
            .find_map(|pair| pair[1].parse().ok())
    };
    LvsTimeouts {
        tcp: value("tcp"),
        tcp_fin: value("tcpfin"),
        udp: value("udp"),
    }
}

fn fifo(
    given: Fields<'_>,
    names: &'static [&'static str],
    script: &'static [&'static str],
) -> Option<Fifo> {
    let words = given.words(names);
    Some(Fifo {
        path: (*words.first()?).to_owned(),
        user: words.get(1).map(|&user| user.to_owned()),
        group: words.get(2).map(|&group| group.to_owned()),
        script: given.script(script),
    })
}

fn mail(given: Fields<'_>) -> Option<Mail> {
    let to = given.lines(&["notification_email"]);
    let to: Vec<String> = to.map(|line| line.keyword.text.clone()).collect();
    if to.is_empty() {
        return None;
    }
    let server = given.words(&["smtp_server"]);
    Some(Mail {
        to,
        from: given.text(&["notification_email_from"]),
        host: server.first().unwrap_or(&"127.0.0.1").to_string(),
        port: server
            .get(1)
            .and_then(|port| port.parse().ok())
            .unwrap_or(SMTP_PORT),
        helo_name: given.text(&["smtp_helo_name"]),
        timeout: given
            .seconds(&["smtp_connect_timeout"])
            .unwrap_or(SMTP_TIMEOUT),
        faults: !given.has(&["no_email_faults"]),
    })
}

fn script_user(words: &[&str]) -> Option<(String, Option<String>)> {
    let (user, group) = words.split_first()?;
    Some((
        (*user).to_owned(),
        group.first().map(|&group| group.to_owned()),
    ))
}
