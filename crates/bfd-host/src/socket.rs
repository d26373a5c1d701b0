//! The sockets of BFD over IP (RFC 5881, section 4; RFC 5883, section 5).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use bfd::{Arrival, Settings};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::Error;

/// Control packets over one hop.
const SINGLE_HOP: u16 = 3784;
/// And over several.
const MULTIHOP: u16 = 4784;
/// Source ports begin here and go on to the last.
const FIRST_SOURCE_PORT: u16 = 49_152;
/// Internetwork control.
const TRAFFIC_CLASS: u32 = 0xc0;
/// More than any control packet has.
const LARGEST: usize = 512;

/// What one listening socket hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    ipv6: bool,
    multihop: bool,
}

impl Kind {
    fn of(settings: &Settings) -> Self {
        Self {
            ipv6: settings.neighbor.is_ipv6(),
            multihop: settings.multihop,
        }
    }

    fn port(self) -> u16 {
        if self.multihop { MULTIHOP } else { SINGLE_HOP }
    }

    fn domain(self) -> Domain {
        if self.ipv6 {
            Domain::IPV6
        } else {
            Domain::IPV4
        }
    }

    fn any(self) -> IpAddr {
        match self.ipv6 {
            true => Ipv6Addr::UNSPECIFIED.into(),
            false => Ipv4Addr::UNSPECIFIED.into(),
        }
    }
}

/// The sockets that packets come by.
#[derive(Debug, Default)]
pub(crate) struct Listeners(BTreeMap<Kind, AsyncFd<Socket>>);

impl Listeners {
    /// Opens those that these sessions need. The others stay until [`Listeners::retain`].
    pub fn open<'a>(&mut self, wanted: impl Iterator<Item = &'a Settings>) -> Result<(), Error> {
        for kind in wanted.map(Kind::of) {
            if let Entry::Vacant(vacant) = self.0.entry(kind) {
                let port = kind.port();
                let socket = listen(kind).map_err(|error| Error::Listen { port, error })?;
                vacant.insert(socket);
            }
        }
        Ok(())
    }

    /// Closes those that none of these sessions needs.
    pub fn retain<'a>(&mut self, wanted: impl Iterator<Item = &'a Settings>) {
        let kinds: Vec<Kind> = wanted.map(Kind::of).collect();
        self.0.retain(|kind, _| kinds.contains(kind));
    }

    /// Waits until a packet may be there.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut is_ready = false;
        for socket in self.0.values() {
            // Every socket's waker must be registered, so all are asked.
            is_ready |= socket.poll_read_ready(context).is_ready();
        }
        if is_ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Takes every packet that is there.
    pub fn receive_all(&self) -> Vec<(Arrival, Vec<u8>)> {
        let mut received = Vec::new();
        for (kind, socket) in &self.0 {
            while let Ok(packet) = receive(socket.get_ref(), *kind) {
                received.extend(packet);
            }
            // Nothing is left: wait for the next readiness.
            let _cleared = socket.try_io(Interest::READABLE, |_| {
                Err::<(), _>(io::ErrorKind::WouldBlock.into())
            });
        }
        received
    }
}

fn listen(kind: Kind) -> io::Result<AsyncFd<Socket>> {
    let socket = Socket::new(kind.domain(), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if kind.ipv6 {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
    }
    socket.bind(&SocketAddr::new(kind.any(), kind.port()).into())?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that do not own their descriptor, as Socket does"
    )]
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// A packet; None: one without a hop limit or an address.
fn receive(socket: &Socket, kind: Kind) -> io::Result<Option<(Arrival, Vec<u8>)>> {
    let mut bytes = [0; LARGEST];
    let mut control = nix::cmsg_space!(i32);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let hop_limit = message.cmsgs()?.find_map(|told| match told {
        ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
            u8::try_from(limit).ok()
        }
        _ => None,
    });
    let source = message.address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
    });
    let length = message.bytes;
    Ok(hop_limit.zip(source).map(|(hop_limit, source)| {
        let arrival = Arrival {
            source,
            hop_limit,
            multihop: kind.multihop,
        };
        (arrival, bytes[..length].to_vec())
    }))
}

/// Where a session's packets go out.
#[derive(Debug)]
pub(crate) struct Speaker {
    socket: Socket,
    to: SocketAddr,
}

impl Speaker {
    /// A socket with a source port of its own, the same for all packets of the session.
    pub fn open(discriminator: u32, settings: &Settings) -> io::Result<Self> {
        let kind = Kind::of(settings);
        let socket = Socket::new(kind.domain(), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let hop_limit = settings.hop_limit.into();
        if kind.ipv6 {
            socket.set_unicast_hops_v6(hop_limit)?;
            socket.set_tclass_v6(TRAFFIC_CLASS)?;
            socket.set_freebind_v6(true)?;
        } else {
            socket.set_ttl_v4(hop_limit)?;
            socket.set_tos_v4(TRAFFIC_CLASS)?;
            socket.set_freebind_v4(true)?;
        }
        bind(
            &socket,
            settings.source.unwrap_or(kind.any()),
            discriminator,
        )?;
        Ok(Self {
            socket,
            to: SocketAddr::new(settings.neighbor, kind.port()),
        })
    }

    /// Sends a packet.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send_to(bytes, &self.to.into()).map(drop)
    }
}

/// Takes the first port that is free; sessions begin to look in different places.
fn bind(socket: &Socket, address: IpAddr, discriminator: u32) -> io::Result<()> {
    let ports = u16::MAX - FIRST_SOURCE_PORT + 1;
    // The remainder fits what it is divided by.
    let begin = (discriminator % u32::from(ports)) as u16;
    let mut outcome = Err(io::ErrorKind::AddrInUse.into());
    for step in 0..ports {
        let port = FIRST_SOURCE_PORT + (begin + step) % ports;
        outcome = socket.bind(&SocketAddr::new(address, port).into());
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            _ => break,
        }
    }
    outcome
}
