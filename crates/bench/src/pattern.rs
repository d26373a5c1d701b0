//! The packets that the front programs write.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    /// Which clients.
    pub clients: Clients,
    /// Address of the other end: the virtual service, the real server, or anybody.
    pub address: IpAddr,
    /// Port of the other end.
    pub port: u16,
    /// Where the frame goes.
    pub destination_mac: [u8; 6],
    /// Whence it comes.
    pub source_mac: [u8; 6],
    /// The first flow.
    pub first: u32,
    /// Number of flows, a power of two.
    pub flows: u32,
    /// How flows differ.
    pub spread: Spread,
    /// Return code where no program is tested.
    pub code: u32,
}

/// How the ends of flows follow from their numbers.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// Ports that one client address uses, a power of two.
    pub ports: u32,
    /// Virtual services that flows take turns at, where more than one. Their addresses follow one
    /// another, from the pattern's on, whose last two bytes are 0 then.
    pub services: u32,
    /// Real servers of each service that its flows take turns at, where replies are theirs; else 0.
    /// Their addresses follow one another, those of each service after those of the one before.
    pub servers: u32,
    /// Whether flows come in an order that no cache can foresee, as they do on a network, rather than
    /// in that of their numbers.
    pub is_scattered: bool,
}

impl Spread {
    /// Many clients of one other end.
    pub const CLIENTS: Self = Self {
        ports: PORTS,
        services: 1,
        servers: 0,
        is_scattered: false,
    };
}

/// Networks of 2^28 clients' addresses and ports, in either address family: the front programs
/// count in an address' last two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Those whose connections are measured.
    Usual,
    /// Others, who have no connections.
    Strangers,
    /// Those of a network that somebody has chosen; its last two bytes count.
    Of(IpAddr),
}

impl Clients {
    const fn v4(self) -> Ipv4Addr {
        match self {
            Self::Of(IpAddr::V4(network)) => network,
            Self::Usual | Self::Of(IpAddr::V6(_)) => Ipv4Addr::new(10, 64, 0, 0),
            Self::Strangers => Ipv4Addr::new(10, 65, 0, 0),
        }
    }

    const fn v6(self) -> Ipv6Addr {
        let network = match self {
            Self::Of(IpAddr::V6(network)) => return network,
            Self::Usual | Self::Of(IpAddr::V4(_)) => 0x64,
            Self::Strangers => 0x65,
        };
        Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, 0, 0)
    }
}

/// Bytes of an IPv4 frame.
const FRAME: usize = 64;
/// Bytes of an IPv6 frame: a multiple of eight, in which TCP's header has room.
const FRAME_V6: usize = 80;
/// As the map `PATTERN` has it: the frame, then ten 32-bit numbers.
pub type Words = [u64; FRAME_V6 / 8 + 5];

/// Ports that one client address uses, where nothing else is said.
const PORTS: u32 = 4096;
/// The first of them, as the front programs have it.
const FIRST_PORT: u32 = 1024;

/// The flow of a client's address and port.
pub fn flow(client: Ipv4Addr, port: u16) -> u32 {
    let [.., high, low] = client.octets();
    let client = u32::from(u16::from_be_bytes([high, low]));
    client * PORTS + u32::from(port) - FIRST_PORT
}

const ETHERNET: usize = 14;
/// Of frames whose sender does not matter.
pub const ANY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const TCP: u8 = 6;
const HOPS: u8 = 64;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

impl Pattern {
    /// The frame. Its checksums are not those of its contents: nobody on its way checks them.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = [self.destination_mac, self.source_mac].concat();
        let is_reply = self.kind == Kind::Reply;
        let length = match self.address {
            IpAddr::V4(far) => {
                let near = self.clients.v4();
                let (from, to) = if is_reply { (far, near) } else { (near, far) };
                frame.extend([0x08, 0x00]);
                frame.extend(ipv4_header(from, to));
                FRAME
            }
            IpAddr::V6(far) => {
                let near = self.clients.v6();
                let (from, to) = if is_reply { (far, near) } else { (near, far) };
                frame.extend([0x86, 0xdd]);
                frame.extend(ipv6_header(from, to));
                FRAME_V6
            }
        };
        let port = self.port.to_be_bytes();
        frame.extend(if is_reply {
            [port, [0; 2]].concat()
        } else {
            [[0; 2], port].concat()
        });
        // Sequence and acknowledgement, then the header's length in words.
        frame.extend([0; 8]);
        let flags = match self.kind {
            Kind::FromClient { opens: true } => SYN,
            Kind::FromClient { opens: false } | Kind::Reply => ACK,
        };
        frame.extend([5 << 4, flags]);
        frame.resize(length, 0);
        frame
    }

    /// The map's value.
    pub fn words(&self) -> Words {
        let mut words = Words::default();
        let frame = self.frame();
        for (word, bytes) in words.iter_mut().zip(frame.chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().expect("chunks of eight bytes"));
        }
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let rest = FRAME_V6 / 8;
        words[rest] = pair(self.flows - 1, self.first);
        words[rest + 1] = pair(u32::from(self.kind == Kind::Reply), self.code);
        words[rest + 2] = pair(u32::from(self.address.is_ipv6()), frame.len() as u32);
        let Spread {
            ports,
            services,
            servers,
            is_scattered,
        } = self.spread;
        let scatter_bits = if is_scattered {
            (self.flows.ilog2() / 2).max(1)
        } else {
            0
        };
        words[rest + 3] = pair(ports.ilog2(), services);
        words[rest + 4] = pair(servers, scatter_bits);
        words
    }
}

/// RFC 791, section 3.1.
fn ipv4_header(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let length = (FRAME - ETHERNET) as u8;
    let begin = [0x45, 0, 0, length, 0, 0, 0x40, 0, HOPS, TCP, 0, 0];
    let mut header = [&begin[..], &from.octets(), &to.octets()].concat();
    let checksum = header_checksum(&header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// RFC 8200, section 3.
fn ipv6_header(from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    const HEADER: usize = 40;
    let payload = (FRAME_V6 - ETHERNET - HEADER) as u8;
    let begin = [0x60, 0, 0, 0, 0, payload, TCP, HOPS];
    [&begin[..], &from.octets(), &to.octets()].concat()
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
