//! `check_via_vip`: the virtual address answers on the way that clients' packets take under DR and TUN.
//!
//! The director has the virtual address itself, so that no socket of its own reaches another host by
//! it. Frames are made here instead: the beginning of a TCP connection, or an ICMP echo, from the
//! director's own address to the virtual one, sent to the real server's next hop, in its tunnel if it
//! has one. The answer comes straight back; the kernel, to which its source is an address of this
//! host, drops it after a packet socket has seen it.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use config::model::Via;
use etherparse::{IpNumber, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use model::{Tunnel, TunnelKind};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, bind, send, socket,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::{Done, Failure};

/// Hops of packets that nobody forwards but tunnels.
const HOPS: u8 = 64;
/// The beginning of a connection that is never used.
const SEQUENCE: u32 = 0x7876_7300;
const WINDOW: u16 = 1024;
/// Ethernet's types (IEEE 802).
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// RFC 863.
const DISCARD: u16 = 9;
/// Until the kernel is asked again for a next hop.
const RESOLUTION: Duration = Duration::from_millis(50);
/// The longest answer that counts.
const LONGEST: usize = 256;

/// Tells echoes of this process apart.
static ECHOES: AtomicU16 = AtomicU16::new(0);

/// How frames get to a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The interface, by its number.
    pub interface: u32,
    /// Its Ethernet address.
    pub source: [u8; 6],
    /// The next hop's.
    pub destination: [u8; 6],
    /// This host's address towards the real server.
    pub address: IpAddr,
}

/// Who knows the ways.
pub trait Ways: Send + Sync {
    /// The way to a real server.
    ///
    /// # Errors
    /// Why there is none now.
    fn towards(&self, real_server: IpAddr) -> Result<Way, NoWay>;
}

/// Why there is no way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWay {
    /// The next hop's Ethernet address is not known: somebody has to ask for it.
    Unresolved,
    /// For this reason, for people.
    None(String),
}

pub(crate) async fn check(via: &Via, ways: Option<&dyn Ways>) -> Done {
    let ways = ways.ok_or_else(|| Failure("the ways to real servers are not known".to_owned()))?;
    let way = resolved(via.real_server, ways).await?;
    if way.address == via.address {
        let why = "this host has no address but the virtual one towards it";
        return Err(Failure(why.to_owned()));
    }
    if way.address.is_ipv4() != via.address.is_ipv4() {
        let why = "a tunnel between the families: answers would come to no address of this host's";
        return Err(Failure(why.to_owned()));
    }
    let probe = Probe::new(via, &way)?;
    let listener = probe.listen()?;
    let speaker = Speaker::open(way.interface)?;
    speaker.send(&framed(&way, via, &probe.packet()?)?)?;
    let outcome = loop {
        match probe.judge(&receive(&listener).await?) {
            Some(outcome) => break outcome,
            None => continue,
        }
    };
    if let (Ok(_), Some(end)) = (&outcome, probe.end()?) {
        speaker.send(&framed(&way, via, &end)?)?;
    }
    outcome
}

/// The way; where the next hop is not known, the kernel is made to ask for it.
async fn resolved(real_server: IpAddr, ways: &dyn Ways) -> Result<Way, Failure> {
    loop {
        match ways.towards(real_server) {
            Ok(way) => return Ok(way),
            Err(NoWay::None(why)) => return Err(Failure(why)),
            Err(NoWay::Unresolved) => {
                let datagrams = Socket::new(domain(real_server), Type::DGRAM, Some(Protocol::UDP))?;
                datagrams.send_to(&[], &SocketAddr::new(real_server, DISCARD).into())?;
                tokio::time::sleep(RESOLUTION).await;
            }
        }
    }
}

/// What is sent, and what answers it.
struct Probe {
    own: IpAddr,
    virtual_address: IpAddr,
    kind: Kind,
}

enum Kind {
    /// A connection from a port that is kept while it lasts.
    Connection { port: u16, own: Socket },
    /// An echo with this identifier and number.
    Echo { identifier: u16, number: u16 },
}

impl Probe {
    fn new(via: &Via, way: &Way) -> Result<Self, Failure> {
        let kind = match via.port {
            Some(port) => {
                let own = Socket::new(domain(way.address), Type::STREAM, Some(Protocol::TCP))?;
                own.bind(&SocketAddr::new(way.address, 0).into())?;
                Kind::Connection { port, own }
            }
            None => {
                let [.., high, low] = std::process::id().to_be_bytes();
                Kind::Echo {
                    identifier: u16::from_be_bytes([high, low]),
                    number: ECHOES.fetch_add(1, Ordering::Relaxed),
                }
            }
        };
        Ok(Self {
            own: way.address,
            virtual_address: via.address,
            kind,
        })
    }

    /// The packet that asks.
    fn packet(&self) -> Result<Vec<u8>, Failure> {
        match &self.kind {
            Kind::Connection { .. } => self.segment(SEQUENCE, true),
            Kind::Echo { identifier, number } => self.echo(*identifier, *number),
        }
    }

    /// The packet that ends what an answer has begun.
    fn end(&self) -> Result<Option<Vec<u8>>, Failure> {
        match self.kind {
            Kind::Connection { .. } => self.segment(SEQUENCE + 1, false).map(Some),
            Kind::Echo { .. } => Ok(None),
        }
    }

    /// A segment that begins the connection, or resets it.
    fn segment(&self, sequence: u32, begins: bool) -> Result<Vec<u8>, Failure> {
        let Kind::Connection { port, own } = &self.kind else {
            return Ok(Vec::new());
        };
        let from = own.local_addr()?.as_socket().map_or(0, |own| own.port());
        let builder = self.ip().tcp(from, *port, sequence, WINDOW);
        let builder = if begins { builder.syn() } else { builder.rst() };
        let mut packet = Vec::with_capacity(builder.size(0));
        builder.write(&mut packet, &[]).map_err(unmade)?;
        Ok(packet)
    }

    fn echo(&self, identifier: u16, number: u16) -> Result<Vec<u8>, Failure> {
        let mut packet = Vec::new();
        let payload = b"xvs check_via_vip";
        if self.own.is_ipv4() {
            let builder = self.ip().icmpv4_echo_request(identifier, number);
            builder.write(&mut packet, payload).map_err(unmade)?;
        } else {
            let builder = self.ip().icmpv6_echo_request(identifier, number);
            builder.write(&mut packet, payload).map_err(unmade)?;
        }
        Ok(packet)
    }

    fn ip(&self) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        ip(self.own, self.virtual_address)
    }

    /// A socket that hears packets from the virtual address to ours, whatever the kernel makes of them.
    fn listen(&self) -> Result<AsyncFd<Socket>, Failure> {
        let (kind, filter) = match (self.virtual_address, self.own) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                (IPV4, filter(&[(12, from.to_bits()), (16, to.to_bits())]))
            }
            (from, to) => (IPV6, filter(&[words(from, 8), words(to, 24)].concat())),
        };
        let protocol = Protocol::from(i32::from(kind.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        socket.attach_filter(&filter)?;
        socket.set_nonblocking(true)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that do not own their descriptor, as Socket does"
        )]
        Ok(AsyncFd::new(socket)?)
    }

    /// What a packet that was heard means; None: nothing to this probe.
    fn judge(&self, packet: &[u8]) -> Option<Done> {
        let sliced = SlicedPacket::from_ip(packet).ok()?;
        let source: IpAddr = match sliced.net.as_ref()? {
            NetSlice::Ipv4(v4) => v4.header().source_addr().into(),
            NetSlice::Ipv6(v6) => v6.header().source_addr().into(),
            NetSlice::Arp(_) => return None,
        };
        if source != self.virtual_address {
            return None;
        }
        match (&self.kind, sliced.transport?) {
            (Kind::Connection { port, own }, TransportSlice::Tcp(segment)) => {
                let own = own.local_addr().ok()?.as_socket()?.port();
                let is_ours = (segment.source_port(), segment.destination_port()) == (*port, own)
                    && segment.acknowledgment_number() == SEQUENCE + 1;
                match (is_ours, segment.rst(), segment.syn()) {
                    (true, true, _) => Some(Err(Failure(format!("{source} refuses connections")))),
                    (true, false, true) => Some(Ok(None)),
                    _ => None,
                }
            }
            (Kind::Echo { identifier, number }, TransportSlice::Icmpv4(answer)) => {
                let [a, b, c, d] = answer.bytes5to8();
                let is_ours = answer.type_u8() == 0
                    && (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
                        == (*identifier, *number);
                is_ours.then_some(Ok(None))
            }
            (Kind::Echo { identifier, number }, TransportSlice::Icmpv6(answer)) => {
                let [a, b, c, d] = answer.bytes5to8();
                let is_ours = answer.type_u8() == 129
                    && (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
                        == (*identifier, *number);
                is_ours.then_some(Ok(None))
            }
            _ => None,
        }
    }
}

fn domain(address: IpAddr) -> Domain {
    if address.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    }
}

fn unmade(error: impl std::fmt::Display) -> Failure {
    Failure(format!("the packet cannot be made: {error}"))
}

fn ip(from: IpAddr, to: IpAddr) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (from, to) => PacketBuilder::ipv6(v6(from), v6(to), HOPS),
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The frame that brings a packet to the real server: as it is under DR, in a tunnel under TUN.
fn framed(way: &Way, via: &Via, packet: &[u8]) -> Result<Vec<u8>, Failure> {
    let packet = match via.tunnel {
        None => packet.to_vec(),
        Some(tunnel) => enclosed(way, via.real_server, tunnel, packet)?,
    };
    let kind = match via.real_server {
        IpAddr::V4(_) => IPV4,
        IpAddr::V6(_) => IPV6,
    };
    let mut frame = Vec::with_capacity(14 + packet.len());
    frame.extend(way.destination);
    frame.extend(way.source);
    frame.extend(kind.to_be_bytes());
    frame.extend(packet);
    Ok(frame)
}

fn enclosed(
    way: &Way,
    real_server: IpAddr,
    tunnel: Tunnel,
    packet: &[u8],
) -> Result<Vec<u8>, Failure> {
    let is_v4 = packet.first().is_some_and(|first| first >> 4 == 4);
    let inside = if is_v4 {
        IpNumber::IPV4
    } else {
        IpNumber::IPV6
    };
    let outer = ip(way.address, real_server);
    let mut out = Vec::new();
    match tunnel.kind {
        TunnelKind::Ipip => outer.write(&mut out, inside, packet).map_err(unmade)?,
        TunnelKind::Gre => {
            // RFC 2784: no flags, then the type of what is inside.
            let kind = if is_v4 { IPV4 } else { IPV6 };
            let payload = [&[0, 0], &kind.to_be_bytes()[..], packet].concat();
            outer
                .write(&mut out, IpNumber::GRE, &payload)
                .map_err(unmade)?;
        }
        TunnelKind::Gue => {
            // Generic UDP Encapsulation, variant 0 without options: the protocol of what is inside.
            let payload = [&[0, inside.0, 0, 0], packet].concat();
            let builder = outer.udp(tunnel.port, tunnel.port);
            builder.write(&mut out, &payload).map_err(unmade)?;
        }
    }
    Ok(out)
}

/// The four words of an address at an offset.
fn words(address: IpAddr, offset: u32) -> Vec<(u32, u32)> {
    let octets = v6(address);
    let words = octets.chunks_exact(4).zip(0..);
    words
        .map(|(word, number)| {
            let value = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
            (offset + 4 * number, value)
        })
        .collect()
}

/// A filter (classic BPF) for packets that have these words at these offsets.
fn filter(words: &[(u32, u32)]) -> Vec<SockFilter> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const COMPARE: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut code = Vec::new();
    for (place, (offset, value)) in words.iter().enumerate() {
        // Over the comparisons that are left and the acceptance, to the refusal. At most eight.
        let to_refusal = ((words.len() - place - 1) * 2 + 1) as u8;
        code.push(SockFilter::new(LOAD, 0, 0, *offset));
        code.push(SockFilter::new(COMPARE, 0, to_refusal, *value));
    }
    code.push(SockFilter::new(RETURN, 0, 0, LONGEST as u32));
    code.push(SockFilter::new(RETURN, 0, 0, 0));
    code
}

async fn receive(listener: &AsyncFd<Socket>) -> Result<Vec<u8>, Failure> {
    let mut buffer = vec![0; LONGEST];
    loop {
        let mut ready = listener.readable().await?;
        let received = ready.try_io(|socket| socket.get_ref().read(&mut buffer));
        if let Ok(length) = received {
            buffer.truncate(length?);
            return Ok(buffer);
        }
    }
}

/// A packet socket that only sends.
struct Speaker(OwnedFd);

impl Speaker {
    fn open(interface: u32) -> io::Result<Self> {
        let address = link_address(interface)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Bound to no protocol, it hears nothing.
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        bind(socket.as_raw_fd(), &address)?;
        Ok(Self(socket))
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }
}

/// The interface as a packet socket's address, which the system lists beside its other addresses.
fn link_address(ifindex: u32) -> Result<LinkAddr, Errno> {
    let storages = getifaddrs()?.filter_map(|interface| interface.address);
    let mut links = storages
        .filter(|storage| storage.family() == Some(AddressFamily::Packet))
        .filter_map(|storage| storage.as_link_addr().copied());
    links
        .find(|link| u32::try_from(link.ifindex()) == Ok(ifindex))
        .ok_or(Errno::ENODEV)
}
