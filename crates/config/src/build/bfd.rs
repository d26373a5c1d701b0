//! `bfd_instance`.

use std::net::IpAddr;
use std::time::Duration;

use super::fields::Fields;
use super::track::name;
use crate::diagnostic::Diagnostic;
use crate::model::BfdInstance;
use crate::tree::Statement;
use crate::value;

/// keepalived's defaults.
const INTERVAL: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_secs(1);
const MULTIPLIER: u8 = 5;
/// What neighbours one hop away insist on (RFC 5881, section 5).
const HOP_LIMIT: u8 = 255;
/// A `max_hops` that stands for any number.
const ANY_HOPS: u8 = 255;

pub(super) fn instances(file: Fields<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<BfdInstance> {
    let mut instances: Vec<BfdInstance> = Vec::new();
    for statement in file.all(&["bfd_instance"]) {
        let Some(instance) = instance(statement, diagnostics) else {
            continue;
        };
        let twice =
            |known: &BfdInstance| known.name == instance.name || ends(known) == ends(&instance);
        if let Some(known) = instances.iter().find(|known| twice(known)) {
            diagnostics.push(Diagnostic::error(
                statement.span(),
                "a second bfd_instance of this name or with this neighbour",
                format!("`{}' is there already, with {}", known.name, known.neighbor),
                "one session is enough for all who track it: remove one, and name the other",
            ));
            continue;
        }
        instances.push(instance);
    }
    instances
}

/// What the packets of a session are told apart by.
fn ends(instance: &BfdInstance) -> (IpAddr, bool) {
    (instance.neighbor, instance.multihop)
}

fn instance(statement: &Statement, diagnostics: &mut Vec<Diagnostic>) -> Option<BfdInstance> {
    let given = Fields(statement.inner());
    let Some(neighbor) = given.address(&["neighbor_ip", "neighbour_ip"]) else {
        diagnostics.push(Diagnostic::error(
            statement.span(),
            "a bfd_instance without `neighbor_ip'",
            "it does not say with whom to speak",
            "add `neighbor_ip ADDRESS'",
        ));
        return None;
    };
    let milliseconds = |names, other| {
        let word = given.word(names);
        word.and_then(|word| value::milliseconds(&word.text, 0.0, f64::from(u32::MAX)).ok())
            .unwrap_or(other)
    };
    let multihop = given.has(&["multihop"]);
    let hop_limit = match neighbor {
        IpAddr::V4(_) => given.number(&["ttl"]),
        IpAddr::V6(_) => given.number(&["hoplimit"]),
    };
    let max_hops = given.number(&["max_hops"]);
    let (vrrp, checker) = (given.has(&["vrrp"]), given.has(&["checker"]));
    let instance = BfdInstance {
        name: name(statement),
        neighbor,
        source: given.address(&["source_ip"]),
        min_rx: milliseconds(&["min_rx"], INTERVAL),
        min_tx: milliseconds(&["min_tx"], INTERVAL),
        idle_tx: milliseconds(&["idle_tx"], IDLE),
        multiplier: given.number(&["multiplier"]).unwrap_or(MULTIPLIER),
        passive: given.has(&["passive"]),
        multihop,
        hop_limit: hop_limit.unwrap_or(HOP_LIMIT),
        max_hops: max_hops
            .or((!multihop).then_some(0))
            .filter(|hops| *hops != ANY_HOPS),
        weight: given.weight(&["weight"]).unwrap_or_default(),
        for_vrrp: vrrp || !checker,
        for_checks: checker || !vrrp,
    };
    check(&instance, given, diagnostics);
    Some(instance)
}

fn check(instance: &BfdInstance, given: Fields<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let other_family = |source: &IpAddr| source.is_ipv4() != instance.neighbor.is_ipv4();
    if let Some(word) = given.word(&["source_ip"])
        && instance.source.as_ref().is_some_and(other_family)
    {
        diagnostics.push(Diagnostic::error(
            word.span,
            "a source_ip of another family than the neighbour",
            format!("the neighbour is {}", instance.neighbor),
            "write an address of this host in the neighbour's network",
        ));
    }
    let word = given.word(&["ttl"]).or(given.word(&["hoplimit"]));
    if let Some(word) = word
        && instance.hop_limit != HOP_LIMIT
        && !instance.multihop
    {
        diagnostics.push(Diagnostic::warning(
            word.span,
            "neighbours may refuse packets of this hop limit",
            "RFC 5881 wants 255 over one hop, which proves that a packet came from the link itself",
            "remove it, or add `multihop' where the neighbour is further away",
        ));
    }
}
