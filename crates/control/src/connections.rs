//! The connection table as the daemon sees it: swept, counted and listed.

use std::borrow::Cow;
use std::net::SocketAddr;

use abi::{Tick, hash_connection};
use conntable::{Entry, Handle, Position, SlotV4, Table, Word};
use model::{ConnectionEntry, ConnectionProtocol};

use crate::publish::from_network_order;
use crate::{Plane, loads};

/// What a sweep over the whole table found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// Connections by destination number.
    pub by_destination: Vec<u32>,
    /// Connections altogether.
    pub connections: u32,
    /// The most slots that a search for a living connection looks at.
    pub longest_probe: u32,
    /// Connections that stand in their second bucket.
    pub in_second_bucket: u32,
}

/// Goes through the connection table, a stretch at a time, and frees what has died.
#[derive(Debug)]
pub struct Sweeper {
    next: u32,
    census: Census,
}

impl Sweeper {
    /// A sweep about to begin, over a table whose connections go to this many destinations.
    pub fn new(destinations: u32) -> Self {
        Self {
            next: 0,
            census: Self::empty(destinations as usize),
        }
    }

    fn empty(destinations: usize) -> Census {
        Census {
            by_destination: vec![0; destinations],
            ..Census::default()
        }
    }

    /// Sweeps the next `buckets` buckets. What was found, when the end of the table is reached;
    /// the next step then begins anew.
    pub fn step(&mut self, plane: &impl Plane, buckets: u32) -> Option<Census> {
        let table = plane.connections();
        let view = plane.view();
        let seed = view.globals.hash_seed.load();
        let mask = table.len() as u32 - 1;
        let end = self.next.saturating_add(buckets).min(table.len() as u32);
        let connections = Table::new(table, mask);
        let now = plane.now();
        for index in self.next..end {
            connections.sweep(index, now, |died| loads::settle_death(&view, died));
            for (slot, entry) in (0..).zip(&table[index as usize].0) {
                let word = Word(entry.word().load());
                if word.is_live() {
                    self.count(
                        &connections,
                        entry,
                        seed,
                        Position {
                            bucket: index,
                            slot,
                        },
                    );
                }
            }
        }
        self.next = end;
        (end == table.len() as u32).then(|| self.finish())
    }

    fn count(
        &mut self,
        table: &Table<&[conntable::Bucket<SlotV4>]>,
        slot: &SlotV4,
        seed: u32,
        position: Position,
    ) {
        self.census.connections += 1;
        if let Some(count) = self
            .census
            .by_destination
            .get_mut(slot.destination() as usize)
        {
            *count += 1;
        }
        let hash = hash_connection(slot.client(), slot.client_port(), slot.protocol(), seed);
        let probes = table.probes(hash, position);
        self.census.longest_probe = self.census.longest_probe.max(probes);
        self.census.in_second_bucket += u32::from(probes > conntable::BUCKET_SLOTS as u32);
    }

    fn finish(&mut self) -> Census {
        self.next = 0;
        let empty = Self::empty(self.census.by_destination.len());
        std::mem::replace(&mut self.census, empty)
    }
}

/// Frees everything that has died, so that all counts are exact.
pub fn sweep_dead(plane: &impl Plane) {
    let table = plane.connections();
    let view = plane.view();
    let connections = Table::new(table, table.len() as u32 - 1);
    let now = plane.now();
    for index in 0..table.len() as u32 {
        connections.sweep(index, now, |died| loads::settle_death(&view, died));
    }
}

/// Ends the connections that `which` chooses by their destination's number.
pub fn end_connections(plane: &impl Plane, which: impl Fn(u32) -> bool) {
    let table = plane.connections();
    let view = plane.view();
    let connections = Table::new(table, table.len() as u32 - 1);
    let now = plane.now();
    for (index, bucket) in (0..).zip(table) {
        for (slot, entry) in (0..).zip(&bucket.0) {
            let word = Word(entry.word().load());
            if !word.is_live() || !which(entry.destination()) {
                continue;
            }
            let position = Position {
                bucket: index,
                slot,
            };
            if let Some(found) = connections.at(Handle::new(position, word.epoch()), now)
                && let Some(died) = connections.end(&found)
            {
                loads::settle_death(&view, died);
            }
        }
    }
}

/// The living connections of the buckets from `first` on, `buckets` of them at most. `None` past
/// the end of the table.
pub fn list(plane: &impl Plane, first: u32, buckets: u32) -> Option<Vec<ConnectionEntry>> {
    let table = plane.connections();
    let stretch = table.get(first as usize..)?;
    if stretch.is_empty() {
        return None;
    }
    let now = plane.now();
    let ticks_per_second = plane.view().globals.ticks_per_second.load().max(1);
    let slots = stretch
        .iter()
        .take(buckets as usize)
        .flat_map(|bucket| &bucket.0);
    Some(
        slots
            .filter_map(|slot| entry(slot, now, ticks_per_second))
            .collect(),
    )
}

fn entry(slot: &SlotV4, now: Tick, ticks_per_second: u32) -> Option<ConnectionEntry> {
    let word = Word(slot.word().load());
    if !word.is_live() || word.is_past(now) {
        return None;
    }
    let end =
        |address, port| SocketAddr::new(from_network_order(address).into(), u16::from_be(port));
    let protocol = match slot.protocol() {
        6 => ConnectionProtocol::Tcp,
        17 => ConnectionProtocol::Udp,
        132 => ConnectionProtocol::Sctp,
        _ => ConnectionProtocol::Ip,
    };
    let listed = ConnectionEntry {
        protocol,
        expires: word.expiry().wrapping_sub(now) / ticks_per_second,
        state: Cow::Borrowed(state_name(protocol, word.state())),
        client: end(slot.client(), slot.client_port()),
        virtual_address: end(slot.virtual_address(), slot.virtual_port()),
        destination: end(slot.destination_address(), slot.destination_port()),
        engine_data: None,
    };
    // The slot may have been given to another connection while it was read.
    (Word(slot.word().load()).epoch() == word.epoch()).then_some(listed)
}

/// The name of a state, as `ipvsadm -lc` prints it.
pub fn state_name(protocol: ConnectionProtocol, state: u8) -> &'static str {
    const TCP: [&str; 11] = [
        "NONE",
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "SYNACK",
    ];
    match protocol {
        ConnectionProtocol::Tcp => TCP.get(usize::from(state)).copied().unwrap_or("ERR!"),
        ConnectionProtocol::Udp => "UDP",
        ConnectionProtocol::Sctp | ConnectionProtocol::Ip => "NONE",
    }
}
