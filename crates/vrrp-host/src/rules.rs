//! Routing rules: held and released with the addresses.

use std::net::IpAddr;

use config::model::{self as file, VirtualRule};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleHeader, RuleMessage};
use rtnetlink::Handle;

use crate::error::{Error, refused_with};

/// Adds a rule, unless it is there.
pub(crate) async fn add(handle: &Handle, rule: &VirtualRule) -> Result<(), Error> {
    let mut request = handle.rule().add();
    *request.message_mut() = message(rule);
    match request.execute().await {
        Err(error) if refused_with(&error, libc::EEXIST) => Ok(()),
        outcome => outcome.map_err(Error::refused(format!("add the rule `{}'", rule.text))),
    }
}

/// Removes a rule, unless it is gone.
pub(crate) async fn remove(handle: &Handle, rule: &VirtualRule) -> Result<(), Error> {
    match handle.rule().del(message(rule)).execute().await {
        Err(error) if refused_with(&error, libc::ENOENT) => Ok(()),
        outcome => outcome.map_err(Error::refused(format!("remove the rule `{}'", rule.text))),
    }
}

/// Whether the kernel's message about a removed rule is about this one: what we said of it, the kernel
/// says, and more.
pub(crate) fn is(rule: &VirtualRule, told: &RuleMessage) -> bool {
    let wanted = message(rule);
    let (ours, theirs) = (&wanted.header, &told.header);
    let conditions =
        |header: &RuleHeader| (header.family, header.src_len, header.dst_len, header.tos);
    let inverted = |header: &RuleHeader| header.flags.contains(RuleFlags::Invert);
    conditions(ours) == conditions(theirs)
        && inverted(ours) == inverted(theirs)
        && ours.action == theirs.action
        && wanted
            .attributes
            .iter()
            .all(|attribute| told.attributes.contains(attribute))
}

fn message(rule: &VirtualRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = match rule.is_ipv6 {
        true => AddressFamily::Inet6,
        false => AddressFamily::Inet,
    };
    let length = |prefix: Option<(IpAddr, u8)>| prefix.map_or(0, |(_, length)| length);
    (header.src_len, header.dst_len) = (length(rule.from), length(rule.to));
    header.tos = rule.tos;
    if rule.inverted {
        header.flags = RuleFlags::Invert;
    }
    let mut attributes = vec![RuleAttribute::Protocol(RouteProtocol::KeepAlived)];
    header.action = match rule.action {
        file::RuleAction::Table(table) => {
            attributes.push(RuleAttribute::Table(table));
            RuleAction::ToTable
        }
        file::RuleAction::Blackhole => RuleAction::Blackhole,
        file::RuleAction::Unreachable => RuleAction::Unreachable,
        file::RuleAction::Prohibit => RuleAction::Prohibit,
    };
    let told = [
        rule.from.map(|(address, _)| RuleAttribute::Source(address)),
        rule.to
            .map(|(address, _)| RuleAttribute::Destination(address)),
        rule.input.clone().map(RuleAttribute::Iifname),
        rule.output.clone().map(RuleAttribute::Oifname),
        rule.mark.map(|(mark, _)| RuleAttribute::FwMark(mark)),
        rule.mark
            .and_then(|(_, mask)| mask.map(RuleAttribute::FwMask)),
        rule.preference.map(RuleAttribute::Priority),
        rule.suppress_prefix_length
            .map(RuleAttribute::SuppressPrefixLen),
    ];
    attributes.extend(told.into_iter().flatten());
    message.attributes = attributes;
    message
}
