//! From what a lab file says to a [`Lab`]: hosts and their interfaces. Steps are in [`crate::check_steps`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use toml::Spanned;

use crate::definition::{Family, Host, Interface, Lab, Serve};
use crate::file::{Gateway, HostFile, InterfaceFile, LabFile, Mistake, Setting};
use crate::notation::{Mac, Prefixed};

/// Longest name of a network interface, in bytes (`IFNAMSIZ` less its closing zero).
const LONGEST_INTERFACE_NAME: usize = 15;

/// Name of the namespace that holds the bridges, thus of no host.
pub(crate) const SEGMENTS: &str = "segments";

/// Checks a whole file, and takes what is for a family.
pub(crate) fn check(raw: LabFile, family: Family) -> Result<Lab, Mistake> {
    let mut lab = named(&raw, family)?;
    for segment in raw.segments {
        interface_name(&segment, "segment")?;
        if lab.segments.contains(segment.get_ref()) {
            return Err(Mistake::at(
                &segment,
                format!("segment `{}` is there twice", segment.get_ref()),
            ));
        }
        lab.segments.push(segment.into_inner());
    }
    if raw.host.is_empty() {
        return Err(Mistake::at(&raw.name, "the lab has no hosts"));
    }
    let mut unique = Unique::default();
    for host in raw.host {
        lab.hosts
            .push(check_host(host, &lab.segments, &mut unique)?);
    }
    lab.steps = crate::check_steps::check_steps(raw.step, &lab, family)?;
    Ok(lab)
}

/// A lab of which nothing more is known than what it is called and shows.
fn named(raw: &LabFile, family: Family) -> Result<Lab, Mistake> {
    let name = lab_name(&raw.name)?;
    let mut lab = Lab {
        name,
        title: raw.title.clone(),
        about: raw.about.clone(),
        long: raw.long,
        segments: Vec::new(),
        hosts: Vec::new(),
        steps: Vec::new(),
    };
    if family == Family::Ipv6 {
        lab.name.push_str(TWIN_SUFFIX);
        lab.title.push_str(", over IPv6");
        if let Some(twin) = raw.twin.as_ref().filter(|twin| !twin.about.is_empty()) {
            lab.about.clone_from(&twin.about);
        }
    }
    Ok(lab)
}

/// What the name of a lab's twin ends in.
pub(crate) const TWIN_SUFFIX: &str = "-v6";

/// What may be there once in a whole lab.
#[derive(Default)]
struct Unique {
    hosts: Vec<String>,
    macs: BTreeMap<[u8; 6], String>,
    addresses: BTreeMap<IpAddr, String>,
}

fn lab_name(name: &Spanned<String>) -> Result<String, Mistake> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = name.get_ref();
    if text.is_empty() || text.starts_with('-') || !text.chars().all(good) {
        return Err(
            Mistake::at(name, format!("`{text}` cannot be a lab's name"))
                .hint("small letters, digits and dashes, for instance my-lab"),
        );
    }
    Ok(text.clone())
}

fn check_host(raw: HostFile, segments: &[String], unique: &mut Unique) -> Result<Host, Mistake> {
    let name = host_name(&raw.name, unique)?;
    let defaults = [
        setting_at_most(&raw.rp_filter, "rp_filter", 2)?.unwrap_or(0),
        setting_at_most(&raw.arp_ignore, "arp_ignore", 8)?.unwrap_or(0),
        setting_at_most(&raw.arp_announce, "arp_announce", 2)?.unwrap_or(0),
    ];
    let mut interfaces: Vec<Interface> = Vec::new();
    for interface in raw.interfaces {
        if interfaces
            .iter()
            .any(|other| other.name == *interface.name.get_ref())
        {
            return Err(Mistake::at(
                &interface.name,
                format!("host `{name}` has this interface twice"),
            ));
        }
        interfaces.push(check_interface(
            &name, interface, segments, defaults, unique,
        )?);
    }
    if let Some(configuration) = raw.configuration.as_ref().filter(|_| !raw.director) {
        return Err(Mistake::at(
            configuration,
            format!("host `{name}` runs no daemon that would read a configuration"),
        )
        .hint("director = true"));
    }
    let loopback = all_parsed(&raw.loopback)?;
    let decapsulate = all_parsed(&raw.decapsulate)?;
    let routes = all_parsed(&raw.routes)?;
    let setup = all_parsed(&raw.setup)?;
    let gateways = raw.gateway.map_or(Ok(Vec::new()), |gateway| {
        check_gateways(&gateway, &interfaces)
    })?;
    let sysctls = raw
        .sysctls
        .into_iter()
        .map(check_sysctl)
        .collect::<Result<_, _>>()?;
    let serve = raw.serve.map(|serve| Serve {
        name: serve.name,
        address: serve.address.into_inner(),
        port: serve.port,
        proxy: serve.proxy,
    });
    Ok(Host {
        name,
        director: raw.director,
        configuration: raw.configuration.map(Spanned::into_inner),
        router: raw.router,
        interfaces,
        loopback,
        gateways,
        routes,
        sysctls,
        serve,
        decapsulate,
        setup,
    })
}

fn host_name(name: &Spanned<String>, unique: &mut Unique) -> Result<String, Mistake> {
    let text = name.get_ref();
    if text.is_empty()
        || !text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    {
        return Err(
            Mistake::at(name, format!("`{text}` cannot be a host's name"))
                .hint("small letters and digits, for instance rs1"),
        );
    }
    if text == SEGMENTS {
        return Err(Mistake::at(
            name,
            "`segments` is the place of the bridges and cannot be a host's name",
        ));
    }
    if unique.hosts.contains(text) {
        return Err(Mistake::at(name, format!("host `{text}` is there twice")));
    }
    unique.hosts.push(text.clone());
    Ok(text.clone())
}

fn check_interface(
    host: &str,
    raw: InterfaceFile,
    segments: &[String],
    [rp_filter, arp_ignore, arp_announce]: [u8; 3],
    unique: &mut Unique,
) -> Result<Interface, Mistake> {
    interface_name(&raw.name, "interface")?;
    let port = port_name(host, raw.name.get_ref());
    if port.len() > LONGEST_INTERFACE_NAME {
        return Err(Mistake::at(
            &raw.name,
            format!("`{port}`, the name of its port on the bridge, is too long"),
        )
        .hint(format!(
            "host and interface have at most {} characters together",
            LONGEST_INTERFACE_NAME - 1
        )));
    }
    if !segments.contains(raw.segment.get_ref()) {
        return Err(Mistake::at(
            &raw.segment,
            format!(
                "segment `{}` is not one of this lab's",
                raw.segment.get_ref()
            ),
        )
        .hint(format!("segments = [..] names {}", list(segments))));
    }
    let mac: Mac = parsed(&raw.mac)?;
    if let Some(other) = unique.macs.insert(mac.0, port.clone()) {
        return Err(Mistake::at(
            &raw.mac,
            format!("{mac} is the MAC address of {other} already"),
        ));
    }
    let mut addresses = Vec::new();
    for text in &raw.addresses {
        let prefixed: Prefixed = parsed(text)?;
        if let Some(other) = unique.addresses.insert(prefixed.address, port.clone()) {
            return Err(Mistake::at(
                text,
                format!("{} is an address of {other} already", prefixed.address),
            ));
        }
        addresses.push(prefixed);
    }
    Ok(Interface {
        rp_filter: setting_at_most(&raw.rp_filter, "rp_filter", 2)?.unwrap_or(rp_filter),
        arp_ignore: setting_at_most(&raw.arp_ignore, "arp_ignore", 8)?.unwrap_or(arp_ignore),
        arp_announce: setting_at_most(&raw.arp_announce, "arp_announce", 2)?
            .unwrap_or(arp_announce),
        name: raw.name.into_inner(),
        segment: raw.segment.into_inner(),
        mac,
        addresses,
        mtu: check_mtu(&raw.mtu)?,
    })
}

/// From the least that IPv4 hosts must take (RFC 791) to the most that its header can say.
fn check_mtu(raw: &Option<Spanned<u32>>) -> Result<Option<u32>, Mistake> {
    match raw {
        Some(mtu) if !(576..=65_535).contains(mtu.get_ref()) => {
            Err(Mistake::at(mtu, "an MTU is 576 to 65535 bytes"))
        }
        mtu => Ok(mtu.as_ref().map(|mtu| *mtu.get_ref())),
    }
}

/// Name of the bridge port that a host's interface is plugged into.
pub(crate) fn port_name(host: &str, interface: &str) -> String {
    format!("{host}.{interface}")
}

fn interface_name(name: &Spanned<String>, what: &str) -> Result<(), Mistake> {
    let text = name.get_ref();
    let good = !text.is_empty()
        && text.len() <= LONGEST_INTERFACE_NAME
        && text != "lo"
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if good {
        return Ok(());
    }
    Err(
        Mistake::at(name, format!("`{text}` cannot be the name of a {what}")).hint(format!(
            "letters, digits and dashes, at most {LONGEST_INTERFACE_NAME}, and not `lo`"
        )),
    )
}

fn check_gateways(
    raw: &Spanned<Gateway>,
    interfaces: &[Interface],
) -> Result<Vec<IpAddr>, Mistake> {
    let gateways = match raw.get_ref() {
        Gateway::One(gateway) => vec![*gateway],
        Gateway::Several(several) => several.clone(),
    };
    for gateway in &gateways {
        let mut own = interfaces.iter().flat_map(|interface| &interface.addresses);
        if !own.any(|own| same_network(own, *gateway)) {
            return Err(Mistake::at(
                raw,
                format!("gateway {gateway} is in none of the host's own networks"),
            )
            .hint(
                "a gateway is reached directly, so it shares a network with one of the interfaces",
            ));
        }
        if gateways
            .iter()
            .filter(|other| other.is_ipv4() == gateway.is_ipv4())
            .count()
            > 1
        {
            return Err(Mistake::at(
                raw,
                "there is one default gateway per address family",
            ));
        }
    }
    Ok(gateways)
}

/// Whether an address is in the network of another.
fn same_network(own: &Prefixed, address: IpAddr) -> bool {
    let bits = |address| match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    };
    let differing = bits(own.address) ^ bits(address);
    own.address.is_ipv4() == address.is_ipv4() && differing.leading_zeros() >= u32::from(own.length)
}

fn check_sysctl((key, value): (Spanned<String>, Setting)) -> Result<(String, String), Mistake> {
    if !key.get_ref().starts_with("net.")
        || key.get_ref().contains('/')
        || key.get_ref().contains("..")
    {
        return Err(Mistake::at(
            &key,
            format!(
                "`{}` is not a setting of a host's own network",
                key.get_ref()
            ),
        )
        .hint("they are written as sysctl does, for instance \"net.ipv4.ip_forward\" = 1"));
    }
    let value = match value {
        Setting::Number(number) => number.to_string(),
        Setting::Text(text) => text,
    };
    Ok((key.into_inner(), value))
}

fn setting_at_most(raw: &Option<Spanned<u8>>, name: &str, most: u8) -> Result<Option<u8>, Mistake> {
    match raw {
        Some(value) if *value.get_ref() > most => {
            Err(Mistake::at(value, format!("{name} is 0 to {most}")))
        }
        Some(value) => Ok(Some(*value.get_ref())),
        None => Ok(None),
    }
}

/// Parses a text of the file, with the text's place in the error.
pub(crate) fn parsed<T: FromStr<Err = String>>(text: &Spanned<String>) -> Result<T, Mistake> {
    text.get_ref()
        .parse()
        .map_err(|message: String| Mistake::at(text, message))
}

/// Parses texts of the file.
fn all_parsed<T: FromStr<Err = String>>(texts: &[Spanned<String>]) -> Result<Vec<T>, Mistake> {
    texts.iter().map(parsed).collect()
}

/// Names for a hint: `a, b and c`.
pub(crate) fn list<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
