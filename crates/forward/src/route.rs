//! The way out.

use abi::{Globals, NONE, NeighbourKey, NextHopCell, Reason, hop_state};
use conntable::SlotV4;

use crate::host::{Host, Tables};
use crate::packet::Packet;

/// Where a packet leaves. A structure whose fields are all set, not an enumeration: the kernel's
/// verifier refuses to move what a variant leaves unset.
#[derive(Clone, Copy)]
pub(crate) struct Way<'t> {
    /// The neighbour, where its MAC is known.
    hop: Option<&'t NextHopCell>,
    /// Interface, where the kernel must ask the neighbour first.
    ifindex: u32,
    /// Address of the neighbour that must be asked.
    neighbour: u32,
    /// Why there is no way.
    none: Option<Reason>,
}

impl<'t> Way<'t> {
    const fn to_hop(hop: &'t NextHopCell) -> Self {
        Self {
            hop: Some(hop),
            ifindex: 0,
            neighbour: 0,
            none: None,
        }
    }

    const fn to_neighbour(ifindex: u32, neighbour: u32) -> Self {
        Self {
            hop: None,
            ifindex,
            neighbour,
            none: None,
        }
    }

    const fn none(reason: Reason) -> Self {
        Self {
            hop: None,
            ifindex: 0,
            neighbour: 0,
            none: Some(reason),
        }
    }

    /// Whether there is none.
    #[inline(always)]
    pub const fn is_none(&self) -> bool {
        self.none.is_some()
    }

    /// Largest IP packet that the link carries, 0 where that is not known.
    #[inline(always)]
    pub fn mtu(&self) -> u32 {
        self.hop.map_or(0, |hop| hop.mtu.load())
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
pub(crate) fn to_client<'t, T: Tables<'t>>(tables: T, globals: &Globals, slot: &SlotV4) -> Way<'t> {
    let generation = globals.routing_generation.load();
    let cached = slot.client_hop.load();
    if (cached >> 32) as u32 == generation {
        return by_index(tables, cached as u32);
    }
    let (way, index) = to_address(tables, slot.client());
    if index != NONE {
        slot.client_hop
            .store((generation as u64) << 32 | index as u64);
    }
    way
}

/// To any address, by routes and neighbours; and the index of the next hop, or [`NONE`].
#[inline(always)]
pub(crate) fn to_address<'t, T: Tables<'t>>(tables: T, address: u32) -> (Way<'t>, u32) {
    let Some(route) = tables.route(address) else {
        return (Way::none(Reason::NoRoute), NONE);
    };
    if route.ifindex == 0 {
        return (Way::none(Reason::NoRoute), NONE);
    }
    let neighbour = if route.gateway == 0 {
        address
    } else {
        route.gateway
    };
    let key = NeighbourKey {
        ifindex: route.ifindex,
        address: neighbour,
    };
    if let Some(index) = tables.neighbour(key)
        && let Some(hop) = tables.next_hop(index)
        && hop.state.load() == hop_state::RESOLVED
    {
        return (Way::to_hop(hop), index);
    }
    (Way::to_neighbour(route.ifindex, neighbour), NONE)
}

/// What keeps a packet from going a way, if anything does.
#[inline(always)]
pub(crate) fn obstacle<'t, H: Host<'t>>(
    host: &mut H,
    packet: &Packet,
    way: &Way<'t>,
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
    if packet.wire_length(host) <= hop.mtu.load() {
        return None;
    }
    Some(if packet.ip.dont_fragment() {
        Reason::TooBig
    } else {
        Reason::CannotFragment
    })
}

/// A function of its own, since few directors need it.
#[inline(never)]
fn retag<'t, H: Host<'t>>(host: &mut H, in_frame: bool, vlan: u16) -> bool {
    host.set_vlan(in_frame, vlan).is_some()
}

/// Gives the frame its Ethernet header and says where it leaves. `None` where the kernel refuses.
#[inline(always)]
pub(crate) fn leave<'t, H: Host<'t>>(host: &mut H, packet: &Packet, way: &Way<'t>) -> Option<()> {
    let vlan = way.hop.map_or(0, |hop| hop.vlan.load() as u16);
    if vlan != packet.vlan {
        retag(host, packet.tag_in_frame, vlan).then_some(())?;
    }
    match way.hop {
        Some(hop) => {
            for (word, cell) in hop.macs.iter().enumerate() {
                host.set_bytes(word as u32 * 4, &cell.load().to_ne_bytes())?;
            }
            host.leave_by(hop.ifindex.load(), 0);
        }
        None => host.leave_by(way.ifindex, way.neighbour),
    }
    Some(())
}
