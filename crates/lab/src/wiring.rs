//! From a lab to the `ip` and `ethtool` commands that build it, and their execution.
//!
//! Everything lives in the lab's own namespaces, the bridges too, so that nothing of a lab is seen among
//! the machine's own interfaces. One `ip -batch` per namespace keeps it a matter of milliseconds.

use std::fmt::Write as _;

use crate::check::{SEGMENTS, port_name};
use crate::definition::{Host, Interface, Lab};
use crate::error::LabError;
use crate::netns::Namespace;
use crate::notation::Prefixed;
use crate::process::{run_in, run_with_input};
use crate::settings;

/// Builds all namespaces of a lab with their cables, settings, addresses and routes.
pub fn build(lab: &Lab, cables: Cables) -> Result<(), LabError> {
    batch(lab, None, &namespaces(lab))?;
    batch(lab, None, &plugged(lab))?;
    let bridges = Namespace::of(&lab.name, SEGMENTS);
    settings::quiet(&bridges)?;
    batch(lab, Some(SEGMENTS), &segments(lab))?;
    for host in &lab.hosts {
        settings::apply(&Namespace::of(&lab.name, &host.name), host)?;
        batch(lab, Some(&host.name), &addresses(host))?;
    }
    set_offloads(lab, cables)
}

/// Runs `ip` commands, one a line, in a host's namespace or outside of all.
fn batch(lab: &Lab, host: Option<&str>, script: &str) -> Result<(), LabError> {
    let namespace = host.map(|host| Namespace::of(&lab.name, host));
    let mut argv = vec!["ip"];
    if let Some(namespace) = &namespace {
        argv.extend(["-n", namespace.name()]);
    }
    argv.extend(["-batch", "-"]);
    let output = run_with_input(&argv, script)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let (command, message) = match failed_line(&said) {
        Some((line, message)) => (
            script
                .lines()
                .nth(line.saturating_sub(1))
                .unwrap_or_default(),
            message,
        ),
        None => ("-batch", said.trim().to_owned()),
    };
    let host = host.unwrap_or("this machine").to_owned();
    Err(LabError::Command {
        command: format!("ip {command}"),
        host,
        message,
    })
}

/// The line, from 1, and the message of what `ip -batch` says when a command fails.
fn failed_line(message: &str) -> Option<(usize, String)> {
    let (said, place) = message.rsplit_once("Command failed -:")?;
    Some((place.trim().parse().ok()?, said.trim().replace('\n', "; ")))
}

fn namespaces(lab: &Lab) -> String {
    let hosts = lab.hosts.iter().map(|host| host.name.as_str());
    hosts
        .chain([SEGMENTS])
        .fold(String::new(), |mut script, host| {
            let _ = writeln!(
                script,
                "netns add {}",
                Namespace::of(&lab.name, host).name()
            );
            script
        })
}

/// Every host's interface and the port at the other end of its cable.
fn plugs(lab: &Lab) -> impl Iterator<Item = (&Host, &Interface, String)> {
    lab.hosts.iter().flat_map(|host| {
        host.interfaces
            .iter()
            .map(move |interface| (host, interface, port_name(&host.name, &interface.name)))
    })
}

fn plugged(lab: &Lab) -> String {
    let bridges = Namespace::of(&lab.name, SEGMENTS);
    plugs(lab).fold(String::new(), |mut script, (host, interface, port)| {
        let namespace = Namespace::of(&lab.name, &host.name);
        let _ = writeln!(
            script,
            "link add {} netns {} address {} type veth peer name {port} netns {}",
            interface.name,
            namespace.name(),
            interface.mac,
            bridges.name(),
        );
        script
    })
}

fn segments(lab: &Lab) -> String {
    let mut script = String::new();
    for segment in &lab.segments {
        let _ = writeln!(
            script,
            "link add {segment} type bridge forward_delay 0 mcast_snooping 0"
        );
        let _ = writeln!(script, "link set {segment} up");
    }
    for (_, interface, port) in plugs(lab) {
        let mtu = mtu(interface);
        let _ = writeln!(
            script,
            "link set {port}{mtu} master {} up",
            interface.segment
        );
    }
    script
}

/// The largest packet, as `ip link set` takes it.
fn mtu(interface: &Interface) -> String {
    let mtu = interface.mtu.map(|mtu| format!(" mtu {mtu}"));
    mtu.unwrap_or_default()
}

/// Addresses before routes: a gateway must be reachable when its route is made.
fn addresses(host: &Host) -> String {
    let mut script = String::from("link set lo up\n");
    for interface in &host.interfaces {
        let _ = writeln!(script, "link set {}{} up", interface.name, mtu(interface));
        for address in &interface.addresses {
            add_address(&mut script, address, &interface.name);
        }
    }
    for address in &host.loopback {
        add_address(&mut script, address, "lo");
    }
    for gateway in &host.gateways {
        let _ = writeln!(script, "route add default via {gateway}");
    }
    for route in &host.routes {
        let _ = writeln!(script, "route add {route}");
    }
    script
}

fn add_address(script: &mut String, address: &Prefixed, interface: &str) {
    // Nobody else can have the address, so there is nothing to wait for.
    let nodad = if address.address.is_ipv6() {
        " nodad"
    } else {
        ""
    };
    let _ = writeln!(script, "address add {address} dev {interface}{nodad}");
}

/// What the ends of the lab's cables leave to hardware that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cables {
    /// What the system lets them.
    AsTheyAre,
    /// Nothing on the way out, so that every packet is complete when it leaves its host; and every
    /// interface polls.
    ///
    /// XDP on a virtual cable forwards frames as they are, so a checksum left to hardware stays wrong,
    /// and a frame reaches a peer only if that peer polls, which GRO makes it do.
    CompletePackets,
    /// The hosts join packets on the way in and cut them on the way out, without any help: what is on a
    /// wire is one packet with its checksum, and no larger than the wire takes.
    CutPackets,
    /// Nothing either way: each frame is a packet with its checksum, everywhere.
    NoOffloads,
}

/// What a card must do for its host, as ethtool calls it, for anything to be left to it: checksums, and
/// every kind of cutting.
const CARD: [&str; 10] = [
    "tx",
    "rx",
    "tso",
    "tx-udp-segmentation",
    "tx-gre-segmentation",
    "tx-gre-csum-segmentation",
    "tx-ipxip4-segmentation",
    "tx-ipxip6-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
];

impl Cables {
    /// The features to set, as ethtool takes them: at the hosts' ends of the cables, and at the bridges'.
    fn features(self) -> [Vec<&'static str>; 2] {
        let card_off = || CARD.into_iter().flat_map(|feature| [feature, "off"]);
        let and = |features: [&'static str; 4]| card_off().chain(features).collect();
        match self {
            Self::AsTheyAre => [Vec::new(), Vec::new()],
            Self::CompletePackets => [(); 2].map(|()| vec!["tx", "off", "gro", "on"]),
            // A bridge that joined packets would hide how large they were on the wire.
            Self::CutPackets => [
                and(["gso", "on", "gro", "on"]),
                and(["gso", "on", "gro", "off"]),
            ],
            Self::NoOffloads => [(); 2].map(|()| and(["gso", "off", "gro", "off"])),
        }
    }
}

fn set_offloads(lab: &Lab, cables: Cables) -> Result<(), LabError> {
    let bridges = Namespace::of(&lab.name, SEGMENTS);
    let [at_hosts, at_bridges] = cables.features();
    for (host, interface, port) in plugs(lab) {
        let namespace = Namespace::of(&lab.name, &host.name);
        ethtool(&namespace, &interface.name, &at_hosts)?;
        ethtool(&bridges, &port, &at_bridges)?;
    }
    Ok(())
}

fn ethtool(namespace: &Namespace, interface: &str, features: &[&str]) -> Result<(), LabError> {
    if features.is_empty() {
        return Ok(());
    }
    let words = ["ethtool", "-K", interface].into_iter();
    let words = words.chain(features.iter().copied());
    let argv: Vec<String> = words.map(str::to_owned).collect();
    let output = run_in(namespace, &argv)?;
    if output.status.success() {
        return Ok(());
    }
    Err(LabError::Command {
        command: argv.join(" "),
        host: namespace.host().to_owned(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Removes a namespace, and with it its interfaces.
pub fn remove(namespace: &Namespace) -> Result<(), LabError> {
    let argv = ["ip", "netns", "delete", namespace.name()];
    let output = run_with_input(&argv, "")?;
    if output.status.success() {
        return Ok(());
    }
    Err(LabError::Command {
        command: argv.join(" "),
        host: "this machine".to_owned(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_ip_refuses_is_found() {
        let message = "Error: Nexthop has invalid gateway.\nCommand failed -:3";
        assert_eq!(
            failed_line(message),
            Some((3, "Error: Nexthop has invalid gateway.".to_owned()))
        );
        assert_eq!(failed_line("something else"), None);
    }

    #[test]
    fn hosts_get_their_addresses_before_their_routes() {
        let lab = crate::library::find("nat-wrr", false).unwrap();
        let rs1 = lab.hosts.iter().find(|host| host.name == "rs1").unwrap();
        assert_eq!(
            addresses(rs1),
            "link set lo up\nlink set eth0 up\naddress add 192.168.100.39/24 dev eth0\n\
             route add default via 192.168.100.17\n"
        );
    }
}
