//! Frames that tell neighbours whose an address is, sent through packet sockets.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use net::Link;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, bind, send, socket,
};
use vrrp::neighbours::{Mac, gratuitous_arp, unsolicited_advertisement};

use crate::error::Error;

/// A socket to an interface, by the interface's number.
#[derive(Debug, Default)]
pub(crate) struct Frames(HashMap<u32, OwnedFd>);

impl Frames {
    /// Tells the neighbours on an interface that an address is there.
    pub fn announce(&mut self, link: &Link, address: IpAddr) -> Result<(), Error> {
        let Some(mac) = link.mac else {
            // Where there are no link-layer addresses, nobody is to be told of one.
            return Ok(());
        };
        let mac: Mac = mac.octets();
        let frame = match address {
            IpAddr::V4(address) => gratuitous_arp(mac, address),
            IpAddr::V6(address) => unsolicited_advertisement(mac, address, forwards(&link.name)),
        };
        let socket = self.socket(link)?;
        send(socket.as_raw_fd(), &frame, MsgFlags::empty())
            .map(drop)
            .map_err(Error::system(format!(
                "announce {address} on {}",
                link.name
            )))
    }

    fn socket(&mut self, link: &Link) -> Result<&OwnedFd, Error> {
        match self.0.entry(link.ifindex) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let what = format!("open a packet socket on {}", link.name);
                Ok(place.insert(open(link.ifindex).map_err(Error::system(what))?))
            }
        }
    }
}

/// A packet socket that only sends: bound to no protocol, it hears nothing.
fn open(ifindex: u32) -> Result<OwnedFd, Errno> {
    let address = link_address(ifindex)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
    bind(socket.as_raw_fd(), &address)?;
    Ok(socket)
}

/// The interface as a packet socket's address, which the system lists beside its other addresses.
fn link_address(ifindex: u32) -> Result<LinkAddr, Errno> {
    let storages = getifaddrs()?.filter_map(|interface| interface.address);
    let links = storages
        .filter(|storage| storage.family() == Some(AddressFamily::Packet))
        .filter_map(|storage| storage.as_link_addr().copied());
    links
        .into_iter()
        .find(|link| u32::try_from(link.ifindex()) == Ok(ifindex))
        .ok_or(Errno::ENODEV)
}

/// Whether the interface forwards IPv6 packets: its advertisements say then that it is a router.
fn forwards(interface: &str) -> bool {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/forwarding");
    fs::read_to_string(path).is_ok_and(|value| value.trim() == "1")
}
