//! A slot for an IPv4 connection, and what can be asked of it.

use cell::{Cell32, Cell64};

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the virtual service.
    ToServer = 0,
    /// From the real server to the client.
    ToClient = 1,
}

/// What the table needs to know of an entry, whatever its address family.
pub trait Entry: Sync {
    /// What a packet asks for.
    type Query;
    /// The word that decides over the slot.
    fn word(&self) -> &Cell64;
    /// Whether the entry is the connection that a packet asks for. Says nothing about its life.
    fn answers(&self, query: &Self::Query) -> bool;
    /// The destination's number, and the protocol: what its counters need.
    fn load(&self) -> (u32, u8);
}

/// A packet's connection. All addresses and ports in network order, as they stand in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// The client's address.
    pub client: u32,
    /// The client's port.
    pub client_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Which way the packet goes; says whose the address and port below are.
    pub direction: Direction,
    /// The virtual service's address, or the real server's.
    pub address: u32,
    /// The virtual service's port, or the real server's.
    pub port: u16,
}

/// A connection about to be made. Addresses and ports in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewConnection {
    /// The client.
    pub client: u32,
    /// The client's port.
    pub client_port: u16,
    /// The virtual service.
    pub virtual_address: u32,
    /// The virtual service's port.
    pub virtual_port: u16,
    /// The real server.
    pub destination_address: u32,
    /// The real server's port.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Forwarding method's number.
    pub method: u8,
    /// Service's number.
    pub service: u32,
    /// Destination's number.
    pub destination: u32,
}

/// A connection over IPv4: one cache line.
///
/// ```text
///  0 word                      8 client's next hop: generation | index
/// 16 client      20 virtual   24 destination (addresses)
/// 28 client port | virtual port   32 destination port | protocol | method
/// 36 service     40 destination (numbers)   44 to 63 spare
/// ```
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct SlotV4 {
    word: Cell64,
    /// Routing generation (high half) and index of the next hop towards the client; changes.
    pub client_hop: Cell64,
    client: Cell32,
    virtual_address: Cell32,
    destination_address: Cell32,
    client_and_virtual_port: Cell32,
    destination_port_protocol_method: Cell32,
    service: Cell32,
    destination: Cell32,
    spare: [Cell32; 5],
}

impl SlotV4 {
    /// The client's address.
    #[inline(always)]
    pub fn client(&self) -> u32 {
        self.client.load()
    }

    /// The client's port.
    #[inline(always)]
    pub fn client_port(&self) -> u16 {
        self.client_and_virtual_port.load() as u16
    }

    /// The virtual service's address.
    #[inline(always)]
    pub fn virtual_address(&self) -> u32 {
        self.virtual_address.load()
    }

    /// The virtual service's port.
    #[inline(always)]
    pub fn virtual_port(&self) -> u16 {
        (self.client_and_virtual_port.load() >> 16) as u16
    }

    /// The real server's address.
    #[inline(always)]
    pub fn destination_address(&self) -> u32 {
        self.destination_address.load()
    }

    /// The real server's port.
    #[inline(always)]
    pub fn destination_port(&self) -> u16 {
        self.destination_port_protocol_method.load() as u16
    }

    /// IP protocol number.
    #[inline(always)]
    pub fn protocol(&self) -> u8 {
        (self.destination_port_protocol_method.load() >> 16) as u8
    }

    /// Forwarding method's number.
    #[inline(always)]
    pub fn method(&self) -> u8 {
        (self.destination_port_protocol_method.load() >> 24) as u8
    }

    /// Service's number.
    #[inline(always)]
    pub fn service(&self) -> u32 {
        self.service.load()
    }

    /// Destination's number.
    #[inline(always)]
    pub fn destination(&self) -> u32 {
        self.destination.load()
    }

    /// Writes a claimed slot. Only whoever claimed it may, and only within the claim's time.
    #[inline(always)]
    pub fn write(&self, new: &NewConnection) {
        self.client_hop.store(0);
        self.client.store(new.client);
        self.virtual_address.store(new.virtual_address);
        self.destination_address.store(new.destination_address);
        self.client_and_virtual_port
            .store(new.client_port as u32 | (new.virtual_port as u32) << 16);
        self.destination_port_protocol_method.store(
            new.destination_port as u32 | (new.protocol as u32) << 16 | (new.method as u32) << 24,
        );
        self.service.store(new.service);
        self.destination.store(new.destination);
    }
}

impl Entry for SlotV4 {
    type Query = Query;

    #[inline(always)]
    fn word(&self) -> &Cell64 {
        &self.word
    }

    /// Without a branch but the last: a search asks this of many slots, and what it costs the
    /// kernel's verifier grows with the ways through it.
    #[inline(always)]
    fn answers(&self, query: &Query) -> bool {
        let ports = self.client_and_virtual_port.load();
        let rest = self.destination_port_protocol_method.load();
        let to_client = (query.direction as u32).wrapping_neg();
        let either = |service: u32, server: u32| service ^ ((service ^ server) & to_client);
        let address = either(self.virtual_address.load(), self.destination_address.load());
        let port = either(ports >> 16, rest & 0xffff);
        let difference = (self.client.load() ^ query.client)
            | (address ^ query.address)
            | ((ports & 0xffff) ^ query.client_port as u32)
            | (port ^ query.port as u32)
            | (((rest >> 16) & 0xff) ^ query.protocol as u32);
        difference == 0
    }

    #[inline(always)]
    fn load(&self) -> (u32, u8) {
        (self.destination.load(), self.protocol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_cache_line() {
        assert_eq!(core::mem::size_of::<SlotV4>(), 64);
        assert_eq!(core::mem::size_of::<crate::Bucket<SlotV4>>(), 512);
    }
}
