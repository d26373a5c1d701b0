//! A packet that may open a connection, and what is left of it to the stages up to the connection's
//! making.

use abi::{Carry, Globals, Reason, ServiceCell, Stage, Tick, service_flags};
use conntable::{End, Kind, NewConnection, Query, Question as _};
use wire::{ipv4, tcp};

use crate::connection::{Chosen, query_of};
use crate::family::Family;
use crate::fullnat;
use crate::host::Host;
use crate::lookup::TO_SERVICE;
use crate::packet::{Packet, Ports};
use crate::verdict::{Step, Verdict};

/// A packet that may open a connection.
pub(crate) struct Opening<A> {
    pub query: Query<A>,
    /// Of its client's side.
    pub hash: u32,
    /// The TCP segment's flags.
    pub flags: u8,
    pub now: Tick,
    /// Number of the template that the connection is to go by; 0 for none.
    pub control: u32,
    /// Whether it is in an ICMP error, which quotes it.
    pub is_quoted: bool,
}

impl<A: Copy> Opening<A> {
    #[inline(always)]
    pub fn of<F: Family<Address = A>>(
        globals: &Globals,
        packet: &Packet<F>,
        ports: &Ports,
        now: Tick,
    ) -> Self {
        let query = query_of(packet, ports, TO_SERVICE);
        Self::new::<F>(globals, query, ports.flags, now)
    }

    #[inline(always)]
    fn new<F: Family<Address = A>>(
        globals: &Globals,
        query: Query<A>,
        flags: u8,
        now: Tick,
    ) -> Self {
        Self {
            hash: F::hash(globals, query.client, query.client_port, query.protocol),
            query,
            flags,
            now,
            control: 0,
            is_quoted: false,
        }
    }

    /// A packet of which an ICMP error quotes the ports: as good as one that opens.
    #[inline(always)]
    pub fn quoted<F: Family<Address = A>>(globals: &Globals, query: &Query<A>, now: Tick) -> Self {
        Self {
            is_quoted: true,
            ..Self::new::<F>(globals, *query, tcp::SYN, now)
        }
    }

    /// As [`leave_to_scheduler`] left it.
    #[inline(always)]
    pub fn carried<F: Family<Address = A>>(globals: &Globals, carry: &Carry) -> Self {
        let query = Query {
            client: F::of_cells(&carry.client),
            client_port: carry.client_port.load() as u16,
            protocol: carry.protocol.load() as u8,
            kind: Kind::Connection,
            end: End::Virtual,
            address: F::of_cells(&carry.virtual_address),
            port: (carry.ports.load() >> 16) as u16,
        };
        let (flags, now) = (carry.flags.load() as u8, carry.now.load());
        Self {
            control: carry.control.load(),
            is_quoted: carry.is_quoted.load() != 0,
            ..Self::new::<F>(globals, query, flags, now)
        }
    }

    /// The connection to a destination.
    #[inline(always)]
    pub fn with<F: Family<Address = A>>(
        &self,
        service: &ServiceCell,
        chosen: &Chosen<'_>,
    ) -> NewConnection<A> {
        let query = &self.query;
        let method = fullnat::method_for::<F>(chosen);
        NewConnection {
            client: query.client,
            client_port: query.client_port,
            virtual_address: query.address,
            virtual_port: query.port,
            keeps_port: keeps_port(service, chosen, query.port),
            protocol: query.protocol,
            method,
            kind: kind(service, query.protocol),
            destination: chosen.number,
            control: self.control,
            client_hop: fullnat::hop_for(method),
        }
    }
}

/// Leaves a packet to its service's scheduler, or where its client may have been before.
#[inline(always)]
pub(crate) fn leave_to_scheduler<'t, F: Family, H: Host<'t>>(
    host: &H,
    opening: &Opening<F::Address>,
    (service, index): (&ServiceCell, u32),
) -> Step<Verdict> {
    let carry = host.carry().ok_or(Reason::TableMissing)?;
    describe::<F>(carry, &opening.query);
    carry.service.store(index);
    carry.now.store(opening.now);
    carry.asked.store(0);
    carry.compared.store(0);
    carry.control.store(opening.control);
    carry.flags.store(opening.flags as u32);
    carry.is_quoted.store(opening.is_quoted as u32);
    Ok(Verdict::go_on(if service.persistence.load() != 0 {
        F::PERSIST
    } else {
        Stage::Schedule
    }))
}

/// Leaves whose packet it is, and to whom.
#[inline(always)]
pub(crate) fn describe<F: Family>(carry: &Carry, query: &Query<F::Address>) {
    let (client, address) = (F::words(query.client), F::words(query.address));
    for word in 0..4 {
        carry.client[word].store(client[word]);
        carry.virtual_address[word].store(address[word]);
    }
    carry.client_port.store(query.client_port as u32);
    carry.ports.store(query.ports());
    carry.protocol.store(query.protocol as u32);
    carry.is_v6.store(F::IS_V6 as u32);
}

/// Whether a packet to the virtual `port` is sent to that of the real server: not where the packet is
/// to the service's own port, or the destination has one and nothing keeps ports together.
#[inline(always)]
fn keeps_port(service: &ServiceCell, chosen: &Chosen<'_>, port: u16) -> bool {
    let is_persistent = service.persistence.load() != 0;
    let is_own = service.key.load() as u16 == port;
    chosen.port() == 0 || is_persistent && !is_own
}

/// What a packet makes of a service.
#[inline(always)]
fn kind(service: &ServiceCell, protocol: u8) -> Kind {
    let is_one_packet = service.flags.load() & service_flags::ONE_PACKET != 0;
    if is_one_packet && protocol == ipv4::UDP {
        Kind::OnePacket
    } else {
        Kind::Connection
    }
}
