//! The table of interfaces that the programs are attached to.

use std::net::{Ipv4Addr, Ipv6Addr};

use abi::{InterfaceCell, View, interface_flags};

use crate::words;

/// An interface with the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub ifindex: u32,
    /// Whether an XDP program is attached besides the TC ones.
    pub xdp: bool,
    /// Its MAC; none on link layers without.
    pub mac: Option<[u8; 6]>,
    /// Its own IPv4 address, the source of ICMP errors.
    pub address: Option<Ipv4Addr>,
    /// Its own IPv6 address, likewise.
    pub address_v6: Option<Ipv6Addr>,
    /// The largest IP packet, in bytes.
    pub mtu: u32,
}

/// Marks a cell whose interface is gone: no interface has this index, and a search goes on past
/// it.
const GONE: u32 = u32::MAX;
/// How many cells a packet looks at, from the one that the interface's index names.
const PROBES: usize = 8;

/// Makes the table hold these interfaces and no others. Returns how many did not fit.
pub fn publish(view: &View<'_>, interfaces: &[Interface]) -> usize {
    for cell in view.interfaces {
        let found = cell.ifindex.load();
        if found != 0 && found != GONE && !interfaces.iter().any(|i| i.ifindex == found) {
            cell.ifindex.publish(GONE);
        }
    }
    interfaces
        .iter()
        .filter(|interface| !write(view, interface))
        .count()
}

fn write(view: &View<'_>, interface: &Interface) -> bool {
    let cells = view.interfaces;
    let home = interface.ifindex as usize;
    let places = (0..PROBES.min(cells.len())).map(|step| &cells[(home + step) % cells.len()]);
    let known = places
        .clone()
        .find(|cell| cell.ifindex.load() == interface.ifindex);
    let free = |cell: &&InterfaceCell| matches!(cell.ifindex.load(), 0 | GONE);
    let Some(cell) = known.or_else(|| places.clone().find(free)) else {
        return false;
    };
    let [a, b, c, d, e, f] = interface.mac.unwrap_or_default();
    cell.flags.store(if interface.xdp {
        interface_flags::XDP
    } else {
        0
    });
    cell.mac[0].store(u32::from_ne_bytes([a, b, c, d]));
    cell.mac[1].store(u32::from_ne_bytes([e, f, 0, 0]));
    cell.address
        .store(interface.address.map_or(0, words::of_v4));
    let address_v6 = interface.address_v6.unwrap_or(Ipv6Addr::UNSPECIFIED);
    words::store(&cell.address_v6, words::of(address_v6.into()));
    cell.mtu.store(interface.mtu);
    cell.ifindex.publish(interface.ifindex);
    true
}
