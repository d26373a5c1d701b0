//! The packets that the front programs write.

use std::net::Ipv4Addr;

/// What of a connection a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A TCP segment of a client's.
    FromClient {
        /// Whether it opens a connection.
        opens: bool,
    },
    /// A TCP segment of a real server's to a client.
    Reply,
}

/// The ends of a packet, the client's apart.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// Whose packet.
    pub kind: Kind,
    /// Address of the other end: the virtual service, the real server, or anybody.
    pub address: Ipv4Addr,
    /// Port of the other end.
    pub port: u16,
    /// Where the frame goes.
    pub destination_mac: [u8; 6],
    /// Number of flows, a power of two.
    pub flows: u32,
    /// Return code where no program is tested.
    pub code: u32,
}

/// Bytes of a frame.
pub const FRAME: usize = 64;
/// As the map `PATTERN` has it: the frame, then four 32-bit numbers.
pub type Words = [u64; FRAME / 8 + 2];
/// The clients' addresses: the front programs count in the lower half.
pub const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 0);

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

impl Pattern {
    /// The frame. Its checksums are not those of its contents: nobody on its way checks them.
    pub fn frame(&self) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        frame[..6].copy_from_slice(&self.destination_mac);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        let length = (FRAME - 14) as u8;
        frame[14..26].copy_from_slice(&[0x45, 0, 0, length, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        let (near, far) = (CLIENTS.octets(), self.address.octets());
        let (source, destination, port, flags) = match self.kind {
            Kind::FromClient { opens: true } => (near, far, 36, SYN),
            Kind::FromClient { opens: false } => (near, far, 36, ACK),
            Kind::Reply => (far, near, 34, ACK),
        };
        frame[26..30].copy_from_slice(&source);
        frame[30..34].copy_from_slice(&destination);
        frame[port..port + 2].copy_from_slice(&self.port.to_be_bytes());
        frame[46] = 5 << 4;
        frame[47] = flags;
        let checksum = header_checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        frame
    }

    /// The map's value, with the first flow next.
    pub fn words(&self) -> Words {
        let mut words = Words::default();
        for (word, bytes) in words.iter_mut().zip(self.frame().chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().expect("chunks of eight bytes"));
        }
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        words[FRAME / 8] = pair(self.flows - 1, 0);
        words[FRAME / 8 + 1] = pair(u32::from(self.kind == Kind::Reply), self.code);
        words
    }
}

/// RFC 791: the ones' complement sum of the header, complemented; its own field counts as 0.
fn header_checksum(header: &[u8]) -> u16 {
    let words = header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
