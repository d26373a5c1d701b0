//! What follows from the network as it is: where the program is to run, and for which addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use decap::{Address, layout, mapped};
use net::{Link, LinkKind, Snapshot};

use crate::error::Error;
use crate::settings::Settings;

/// The addresses of a host, by what they are here.
pub(crate) fn addresses(network: &Snapshot, settings: &Settings) -> BTreeMap<Address, u32> {
    let mut roles = BTreeMap::new();
    let mut add = |address, role| *roles.entry(words(address)).or_insert(0) |= role;
    for own in network.addresses().filter(|own| !own.unusable) {
        add(own.address, layout::OWN);
    }
    for address in virtual_addresses(network, settings) {
        add(address, layout::VIRTUAL);
    }
    roles
}

/// The virtual addresses: those that were named, else those on `lo` that are not the host's own there.
pub(crate) fn virtual_addresses(network: &Snapshot, settings: &Settings) -> BTreeSet<IpAddr> {
    if !settings.virtual_addresses.is_empty() {
        return settings.virtual_addresses.iter().copied().collect();
    }
    let is_loopback = |ifindex| {
        let link = network.link(ifindex);
        link.is_some_and(|link| link.kind == LinkKind::Loopback)
    };
    let on_loopback = network.addresses().filter(|own| is_loopback(own.ifindex));
    let addresses = on_loopback.map(|own| own.address);
    addresses.filter(|own| !own.is_loopback()).collect()
}

/// The interfaces on which the program is to run, by their numbers.
///
/// # Errors
/// When one was named that is of the wrong kind.
pub(crate) fn interfaces(
    network: &Snapshot,
    settings: &Settings,
) -> Result<BTreeMap<u32, String>, Error> {
    let mut wanted = BTreeMap::new();
    for link in network.links() {
        let is_named = settings.interfaces.contains(&link.name);
        if is_named && !link.ethernet {
            let name = link.name.clone();
            return Err(Error::NotEthernet { name });
        }
        if is_named || (settings.interfaces.is_empty() && is_of_use(network, link)) {
            wanted.insert(link.ifindex, link.name.clone());
        }
    }
    Ok(wanted)
}

/// Refuses interfaces that are not there. Later, they may come and go.
pub(crate) fn check_interfaces(network: &Snapshot, settings: &Settings) -> Result<(), Error> {
    let missing = |name: &&String| network.link_named(name).is_none();
    let Some(name) = settings.interfaces.iter().find(missing) else {
        return Ok(());
    };
    let known: Vec<&str> = network.links().map(|link| link.name.as_str()).collect();
    Err(Error::NoInterface {
        name: name.clone(),
        known: known.join(", "),
    })
}

/// Whether packets for this host come by an interface. What a bridge's or a bond's port gets, comes by
/// the bridge or the bond.
fn is_of_use(network: &Snapshot, link: &Link) -> bool {
    let master = link.master.and_then(|master| network.link(master));
    let is_port =
        master.is_some_and(|master| matches!(master.kind, LinkKind::Bridge | LinkKind::Bond));
    link.ethernet && link.meets_traffic() && !is_port
}

/// An address as the program has it.
fn words(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(v4) => mapped(u32::from_ne_bytes(v4.octets())),
        IpAddr::V6(v6) => {
            let bytes = v6.octets();
            std::array::from_fn(|word| std::array::from_fn(|byte| bytes[4 * word + byte]))
                .map(u32::from_ne_bytes)
        }
    }
}
