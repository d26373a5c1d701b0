//! The way out.

use abi::{Address, Globals, NeighbourKey, NextHopCell, Reason, hop_state};
use conntable::{Direction, Hop, Slot as _};
use wire::ethernet;

use crate::family::{Family, Header as _};
use crate::host::{Host, Tables};
use crate::packet::{Link, Packet};

/// Where a packet leaves. A structure whose fields are all set, not an enumeration: the kernel's
/// verifier refuses to move what a variant leaves unset.
#[derive(Clone, Copy)]
pub(crate) struct Way<'t> {
    /// The neighbour, where its MAC is known. Else, and if there is a way, the kernel must ask the
    /// neighbour that [`seek`] left.
    hop: Option<&'t NextHopCell>,
    /// Why there is no way.
    none: Option<Reason>,
}

impl<'t> Way<'t> {
    const ASK: Self = Self {
        hop: None,
        none: None,
    };

    #[inline(always)]
    const fn to_hop(hop: &'t NextHopCell) -> Self {
        Self {
            hop: Some(hop),
            none: None,
        }
    }

    #[inline(always)]
    const fn none(reason: Reason) -> Self {
        Self {
            hop: None,
            none: Some(reason),
        }
    }

    /// Whether there is none.
    #[inline(always)]
    pub const fn is_none(&self) -> bool {
        self.none.is_some()
    }

    /// The interface that it leaves by; 0 where the kernel must ask the neighbour.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        self.hop.map_or(0, |hop| hop.ifindex.load())
    }

    /// Whether its neighbour's MAC is known.
    #[inline(always)]
    pub const fn is_resolved(&self) -> bool {
        self.hop.is_some()
    }
}

/// By a next hop's index.
#[inline(always)]
pub(crate) fn by_index<'t, T: Tables<'t>>(tables: T, index: u32) -> Way<'t> {
    let Some(hop) = tables.next_hop(index) else {
        return Way::none(Reason::NextHopUnresolved);
    };
    match hop.state.load() {
        hop_state::RESOLVED => Way::to_hop(hop),
        hop_state::FAILED => Way::none(Reason::HostUnreachable),
        hop_state::NO_ROUTE => Way::none(Reason::NoRoute),
        _ => Way::none(Reason::NextHopUnresolved),
    }
}

/// To a client: as cached in its connection, while no route has changed since.
#[inline(always)]
pub(crate) fn to_client<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    slot: &F::Slot,
) -> Way<'t> {
    let tables = host.tables();
    let generation = globals.routing_generation.load();
    let cached = Hop(slot.client_hop().load());
    if cached.generation() == generation {
        return by_index(tables, cached.index());
    }
    let found = tables.seek(F::words(slot.client()), F::IS_V6, host.processor());
    if found < ASK {
        slot.client_hop()
            .store(Hop::new(generation, found as u32).0);
    }
    by_found(tables, found)
}

/// To any address, by routes and neighbours.
#[inline(always)]
pub(crate) fn to_address<'t, F: Family, H: Host<'t>>(host: &H, address: F::Address) -> Way<'t> {
    let tables = host.tables();
    let found = tables.seek(F::words(address), F::IS_V6, host.processor());
    by_found(tables, found)
}

/// What [`seek`] returns where the kernel must ask a neighbour; below are the next hops' indices.
const ASK: u64 = 1 << 32;
/// What it returns where there is no route.
const NO_ROUTE: u64 = 2 << 32;

#[inline(always)]
fn by_found<'t, T: Tables<'t>>(tables: T, found: u64) -> Way<'t> {
    match found {
        NO_ROUTE => Way::none(Reason::NoRoute),
        ASK => Way::ASK,
        index => by_index(tables, index as u32),
    }
}

/// The index of the next hop towards an address, or that there is none, or that the kernel must ask
/// the neighbour that is left in the processor's [`abi::Carry`].
///
/// Tables whose functions the kernel verifies one by one give this as [`Tables::seek`].
#[inline(always)]
pub fn seek<'t, T: Tables<'t>>(tables: T, address: Address, is_v6: bool, processor: u32) -> u64 {
    let route = if is_v6 {
        tables.route_v6(address)
    } else {
        tables.route(address[0])
    };
    let Some(route) = route else {
        return NO_ROUTE;
    };
    if route.ifindex == 0 {
        return NO_ROUTE;
    }
    let mut key = NeighbourKey {
        ifindex: route.ifindex,
        family: route.gateway_family,
        address: route.gateway,
    };
    if key.family == 0 {
        key.family = if is_v6 { 6 } else { 4 };
        key.address = address;
    }
    if let Some(index) = tables.neighbour(&key)
        && let Some(hop) = tables.next_hop(index)
        && hop.state.load() == hop_state::RESOLVED
    {
        return index as u64;
    }
    let Some(carry) = tables.carry(processor) else {
        return NO_ROUTE;
    };
    carry.ifindex.store(key.ifindex);
    carry.neighbour_family.store(key.family);
    for (cell, word) in carry.neighbour.iter().zip(key.address) {
        cell.store(word);
    }
    ASK
}

/// What keeps a packet from going a way, if anything does. `overhead` bytes will be put before it.
/// Where it is too large, what would have fitted is left for the answer, and whether the answer
/// quotes it as it goes on: IPVS counts a client's packet down before it looks at the size.
#[inline(always)]
pub(crate) fn obstacle<'t, F: Family, H: Host<'t>>(
    host: &mut H,
    packet: &Packet<F>,
    way: &Way<'t>,
    (direction, overhead): (Direction, u32),
) -> Option<Reason> {
    if packet.ip.ttl() <= 1 {
        return Some(Reason::TimeToLive);
    }
    if way.is_none() {
        return way.none;
    }
    let Some(hop) = way.hop else {
        return if H::COMPLETE {
            None
        } else {
            Some(Reason::NextHopUnresolved)
        };
    };
    let mtu = hop.mtu.load().wrapping_sub(overhead);
    if packet.wire_length(host) <= mtu {
        return None;
    }
    if let Some(carry) = host.carry() {
        let is_client_s = direction == Direction::ToServer;
        carry.mtu.store(mtu);
        carry.counted_down.store(is_client_s as u32);
    }
    Some(if packet.ip.dont_fragment() {
        Reason::TooBig
    } else {
        Reason::CannotFragment
    })
}

/// Moves a frame to another VLAN, 0 for none. Its priority stays, where there is a tag to hold it.
///
/// A function of its own, since few directors need it.
#[inline(never)]
fn retag<'t, H: Host<'t>>(host: &mut H, in_frame: bool, vlan: u16) -> bool {
    let old = if in_frame {
        host.bytes(ethernet::HEADER).map_or(0, u16::from_be_bytes)
    } else {
        host.tag_beside()
    };
    let tag = match vlan {
        0 => 0,
        vlan => old & !ethernet::VLAN_ID | vlan,
    };
    host.set_tag(in_frame, tag).is_some()
}

/// Gives the frame its Ethernet header and says where it leaves. `None` where the kernel refuses.
#[inline(always)]
pub(crate) fn leave<'t, H: Host<'t>>(host: &mut H, link: Link, way: &Way<'t>) -> Option<()> {
    let vlan = way.hop.map_or(0, |hop| hop.vlan.load() as u16);
    if vlan != link.vlan {
        retag(host, link.tag_in_frame, vlan).then_some(())?;
    }
    match way.hop {
        Some(hop) => {
            let macs = [hop.macs[0].load(), hop.macs[1].load(), hop.macs[2].load()];
            host.set_words(0, &macs)?;
            host.leave_by(hop.ifindex.load());
        }
        None => host.leave_by_neighbour(),
    }
    Some(())
}
