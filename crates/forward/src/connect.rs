//! Clients on the director itself: where a socket is to connect that asks for a virtual service.
//!
//! Packets between such a client and a real server are the director's own, and its kernel routes them;
//! none of them meets the connection table.

use abi::{Address, Reason, ServiceCell, Tick, address_flags, method, wildcards};

use crate::connection::Chosen;
use crate::family::{Family, V4, V6};
use crate::host::Tables;
use crate::lookup;
use crate::schedule;
use cell::element;

/// What a socket asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<A> {
    /// The transport's protocol number.
    pub protocol: u8,
    /// The address that it is to connect to.
    pub address: A,
    /// The port, network order.
    pub port: u16,
}

/// Where a socket connects instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The real server's address, of the family that was asked for.
    pub address: Address,
    /// Its port, network order; 0 for the one that was asked for.
    pub port: u16,
}

/// The index of the service that a socket asks for, if there is one and its address is here. What the
/// scheduler may go by is left for [`target`].
///
/// `processor`'s [`abi::Carry`] is written. A packet may come in between and write it too: what the
/// scheduler goes by is then that packet's, and its choice one of the service's all the same.
#[inline(always)]
pub fn service_v4<'t, T: Tables<'t>>(tables: T, asked: Asked<u32>, at: (u32, Tick)) -> Option<u32> {
    service::<V4, T>(tables, asked, at)
}

/// As [`service_v4`].
#[inline(always)]
pub fn service_v6<'t, T: Tables<'t>>(
    tables: T,
    asked: Asked<Address>,
    at: (u32, Tick),
) -> Option<u32> {
    service::<V6, T>(tables, asked, at)
}

#[inline(always)]
fn service<'t, F: Family, T: Tables<'t>>(
    tables: T,
    asked: Asked<F::Address>,
    (processor, tick): (u32, Tick),
) -> Option<u32> {
    let globals = tables.globals()?;
    let flags = F::address_flags(tables, globals, asked.address);
    let wanted = address_flags::VIRTUAL | address_flags::LOCAL;
    if flags & wanted != wanted {
        return None;
    }
    let words = F::words(asked.address);
    let on = |port: u16| {
        let key = ServiceCell::key(port, asked.protocol, F::IS_V6);
        lookup::service(tables, globals, words, key)
    };
    let mut found = on(asked.port);
    if found.is_none() && globals.wildcards.load() & wildcards::ALL_PORTS != 0 {
        found = on(0);
    }
    let (_, index) = found?;
    let carry = tables.carry(processor)?;
    for (word, value) in words.into_iter().enumerate() {
        carry.client[word].store(value);
        carry.virtual_address[word].store(value);
    }
    carry.client_port.store(0);
    carry
        .now
        .store(tick.wrapping_add(globals.clock_offset.load()));
    carry.is_v6.store(F::IS_V6 as u32);
    Some(index)
}

/// The real server that a service's scheduler names. `None` where the socket is to connect as it asks
/// for: nobody takes it, it is a local real server, which listens there, or one of the other family.
#[inline(always)]
pub fn target<'t, T: Tables<'t>>(
    tables: T,
    service: u32,
    is_v6: bool,
    processor: u32,
) -> Option<Target> {
    let number = schedule::pick(tables, service, processor);
    let chosen = Chosen::by_number(tables, number).ok()?;
    if !chosen.is_available() || chosen.is_v6() != is_v6 {
        return None;
    }
    if chosen.is_local() && chosen.method() != method::MASQUERADE {
        return None;
    }
    if let Some(counters) = tables.reasons(processor) {
        // A process, which others may interrupt that connect as well.
        element(&counters.0, Reason::ConnectedFromHere as u32).add(1);
    }
    Some(Target {
        address: chosen.address::<V6>(),
        port: chosen.port(),
    })
}
