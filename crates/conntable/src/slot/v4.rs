//! A slot for an IPv4 connection.

use cell::{Cell32, Cell64};

use super::{
    Entry, Load, NO_PORT, NewConnection, PROTOCOL_AND_KIND, Question, Slot, packed,
    protocol_and_kind,
};

/// A connection over IPv4: one cache line.
///
/// ```text
///  0 word                      8 client's next hop: generation | index
/// 16 client      20 virtual   24 destination (addresses)
/// 28 client port | virtual port   32 destination port | protocol | method | kind
/// 36 destination (number)     40 control      44 to 63 spare
/// ```
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct SlotV4 {
    word: Cell64,
    client_hop: Cell64,
    client: Cell32,
    virtual_address: Cell32,
    destination_address: Cell32,
    client_and_virtual_port: Cell32,
    packed: Cell32,
    destination: Cell32,
    control: Cell32,
    spare: [Cell32; 5],
}

impl Entry for SlotV4 {
    type Address = u32;

    #[inline(always)]
    fn word(&self) -> &Cell64 {
        &self.word
    }

    /// Without a branch but the last: a search asks this of many slots, and what it costs the
    /// kernel's verifier grows with the ways through it.
    #[inline(always)]
    fn answers(&self, question: &impl Question, _server: impl Fn(u32) -> Option<u32>) -> bool {
        let ports = self.client_and_virtual_port.load();
        let packed = self.packed.load();
        let asked = question.ports();
        let by_server = question.end().wrapping_neg();
        let either = |service: u32, server: u32| service ^ ((service ^ server) & by_server);
        let address = either(self.virtual_address.load(), self.destination_address.load());
        let port = either(ports >> 16, packed & 0xffff);
        let difference = (self.client.load() ^ question.client(0))
            | (address ^ question.address(0))
            | ((ports ^ asked) & 0xffff)
            | (port ^ asked >> 16)
            | ((packed & PROTOCOL_AND_KIND) ^ protocol_and_kind(question));
        difference == 0
    }

    #[inline(always)]
    fn is_same(&self, other: &Self) -> bool {
        let ports = &self.client_and_virtual_port;
        let difference = (self.client.load() ^ other.client.load())
            | (self.virtual_address.load() ^ other.virtual_address.load())
            | (ports.load() ^ other.client_and_virtual_port.load())
            | ((self.packed.load() ^ other.packed.load()) & PROTOCOL_AND_KIND);
        difference == 0
    }

    #[inline(always)]
    fn load(&self) -> Load {
        super::load(self.destination.load(), self.packed.load())
    }

    #[inline(always)]
    fn control(&self) -> &Cell32 {
        &self.control
    }

    #[inline(always)]
    fn lasts(&self) -> &Cell64 {
        &self.client_hop
    }
}

impl Slot for SlotV4 {
    #[inline(always)]
    fn client(&self) -> u32 {
        self.client.load()
    }

    #[inline(always)]
    fn client_port(&self) -> u16 {
        self.client_and_virtual_port.load() as u16
    }

    #[inline(always)]
    fn virtual_address(&self) -> u32 {
        self.virtual_address.load()
    }

    #[inline(always)]
    fn virtual_port(&self) -> u16 {
        (self.client_and_virtual_port.load() >> 16) as u16
    }

    #[inline(always)]
    fn destination_port(&self) -> u16 {
        self.packed.load() as u16
    }

    #[inline(always)]
    fn method(&self) -> u8 {
        (self.packed.load() >> 24) as u8 & 15
    }

    #[inline(always)]
    fn client_hop(&self) -> &Cell64 {
        &self.client_hop
    }

    #[inline(always)]
    fn opened_at(&self) -> &Cell32 {
        // An alias goes by no template.
        &self.control
    }

    #[inline(always)]
    fn write(&self, new: &NewConnection<u32>) {
        self.client_hop.store(0);
        self.client.store(new.client);
        self.virtual_address.store(new.virtual_address);
        self.destination_address.store(new.destination_address);
        self.client_and_virtual_port
            .store(new.client_port as u32 | (new.virtual_port as u32) << 16);
        self.packed.store(packed(new));
        self.destination.store(new.destination);
        self.control.store(new.control);
    }

    #[inline(always)]
    fn retire(&self) {
        self.packed.store(self.packed.load() | NO_PORT);
        self.client_and_virtual_port.store(NO_PORT << 16);
    }
}
