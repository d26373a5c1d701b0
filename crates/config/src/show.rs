//! A configuration as keepalived.conf, with every default written out.

use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use model::{Destination, Forwarding, Netmask, Protocol};

use crate::model::{
    Check, CheckKind, Config, Connect, HttpCheck, HttpVersion, RealServer, Script, Url,
    VirtualServer, VirtualServerName,
};

impl Display for Config {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut out = Out {
            text: String::new(),
            depth: 0,
        };
        for group in &self.groups {
            out.block(&format!("virtual_server_group {}", group.name), |out| {
                for (address, port) in &group.addresses {
                    out.line(&format!("{address} {port}"));
                }
                for (mark, _) in &group.marks {
                    out.line(&format!("fwmark {mark}"));
                }
            });
        }
        for server in &self.virtual_servers {
            virtual_server(&mut out, server);
        }
        for instance in &self.vrrp_instances {
            out.block(&format!("vrrp_instance {}", instance.name), |out| {
                crate::show::vrrp_instance(out, instance);
            });
        }
        f.write_str(&out.text)
    }
}

/// Text with blocks set in.
struct Out {
    text: String,
    depth: usize,
}

impl Out {
    fn line(&mut self, line: &str) {
        let indent = "    ".repeat(self.depth);
        self.text.push_str(&indent);
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn value(&mut self, keyword: &str, value: impl Display) {
        self.line(&format!("{keyword} {value}"));
    }

    fn optional<T: Display>(&mut self, keyword: &str, value: Option<T>) {
        if let Some(value) = value {
            self.value(keyword, value);
        }
    }

    fn flag(&mut self, keyword: &str, on: bool) {
        if on {
            self.line(keyword);
        }
    }

    fn script(&mut self, keyword: &str, script: Option<&Script>) {
        if let Some(script) = script {
            self.value(keyword, quoted(script));
        }
    }

    fn block(&mut self, head: &str, body: impl FnOnce(&mut Self)) {
        self.line(&format!("{head} {{"));
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.line("}");
    }
}

fn virtual_server(out: &mut Out, server: &VirtualServer) {
    let head = match &server.name {
        VirtualServerName::Address { address, port: 0 } => format!("virtual_server {address}"),
        VirtualServerName::Address { address, port } => format!("virtual_server {address} {port}"),
        VirtualServerName::Mark { mark, .. } => format!("virtual_server fwmark {mark}"),
        VirtualServerName::Group(name) => format!("virtual_server group {name}"),
    };
    out.block(&head, |out| {
        out.value("protocol", protocol(server.protocol));
        out.value("lvs_sched", server.scheduler);
        out.flag("flag-1", server.scheduler_flags.first);
        out.flag("flag-2", server.scheduler_flags.second);
        out.flag("flag-3", server.scheduler_flags.third);
        out.flag("ops", server.one_packet);
        if let Some(persistence) = server.persistence {
            out.value("persistence_timeout", persistence.timeout);
            match persistence.netmask {
                Netmask::V4(mask) => out.value("persistence_granularity", mask),
                Netmask::V6(length) => out.value("persistence_granularity", length),
            }
        }
        out.optional("persistence_engine", server.persistence_engine);
        out.value("quorum", server.quorum);
        out.value("hysteresis", server.hysteresis);
        out.script("quorum_up", server.quorum_up.as_ref());
        out.script("quorum_down", server.quorum_down.as_ref());
        out.flag("omega", server.omega);
        out.flag("ha_suspend", server.ha_suspend);
        if let Some(sorry) = &server.sorry_server {
            let key = sorry.destination.key;
            match key.port {
                0 => out.value("sorry_server", key.address),
                port => out.value("sorry_server", format!("{} {port}", key.address)),
            }
            out.value("sorry_server_lvs_method", method(&sorry.destination));
            out.flag("sorry_server_inhibit", sorry.inhibit);
        }
        for real in &server.real_servers {
            real_server(out, real);
        }
    });
}

fn real_server(out: &mut Out, server: &RealServer) {
    let destination = &server.destination;
    let key = destination.key;
    let head = match key.port {
        0 => format!("real_server {}", key.address),
        port => format!("real_server {} {port}", key.address),
    };
    out.block(&head, |out| {
        out.value("weight", destination.weight);
        out.value("lvs_method", method(destination));
        out.value("uthreshold", destination.upper_threshold);
        out.value("lthreshold", destination.lower_threshold);
        out.flag("inhibit_on_failure", server.inhibit_on_failure);
        out.script("notify_up", server.notify_up.as_ref());
        out.script("notify_down", server.notify_down.as_ref());
        for check in &server.checks {
            self::check(out, check);
        }
    });
}

fn check(out: &mut Out, check: &Check) {
    out.block(check.kind.keyword(), |out| {
        kind(out, &check.kind);
        let timing = &check.timing;
        out.value("delay_loop", seconds(timing.delay_loop));
        match check.kind {
            CheckKind::Misc { .. } => out.value("misc_timeout", seconds(timing.timeout)),
            CheckKind::File { .. } => {}
            _ => out.value("connect_timeout", seconds(timing.timeout)),
        }
        out.value("retry", timing.retry);
        out.value("delay_before_retry", seconds(timing.delay_before_retry));
        out.value("warmup", seconds(timing.warmup));
        out.flag("alpha", check.alpha);
        out.flag("log_all_failures", check.log_all_failures);
    });
}

fn kind(out: &mut Out, kind: &CheckKind) {
    match kind {
        CheckKind::Tcp(connect) | CheckKind::Ping(connect) => self::connect(out, connect),
        CheckKind::Http(http) => self::http(out, http),
        CheckKind::Smtp { hosts, helo } => {
            out.optional("helo_name", helo.as_ref());
            for host in hosts {
                out.block("host", |out| connect(out, host));
            }
        }
        CheckKind::Dns {
            connect,
            record,
            name,
        } => {
            self::connect(out, connect);
            out.value("type", record);
            out.value("name", name);
        }
        CheckKind::Misc { script, dynamic } => {
            out.script("misc_path", Some(script));
            out.flag("misc_dynamic", *dynamic);
        }
        CheckKind::Udp {
            connect,
            payload,
            reply,
        } => {
            self::connect(out, connect);
            if let Some(payload) = payload {
                let bytes: Vec<(u8, u8)> = payload.iter().map(|&byte| (byte, 0xff)).collect();
                out.value("payload", hexadecimal(&bytes));
            }
            if let Some(reply) = reply {
                out.value("require_reply", hexadecimal(&reply.bytes));
                out.value("min_reply_length", reply.min_length);
                out.value("max_reply_length", reply.max_length);
            }
        }
        CheckKind::File {
            path,
            weight,
            dynamic,
        } => {
            out.line(&format!("# {path}"));
            out.value("weight", weight);
            out.flag("dynamic", *dynamic);
        }
    }
}

fn connect(out: &mut Out, connect: &Connect) {
    out.value("connect_ip", connect.address);
    if connect.port != 0 {
        out.value("connect_port", connect.port);
    }
    out.optional("bindto", connect.bind_address);
    out.optional("bind_port", connect.bind_port);
    out.optional("bind_if", connect.bind_interface.as_ref());
    if connect.mark != 0 {
        out.value("fwmark", connect.mark);
    }
}

fn http(out: &mut Out, http: &HttpCheck) {
    connect(out, &http.connect);
    if let Some(name) = http.tls.as_ref().and_then(|tls| tls.server_name.as_ref()) {
        out.value("sni_name", name);
    }
    out.value(
        "http_protocol",
        match http.version {
            HttpVersion::V10 => "1.0",
            HttpVersion::V10Close => "1.0C",
            HttpVersion::V11 => "1.1",
        },
    );
    out.flag("fast_recovery", http.fast_recovery);
    for page in &http.urls {
        out.block("url", |out| url(out, page));
    }
}

fn url(out: &mut Out, url: &Url) {
    out.value("path", quoted_text(&url.path));
    out.optional("virtualhost", url.virtual_host.as_ref());
    let status: Vec<String> = url
        .status
        .iter()
        .map(|range| format!("{}-{}", range.first, range.last))
        .collect();
    out.value("status_code", status.join(" "));
    if let Some(digest) = url.digest {
        let bytes: Vec<String> = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
        out.value("digest", bytes.concat());
    }
    if let Some(regex) = &url.regex {
        out.value("regex", quoted_text(&regex.pattern));
        out.flag("regex_no_match", regex.negated);
        out.value("regex_min_offset", regex.min_offset);
        out.optional("regex_max_offset", regex.max_offset);
    }
}

fn vrrp_instance(out: &mut Out, instance: &crate::model::VrrpInstance) {
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
    out.flag("nopreempt", instance.no_preempt);
    out.value("preempt_delay", seconds(instance.preempt_delay));
    let announcements = &instance.announcements;
    out.value("garp_master_repeat", announcements.repeat);
    out.value("garp_master_delay", seconds(announcements.delay));
    out.value("garp_master_refresh", seconds(announcements.refresh));
    out.value("down_timer_adverts", instance.down_timer_adverts);
    for (keyword, list) in [
        ("virtual_ipaddress", &instance.addresses),
        ("virtual_ipaddress_excluded", &instance.excluded_addresses),
    ] {
        if list.is_empty() {
            continue;
        }
        out.block(keyword, |out| {
            for address in list {
                let mut line = address.address.to_string();
                if let Some(prefix) = address.prefix {
                    let _ = write!(line, "/{prefix}");
                }
                if let Some(interface) = &address.interface {
                    let _ = write!(line, " dev {interface}");
                }
                if let Some(label) = &address.label {
                    let _ = write!(line, " label {label}");
                }
                out.line(&line);
            }
        });
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    protocol.as_str()
}

fn method(destination: &Destination) -> String {
    match destination.forwarding {
        Forwarding::Masq | Forwarding::Local => "NAT".to_owned(),
        Forwarding::Route => "DR".to_owned(),
        Forwarding::FullNat => "FNAT".to_owned(),
        Forwarding::Tunnel => {
            let tunnel = destination.tunnel;
            match tunnel.port {
                0 => format!("TUN type {}", tunnel.kind),
                port => format!("TUN type {} port {port}", tunnel.kind),
            }
        }
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn hexadecimal(bytes: &[(u8, u8)]) -> String {
    let digit = |value: u8, mask: u8| match mask & 0xf {
        0 => 'x',
        _ => char::from_digit(u32::from(value & 0xf), 16).unwrap_or('x'),
    };
    bytes
        .iter()
        .flat_map(|&(value, mask)| [digit(value >> 4, mask >> 4), digit(value, mask)])
        .collect()
}

fn quoted(script: &Script) -> String {
    let words: Vec<String> = script
        .command
        .iter()
        .map(|word| match word.contains(char::is_whitespace) {
            true => format!("'{word}'"),
            false => word.clone(),
        })
        .collect();
    let mut text = quoted_text(&words.join(" "));
    for owner in [&script.user, &script.group].into_iter().flatten() {
        text.push(' ');
        text.push_str(owner);
    }
    text
}

fn quoted_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
