//! A director on tables of the heap, and a network made up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use abi::{Address, DestinationCell, Filtered};
use cell::Cell32;
use control::nexthops::{Hop, HopState, Neighbour, Network, OwnAddresses, Prefix, Way};
use control::wanted::Effect;
use control::{CommandError, Director, Plane, Saved, Sizes};
use model::{
    Command, Destination, Family, Forwarding, Netmask, Persistence, ServiceKey, ServiceRequest,
    ServiceStatus,
};
use plane_user::Memory;

/// A network of one interface, in which every address is a neighbour.
#[derive(Debug, Clone, Default)]
pub struct Lan {
    pub local: BTreeSet<IpAddr>,
    pub failed: BTreeSet<IpAddr>,
    pub moved: BTreeSet<IpAddr>,
    pub routes: BTreeMap<Prefix, Way>,
    pub neighbours: BTreeSet<IpAddr>,
    pub interfaces: BTreeMap<String, u32>,
}

pub const IFINDEX: u32 = 7;

impl Network for Lan {
    fn hop_towards(&self, address: IpAddr) -> Hop {
        if self.failed.contains(&address) {
            return Hop::without_mac(HopState::Failed, IFINDEX);
        }
        let [a, b, c, d] = last_octets(address);
        let vendor = if self.moved.contains(&address) { 6 } else { 2 };
        Hop {
            state: HopState::Resolved,
            ifindex: IFINDEX,
            mtu: 1500,
            vlan: 0,
            destination_mac: [vendor, 0, a, b, c, d],
            source_mac: [2, 0, 0, 0, 0, 1],
        }
    }

    fn ifindex(&self, name: &str) -> Option<u32> {
        self.interfaces.get(name).copied()
    }

    fn source_towards(&self, address: IpAddr) -> Option<IpAddr> {
        let own = self.local.iter().copied();
        own.into_iter()
            .find(|own| own.is_ipv4() == address.is_ipv4())
    }

    fn own_addresses(&self, _ifindex: u32) -> OwnAddresses {
        OwnAddresses::default()
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.local.contains(&address)
    }

    fn routes(&self) -> BTreeMap<Prefix, Way> {
        self.routes.clone()
    }

    fn neighbours(&self) -> BTreeMap<Neighbour, Hop> {
        self.neighbours
            .iter()
            .map(|&address| ((IFINDEX, address), self.hop_towards(address)))
            .collect()
    }
}

/// The last four octets of an address of either family.
fn last_octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
    }
}

pub fn sizes() -> Sizes {
    Sizes::chosen(1024, 8, 32, 2).unwrap()
}

pub fn director() -> Director<Memory> {
    Director::new(Memory::new(&sizes(), 42), sizes())
}

pub fn key(text: &str) -> ServiceKey {
    text.parse().unwrap()
}

/// An address as the tables hold it.
pub fn words(text: &str) -> Address {
    let bytes = match text.parse().unwrap() {
        IpAddr::V4(address) => [&address.octets()[..], &[0; 12]].concat(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut words = bytes.chunks_exact(4);
    [(); 4].map(|()| u32::from_ne_bytes(words.next().unwrap().try_into().unwrap()))
}

/// An address read from a table.
pub fn load(cells: &[Cell32; 4]) -> Address {
    cells.each_ref().map(Cell32::load)
}

/// The cells that a packet looks at, from where a hash points to.
pub fn probes<T>(cells: &[T], hash: u32) -> impl Iterator<Item = &T> {
    (0..abi::MAX_PROBES).map(move |probe| {
        let index = hash.wrapping_add(probe) as usize;
        &cells[index & (cells.len() - 1)]
    })
}

/// How an address shows in the filter.
fn filtered(memory: &Memory, address: Address, is_v4: bool) -> Filtered {
    let hash = if is_v4 {
        abi::hash_address(address[0])
    } else {
        abi::hash_address_v6(address)
    };
    Filtered::of(hash, memory.view().globals.address_mask.load())
}

/// What a packet finds an address to be, in one half of the tables.
pub fn flags_on(memory: &Memory, side: u32, address: IpAddr) -> u32 {
    let view = memory.view();
    let wanted = words(&address.to_string());
    let filtered = filtered(memory, wanted, address.is_ipv4());
    if !filtered.is_in(
        view.address_filter_of(side)[filtered.word as usize]
            .0
            .load(),
    ) {
        return 0;
    }
    if address.is_ipv4() {
        return probes(view.addresses_of(side), abi::hash_address(wanted[0]))
            .take_while(|cell| cell.address.load() != 0)
            .find(|cell| cell.address.load() == wanted[0])
            .map_or(0, |cell| cell.flags.load());
    }
    probes(view.addresses_v6_of(side), abi::hash_address_v6(wanted))
        .take_while(|cell| load(&cell.address) != [0; 4])
        .find(|cell| load(&cell.address) == wanted)
        .map_or(0, |cell| cell.flags.load())
}

/// The filter of each half has the bits of the addresses that are in the half's cells, and no other.
pub fn check_filter(memory: &Memory) {
    let view = memory.view();
    for side in [0, 1] {
        let v4 = view.addresses_of(side).iter();
        let v6 = view.addresses_v6_of(side).iter();
        let v4 = v4.map(|cell| ([cell.address.load(), 0, 0, 0], true));
        let v6 = v6.map(|cell| (load(&cell.address), false));
        let words = view.address_filter_of(side);
        let mut wanted = vec![0; words.len()];
        for (address, is_v4) in v4.chain(v6).filter(|(address, _)| *address != [0; 4]) {
            let filtered = filtered(memory, address, is_v4);
            wanted[filtered.word as usize] |= filtered.bits;
        }
        let found: Vec<u64> = words.iter().map(|word| word.0.load()).collect();
        assert_eq!(found, wanted, "side {side}");
    }
}

pub fn destination(text: &str, weight: i32) -> Destination {
    Destination {
        weight,
        ..Destination::new(text.parse().unwrap(), Forwarding::Masq)
    }
}

/// `-A`, as in `add_service("TCP 10.0.0.1:80", "rr")`.
pub fn add_service(service: &str, scheduler: &str) -> Command {
    Command::AddService(ServiceRequest::new(key(service), scheduler))
}

/// `-A -s rr -p`, of an IPv4 service.
pub fn add_persistent(service: &str, timeout: u32) -> Command {
    Command::AddService(ServiceRequest {
        persistence: Some(Persistence {
            timeout,
            netmask: Netmask::full(Family::Ipv4),
        }),
        ..ServiceRequest::new(key(service), "rr")
    })
}

/// `-a -m -w`.
pub fn add(service: &str, to: &str, weight: i32) -> Command {
    Command::AddDestination {
        service: key(service),
        destination: destination(to, weight),
    }
}

/// `-a`, by a forwarding method.
pub fn add_by(forwarding: Forwarding, service: &str, to: &str) -> Command {
    Command::AddDestination {
        service: key(service),
        destination: Destination::new(to.parse().unwrap(), forwarding),
    }
}

/// `-e -m -w`.
pub fn edit(service: &str, to: &str, weight: i32) -> Command {
    Command::EditDestination {
        service: key(service),
        destination: destination(to, weight),
    }
}

/// `-d`.
pub fn remove(service: &str, from: &str) -> Command {
    Command::DeleteDestination {
        service: key(service),
        destination: from.parse().unwrap(),
    }
}

/// `-D`.
pub fn remove_service(service: &str) -> Command {
    Command::DeleteService(key(service))
}

pub trait Do {
    /// Carries out one command.
    fn run(&mut self, command: Command) -> Result<Effect, CommandError>;
    /// Carries out one that must succeed.
    fn must(&mut self, command: Command);
    /// Carries out one that must succeed, in a network.
    fn must_in(&mut self, lan: &Lan, command: Command);
    /// Sweeps both tables once.
    fn sweep_all(&mut self);
    fn status(&self, service: &str) -> ServiceStatus;
    /// The cell of a service's destination.
    fn cell(&self, service: &str, destination: &str) -> &DestinationCell;
    /// The director after `kill -9` and a new start.
    fn restarted(self) -> Self;
}

impl Do for Director<Memory> {
    fn run(&mut self, command: Command) -> Result<Effect, CommandError> {
        self.apply(&[command], &Lan::default()).remove(0)
    }

    fn must(&mut self, command: Command) {
        self.run(command).unwrap();
    }

    fn must_in(&mut self, lan: &Lan, command: Command) {
        self.apply(&[command], lan).remove(0).unwrap();
    }

    fn sweep_all(&mut self) {
        let buckets = control::connections::buckets(self.plane());
        self.sweep(buckets, &Lan::default());
    }

    fn status(&self, service: &str) -> ServiceStatus {
        self.service(&key(service)).unwrap()
    }

    fn cell(&self, service: &str, destination: &str) -> &DestinationCell {
        let numbered = self.publisher().numbers(&key(service)).unwrap();
        let number = numbered.destinations[&destination.parse().unwrap()];
        &self.plane().view().destinations[number as usize]
    }

    fn restarted(self) -> Self {
        let saved: Saved = self.saved();
        let memory = self.into_plane();
        Director::adopt(memory, sizes(), &saved, &Lan::default()).unwrap()
    }
}
