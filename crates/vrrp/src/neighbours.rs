//! The frames that tell neighbours whose a virtual address is.

use std::net::{Ipv4Addr, Ipv6Addr};

use wire::checksum;

/// An Ethernet address.
pub type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
/// Where IPv6's all-nodes group ff02::1 is on Ethernet (RFC 2464, section 7).
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A gratuitous ARP request (RFC 9568, section 6.4.2; RFC 5227, section 3): the frame.
pub fn gratuitous_arp(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend(BROADCAST);
    frame.extend(mac);
    frame.extend([0x08, 0x06]);
    // Ethernet and IPv4, their addresses' lengths, a request.
    frame.extend([0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend(BROADCAST);
    frame.extend(address.octets());
    frame
}

/// An unsolicited neighbour advertisement to all nodes (RFC 4861, section 7.2.6): the frame.
/// `router` is the R flag: whether this host forwards IPv6 packets.
pub fn unsolicited_advertisement(mac: Mac, address: Ipv6Addr, router: bool) -> Vec<u8> {
    const ICMPV6: u8 = 58;
    const OVERRIDE: u8 = 0x20;
    const ROUTER: u8 = 0x80;
    let mut message = vec![136, 0, 0, 0];
    message.extend([OVERRIDE | if router { ROUTER } else { 0 }, 0, 0, 0]);
    message.extend(address.octets());
    // Option: the target's link-layer address, in units of eight bytes.
    message.extend([2, 1]);
    message.extend(mac);

    let mut pseudo = [address.octets(), ALL_NODES.octets()].concat();
    pseudo.extend((message.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, ICMPV6]);
    pseudo.extend(&message);
    message[2..4].copy_from_slice(&checksum::of(&pseudo).to_ne_bytes());

    let mut frame = Vec::with_capacity(14 + 40 + message.len());
    frame.extend(ALL_NODES_MAC);
    frame.extend(mac);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    frame.extend([ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}
