//! A director with one service, and what its data plane would hold for each scheduler.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use sched::address::Address;
use sched::lblc::Entry;
use sched::lblcr::{Member, Set};
use sched::least::{Candidate, Load, Rule};
use sched::locality::has_room;
use sched::threshold::overloaded;
use sched::{NOBODY, dh, lblc, mh, sh};

/// A client's connection: who asks for which address.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    pub client: SocketAddr,
    pub virtual_address: IpAddr,
}

/// `172.16.10.40/20300/172.16.10.21`: client, its port, virtual address.
pub fn connection(text: &str) -> Connection {
    let fields: Vec<&str> = text.split('/').collect();
    let [client, port, virtual_address] = fields[..] else {
        panic!("no connection: {text}");
    };
    Connection {
        client: SocketAddr::new(client.parse().unwrap(), port.parse().unwrap()),
        virtual_address: virtual_address.parse().unwrap(),
    }
}

/// An address as it stands in a packet.
pub fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(ip) => Address::v4(u32::from_ne_bytes(ip.octets())),
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            Address::v6(core::array::from_fn(|i| {
                u32::from_ne_bytes(octets[4 * i..4 * i + 4].try_into().unwrap())
            }))
        }
    }
}

#[derive(Clone, Copy)]
struct Destination {
    weight: u32,
    /// The weight above 0 that it had last.
    last_weight: u32,
    active: u32,
    inactive: u32,
    upper: u32,
    is_overloaded: bool,
    is_available: bool,
}

impl Destination {
    fn load(&self) -> Load {
        Load {
            weight: self.weight,
            active: self.active,
            inactive: self.inactive,
        }
    }

    /// As a connection may meet it: weight 0 where it takes none.
    fn usable(&self) -> Load {
        let weight = if self.is_overloaded { 0 } else { self.weight };
        Load {
            weight,
            ..self.load()
        }
    }

    /// To be asked whenever the connections or the threshold changed.
    fn judge(&mut self) {
        let total = u64::from(self.active) + u64::from(self.inactive);
        self.is_overloaded = overloaded(total, self.upper, 0, self.is_overloaded);
    }

    fn is_usable(&self) -> bool {
        self.usable().weight > 0
    }
}

/// One service. Destinations go by numbers that the test chooses; a removed one that comes again
/// still has its connections.
pub struct Director {
    scheduler: String,
    falls_back: bool,
    hashes_port: bool,
    /// Seconds.
    pub now: u32,
    /// `lblcr_expiration` in seconds.
    pub expiration: u32,
    /// The youngest first.
    list: Vec<u32>,
    ends: HashMap<u32, SocketAddr>,
    destinations: HashMap<u32, Destination>,
    /// dh, sh, mh: indices into the list.
    table: Vec<u32>,
    entries: HashMap<IpAddr, Entry>,
    sets: HashMap<IpAddr, Set>,
}

impl Director {
    /// `flags` as ipvsadm writes them, such as `sh-fallback+sh-port`.
    pub fn new(scheduler: &str, flags: &str) -> Self {
        Self {
            scheduler: scheduler.into(),
            falls_back: flags.contains("fallback"),
            hashes_port: flags.contains("port"),
            now: 0,
            expiration: sched::locality::EXPIRATION,
            list: Vec::new(),
            ends: HashMap::new(),
            destinations: HashMap::new(),
            table: Vec::new(),
            entries: HashMap::new(),
            sets: HashMap::new(),
        }
    }

    /// `ipvsadm -a`, with a weight and an upper threshold.
    pub fn add(&mut self, number: u32, end: SocketAddr, weight: u32, upper: u32) {
        self.list.insert(0, number);
        self.ends.insert(number, end);
        let destination = self.destinations.entry(number).or_insert(Destination {
            weight,
            last_weight: weight,
            active: 0,
            inactive: 0,
            upper: 0,
            is_overloaded: false,
            is_available: true,
        });
        destination.is_available = true;
        destination.last_weight = weight;
        self.edit(number, weight, upper);
    }

    /// `ipvsadm -e`.
    pub fn edit(&mut self, number: u32, weight: u32, upper: u32) {
        let destination = self.destinations.get_mut(&number).unwrap();
        destination.weight = weight;
        if weight > 0 {
            destination.last_weight = weight;
        }
        destination.upper = upper;
        destination.judge();
        self.lay_out();
    }

    /// `ipvsadm -d`.
    pub fn delete(&mut self, number: u32) {
        self.list.retain(|&n| n != number);
        self.destinations.get_mut(&number).unwrap().is_available = false;
        self.lay_out();
    }

    fn lay_out(&mut self) {
        let weights = || self.list.iter().map(|n| self.destinations[n].weight);
        self.table = match &*self.scheduler {
            "dh" => dh::fill(self.list.len() as u32),
            "sh" => sh::fill(&weights().collect::<Vec<_>>()),
            "mh" => mh::fill(
                &self
                    .list
                    .iter()
                    .map(|n| self.mh_member(*n))
                    .collect::<Vec<_>>(),
            ),
            _ => Vec::new(),
        };
    }

    fn mh_member(&self, number: u32) -> mh::Member {
        let end = self.ends[&number];
        mh::Member {
            address: address(end.ip()),
            port: end.port().to_be(),
            last_weight: self.destinations[&number].last_weight,
        }
    }

    /// The destination of a new connection, which counts as active from now on.
    pub fn pick(&mut self, connection: Connection) -> Option<u32> {
        let client = address(connection.client.ip());
        let virtual_address = address(connection.virtual_address);
        let port = if self.hashes_port {
            connection.client.port().to_be()
        } else {
            0
        };
        let number = match &*self.scheduler {
            "dh" => self.at(dh::slot(virtual_address)),
            "sh" => self.by_sh(client, port),
            "mh" => self.by_mh(client, port),
            "lblc" => self.by_lblc(connection.virtual_address),
            "lblcr" => self.by_lblcr(connection.virtual_address),
            other => self.least(rule(other)),
        };
        let picked = self.destinations.get_mut(&number)?;
        picked.active += 1;
        picked.judge();
        Some(number)
    }

    /// A connection to this destination was closed by both sides, or reset.
    pub fn ended(&mut self, number: u32) {
        let destination = self.destinations.get_mut(&number).unwrap();
        destination.active -= 1;
        destination.inactive += 1;
    }

    /// Who has a slot, if it takes connections.
    fn at(&self, slot: u32) -> u32 {
        let Some(&index) = self.table.get(slot as usize) else {
            return NOBODY;
        };
        let number = self.list[index as usize];
        if self.destinations[&number].is_usable() {
            number
        } else {
            NOBODY
        }
    }

    fn by_sh(&self, client: Address, port: u16) -> u32 {
        let first = sh::slot(client, port);
        let fallbacks = (0..sh::SLOTS).map(|attempt| sh::fallback_slot(first, attempt));
        self.first_usable(first, fallbacks)
    }

    fn by_mh(&self, client: Address, port: u16) -> u32 {
        let first = mh::slot(client, port);
        let fallbacks = (0..mh::SLOTS).map(|n| mh::fallback_slot(client, port, first, n));
        self.first_usable(first, fallbacks)
    }

    fn first_usable(&self, first: u32, fallbacks: impl Iterator<Item = u32>) -> u32 {
        let tried = if self.falls_back { usize::MAX } else { 0 };
        std::iter::once(first)
            .chain(fallbacks.take(tried))
            .map(|slot| self.at(slot))
            .find(|&number| number != NOBODY)
            .unwrap_or(NOBODY)
    }

    fn least(&self, rule: Rule) -> u32 {
        self.list
            .iter()
            .map(|number| rule.candidate(*number, self.destinations[number].usable()))
            .fold(Candidate::NOBODY, |best, next| next.or_better(best))
            .number
    }

    fn somebody_has_room(&self) -> bool {
        let mut present = self.list.iter();
        present.any(|number| has_room(self.destinations[number].load()))
    }

    fn by_lblc(&mut self, virtual_address: IpAddr) -> u32 {
        if let Some(entry) = self.entries.get(&virtual_address) {
            let cached = &self.destinations[&entry.destination];
            let has_room = || self.somebody_has_room();
            if lblc::keeps(cached.load(), cached.is_available, has_room) {
                return entry.destination;
            }
        }
        let destination = self.least(Rule::WeightedLeastConnection);
        if destination != NOBODY {
            let used = self.now;
            self.entries
                .insert(virtual_address, Entry { destination, used });
        }
        destination
    }

    fn by_lblcr(&mut self, virtual_address: IpAddr) -> u32 {
        let wlc = Rule::WeightedLeastConnection;
        let Some(mut set) = self.sets.get(&virtual_address).copied() else {
            let first = self.least(wlc);
            if first != NOBODY {
                self.sets.insert(virtual_address, Set::new(first, self.now));
            }
            return first;
        };
        let member = |number: u32| {
            let destination = &self.destinations[&number];
            Member {
                load: destination.load(),
                is_available: destination.is_available,
                is_overloaded: destination.is_overloaded,
            }
        };
        let (has_room, least) = (|| self.somebody_has_room(), || self.least(wlc));
        let picked = set.pick(self.now, self.expiration, member, has_room, least);
        self.sets.insert(virtual_address, set);
        picked
    }
}

fn rule(scheduler: &str) -> Rule {
    match scheduler {
        "lc" => Rule::LeastConnection,
        "wlc" => Rule::WeightedLeastConnection,
        "sed" => Rule::ShortestExpectedDelay,
        "nq" => Rule::NeverQueue,
        "fo" => Rule::Failover,
        "ovf" => Rule::Overflow,
        other => panic!("no rule for {other}"),
    }
}
