//! `check_via_vip`: the virtual address answers on the way that clients' packets take under DR and TUN.
//!
//! The director has the virtual address itself, so that no socket of its own reaches another host by
//! it. Frames are made here instead: the beginning of a TCP connection, or an ICMP echo, from the
//! director's own address to the virtual one, sent to the real server's next hop, in its tunnel if it
//! has one. The answer comes straight back; the kernel, to which its source is an address of this
//! host, drops it after a packet socket has seen it.

mod frame;
mod packet_socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use config::model::Via;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Done, Failure};
use frame::{framed, ip, unmade};
use packet_socket::{Listener, Speaker};

/// The beginning of a connection that is never used.
const SEQUENCE: u32 = 0x7876_7300;
const WINDOW: u16 = 1024;
/// RFC 863.
const DISCARD: u16 = 9;
/// Until the kernel is asked again for a next hop.
const RESOLUTION: Duration = Duration::from_millis(50);

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
    let ways =
        ways.ok_or_else(|| Failure::Server("the ways to real servers are not known".to_owned()))?;
    let way = resolved(via.real_server, ways).await?;
    if way.address == via.address {
        let why = "this host has no address but the virtual one towards it";
        return Err(Failure::Server(why.to_owned()));
    }
    if way.address.is_ipv4() != via.address.is_ipv4() {
        let why = "a tunnel between the families: answers would come to no address of this host's";
        return Err(Failure::Server(why.to_owned()));
    }
    let probe = Probe::new(via, &way)?;
    let listener = Listener::open(via.address, way.address)?;
    let speaker = Speaker::open(way.interface)?;
    speaker.send(&framed(&way, via, &probe.packet()?)?)?;
    let outcome = loop {
        match probe.judge(&listener.receive().await?) {
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
            Err(NoWay::None(why)) => return Err(Failure::Server(why)),
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
                    (true, true, _) => Some(Err(Failure::Server(format!(
                        "{source} refuses connections"
                    )))),
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
