//! The connection tables as the daemon sees them, one after the other: swept, counted and listed.

pub(crate) mod hops;
mod sweeper;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use abi::{HELD_SECONDS, Tick, View, hash_connection, hash_connection_v6};
use conntable::{Bucket, Died, Handle, Kind, Load, Position, Slot, SlotV4, SlotV6, Table, Word};
use model::{ConnectionEntry, ConnectionProtocol};

pub use self::sweeper::{Census, Fill, SWEEP_EVERY, Sweeper, sweep_step};
use crate::publish::destination_end;
use crate::{Plane, aliases, loads, words};

/// A slot of either family, in the daemon's words.
pub(crate) trait Listed: Slot {
    /// Whether the family is IPv6.
    const IS_V6: bool;
    /// An address of the family.
    fn ip(address: Self::Address) -> IpAddr;
    /// The hash by which packets find the slot.
    fn hash(&self, seed: u32) -> u32;
}

impl Listed for SlotV4 {
    const IS_V6: bool = false;

    fn ip(address: u32) -> IpAddr {
        words::to_v4(address).into()
    }

    fn hash(&self, seed: u32) -> u32 {
        hash_connection(self.client(), self.client_port(), self.protocol(), seed)
    }
}

impl Listed for SlotV6 {
    const IS_V6: bool = true;

    fn ip(address: abi::Address) -> IpAddr {
        words::to_address(address, true)
    }

    fn hash(&self, seed: u32) -> u32 {
        hash_connection_v6(self.client(), self.client_port(), self.protocol(), seed)
    }
}

/// Buckets of both tables together.
pub fn buckets(plane: &impl Plane) -> u32 {
    (plane.connections().len() + plane.connections_v6().len()) as u32
}

/// A stretch of both tables: the buckets of the one, and of the other behind it.
fn stretch(plane: &impl Plane, first: u32, buckets: u32) -> (Range<usize>, Range<usize>) {
    let (v4, v6) = (plane.connections().len(), plane.connections_v6().len());
    let first = first as usize;
    let end = first.saturating_add(buckets as usize);
    let behind = |index: usize| index.saturating_sub(v4).min(v6);
    (first.min(v4)..end.min(v4), behind(first)..behind(end))
}

/// How long a template that connections go by lasts after its time, in ticks.
fn held_ticks(view: &View<'_>) -> Tick {
    HELD_SECONDS * view.globals.ticks_per_second.load()
}

/// Takes an entry that ended out of the counts, and from its template.
fn settle_death<S: Slot>(view: &View<'_>, table: &Table<&[Bucket<S>]>, died: Died) {
    table.release(died.control);
    loads::settle_death(view, died);
}

pub(crate) fn table<S: Slot>(buckets: &[Bucket<S>]) -> Table<&[Bucket<S>]> {
    Table::new(buckets, buckets.len() as u32)
}

/// Frees everything that has died, so that all counts are exact.
pub fn sweep_dead(plane: &impl Plane) {
    sweep_dead_of(plane, plane.connections());
    sweep_dead_of(plane, plane.connections_v6());
}

fn sweep_dead_of<S: Listed>(plane: &impl Plane, buckets: &[Bucket<S>]) {
    let view = plane.view();
    let table = table(buckets);
    let (now, longer) = (plane.now(), held_ticks(&view));
    for index in 0..buckets.len() as u32 {
        table.sweep(index, (now, longer), |died| {
            settle_death(&view, &table, died);
        });
        table.sweep_aliases(index, now, |main, alias| {
            aliases::holds::<S>(plane, main, alias)
        });
    }
}

/// An entry that may be ended.
pub(crate) struct Entry {
    /// What it counts for.
    pub(crate) load: Load,
    /// Its state's number.
    pub(crate) state: u8,
    /// Whether connections go by it.
    pub(crate) is_held: bool,
}

/// Ends the connections that `which` chooses by their destination's number.
pub fn end_connections(plane: &impl Plane, which: impl Fn(u32) -> bool) {
    end_entries(plane, 0, buckets(plane), |entry| {
        which(entry.load.destination)
    });
}

/// Ends the entries that `which` chooses in the buckets from `first` on, `buckets` of them at most;
/// with connections their aliases.
pub(crate) fn end_entries(
    plane: &impl Plane,
    first: u32,
    buckets: u32,
    which: impl Fn(&Entry) -> bool,
) {
    let (v4, v6) = stretch(plane, first, buckets);
    end_entries_of(plane, plane.connections(), v4, &which);
    end_entries_of(plane, plane.connections_v6(), v6, &which);
}

fn end_entries_of<S: Slot>(
    plane: &impl Plane,
    buckets: &[Bucket<S>],
    stretch: Range<usize>,
    which: &impl Fn(&Entry) -> bool,
) {
    let view = plane.view();
    let table = table(buckets);
    let now = plane.now();
    for index in stretch {
        for (slot, entry) in (0..).zip(&buckets[index].0) {
            let word = Word(entry.word().load());
            let seen = Entry {
                load: entry.load(),
                state: word.state(),
                is_held: entry.is_held() != 0,
            };
            if !word.is_live() || !which(&seen) {
                continue;
            }
            let position = Position {
                bucket: index as u32,
                slot,
            };
            let Some(found) = table.at(Handle::new(position, word.epoch()), now) else {
                continue;
            };
            let alias = aliases::of(&table, &found, now);
            let Some(died) = table.end(&found) else {
                continue;
            };
            settle_death(&view, &table, died);
            if let Some(alias) = alias {
                // Nothing counts aliases.
                let _freed = table.end(&alias);
            }
        }
    }
}

/// The living connections and templates of the buckets from `first` on, `buckets` of them at most.
/// `None` past the end of the tables.
pub fn list(plane: &impl Plane, first: u32, buckets: u32) -> Option<Vec<ConnectionEntry>> {
    if first >= self::buckets(plane) {
        return None;
    }
    let (v4, v6) = stretch(plane, first, buckets);
    let mut list = Vec::new();
    list_of(plane, &plane.connections()[v4], &mut list);
    list_of(plane, &plane.connections_v6()[v6], &mut list);
    Some(list)
}

fn list_of<S: Listed>(plane: &impl Plane, buckets: &[Bucket<S>], list: &mut Vec<ConnectionEntry>) {
    let (view, now) = (plane.view(), plane.now());
    let slots = buckets.iter().flat_map(|bucket| &bucket.0);
    list.extend(slots.filter_map(|slot| entry(&view, slot, now)));
}

fn entry<S: Listed>(view: &View<'_>, slot: &S, now: Tick) -> Option<ConnectionEntry> {
    let word = Word(slot.word().load());
    let load = slot.load();
    let is_hidden = load.kind == Kind::Alias as u8 || load.kind == Kind::OnePacket as u8;
    if !word.is_live() || is_hidden || word.is_past(now) && slot.is_held() == 0 {
        return None;
    }
    let protocol = match load.protocol {
        6 => ConnectionProtocol::Tcp,
        17 => ConnectionProtocol::Udp,
        132 => ConnectionProtocol::Sctp,
        _ => ConnectionProtocol::Ip,
    };
    let state = match (load.kind == Kind::Template as u8, word.state()) {
        (true, TEMPLATE_ASSURED) => "ASSURED",
        (true, _) => "NONE",
        (false, state) => state_name(protocol, state),
    };
    let (server, port) = destination_end(view, load.destination)?;
    let end = |address: IpAddr, port: u16| SocketAddr::new(address, u16::from_be(port));
    let listed = ConnectionEntry {
        protocol,
        expires: left(word, now, held_ticks(view)) / view.globals.ticks_per_second.load().max(1),
        state: Cow::Borrowed(state),
        client: end(S::ip(slot.client()), slot.client_port()),
        virtual_address: end(S::ip(slot.virtual_address()), slot.virtual_port()),
        destination: end(server, slot.destination_port(port)),
        engine_data: None,
    };
    // The slot may have been given to another connection while it was read.
    (Word(slot.word().load()).epoch() == word.epoch()).then_some(listed)
}

/// Ticks that an entry has left; a template that outlived its time is about to get `longer` more.
fn left(word: Word, now: Tick, longer: Tick) -> Tick {
    if word.is_past(now) {
        let over = now.wrapping_sub(word.expiry());
        longer - over % longer.max(1)
    } else {
        word.expiry().wrapping_sub(now)
    }
}

/// State of a template of which a connection got past its handshake (`IP_VS_CTPL_S_ASSURED`).
pub(crate) const TEMPLATE_ASSURED: u8 = 1;

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
