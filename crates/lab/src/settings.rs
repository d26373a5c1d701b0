//! A host's settings below `/proc/sys/net`.
//!
//! The reverse-path filter and the ARP settings are made on every host, never inherited. The kernel takes
//! the larger of `conf/all` and the interface's own, so `all` gets the smallest of the interfaces' values:
//! what the lab file says of an interface is then what counts.

use std::fs;
use std::io;

use crate::definition::{Host, Interface};
use crate::error::LabError;
use crate::netns::Namespace;

/// Makes all settings of a host. Its interfaces must be there.
pub fn apply(namespace: &Namespace, host: &Host) -> Result<(), LabError> {
    let mut settings = ipv4(host);
    settings.extend(forwarding(host));
    settings.extend(ipv6(host));
    settings.extend(
        host.sysctls
            .iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    write_all(namespace, settings)
}

/// Keeps a namespace that has no addresses from saying anything by itself.
pub fn quiet(namespace: &Namespace) -> Result<(), LabError> {
    write_all(namespace, without_ipv6())
}

fn ipv4(host: &Host) -> Vec<(String, String)> {
    let kinds = ["rp_filter", "arp_ignore", "arp_announce"];
    let values = |interface: &Interface| {
        [
            interface.rp_filter,
            interface.arp_ignore,
            interface.arp_announce,
        ]
    };
    let mut settings = Vec::new();
    for (at, kind) in kinds.into_iter().enumerate() {
        let own = |interface: &Interface| values(interface)[at];
        let smallest = host.interfaces.iter().map(own).min().unwrap_or(0);
        let mut set = |name: &str, value: u8| {
            settings.push((format!("net.ipv4.conf.{name}.{kind}"), value.to_string()));
        };
        for common in ["all", "default", "lo"] {
            set(common, smallest);
        }
        for interface in &host.interfaces {
            set(&interface.name, own(interface));
        }
    }
    settings
}

/// What a host does with packets that are not for it, and with what others say about routes: nothing
/// that the lab file does not say.
fn forwarding(host: &Host) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut set = |key: String, value: u8| settings.push((key, value.to_string()));
    set("net.ipv4.ip_forward".to_owned(), u8::from(host.router));
    for name in everywhere(host) {
        for kind in ["accept_redirects", "send_redirects"] {
            set(format!("net.ipv4.conf.{name}.{kind}"), 0);
        }
    }
    settings
}

/// The common settings' names, and the interfaces'.
fn everywhere(host: &Host) -> impl Iterator<Item = &str> {
    let interfaces = host.interfaces.iter();
    ["all", "default"]
        .into_iter()
        .chain(interfaces.map(|interface| interface.name.as_str()))
}

/// Without IPv6 addresses, IPv6 is off: captures then show nothing but the lab.
fn ipv6(host: &Host) -> Vec<(String, String)> {
    let on_wires = host
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses);
    let mut addresses = on_wires.chain(&host.loopback);
    if !addresses.any(|address| address.address.is_ipv6()) {
        return without_ipv6();
    }
    let mut settings = Vec::new();
    for name in everywhere(host) {
        let mut set = |kind: &str, value: u8| {
            settings.push((format!("net.ipv6.conf.{name}.{kind}"), value.to_string()));
        };
        set("disable_ipv6", 0);
        // Addresses work at once: nobody else can have them. And routes are those of the lab file.
        for kind in [
            "accept_dad",
            "accept_ra",
            "accept_redirects",
            "router_solicitations",
        ] {
            set(kind, 0);
        }
    }
    // For all interfaces, those that are there included.
    let key = "net.ipv6.conf.all.forwarding".to_owned();
    settings.push((key, u8::from(host.router).to_string()));
    settings
}

fn without_ipv6() -> Vec<(String, String)> {
    ["all", "default"]
        .into_iter()
        .map(|common| {
            (
                format!("net.ipv6.conf.{common}.disable_ipv6"),
                "1".to_owned(),
            )
        })
        .collect()
}

fn write_all(namespace: &Namespace, settings: Vec<(String, String)>) -> Result<(), LabError> {
    namespace.within(|| {
        for (key, value) in settings {
            match write(&key, &value) {
                // A kernel without IPv6 is as quiet as one where it is switched off.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && key.ends_with("disable_ipv6")
                        && value == "1" => {}
                Err(source) => {
                    return Err(LabError::Sysctl {
                        host: namespace.host().to_owned(),
                        key,
                        value,
                        source,
                    });
                }
                Ok(()) => {}
            }
        }
        Ok(())
    })?
}

/// `/proc/sys/net` shows the settings of the namespace of the thread that opens a file there.
fn write(key: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/{}", key.replace('.', "/")), value)
}
