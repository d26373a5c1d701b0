//! The network of the kernel's director in the transcripts: a link of clients and one of servers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use control::interfaces::Interface;
use control::nexthops::{Hop, HopState, Neighbour, Network, OwnAddresses, Prefix, Way};
use model::Command;

use super::transcript::End;
use crate::bed::Site;
use crate::lan::{IFINDEX, OWN_MAC};

pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x40];
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0x39];

/// What changes in it.
#[derive(Default)]
struct Changing {
    client_mtu: AtomicU32,
    server_mtu: AtomicU32,
    /// Which link the next frame comes in by. Frames that are run by hand have one interface.
    by_server: AtomicBool,
}

#[derive(Clone, Default)]
pub struct Links(Arc<Changing>);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Links {
    /// Both as wide as Ethernet.
    pub fn new() -> Self {
        let links = Self::default();
        links.set_mtu(End::Client, 1500);
        links.set_mtu(End::Server, 1500);
        links
    }

    pub fn set_mtu(&self, end: End, mtu: u32) {
        let cell = match end {
            End::Client => &self.0.client_mtu,
            End::Server => &self.0.server_mtu,
        };
        cell.store(mtu, Ordering::SeqCst);
    }

    /// Says by which link the next frame comes in; whether that is another one than before.
    pub fn comes_by(&self, end: End) -> bool {
        let by_server = end == End::Server;
        self.0.by_server.swap(by_server, Ordering::SeqCst) != by_server
    }

    /// By its address, from either link's prefix.
    fn end_of(address: IpAddr) -> Option<End> {
        match address {
            IpAddr::V4(v4) if v4.octets()[..3] == [172, 16, 10] => Some(End::Client),
            IpAddr::V4(v4) if v4.octets()[..3] == [192, 168, 100] => Some(End::Server),
            IpAddr::V6(v6) if v6.segments()[..2] == [0xfd00, 0x10] => Some(End::Client),
            IpAddr::V6(v6) if v6.segments()[..2] == [0xfd00, 0x100] => Some(End::Server),
            _ => None,
        }
    }
}

impl Site for Links {
    fn commands(&self) -> Vec<Command> {
        Vec::new()
    }

    fn interface(&self) -> Interface {
        let (v4, v6) = if self.0.by_server.load(Ordering::SeqCst) {
            ("192.168.100.17", "fd00:100::17")
        } else {
            ("172.16.10.21", "fd00:10::21")
        };
        Interface {
            ifindex: IFINDEX,
            xdp: false,
            mac: Some(OWN_MAC),
            address: v4.parse().ok(),
            address_v6: v6.parse().ok(),
            mtu: 1500,
        }
    }
}

impl Network for Links {
    fn hop_towards(&self, address: IpAddr) -> Hop {
        let (cell, mac) = match Self::end_of(address) {
            Some(End::Client) => (&self.0.client_mtu, CLIENT_MAC),
            Some(End::Server) => (&self.0.server_mtu, SERVER_MAC),
            None => return Hop::without_mac(HopState::NoRoute, 0),
        };
        Hop {
            state: HopState::Resolved,
            ifindex: IFINDEX,
            mtu: cell.load(Ordering::SeqCst),
            vlan: 0,
            destination_mac: mac,
            source_mac: OWN_MAC,
        }
    }

    fn ifindex(&self, _name: &str) -> Option<u32> {
        None
    }

    fn source_towards(&self, towards: IpAddr) -> Option<IpAddr> {
        Some(match (Self::end_of(towards)?, towards) {
            (End::Client, IpAddr::V4(_)) => address("172.16.10.21"),
            (End::Client, IpAddr::V6(_)) => address("fd00:10::21"),
            (End::Server, IpAddr::V4(_)) => address("192.168.100.17"),
            (End::Server, IpAddr::V6(_)) => address("fd00:100::17"),
        })
    }

    fn own_addresses(&self, _ifindex: u32) -> OwnAddresses {
        OwnAddresses::default()
    }

    fn is_local(&self, asked: IpAddr) -> bool {
        let own = [
            "172.16.10.21",
            "fd00:10::21",
            "192.168.100.17",
            "fd00:100::17",
        ];
        own.into_iter().any(|text| address(text) == asked)
    }

    fn routes(&self) -> BTreeMap<Prefix, Way> {
        let prefixes = [
            ("172.16.10.0", 24),
            ("192.168.100.0", 24),
            ("fd00:10::", 64),
            ("fd00:100::", 64),
        ];
        let on_link = (IFINDEX, None);
        prefixes
            .into_iter()
            .map(|(text, length)| ((address(text), length), on_link))
            .collect()
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        let there = [
            "172.16.10.40",
            "172.16.10.99",
            "192.168.100.39",
            "192.168.100.254",
            "fd00:10::40",
            "fd00:10::99",
            "fd00:100::39",
            "fd00:100::fe",
        ];
        there
            .into_iter()
            .map(address)
            .map(|there| ((IFINDEX, there), self.hop_towards(there)))
            .collect()
    }
}
