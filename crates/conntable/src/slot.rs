//! What a slot holds, and what can be asked of it, whatever its address family.

use core::fmt::Debug;

use cell::{Cell32, Cell64};

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
pub trait Words: Copy + Debug + Default + PartialEq {
    /// Where the words stand in a slot.
    type Cells: Cells<Words = Self>;
    /// One of them.
    fn word(&self, index: usize) -> u32;
    /// 0 where these are the words.
    fn differs(&self, word: impl Fn(usize) -> u32) -> u32;
}

impl Words for u32 {
    type Cells = Cell32;

    #[inline(always)]
    fn word(&self, _index: usize) -> u32 {
        *self
    }

    #[inline(always)]
    fn differs(&self, word: impl Fn(usize) -> u32) -> u32 {
        *self ^ word(0)
    }
}

impl Words for [u32; 4] {
    type Cells = [Cell32; 4];

    #[inline(always)]
    fn word(&self, index: usize) -> u32 {
        self[index & 3]
    }

    #[inline(always)]
    fn differs(&self, word: impl Fn(usize) -> u32) -> u32 {
        (self[0] ^ word(0)) | (self[1] ^ word(1)) | (self[2] ^ word(2)) | (self[3] ^ word(3))
    }
}

/// An address in a slot.
pub trait Cells: Debug + Default + Send + Sync {
    /// Its words.
    type Words;
    /// What a slot of two such addresses lacks of half a cache line, or of a whole one.
    type Spare: Debug + Default + Send + Sync;
    /// All its words.
    fn load(&self) -> Self::Words;
    /// Writes all its words.
    fn store(&self, words: Self::Words);
    /// 0 where it has these words. Word by word: BPF's stack is small.
    fn differs(&self, word: impl Fn(usize) -> u32) -> u32;
    /// 0 where the other has the same.
    fn differs_from(&self, other: &Self) -> u32;
}

impl Cells for Cell32 {
    type Words = u32;
    type Spare = ();

    #[inline(always)]
    fn load(&self) -> u32 {
        Cell32::load(self)
    }

    #[inline(always)]
    fn store(&self, words: u32) {
        Cell32::store(self, words);
    }

    #[inline(always)]
    fn differs(&self, word: impl Fn(usize) -> u32) -> u32 {
        Cell32::load(self) ^ word(0)
    }

    #[inline(always)]
    fn differs_from(&self, other: &Self) -> u32 {
        Cell32::load(self) ^ Cell32::load(other)
    }
}

impl Cells for [Cell32; 4] {
    type Words = [u32; 4];
    type Spare = Cell64;

    #[inline(always)]
    fn load(&self) -> [u32; 4] {
        let [a, b, c, d] = self;
        [a.load(), b.load(), c.load(), d.load()]
    }

    #[inline(always)]
    fn store(&self, words: [u32; 4]) {
        self[0].store(words[0]);
        self[1].store(words[1]);
        self[2].store(words[2]);
        self[3].store(words[3]);
    }

    #[inline(always)]
    fn differs(&self, word: impl Fn(usize) -> u32) -> u32 {
        (self[0].load() ^ word(0))
            | (self[1].load() ^ word(1))
            | (self[2].load() ^ word(2))
            | (self[3].load() ^ word(3))
    }

    #[inline(always)]
    fn differs_from(&self, other: &Self) -> u32 {
        self.differs(|word| other[word & 3].load())
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
    /// Whether the real server is sent to at the virtual service's port, not its own.
    pub keeps_port: bool,
    /// IP protocol number: TCP's, UDP's, SCTP's, or 0.
    pub protocol: u8,
    /// Forwarding method's number, below 8.
    pub method: u8,
    /// What it is.
    pub kind: Kind,
    /// Destination's number, below [`NO_DESTINATION`], or that.
    pub destination: u32,
    /// Number of the template that it goes by ([`crate::Position::number`]), 0 for none.
    pub control: u32,
    /// What [`Slot::client_hop`] begins with.
    pub client_hop: u32,
}

impl<A> NewConnection<A> {
    /// As [`Slot::destination_port`].
    #[inline(always)]
    pub const fn destination_port(&self, own: u16) -> u16 {
        if self.keeps_port {
            self.virtual_port
        } else {
            own
        }
    }
}

/// The destination of what counts for none.
pub const NO_DESTINATION: u32 = 0xff_ffff;

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
    type Address: Words;
    /// The word that decides over the slot.
    fn word(&self) -> &Cell64;
    /// Whether the entry is the connection that a packet asks for. Says nothing about its life.
    /// `server` tells a destination's address and port by its number.
    fn answers(
        &self,
        question: &impl Question,
        server: impl Fn(u32) -> Option<(Self::Address, u16)>,
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
    fn lasts(&self) -> &Cell32;

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

/// A slot. What it says is a connection while its [word](Entry::word) says that the slot is live.
pub trait Slot: Entry + Default {
    /// The client's address.
    fn client(&self) -> Self::Address;
    /// The client's port.
    fn client_port(&self) -> u16;
    /// The virtual service's address.
    fn virtual_address(&self) -> Self::Address;
    /// The virtual service's port.
    fn virtual_port(&self) -> u16;
    /// The real server's port: its destination's `own`, or the virtual service's.
    fn destination_port(&self, own: u16) -> u16;
    /// Forwarding method's number.
    fn method(&self) -> u8;
    /// The [`Hop`](crate::Hop) towards the client; changes. Of an alias and of the connection that has
    /// one: the other's [`Name`](crate::Name).
    fn client_hop(&self) -> &Cell32;
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

/// A connection of either family: half a cache line over IPv4, a whole one over IPv6. The real
/// server's address and port are known by the destination's number.
///
/// ```text
/// IPv4 IPv6
///   0    0  word
///   8    8  client's address
///  12   24  virtual address
///  16   40  client's port | virtual port
///  20   44  destination's number (24) | protocol (2) | kind (2) | keeps port (1) | method (3)
///  24   48  next hop towards the client
///  28   52  control
/// ```
#[repr(C)]
#[derive(Debug, Default)]
pub struct SlotOf<A: Words> {
    word: Cell64,
    client: A::Cells,
    virtual_address: A::Cells,
    ports: Cell32,
    packed: Cell32,
    client_hop: Cell32,
    control: Cell32,
    spare: <A::Cells as Cells>::Spare,
}

/// A connection over IPv4.
pub type SlotV4 = SlotOf<u32>;
/// A connection over IPv6.
pub type SlotV6 = SlotOf<[u32; 4]>;

/// Below are the destination's number's bits.
const PROTOCOL_SHIFT: u32 = 24;
const KIND_SHIFT: u32 = 26;
const KEEPS_PORT: u32 = 1 << 28;
const METHOD_SHIFT: u32 = 29;

/// The protocols that connections have, each in a byte.
const PROTOCOLS: u32 = 132 << 24 | 6 << 16 | 17 << 8;

/// Which of [`PROTOCOLS`] it is.
#[inline(always)]
const fn protocol_index(protocol: u8) -> u32 {
    (protocol ^ protocol >> 6 ^ protocol >> 7) as u32 & 3
}

/// The protocol in a packed word.
#[inline(always)]
const fn protocol(packed: u32) -> u8 {
    (PROTOCOLS >> ((packed >> PROTOCOL_SHIFT & 3) * 8)) as u8
}

/// The kind in a packed word, as a number.
#[inline(always)]
const fn kind(packed: u32) -> u32 {
    packed >> KIND_SHIFT & 3
}

#[inline(always)]
const fn packed<A>(new: &NewConnection<A>) -> u32 {
    new.destination & NO_DESTINATION
        | protocol_index(new.protocol) << PROTOCOL_SHIFT
        | (new.kind as u32) << KIND_SHIFT
        | if new.keeps_port { KEEPS_PORT } else { 0 }
        | (new.method as u32) << METHOD_SHIFT
}

/// The virtual port of a template that nobody finds.
const NO_PORT: u32 = 0xffff;

impl<A: Words> Entry for SlotOf<A> {
    type Address = A;

    #[inline(always)]
    fn word(&self) -> &Cell64 {
        &self.word
    }

    /// With few branches: a search asks this of many slots, and what it costs the kernel's verifier
    /// grows with the ways through it.
    #[inline(always)]
    fn answers(&self, question: &impl Question, server: impl Fn(u32) -> Option<(A, u16)>) -> bool {
        let ports = self.ports.load() ^ question.ports();
        let packed = self.packed.load();
        let others = (protocol(packed) ^ question.protocol()) as u32
            | (kind(packed) ^ question.kind())
            | (ports & 0xffff);
        if others | self.client.differs(|word| question.client(word)) != 0 {
            return false;
        }
        if question.end() == End::Virtual as u32 {
            let address = self.virtual_address.differs(|word| question.address(word));
            return address | ports >> 16 == 0;
        }
        let Some((address, port)) = server(packed & NO_DESTINATION) else {
            return false;
        };
        let port = self.destination_port(port) as u32 ^ question.ports() >> 16;
        port | address.differs(|word| question.address(word)) == 0
    }

    #[inline(always)]
    fn is_same(&self, other: &Self) -> bool {
        const PROTOCOL_AND_KIND: u32 = 3 << PROTOCOL_SHIFT | 3 << KIND_SHIFT;
        let difference = self.client.differs_from(&other.client)
            | self.virtual_address.differs_from(&other.virtual_address)
            | (self.ports.load() ^ other.ports.load())
            | ((self.packed.load() ^ other.packed.load()) & PROTOCOL_AND_KIND);
        difference == 0
    }

    #[inline(always)]
    fn load(&self) -> Load {
        let packed = self.packed.load();
        Load {
            destination: packed & NO_DESTINATION,
            protocol: protocol(packed),
            kind: kind(packed) as u8,
        }
    }

    #[inline(always)]
    fn control(&self) -> &Cell32 {
        &self.control
    }

    #[inline(always)]
    fn lasts(&self) -> &Cell32 {
        // Nothing goes to a template's client.
        &self.client_hop
    }
}

impl<A: Words> Slot for SlotOf<A> {
    #[inline(always)]
    fn client(&self) -> A {
        self.client.load()
    }

    #[inline(always)]
    fn client_port(&self) -> u16 {
        self.ports.load() as u16
    }

    #[inline(always)]
    fn virtual_address(&self) -> A {
        self.virtual_address.load()
    }

    #[inline(always)]
    fn virtual_port(&self) -> u16 {
        (self.ports.load() >> 16) as u16
    }

    /// Without a branch, for the kernel's verifier.
    #[inline(always)]
    fn destination_port(&self, own: u16) -> u16 {
        let keeps = ((self.packed.load() / KEEPS_PORT) & 1).wrapping_neg() as u16;
        own ^ (own ^ self.virtual_port()) & keeps
    }

    #[inline(always)]
    fn method(&self) -> u8 {
        (self.packed.load() >> METHOD_SHIFT) as u8
    }

    #[inline(always)]
    fn client_hop(&self) -> &Cell32 {
        &self.client_hop
    }

    #[inline(always)]
    fn opened_at(&self) -> &Cell32 {
        // An alias goes by no template.
        &self.control
    }

    #[inline(always)]
    fn write(&self, new: &NewConnection<A>) {
        self.client.store(new.client);
        self.virtual_address.store(new.virtual_address);
        self.ports
            .store(new.client_port as u32 | (new.virtual_port as u32) << 16);
        self.packed.store(packed(new));
        self.client_hop.store(new.client_hop);
        self.control.store(new.control);
    }

    #[inline(always)]
    fn retire(&self) {
        self.packed.store(self.packed.load() | KEEPS_PORT);
        self.ports.store(NO_PORT << 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bucket;

    #[test]
    fn a_slot_is_a_cache_line_or_half_of_one() {
        assert_eq!(core::mem::size_of::<SlotV4>(), 32);
        assert_eq!(core::mem::size_of::<SlotV6>(), 64);
        assert_eq!(core::mem::size_of::<Bucket<SlotV4>>(), 256);
        assert_eq!(core::mem::size_of::<Bucket<SlotV6>>(), 512);
    }

    #[test]
    fn a_slot_tells_what_was_written() {
        for (number, number_of_protocol) in [0, 6, 17, 132].into_iter().enumerate() {
            let number = number as u32;
            for method in 0..8 {
                let slot = SlotV4::default();
                slot.write(&NewConnection {
                    client: 1,
                    client_port: 2,
                    virtual_address: 3,
                    virtual_port: 4,
                    keeps_port: number & 1 != 0,
                    protocol: number_of_protocol,
                    method,
                    kind: Kind::OnePacket,
                    destination: NO_DESTINATION - number,
                    control: u32::MAX,
                    client_hop: u32::MAX - 1,
                });
                let load = Load {
                    destination: NO_DESTINATION - number,
                    protocol: number_of_protocol,
                    kind: Kind::OnePacket as u8,
                };
                assert_eq!((slot.load(), slot.method()), (load, method));
                let port = if number & 1 != 0 { 4 } else { 5 };
                assert_eq!(slot.destination_port(5), port);
                assert_eq!((slot.client(), slot.virtual_address()), (1, 3));
                assert_eq!((slot.client_port(), slot.virtual_port()), (2, 4));
                assert_eq!(slot.control().load(), u32::MAX);
                assert_eq!(slot.client_hop().load(), u32::MAX - 1);
            }
        }
    }
}
