//! `virtual_server` and `real_server`.

mod methods;
mod names;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use model::{
    Destination, DestinationKey, Family, Forwarding, Netmask, Persistence, Protocol, Scheduler,
    SchedulerFlags, ServiceKey, Tunnel,
};

use super::checks::{self, Defaults};
use super::fields::Fields;
use super::groups;
use crate::diagnostic::Diagnostic;
use crate::model::{
    BfdInstance, Globals, RealServer, SorryServer, TrackFile, VirtualServer, VirtualServerGroup,
    VirtualServerName,
};
use crate::source::Span;
use crate::tree::{Statement, Word};

/// `persistence_timeout` without a number, in seconds (keepalived.conf(5): 6 minutes).
const PERSISTENCE: u32 = 360;

/// What virtual servers may refer to.
pub(super) struct Servers<'a> {
    pub globals: &'a Globals,
    pub groups: &'a [VirtualServerGroup],
    pub track_files: &'a [TrackFile],
    pub bfd_instances: &'a [BfdInstance],
    pub diagnostics: &'a mut Vec<Diagnostic>,
}

/// How packets get to a real server.
type Method = (Forwarding, Tunnel);

impl Servers<'_> {
    pub(super) fn build(mut self, file: Fields<'_>) -> Vec<VirtualServer> {
        let mut servers = Vec::new();
        let mut places: HashMap<ServiceKey, Span> = HashMap::new();
        for statement in file.all(&["virtual_server"]) {
            let Some(server) = self.virtual_server(statement) else {
                continue;
            };
            let span = statement.span();
            for &key in &server.keys {
                match places.get(&key) {
                    Some(&first) => self.diagnostics.push(
                        Diagnostic::error(
                            span,
                            format!("a second virtual server for {key}"),
                            "clients of this address are served already",
                            "make one virtual server of both, or correct one's address, port or protocol",
                        )
                        .beside(first, "here is the first"),
                    ),
                    None => drop(places.insert(key, span)),
                }
            }
            servers.push(server);
        }
        servers
    }

    fn virtual_server(&mut self, statement: &Statement) -> Option<VirtualServer> {
        let given = Fields(statement.inner());
        let name = self.name(statement, given)?;
        let protocol = self.protocol(&name, statement, given);
        let method = self.method(given, &["lvs_method", "lb_kind"]);
        let keys = self.keys(&name, protocol, statement);
        let family = keys.first().map_or(Family::Ipv4, ServiceKey::family);
        let port = match name {
            VirtualServerName::Address { port, .. } => port,
            _ => 0,
        };
        let default_method = method.unwrap_or((Forwarding::Masq, Tunnel::default()));
        let defaults = Defaults::of_virtual_server(given, self.globals);
        let context = Context {
            family,
            port,
            method: default_method,
            defaults: &defaults,
            keys: &keys,
        };
        let real_servers = self.real_servers(given, &context);
        let sorry_server = self.sorry_server(given, &context);
        if real_servers.is_empty() && sorry_server.is_none() {
            self.diagnostics.push(Diagnostic::warning(
                statement.span(),
                "a virtual server without real servers is not made",
                "no real server that can be used stands in it",
                "add a real_server, or remove the virtual server",
            ));
            return None;
        }
        let number = |names| given.number(names);
        Some(VirtualServer {
            protocol,
            scheduler: scheduler(given),
            scheduler_flags: flags(given),
            one_packet: given.has(&["ops"]),
            persistence: self.persistence(&name, statement, given, family),
            persistence_engine: given.number(&["persistence_engine"]),
            quorum: number(&["quorum"]).unwrap_or(1),
            hysteresis: self.hysteresis(given),
            quorum_up: given.script(&["quorum_up"]),
            quorum_down: given.script(&["quorum_down"]),
            omega: given.switch(&["omega"]).unwrap_or(false),
            ha_suspend: given.has(&["ha_suspend"]),
            sorry_server,
            real_servers,
            name,
            keys,
        })
    }

    fn wrong(&mut self, word: &Word, what: &str, help: &str) {
        self.diagnostics.push(Diagnostic::error(
            word.span,
            format!("`{}' {what}", word.text),
            "this cannot be",
            help,
        ));
    }

    fn protocol(
        &mut self,
        name: &VirtualServerName,
        statement: &Statement,
        given: Fields<'_>,
    ) -> Protocol {
        let by_mark = matches!(name, VirtualServerName::Mark { .. });
        if !given.has(&["protocol"]) && !by_mark {
            self.diagnostics.push(Diagnostic::warning(
                statement.span(),
                "a virtual server without protocol is of UDP",
                "keepalived takes UDP where nothing is said",
                "add `protocol TCP' or `protocol UDP'",
            ));
        }
        given.number(&["protocol"]).unwrap_or(Protocol::Udp)
    }

    fn persistence(
        &mut self,
        name: &VirtualServerName,
        statement: &Statement,
        given: Fields<'_>,
        family: Family,
    ) -> Option<Persistence> {
        let all_ports = matches!(name, VirtualServerName::Address { port: 0, .. });
        let timeout = match given.get(&["persistence_timeout"]) {
            Some(_) => given
                .number(&["persistence_timeout"])
                .unwrap_or(PERSISTENCE),
            None if all_ports => {
                self.diagnostics.push(Diagnostic::warning(
                    statement.span(),
                    "a virtual server for all ports is persistent",
                    "IPVS knows services without a port only with persistence: 360 s",
                    "add a port, or `persistence_timeout SECONDS'",
                ));
                PERSISTENCE
            }
            None => return None,
        };
        let netmask = match given.word(&["persistence_granularity"]) {
            None => Netmask::full(family),
            Some(word) => self.granularity(word, family),
        };
        Some(Persistence { timeout, netmask })
    }

    fn granularity(&mut self, word: &Word, family: Family) -> Netmask {
        let mask = match family {
            Family::Ipv4 => word.text.parse::<Ipv4Addr>().ok().map(Netmask::V4),
            Family::Ipv6 => word
                .text
                .parse()
                .ok()
                .filter(|length| (1..=128).contains(length))
                .map(Netmask::V6),
        };
        mask.unwrap_or_else(|| {
            self.wrong(
                word,
                "is no mask of the virtual server's family",
                "write 255.255.255.0 for IPv4, a length such as 64 for IPv6",
            );
            Netmask::full(family)
        })
    }

    fn hysteresis(&mut self, given: Fields<'_>) -> u32 {
        let quorum: u32 = given.number(&["quorum"]).unwrap_or(1);
        let hysteresis: u32 = given.number(&["hysteresis"]).unwrap_or(0);
        if hysteresis < quorum {
            return hysteresis;
        }
        if let Some(word) = given.word(&["hysteresis"]) {
            self.diagnostics.push(Diagnostic::warning(
                word.span,
                "hysteresis is not less than quorum",
                format!(
                    "quorum is {quorum}: it could never be lost; {} is used",
                    quorum - 1
                ),
                format!("write `hysteresis {}' or less", quorum - 1),
            ));
        }
        quorum - 1
    }

    fn real_servers(&mut self, given: Fields<'_>, context: &Context<'_>) -> Vec<RealServer> {
        let mut servers = Vec::new();
        let mut places: HashMap<DestinationKey, Span> = HashMap::new();
        for statement in given.all(&["real_server"]) {
            let Some(server) = self.real_server(statement, context) else {
                continue;
            };
            let key = server.destination.key;
            if let Some(&first) = places.get(&key) {
                self.diagnostics.push(
                    Diagnostic::warning(
                        statement.span(),
                        "a real server that is there already is left out",
                        "the same address and port",
                        "remove one of them",
                    )
                    .beside(first, "here is the first"),
                );
                continue;
            }
            places.insert(key, statement.span());
            servers.push(server);
        }
        servers
    }

    fn real_server(&mut self, statement: &Statement, context: &Context<'_>) -> Option<RealServer> {
        let given = Fields(statement.inner());
        let method = self.method(given, &["lvs_method", "lb_kind"]);
        let mut destination = self.destination(
            &statement.arguments,
            method.unwrap_or(context.method),
            context,
        )?;
        destination.weight = given
            .number(&["weight"])
            .or(context.defaults.weight)
            .unwrap_or(1);
        destination.upper_threshold = given.number(&["uthreshold"]).unwrap_or(0);
        destination.lower_threshold = given.number(&["lthreshold"]).unwrap_or(0);
        let defaults = context.defaults.of_real_server(given);
        let checks = checks::Checks {
            defaults: &defaults,
            key: destination.key,
            track_files: self.track_files,
            bfd_instances: self.bfd_instances,
            diagnostics: self.diagnostics,
        };
        let mut checks = checks.build(given);
        if defaults.via_vip {
            let via = checks::via_vip(&defaults, &destination, context.keys);
            if via.is_empty() {
                self.diagnostics.push(Diagnostic::warning(
                    statement.span(),
                    "`check_via_vip' has no effect for this real server",
                    "under NAT checks go clients' way anyway, and a firewall mark has no address",
                    "remove it, or write `check_via_vip off' in this block",
                ));
            }
            checks.extend(via);
        }
        Some(RealServer {
            inhibit_on_failure: defaults.inhibit,
            notify_up: given.script(&["notify_up"]),
            notify_down: given.script(&["notify_down"]),
            via_vip: defaults.via_vip,
            checks,
            destination,
        })
    }

    fn sorry_server(&mut self, given: Fields<'_>, context: &Context<'_>) -> Option<SorryServer> {
        let statement = given.get(&["sorry_server"])?;
        let method = self.method(given, &["sorry_server_lvs_method"]);
        let destination = self.destination(
            &statement.arguments,
            method.unwrap_or(context.method),
            context,
        )?;
        Some(SorryServer {
            destination,
            inhibit: given.switch(&["sorry_server_inhibit"]).unwrap_or(false),
        })
    }

    /// `ADDRESS [PORT]`; without a port it is the virtual server's.
    fn destination(
        &mut self,
        words: &[Word],
        (forwarding, tunnel): Method,
        context: &Context<'_>,
    ) -> Option<Destination> {
        let first = words.first()?;
        let Ok(address) = first.text.parse::<IpAddr>() else {
            self.wrong(
                first,
                "is no IP address",
                "write the real server's address, then its port",
            );
            return None;
        };
        let port = match words.get(1).map(groups::port) {
            None => context.port,
            Some(Ok(port)) => port,
            Some(Err(diagnostic)) => {
                self.diagnostics.push(*diagnostic);
                return None;
            }
        };
        if Family::of(address) != context.family && forwarding != Forwarding::Tunnel {
            self.diagnostics.push(Diagnostic::error(
                first.span,
                "a real server of another family than its virtual server",
                format!("the virtual server is of {}", context.family),
                "only TUN carries packets to servers of the other family: `lvs_method TUN'",
            ));
            return None;
        }
        let key = DestinationKey { address, port };
        let mut destination = Destination::new(key, forwarding);
        destination.tunnel = tunnel;
        Some(destination)
    }
}

/// What a virtual server means for its real servers.
struct Context<'a> {
    family: Family,
    port: u16,
    method: Method,
    defaults: &'a Defaults,
    keys: &'a [ServiceKey],
}

fn scheduler(given: Fields<'_>) -> Scheduler {
    given
        .number(&["lvs_sched", "lb_algo"])
        .unwrap_or(Scheduler::DEFAULT)
}

fn flags(given: Fields<'_>) -> SchedulerFlags {
    SchedulerFlags {
        first: given.has(&["flag-1", "sh-fallback", "mh-fallback"]),
        second: given.has(&["flag-2", "sh-port", "mh-port"]),
        third: given.has(&["flag-3"]),
    }
}
