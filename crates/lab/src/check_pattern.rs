//! From what a lab file says of captured packets to a [`PacketPattern`].

use toml::Spanned;

use crate::check::{list, parsed};
use crate::definition::{Host, Lab, PacketPattern, Plug};
use crate::file::{Mistake, PatternFile};
use crate::icmp::Icmp;

/// TCP flags in the order in which they are written.
pub(crate) const TCP_FLAGS: [&str; 8] = ["SYN", "FIN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/// Checks a pattern for what was on a host's wires.
pub(crate) fn check_pattern(
    raw: &PatternFile,
    host: &Host,
    lab: &Lab,
) -> Result<PacketPattern, Mistake> {
    if let Some(name) = &raw.interface {
        check_interface(name, host)?;
    }
    if let Some(flags) = &raw.tcp {
        check_flags(flags)?;
    }
    let plug =
        |name: &Option<Spanned<String>>| name.as_ref().map(|name| plug(name, lab)).transpose();
    Ok(PacketPattern {
        interface: raw.interface.as_ref().map(|name| name.get_ref().clone()),
        direction: raw.direction,
        tcp: raw.tcp.as_ref().map(|flags| flags.get_ref().clone()),
        icmp: check_icmp(raw)?,
        client: raw.client,
        source: raw.source.as_ref().map(parsed).transpose()?,
        destination: raw.destination.as_ref().map(parsed).transpose()?,
        source_mac: plug(&raw.source_mac)?,
        destination_mac: plug(&raw.destination_mac)?,
        ttl: raw.ttl,
        tunnel: raw.tunnel.as_ref().map(parsed).transpose()?,
        outer_source: raw.outer_source,
        outer_destination: raw.outer_destination,
    })
}

fn check_interface(name: &Spanned<String>, host: &Host) -> Result<(), Mistake> {
    let known: Vec<&str> = host
        .interfaces
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    if known.contains(&name.get_ref().as_str()) {
        return Ok(());
    }
    let message = format!("host `{}` has no interface `{}`", host.name, name.get_ref());
    Err(Mistake::at(name, message).hint(format!("it has {}", list(&known))))
}

fn check_flags(flags: &Spanned<String>) -> Result<(), Mistake> {
    let text = flags.get_ref();
    if text == "any" || text.split('+').all(|flag| TCP_FLAGS.contains(&flag)) {
        return Ok(());
    }
    Err(
        Mistake::at(flags, format!("`{text}` are not TCP flags")).hint(format!(
            "`any`, or flags joined by +, for instance SYN+ACK, of {}",
            list(&TCP_FLAGS)
        )),
    )
}

fn check_icmp(raw: &PatternFile) -> Result<Option<Icmp>, Mistake> {
    let message: Option<Icmp> = raw.icmp.as_ref().map(parsed).transpose()?;
    match (message, &raw.mtu) {
        (Some(Icmp::TooBig { .. }), Some(mtu)) => Ok(Some(Icmp::TooBig {
            mtu: Some(*mtu.get_ref()),
        })),
        (_, Some(mtu)) => Err(Mistake::at(mtu, "`mtu` belongs to `icmp = \"too-big\"`")),
        (message, None) => Ok(message),
    }
}

/// The interface that is named as `rs1.eth0`.
fn plug(name: &Spanned<String>, lab: &Lab) -> Result<Plug, Mistake> {
    let all = || {
        lab.hosts.iter().flat_map(|host| {
            host.interfaces
                .iter()
                .map(move |interface| (format!("{}.{}", host.name, interface.name), interface.mac))
        })
    };
    let found = all().find(|(known, _)| known == name.get_ref());
    found.map(|(name, mac)| Plug { name, mac }).ok_or_else(|| {
        let known: Vec<String> = all().map(|(name, _)| name).collect();
        Mistake::at(
            name,
            format!("`{}` is no interface of this lab's", name.get_ref()),
        )
        .hint(format!(
            "MAC addresses are given by host and interface: {}",
            list(&known)
        ))
    })
}
