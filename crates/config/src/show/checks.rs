//! Checkers.

use super::item::{Out, quoted};
use super::seconds;
use crate::model::{Check, CheckKind, Connect, HttpCheck, HttpVersion, Url};

pub(super) fn check(out: &mut Out, check: &Check) {
    out.block(check.kind.keyword(), |out| {
        kind(out, &check.kind);
        timing(out, check);
        out.switch("alpha", check.alpha);
    });
}

/// What a checker's block says of its timing.
fn timing(out: &mut Out, check: &Check) {
    match check.kind {
        // What it says stands in the real server's block.
        CheckKind::File { .. } | CheckKind::Bfd { .. } => return,
        CheckKind::Misc { .. } => out.value("misc_timeout", seconds(check.timing.timeout)),
        _ => out.value("connect_timeout", seconds(check.timing.timeout)),
    }
    schedule(out, check);
}

/// What a real server's block says for those of its checkers that cannot.
pub(super) fn of_real_server(out: &mut Out, checks: &[Check]) {
    let is_such = |check: &&Check| matches!(check.kind, CheckKind::File { .. } | CheckKind::Via(_));
    if let Some(check) = checks.iter().find(is_such) {
        out.value("connect_timeout", seconds(check.timing.timeout));
        schedule(out, check);
    }
}

fn schedule(out: &mut Out, check: &Check) {
    let timing = &check.timing;
    out.value("delay_loop", seconds(timing.delay_loop));
    out.value("retry", timing.retry);
    out.value("delay_before_retry", seconds(timing.delay_before_retry));
    out.value("warmup", seconds(timing.warmup));
    out.switch("log_all_failures", check.log_all_failures);
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
        CheckKind::Bfd { name } => out.value("name", name),
        // No block of its own.
        CheckKind::Via(_) => {}
        CheckKind::File {
            name,
            weight,
            dynamic,
            ..
        } => {
            out.value("track_file", name);
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
    out.value("path", quoted(&url.path));
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
        out.value("regex", quoted(&regex.pattern));
        out.flag("regex_no_match", regex.negated);
        out.value("regex_min_offset", regex.min_offset);
        out.optional("regex_max_offset", regex.max_offset);
    }
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
