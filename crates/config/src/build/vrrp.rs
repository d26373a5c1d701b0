//! `vrrp_instance` and `vrrp_sync_group`.

mod addresses;
mod authentication;
mod rules;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::announcements;
use super::fields::Fields;
use super::track::name;
use crate::check::is_name;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Globals, Notify, SyncGroup, TrackedBy, UnicastPeer, VirtualAddress, Vmac, VrrpInstance, Weight,
};
use crate::nearest::nearest;
use crate::schema::SYNC_GROUP;
use crate::source::Span;
use crate::tree::{Statement, Word};

/// What instances may refer to.
pub(super) struct Known<'a> {
    pub scripts: Vec<&'a str>,
    pub files: Vec<&'a str>,
    pub processes: Vec<&'a str>,
    pub bfds: Vec<&'a str>,
}

pub(super) fn instances(
    file: Fields<'_>,
    globals: &Globals,
    known: &Known<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<VrrpInstance> {
    let mut instances: Vec<VrrpInstance> = Vec::new();
    let mut numbers: HashMap<(Option<String>, u8, bool), Span> = HashMap::new();
    for statement in file.all(&["vrrp_instance"]) {
        let mut builder = Builder {
            statement,
            given: Fields(statement.inner()),
            globals,
            known,
            diagnostics,
        };
        let Some(instance) = builder.instance() else {
            continue;
        };
        let is_v6 = instance
            .addresses
            .first()
            .is_some_and(|a| a.address.is_ipv6());
        let key = (
            instance.interface.clone(),
            instance.virtual_router_id,
            is_v6,
        );
        let first = numbers.get(&key).copied();
        if let Some(first) = first.filter(|_| instance.unicast_peers.is_empty()) {
            diagnostics.push(
                Diagnostic::error(
                    statement.span(),
                    format!(
                        "a second virtual router {} on this interface",
                        instance.virtual_router_id
                    ),
                    "both would hear each other's adverts as their own",
                    "choose another virtual_router_id, on all routers of this instance",
                )
                .beside(first, "here is the first"),
            );
        }
        numbers.insert(key, statement.span());
        instances.push(instance);
    }
    rules::prefer(
        instances
            .iter_mut()
            .flat_map(|instance| &mut instance.rules),
    );
    instances
}

struct Builder<'a, 'd> {
    statement: &'a Statement,
    given: Fields<'a>,
    globals: &'a Globals,
    known: &'a Known<'a>,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl Builder<'_, '_> {
    fn instance(&mut self) -> Option<VrrpInstance> {
        let (given, globals) = (self.given, self.globals);
        let virtual_router_id = given.number(&["virtual_router_id"]).unwrap_or(0);
        let unicast_peers = self.peers();
        let interface = given.text(&["interface"]);
        if virtual_router_id == 0 {
            self.missing(
                "virtual_router_id",
                "the same number from 1 to 255 on all its routers",
            );
            return None;
        }
        if interface.is_none() && unicast_peers.is_empty() {
            self.missing("interface", "the interface that its adverts go through");
            return None;
        }
        let (addresses, excluded_addresses) = self.addresses();
        let is_v6 = addresses.first().is_some_and(|a| a.address.is_ipv6());
        let version = self.version(is_v6);
        let on = |names, other| given.switch(names).unwrap_or(other);
        let tracked = Tracked::of(given, self.known, self.diagnostics);
        let begins_as_master = given.text(&["state"]).as_deref() == Some("MASTER");
        if begins_as_master {
            self.tell_of_preemption();
        }
        Some(VrrpInstance {
            name: name(self.statement),
            begins_as_master,
            interface,
            virtual_router_id,
            priority: given.number(&["priority"]).unwrap_or(100),
            version,
            advert_interval: given
                .seconds(&["advert_int"])
                .unwrap_or(Duration::from_secs(1)),
            addresses,
            excluded_addresses,
            routes: addresses::routes(given, self.diagnostics),
            rules: rules::rules(given, self.diagnostics),
            authentication: self.authentication(version),
            hmacs: self.hmacs(),
            no_preempt: !begins_as_master && given.has(&["nopreempt"]),
            preempt_delay: given
                .seconds(&["preempt_delay"])
                .filter(|_| !begins_as_master)
                .unwrap_or_default(),
            accept: accepts(given, version, globals),
            source: given.address(&["unicast_src_ip", "mcast_src_ip"]),
            track_source: given.has(&["track_src_ip"]),
            multicast_group: given.address(&["mcast_dst_ip"]),
            unicast_peers,
            unicast_ttl: given.number(&["unicast_ttl"]),
            unicast_fault_no_peer: given.has(&["unicast_fault_no_peer"]),
            check_unicast_src: given.has(&["check_unicast_src"]) || globals.check_unicast_src,
            vmac: vmac(given),
            dont_track_primary: given.has(&["dont_track_primary"]),
            promote_secondaries: given.has(&["promote_secondaries"]),
            announcements: announcements::of_instance(given, &globals.announcements),
            down_timer_adverts: given
                .number(&["down_timer_adverts"])
                .unwrap_or(globals.down_timer_adverts),
            lower_prio_no_advert: on(&["lower_prio_no_advert"], globals.lower_prio_no_advert),
            higher_prio_send_advert: on(
                &["higher_prio_send_advert"],
                globals.higher_prio_send_advert,
            ),
            skip_check_adv_addr: on(&["skip_check_adv_addr"], globals.skip_check_adv_addr),
            owner_ignores_adverts: on(&["owner_ignore_adverts"], globals.owner_ignores_adverts),
            strict: on(&["strict_mode"], globals.strict),
            track_interfaces: tracked.interfaces,
            track_scripts: tracked.scripts,
            track_files: tracked.files,
            track_processes: tracked.processes,
            track_bfds: tracked.bfds,
            notify: notify(given, globals),
        })
    }

    fn missing(&mut self, what: &str, meaning: &str) {
        self.diagnostics.push(Diagnostic::error(
            self.statement.span(),
            format!("a vrrp_instance without `{what}'"),
            "it cannot run without one",
            format!("add `{what} ...': {meaning}"),
        ));
    }

    /// As keepalived has it, an instance that is master by right does not let another one be it.
    fn tell_of_preemption(&mut self) {
        for names in [&["nopreempt"], &["preempt_delay"]] {
            let none = self.given.seconds(names) == Some(Duration::ZERO);
            if let Some(statement) = self.given.get(names).filter(|_| !none) {
                self.diagnostics.push(Diagnostic::warning(
                    statement.span(),
                    format!("`{}' has no effect beside `state MASTER'", names[0]),
                    "such an instance always takes over from one of lower priority",
                    "write `state BACKUP': it says nothing about who becomes master",
                ));
            }
        }
    }

    fn version(&mut self, is_v6: bool) -> u8 {
        let said: Option<u8> = self.given.number(&["version"]);
        if is_v6 && said == Some(2) {
            let word = self.given.word(&["version"]);
            self.diagnostics.push(Diagnostic::warning(
                word.map_or(self.statement.span(), |word| word.span),
                "VRRP version 2 has no IPv6",
                "version 3 is used",
                "write `version 3', or remove it",
            ));
        }
        if is_v6 {
            3
        } else {
            said.unwrap_or(self.globals.vrrp_version)
        }
    }

    /// Addresses that adverts tell are of one family; those of another join the excluded ones, as
    /// in keepalived.
    fn addresses(&mut self) -> (Vec<VirtualAddress>, Vec<VirtualAddress>) {
        let told = addresses::addresses(self.given, &["virtual_ipaddress"], self.diagnostics);
        let excluded = addresses::addresses(
            self.given,
            &["virtual_ipaddress_excluded"],
            self.diagnostics,
        );
        let is_v6 = told
            .first()
            .is_some_and(|(address, _)| address.address.is_ipv6());
        let (same, other): (Vec<_>, Vec<_>) = told
            .into_iter()
            .partition(|(address, _)| address.address.is_ipv6() == is_v6);
        if let Some((_, span)) = other.first() {
            self.diagnostics.push(Diagnostic::warning(
                *span,
                "virtual addresses of both families",
                "an advert tells addresses of one family: this one is held, and not told",
                "move it into virtual_ipaddress_excluded",
            ));
        }
        let plain = |list: Vec<(VirtualAddress, Span)>| list.into_iter().map(|(a, _)| a);
        (
            plain(same).collect(),
            plain(other).chain(plain(excluded)).collect(),
        )
    }

    fn peers(&mut self) -> Vec<UnicastPeer> {
        let mut peers = Vec::new();
        for line in self.given.lines(&["unicast_peer"]) {
            let Ok(address) = line.keyword.text.parse::<IpAddr>() else {
                self.diagnostics.push(Diagnostic::error(
                    line.keyword.span,
                    format!("`{}' is no IP address", line.keyword.text),
                    "a peer is an address",
                    "write `ADDRESS [min_ttl NUMBER] [max_ttl NUMBER]'",
                ));
                continue;
            };
            let limit = |name: &str| {
                let mut words = line.arguments.iter().skip_while(|word| word.text != name);
                words.nth(1)?.text.parse().ok()
            };
            peers.push(UnicastPeer {
                address,
                min_ttl: limit("min_ttl"),
                max_ttl: limit("max_ttl"),
            });
        }
        peers
    }
}

/// Packets to the addresses are taken unless something else is said. In strict mode they are not, unless
/// it is said that they are, which is of version 3.
fn accepts(given: Fields<'_>, version: u8, globals: &Globals) -> bool {
    let strict = given.switch(&["strict_mode"]).unwrap_or(globals.strict);
    !given.has(&["no_accept"]) && (!strict || version == 3 && given.has(&["accept"]))
}

/// `use_vmac [NAME] [MAC]`.
fn vmac(given: Fields<'_>) -> Option<Vmac> {
    given.get(&["use_vmac"])?;
    let words = given.words(&["use_vmac"]);
    let owned = |word: Option<&&str>| word.map(|&word| word.to_owned());
    Some(Vmac {
        name: owned(words.iter().find(|word| !word.contains(':'))),
        mac: owned(words.iter().find(|word| word.contains(':'))),
        xmit_base: given.has(&["vmac_xmit_base"]),
    })
}

fn notify(given: Fields<'_>, globals: &Globals) -> Notify {
    Notify {
        master: given.script(&["notify_master"]),
        backup: given.script(&["notify_backup"]),
        fault: given.script(&["notify_fault"]),
        stop: given.script(&["notify_stop"]),
        any: given.script(&["notify"]),
        heard_lower: given.script(&["notify_master_rx_lower_pri"]),
        priority_changes: given
            .switch(&["notify_priority_changes"])
            .unwrap_or(globals.notify_priority_changes),
        mail: given.switch(&["smtp_alert"]).unwrap_or(globals.mail_alerts),
    }
}

/// What an instance or group depends on.
struct Tracked {
    interfaces: Vec<TrackedBy>,
    scripts: Vec<TrackedBy>,
    files: Vec<TrackedBy>,
    processes: Vec<TrackedBy>,
    bfds: Vec<TrackedBy>,
}

impl Tracked {
    fn of(given: Fields<'_>, known: &Known<'_>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut named = |names, of: &[&str], what| {
            let lines = given.lines(names);
            lines
                .inspect(|line| refers(&line.keyword, of, what, diagnostics))
                .map(tracked)
                .collect()
        };
        Self {
            scripts: named(&["track_script"], &known.scripts, "vrrp_script"),
            files: named(&["track_file"], &known.files, "track_file"),
            processes: named(&["track_process"], &known.processes, "vrrp_track_process"),
            bfds: named(&["track_bfd"], &known.bfds, "bfd_instance"),
            interfaces: given.lines(&["track_interface"]).map(tracked).collect(),
        }
    }
}

/// `NAME [weight N [reverse|noreverse]]`.
fn tracked(line: &Statement) -> TrackedBy {
    let words: Vec<&str> = line
        .arguments
        .iter()
        .map(|word| word.text.as_str())
        .collect();
    let weight = match words[..] {
        ["weight", number, ..] => number.parse().ok().map(|weight| Weight {
            weight,
            reverse: words.get(2) == Some(&"reverse"),
        }),
        _ => None,
    };
    TrackedBy {
        name: line.keyword.text.clone(),
        weight,
    }
}

fn refers(word: &Word, known: &[&str], what: &str, diagnostics: &mut Vec<Diagnostic>) {
    if known.contains(&word.text.as_str()) {
        return;
    }
    let help = match nearest(&word.text, known.iter().copied()) {
        Some(near) => format!("one of a similar name is `{near}'"),
        None => format!("add `{what} {} {{ ... }}', or remove this line", word.text),
    };
    diagnostics.push(Diagnostic::error(
        word.span,
        format!("there is no {what} `{}'", word.text),
        "nothing of this name is in the file",
        help,
    ));
}

/// Names that stand in a group itself, as keepalived's first versions had them.
fn old_members(given: Fields<'_>) -> impl Iterator<Item = &Word> {
    let members = given.0.iter().filter(|statement| {
        is_name(statement) && SYNC_GROUP.keyword(&statement.keyword.text).is_none()
    });
    members.map(|statement| &statement.keyword)
}

pub(super) fn sync_groups(
    file: Fields<'_>,
    globals: &Globals,
    known: &Known<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<SyncGroup> {
    let instances: Vec<String> = file.all(&["vrrp_instance"]).map(name).collect();
    let instances: Vec<&str> = instances.iter().map(String::as_str).collect();
    let mut groups = Vec::new();
    for statement in file.all(&["vrrp_sync_group"]) {
        let given = Fields(statement.inner());
        let mut members = Vec::new();
        for word in given
            .lines(&["group"])
            .flat_map(Statement::words)
            .chain(old_members(given))
        {
            refers(word, &instances, "vrrp_instance", diagnostics);
            members.push(word.text.clone());
        }
        if members.is_empty() {
            diagnostics.push(Diagnostic::error(
                statement.span(),
                "a vrrp_sync_group without instances",
                "its `group' block names none",
                "add `group { INSTANCE ... }', or remove it",
            ));
        }
        let tracked = Tracked::of(given, known, diagnostics);
        groups.push(SyncGroup {
            name: name(statement),
            members,
            track_interfaces: tracked.interfaces,
            track_scripts: tracked.scripts,
            track_files: tracked.files,
            track_processes: tracked.processes,
            track_bfds: tracked.bfds,
            tracking_weight: given.has(&["sync_group_tracking_weight", "global_tracking"]),
            notify: Notify {
                priority_changes: given.switch(&["notify_priority_changes"]).unwrap_or(false),
                ..notify(given, globals)
            },
        });
    }
    groups
}
