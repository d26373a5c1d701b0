//! Is it ours at all? Addresses and services, by hashed tables of two sides.

use abi::{Address, Carry, Globals, MAX_PROBES, Reason, ServiceCell, address_flags, hash_service};
use conntable::{Direction, End};

use crate::family::{Family, Header as _};
use crate::host::{Host, Tables};
use crate::packet::Packet;
use crate::verdict::Step;

/// Which way a packet would go, and whose address it carries beside the client's.
#[derive(Clone, Copy)]
pub(crate) struct Role {
    pub direction: Direction,
    pub end: End,
    /// Whether the packet's destination is a local address of FULLNAT.
    pub is_lent: bool,
}

impl Role {
    /// As an earlier stage left it.
    #[inline(always)]
    pub fn carried(carry: &Carry) -> Self {
        if carry.direction.load() == 0 {
            return TO_SERVICE;
        }
        Self {
            direction: Direction::ToClient,
            end: if carry.end.load() == 0 {
                End::Virtual
            } else {
                End::Server
            },
            is_lent: false,
        }
    }
}

/// A client's packet.
pub(crate) const TO_SERVICE: Role = Role {
    direction: Direction::ToServer,
    end: End::Virtual,
    is_lent: false,
};

/// A packet to a local address of FULLNAT.
const TO_LENT: Role = Role {
    direction: Direction::ToClient,
    end: End::Virtual,
    is_lent: true,
};

/// What a packet may be to the director, or why it concerns it not.
#[inline(always)]
pub(crate) fn role<'t, F: Family, H: Host<'t>>(
    host: &H,
    globals: &Globals,
    packet: &Packet<F>,
) -> Step<Role> {
    let tables = host.tables();
    let to = F::address_flags(tables, globals, packet.ip.destination());
    if to & address_flags::VIRTUAL != 0 {
        if to & address_flags::LOCAL == 0 {
            return Err(Reason::AddressNotLocal);
        }
        return Ok(TO_SERVICE);
    }
    const LENT_HERE: u32 = address_flags::LENT | address_flags::LOCAL;
    if to & LENT_HERE == LENT_HERE {
        return Ok(TO_LENT);
    }
    let from = F::address_flags(tables, globals, packet.ip.source());
    if from & (address_flags::REAL | address_flags::VIRTUAL) == 0 {
        return Err(Reason::NotOurs);
    }
    Ok(Role {
        direction: Direction::ToClient,
        end: if from & address_flags::REAL != 0 {
            End::Server
        } else {
            End::Virtual
        },
        is_lent: false,
    })
}

/// The virtual service of an address, port (network order) and protocol, with its cell's index.
#[inline(always)]
pub(crate) fn service<'t, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    address: Address,
    key: u32,
) -> Option<(&'t ServiceCell, u32)> {
    let mask = globals.service_mask.load();
    let side = (globals.side.load() & 1) * (mask + 1);
    let hash = hash_service(address, key);
    for probe in 0..MAX_PROBES {
        let index = side + (hash.wrapping_add(probe) & mask);
        let cell = tables.service(index)?;
        let found = cell.key.load();
        if found == key && is_at(cell, address) {
            return Some((cell, index));
        }
        if found == 0 {
            return None;
        }
    }
    None
}

/// Without a branch, as the kernel's verifier follows every one of every probe.
#[inline(always)]
fn is_at(cell: &ServiceCell, address: Address) -> bool {
    let words = &cell.address;
    (words[0].load() ^ address[0])
        | (words[1].load() ^ address[1])
        | (words[2].load() ^ address[2])
        | (words[3].load() ^ address[3])
        == 0
}
