//! `global_defs` and `SSL`.

use super::announcements;
use super::item::{Out, quoted};
use super::seconds;
use crate::model::{Fifo, Globals, LvsTimeouts, TlsFiles};

pub(super) fn globals(out: &mut Out, globals: &Globals) {
    out.block("global_defs", |out| {
        out.optional("router_id", globals.router_id.as_deref().map(quoted));
        out.value("default_interface", &globals.default_interface);
        if let Some((user, group)) = &globals.script_user {
            let group = group.as_deref().unwrap_or_default();
            out.value("script_user", format!("{user} {group}").trim_end());
        }
        mail(out, globals);
        servers(out, globals);
        virtual_routers(out, globals);
    });
}

fn mail(out: &mut Out, globals: &Globals) {
    if let Some(mail) = &globals.mail {
        out.lines("notification_email", mail.to.iter().cloned());
        out.optional("notification_email_from", mail.from.as_ref());
        out.value("smtp_server", format!("{} {}", mail.host, mail.port));
        out.optional("smtp_helo_name", mail.helo_name.as_ref());
        out.value("smtp_connect_timeout", seconds(mail.timeout));
        out.flag("no_email_faults", !mail.faults);
    }
    out.switch("smtp_alert_vrrp", globals.mail_alerts);
}

fn servers(out: &mut Out, globals: &Globals) {
    out.switch("checker_log_all_failures", globals.log_all_failures);
    out.optional("lvs_timeouts", timeouts(&globals.lvs_timeouts));
    out.flag("lvs_flush", globals.lvs_flush);
    out.flag("rs_init_notifies", globals.rs_init_notifies);
    fifo(out, "notify_fifo", globals.notify_fifo.as_ref());
    fifo(out, "lvs_notify_fifo", globals.lvs_notify_fifo.as_ref());
    fifo(out, "vrrp_notify_fifo", globals.vrrp_notify_fifo.as_ref());
}

fn timeouts(timeouts: &LvsTimeouts) -> Option<String> {
    let named = [
        ("tcp", timeouts.tcp),
        ("tcpfin", timeouts.tcp_fin),
        ("udp", timeouts.udp),
    ];
    let words: Vec<String> = named
        .into_iter()
        .filter_map(|(name, seconds)| Some(format!("{name} {}", seconds?)))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn fifo(out: &mut Out, keyword: &str, fifo: Option<&Fifo>) {
    let Some(fifo) = fifo else { return };
    let mut line = quoted(&fifo.path);
    for owner in [&fifo.user, &fifo.group].into_iter().flatten() {
        line.push(' ');
        line.push_str(owner);
    }
    out.value(keyword, line);
    out.script(&format!("{keyword}_script"), fifo.script.as_ref());
}

fn virtual_routers(out: &mut Out, globals: &Globals) {
    out.value("vrrp_mcast_group4", globals.vrrp_mcast_group4);
    out.value("vrrp_mcast_group6", globals.vrrp_mcast_group6);
    out.value("vrrp_version", globals.vrrp_version);
    announcements::announcements(out, "vrrp_", &globals.announcements);
    announcements::pace(out, &globals.announcement_pace);
    out.value("vrrp_down_timer_adverts", globals.down_timer_adverts);
    out.switch("vrrp_lower_prio_no_advert", globals.lower_prio_no_advert);
    out.switch(
        "vrrp_higher_prio_send_advert",
        globals.higher_prio_send_advert,
    );
    out.flag("vrrp_check_unicast_src", globals.check_unicast_src);
    out.switch("vrrp_skip_check_adv_addr", globals.skip_check_adv_addr);
    out.switch("vrrp_owner_ignore_adverts", globals.owner_ignores_adverts);
    out.switch("vrrp_strict", globals.strict);
    out.switch(
        "vrrp_notify_priority_changes",
        globals.notify_priority_changes,
    );
    out.value("vrrp_startup_delay", seconds(globals.startup_delay));
    out.value("vrrp_delay_after_boot", seconds(globals.delay_after_boot));
    out.flag("fifo_write_vrrp_states_on_reload", globals.states_on_reload);
    out.flag("log_unknown_vrids", globals.log_unknown_vrids);
    out.value("vmac_prefix", &globals.vmac_prefix);
}

pub(super) fn tls(out: &mut Out, tls: &TlsFiles) {
    if *tls == TlsFiles::default() {
        return;
    }
    out.block("SSL", |out| {
        out.optional("password", tls.password.as_deref().map(quoted));
        out.optional("ca", tls.authority.as_deref().map(quoted));
        out.optional("certificate", tls.certificate.as_deref().map(quoted));
        out.optional("key", tls.key.as_deref().map(quoted));
    });
}
