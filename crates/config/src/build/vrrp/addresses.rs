//! `virtual_ipaddress` and `virtual_routes`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::fields::Fields;
use crate::diagnostic::Diagnostic;
use crate::model::{FOREVER, RouteKind, VirtualAddress, VirtualRoute};
use crate::source::Span;
use crate::tree::{Statement, Word};
use crate::value;

/// Addresses with the places where they are written.
pub(super) fn addresses(
    given: Fields<'_>,
    names: &'static [&'static str],
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(VirtualAddress, Span)> {
    given
        .lines(names)
        .filter_map(|line| Some((address(line, diagnostics)?, line.keyword.span)))
        .collect()
}

fn address(line: &Statement, diagnostics: &mut Vec<Diagnostic>) -> Option<VirtualAddress> {
    let Some((address, prefix)) = value::prefixed(&line.keyword.text) else {
        diagnostics.push(Diagnostic::error(
            line.keyword.span,
            format!("`{}' is no IP address", line.keyword.text),
            "an address, with or without the length of its prefix, begins the line",
            "write `ADDRESS[/LENGTH] [dev INTERFACE] [label LABEL] [scope SCOPE]'",
        ));
        return None;
    };
    let mut virtual_address = VirtualAddress {
        address,
        prefix,
        interface: None,
        label: None,
        broadcast: None,
        scope: 0,
        no_track: false,
        preferred_lifetime: None,
        flags: Vec::new(),
    };
    let mut words = line.arguments.iter();
    while let Some(word) = words.next() {
        if option(&mut virtual_address, word, &mut words).is_none() {
            diagnostics.push(unknown(word));
        }
    }
    Some(virtual_address)
}

/// Takes one option in; None if it is not known, or its value is wrong.
fn option<'a>(
    address: &mut VirtualAddress,
    word: &Word,
    words: &mut impl Iterator<Item = &'a Word>,
) -> Option<()> {
    let mut value = || words.next().map(|word| word.text.clone());
    match word.text.as_str() {
        "dev" => address.interface = Some(value()?),
        "label" => address.label = Some(value()?),
        "brd" | "broadcast" => address.broadcast = Some(value()?),
        "scope" => address.scope = scope(&value()?)?,
        // Its value goes with it.
        "peer" => return value().and(None),
        "no_track" => address.no_track = true,
        "track_group" => drop(value()?),
        "preferred_lft" => {
            address.preferred_lifetime = Some(match value()?.as_str() {
                "forever" => FOREVER,
                seconds => seconds.parse().ok()?,
            });
        }
        "home" | "-nodad" | "nodad" | "mngtmpaddr" | "noprefixroute" | "autojoin" => {
            address.flags.push(word.text.clone());
        }
        _ => return None,
    }
    Some(())
}

fn unknown(word: &Word) -> Diagnostic {
    Diagnostic::warning(
        word.span,
        format!("`{}' has no effect here", word.text),
        "it is not known, or its value is missing",
        "remove it, or set it with `ip' in a notify script",
    )
}

/// rtnetlink(7)'s scopes.
fn scope(name: &str) -> Option<u8> {
    Some(match name {
        "global" => 0,
        "site" => 200,
        "link" => 253,
        "host" => 254,
        "nowhere" => 255,
        number => number.parse().ok()?,
    })
}

/// Routes that can be set; of what cannot, it is told.
pub(super) fn routes(given: Fields<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<VirtualRoute> {
    given
        .lines(&["virtual_routes"])
        .filter_map(|line| route(line, diagnostics))
        .collect()
}

fn route(line: &Statement, diagnostics: &mut Vec<Diagnostic>) -> Option<VirtualRoute> {
    let mut route = VirtualRoute::new((Ipv4Addr::UNSPECIFIED.into(), 0));
    let mut has_destination = false;
    let mut words = line.words();
    while let Some(word) = words.next() {
        if let Some(destination) = destination(&word.text).filter(|_| !has_destination) {
            route.destination = destination;
            has_destination = true;
        } else if route_option(&mut route, word, &mut words).is_none() {
            diagnostics.push(unknown(word));
        }
    }
    if !has_destination {
        diagnostics.push(Diagnostic::error(
            line.span(),
            "a route without destination",
            "it does not say where it leads",
            "write `ADDRESS/LENGTH via ROUTER dev INTERFACE'",
        ));
        return None;
    }
    // A default route is of its router's family.
    let is_v6 = route.gateway.is_some_and(|gateway| gateway.is_ipv6());
    if is_v6 && route.destination == (Ipv4Addr::UNSPECIFIED.into(), 0) {
        route.destination = (Ipv6Addr::UNSPECIFIED.into(), 0);
    }
    Some(route)
}

fn destination(text: &str) -> Option<(IpAddr, u8)> {
    if text == "default" {
        return Some((Ipv4Addr::UNSPECIFIED.into(), 0));
    }
    let (address, length) = value::prefixed(text)?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    Some((address, length.unwrap_or(whole)))
}

fn route_option<'a>(
    route: &mut VirtualRoute,
    word: &Word,
    words: &mut impl Iterator<Item = &'a Word>,
) -> Option<()> {
    let mut value = || words.next().map(|word| word.text.as_str());
    match word.text.as_str() {
        // The destination follows, as a word of its own.
        "to" => {}
        "via" | "gw" => route.gateway = Some(value()?.parse().ok()?),
        "dev" | "oif" => route.interface = Some(value()?.to_owned()),
        "src" => route.source = Some(value::prefixed(value()?)?.0),
        "table" => {
            route.table = Some(match value()? {
                "main" => 254,
                "local" => 255,
                "default" => 253,
                number => number.parse().ok()?,
            });
        }
        "metric" | "priority" | "preference" => route.metric = Some(value()?.parse().ok()?),
        "no_track" => route.no_track = true,
        "scope" => route.scope = Some(scope(value()?)?),
        "mtu" => route.mtu = Some(value()?.parse().ok()?),
        "onlink" => route.onlink = true,
        "unicast" => route.kind = RouteKind::Unicast,
        "blackhole" => route.kind = RouteKind::Blackhole,
        "unreachable" => route.kind = RouteKind::Unreachable,
        "prohibit" => route.kind = RouteKind::Prohibit,
        "throw" => route.kind = RouteKind::Throw,
        _ => return None,
    }
    Some(())
}
