//! `virtual_server` and `virtual_server_group`.

use model::{Destination, Family, Forwarding, Netmask, Tunnel, TunnelChecksum};

use super::checks;
use super::item::Out;
use crate::model::{CheckKind, RealServer, VirtualServer, VirtualServerGroup, VirtualServerName};

pub(super) fn group(out: &mut Out, group: &VirtualServerGroup) {
    out.block(&format!("virtual_server_group {}", group.name), |out| {
        for (address, port) in &group.addresses {
            out.member(&match port {
                0 => address.to_string(),
                port => format!("{address} {port}"),
            });
        }
        for (mark, family) in &group.marks {
            let family = match family {
                None => "",
                Some(Family::Ipv4) => " inet",
                Some(Family::Ipv6) => " inet6",
            };
            out.member(&format!("fwmark {mark}{family}"));
        }
    });
}

pub(super) fn virtual_server(out: &mut Out, server: &VirtualServer) {
    let head = match &server.name {
        VirtualServerName::Address { address, port: 0 } => format!("virtual_server {address}"),
        VirtualServerName::Address { address, port } => format!("virtual_server {address} {port}"),
        VirtualServerName::Mark { mark, .. } => format!("virtual_server fwmark {mark}"),
        VirtualServerName::Group(name) => format!("virtual_server group {name}"),
    };
    // An address and port may be served by several protocols.
    let key = format!("{head} {}", server.protocol);
    out.block_known_by(key, &head, |out| {
        out.value("protocol", server.protocol.as_str());
        if let VirtualServerName::Mark { family, .. } = server.name {
            let family = match family {
                Family::Ipv4 => "inet",
                Family::Ipv6 => "inet6",
            };
            out.value("ip_family", family);
        }
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
        quorum(out, server);
        for real in &server.real_servers {
            real_server(out, real);
        }
    });
}

fn quorum(out: &mut Out, server: &VirtualServer) {
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
        out.flag("check_via_vip", server.via_vip);
        checks::of_real_server(out, &server.checks);
        for check in &server.checks {
            // These follow from the line above.
            if !matches!(check.kind, CheckKind::Via(_)) {
                checks::check(out, check);
            }
        }
    });
}

fn method(destination: &Destination) -> String {
    match destination.forwarding {
        Forwarding::Masq | Forwarding::Local => "NAT".to_owned(),
        Forwarding::Route => "DR".to_owned(),
        Forwarding::FullNat => "FNAT".to_owned(),
        Forwarding::Tunnel => tunnel(destination.tunnel),
    }
}

fn tunnel(tunnel: Tunnel) -> String {
    let port = match tunnel.port {
        0 => String::new(),
        port => format!(" port {port}"),
    };
    let checksum = match tunnel.checksum {
        TunnelChecksum::None => "nocsum",
        TunnelChecksum::Full => "csum",
        TunnelChecksum::Remote => "remcsum",
    };
    format!("TUN type {}{port} {checksum}", tunnel.kind)
}
