//! What a slot holds, and what can be asked of it, whatever its address family.

mod v4;
mod v6;

use core::fmt::Debug;

use cell::{Cell32, Cell64};

pub use v4::SlotV4;
pub use v6::SlotV6;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the virtual service.
    ToServer = 0,
    /// From the real server to the client.
    ToClient = 1,
}

/// Whose address and port stand in a packet beside the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The virtual service's: a client's packet, or a reply that needs no translation.
    Virtual = 0,
    /// The real server's: a reply under VS/NAT.
    Server = 1,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A connection.
    Connection = 0,
    /// A persistence template: where a client's connections go.
    Template = 1,
    /// The way back of a connection whose client the real server does not see.
    Alias = 2,
    /// One datagram of a service whose every datagram is a connection of its own. Nobody finds it.
    OnePacket = 3,
}

/// A packet's connection. All addresses and ports in network order, as they stand in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<A> {
    /// The client's address.
    pub client: A,
    /// The client's port.
    pub client_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// What is looked for.
    pub kind: Kind,
    /// Whose the address and port below are.
    pub end: End,
    /// The virtual service's address, or the real server's.
    pub address: A,
    /// The virtual service's port, or the real server's.
    pub port: u16,
}

/// A packet's question, wherever its words stand: a [`Query`] holds them; BPF's stack is too small to
/// hold them everywhere.
pub trait Question {
    /// A word of the client's address; IPv4's is word 0.
    fn client(&self, word: usize) -> u32;
    /// A word of the address beside the client's.
    fn address(&self, word: usize) -> u32;
    /// The client's port in the low half, the other in the high one, network order.
    fn ports(&self) -> u32;
    /// IP protocol number.
    fn protocol(&self) -> u8;
    /// What is looked for: a [`Kind`] as a number.
    fn kind(&self) -> u32;
    /// Whose the other address and port are: an [`End`] as a number.
    fn end(&self) -> u32;
}

/// An address that is words.
pub trait Words {
    /// One of them.
    fn word(&self, index: usize) -> u32;
}

impl Words for u32 {
    #[inline(always)]
    fn word(&self, _index: usize) -> u32 {
        *self
    }
}

impl Words for [u32; 4] {
    #[inline(always)]
    fn word(&self, index: usize) -> u32 {
        self[index & 3]
    }
}

impl<A: Words> Question for Query<A> {
    #[inline(always)]
    fn client(&self, word: usize) -> u32 {
        self.client.word(word)
    }

    #[inline(always)]
    fn address(&self, word: usize) -> u32 {
        self.address.word(word)
    }

    #[inline(always)]
    fn ports(&self) -> u32 {
        self.client_port as u32 | (self.port as u32) << 16
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        self.protocol
    }

    #[inline(always)]
    fn kind(&self) -> u32 {
        self.kind as u32
    }

    #[inline(always)]
    fn end(&self) -> u32 {
        self.end as u32
    }
}

/// A connection about to be made. Addresses and ports in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewConnection<A> {
    /// The client.
    pub client: A,
    /// The client's port.
    pub client_port: u16,
    /// The virtual service.
    pub virtual_address: A,
    /// The virtual service's port.
    pub virtual_port: u16,
    /// The real server, where it is of the client's family.
    pub destination_address: A,
    /// The real server's port.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Forwarding method's number, below 16.
    pub method: u8,
    /// What it is.
    pub kind: Kind,
    /// Destination's number.
    pub destination: u32,
    /// Number of the template that it goes by ([`crate::Position::number`]), 0 for none.
    pub control: u32,
}

/// What a connection counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Destination's number.
    pub destination: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// [`Kind`] as a number.
    pub kind: u8,
}

/// What the table needs to know of an entry, whatever its address family.
pub trait Entry: Sync {
    /// An address of the family. IPv6's are words as they stand in memory.
    type Address: Copy + Debug + PartialEq + Words;
    /// The word that decides over the slot.
    fn word(&self) -> &Cell64;
    /// Whether the entry is the connection that a packet asks for. Says nothing about its life.
    /// `server` tells the address of a destination by its number, should the entry not hold it.
    fn answers(
        &self,
        question: &impl Question,
        server: impl Fn(u32) -> Option<Self::Address>,
    ) -> bool;
    /// Whether another entry is the same connection as this one: client, virtual end, protocol and
    /// kind.
    fn is_same(&self, other: &Self) -> bool;
    /// What its counters need.
    fn load(&self) -> Load;
    /// Of a connection: the number of the template that it goes by, 0 for none. Of a template: how
    /// many connections go by it; changes.
    fn control(&self) -> &Cell32;
    /// Of a template: for how many ticks it lasts after a use; changes.
    fn lasts(&self) -> &Cell64;

    /// Whether it is a template that connections go by, which then outlives its time: 1, else 0.
    ///
    /// Without a branch, as insertions ask it of every slot of a bucket.
    #[inline(always)]
    fn is_held(&self) -> u32 {
        let others = self.load().kind as u32 ^ Kind::Template as u32;
        let is_template = others.wrapping_sub(1) >> 31;
        let control = self.control().load();
        is_template & (control | control.wrapping_neg()) >> 31
    }
}

/// A slot: one cache line. What it says is a connection while its [word](Entry::word) says that
/// the slot is live.
pub trait Slot: Entry + Default {
    /// The client's address.
    fn client(&self) -> Self::Address;
    /// The client's port.
    fn client_port(&self) -> u16;
    /// The virtual service's address.
    fn virtual_address(&self) -> Self::Address;
    /// The virtual service's port.
    fn virtual_port(&self) -> u16;
    /// The real server's port.
    fn destination_port(&self) -> u16;
    /// Forwarding method's number.
    fn method(&self) -> u8;
    /// Routing generation (high half) and index of the next hop towards the client; changes. Of an
    /// alias and of the connection that has one: the other's [`Handle`](crate::Handle).
    fn client_hop(&self) -> &Cell64;
    /// Of an alias: the sequence number of the first byte that the client sends; changes.
    fn opened_at(&self) -> &Cell32;
    /// Writes a claimed slot. Only whoever claimed it may, and only within the claim's time.
    fn write(&self, new: &NewConnection<Self::Address>);
    /// Makes a template one that nobody finds, by the ports that IPVS gives it (65535).
    fn retire(&self);

    /// IP protocol number.
    #[inline(always)]
    fn protocol(&self) -> u8 {
        self.load().protocol
    }

    /// Destination's number.
    #[inline(always)]
    fn destination(&self) -> u32 {
        self.load().destination
    }
}

/// Destination's port, protocol, method and kind, from the low end.
#[inline(always)]
const fn packed<A>(new: &NewConnection<A>) -> u32 {
    new.destination_port as u32
        | (new.protocol as u32) << 16
        | (new.method as u32 & 15) << 24
        | (new.kind as u32) << 28
}

/// Protocol and kind, as [`packed`] has them.
#[inline(always)]
fn protocol_and_kind(question: &impl Question) -> u32 {
    (question.protocol() as u32) << 16 | question.kind() << 28
}

/// The port of a template that nobody finds.
const NO_PORT: u32 = 0xffff;

/// The bits of [`protocol_and_kind`].
const PROTOCOL_AND_KIND: u32 = 0x30ff_0000;

/// What a packed word counts for.
#[inline(always)]
const fn load(destination: u32, packed: u32) -> Load {
    Load {
        destination,
        protocol: (packed >> 16) as u8,
        kind: (packed >> 28) as u8 & 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_cache_line() {
        assert_eq!(core::mem::size_of::<SlotV4>(), 64);
        assert_eq!(core::mem::size_of::<SlotV6>(), 64);
        assert_eq!(core::mem::size_of::<crate::Bucket<SlotV4>>(), 512);
        assert_eq!(core::mem::size_of::<crate::Bucket<SlotV6>>(), 512);
    }
}
