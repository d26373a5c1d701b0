//! Is it ours at all? Addresses and services, by hashed tables of two sides.

use abi::{Globals, MAX_PROBES, ServiceCell, hash_address, hash_service};

use crate::Tables;

/// Flags of an address ([`abi::address_flags`]), 0 for one that does not concern the director.
#[inline(always)]
pub(crate) fn address_flags<'t, T: Tables<'t>>(tables: T, globals: &Globals, address: u32) -> u32 {
    let mask = globals.address_mask.load();
    let side = (globals.side.load() & 1) * (mask + 1);
    let hash = hash_address(address);
    for probe in 0..MAX_PROBES {
        let Some(cell) = tables.address(side + (hash.wrapping_add(probe) & mask)) else {
            return 0;
        };
        let found = cell.address.load();
        if found == address {
            return cell.flags.load();
        }
        if found == 0 {
            return 0;
        }
    }
    0
}

/// The virtual service of an address, port (network order) and protocol, with its cell's index.
#[inline(always)]
pub(crate) fn service<'t, T: Tables<'t>>(
    tables: T,
    globals: &Globals,
    address: u32,
    port: u16,
    protocol: u8,
) -> Option<(&'t ServiceCell, u32)> {
    let mask = globals.service_mask.load();
    let side = (globals.side.load() & 1) * (mask + 1);
    let hash = hash_service(address, port, protocol);
    let key = ServiceCell::key(port, protocol);
    for probe in 0..MAX_PROBES {
        let index = side + (hash.wrapping_add(probe) & mask);
        let cell = tables.service(index)?;
        let found = cell.key.load();
        if found == key && cell.address.load() == address {
            return Some((cell, index));
        }
        if found == 0 {
            return None;
        }
    }
    None
}
