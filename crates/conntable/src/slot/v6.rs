//! A slot for an IPv6 connection.

use cell::{Cell32, Cell64};

use super::{
    Entry, Load, NO_PORT, NewConnection, PROTOCOL_AND_KIND, Question, Slot, packed,
    protocol_and_kind,
};
use crate::End;

/// A connection over IPv6: one cache line. The real server's address would not fit: it is known by
/// the destination's number.
///
/// ```text
///  0 word                      8 client's next hop: generation | index
/// 16 client                   32 virtual (addresses)
/// 48 client port | virtual port   52 destination port | protocol | method | kind
/// 56 destination (number)     60 control
/// ```
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct SlotV6 {
    word: Cell64,
    client_hop: Cell64,
    client: [Cell32; 4],
    virtual_address: [Cell32; 4],
    client_and_virtual_port: Cell32,
    packed: Cell32,
    destination: Cell32,
    control: Cell32,
}

#[inline(always)]
fn words(cells: &[Cell32; 4]) -> [u32; 4] {
    [
        cells[0].load(),
        cells[1].load(),
        cells[2].load(),
        cells[3].load(),
    ]
}

#[inline(always)]
fn store(cells: &[Cell32; 4], words: [u32; 4]) {
    cells[0].store(words[0]);
    cells[1].store(words[1]);
    cells[2].store(words[2]);
    cells[3].store(words[3]);
}

/// 0 where the words of an address are the cells'.
#[inline(always)]
fn differs_from(cells: &[Cell32; 4], word: impl Fn(usize) -> u32) -> u32 {
    (cells[0].load() ^ word(0))
        | (cells[1].load() ^ word(1))
        | (cells[2].load() ^ word(2))
        | (cells[3].load() ^ word(3))
}

/// 0 where both hold the same, read word by word: BPF's stack is small.
#[inline(always)]
fn differs(a: &[Cell32; 4], b: &[Cell32; 4]) -> u32 {
    (a[0].load() ^ b[0].load())
        | (a[1].load() ^ b[1].load())
        | (a[2].load() ^ b[2].load())
        | (a[3].load() ^ b[3].load())
}

impl Entry for SlotV6 {
    type Address = [u32; 4];

    #[inline(always)]
    fn word(&self) -> &Cell64 {
        &self.word
    }

    /// Word by word: BPF's stack is small.
    #[inline(always)]
    fn answers(&self, question: &impl Question, server: impl Fn(u32) -> Option<[u32; 4]>) -> bool {
        let ports = self.client_and_virtual_port.load() ^ question.ports();
        let packed = self.packed.load();
        let others =
            (ports & 0xffff) | ((packed & PROTOCOL_AND_KIND) ^ protocol_and_kind(question));
        if others | differs_from(&self.client, |word| question.client(word)) != 0 {
            return false;
        }
        if question.end() == End::Virtual as u32 {
            let address = differs_from(&self.virtual_address, |word| question.address(word));
            return address | ports >> 16 == 0;
        }
        if packed & 0xffff != question.ports() >> 16 {
            return false;
        }
        match server(self.destination.load()) {
            Some(address) => {
                (address[0] ^ question.address(0))
                    | (address[1] ^ question.address(1))
                    | (address[2] ^ question.address(2))
                    | (address[3] ^ question.address(3))
                    == 0
            }
            None => false,
        }
    }

    #[inline(always)]
    fn is_same(&self, other: &Self) -> bool {
        let ports = &self.client_and_virtual_port;
        let difference = differs(&self.client, &other.client)
            | differs(&self.virtual_address, &other.virtual_address)
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

impl Slot for SlotV6 {
    #[inline(always)]
    fn client(&self) -> [u32; 4] {
        words(&self.client)
    }

    #[inline(always)]
    fn client_port(&self) -> u16 {
        self.client_and_virtual_port.load() as u16
    }

    #[inline(always)]
    fn virtual_address(&self) -> [u32; 4] {
        words(&self.virtual_address)
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
    fn write(&self, new: &NewConnection<[u32; 4]>) {
        self.client_hop.store(0);
        store(&self.client, new.client);
        store(&self.virtual_address, new.virtual_address);
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
