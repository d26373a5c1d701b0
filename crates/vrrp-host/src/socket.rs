//! The raw sockets that adverts go through.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vrrp::{Datagram, PROTOCOL_AH, PROTOCOL_VRRP};

use crate::error::Error;

/// Internetwork control.
const TRAFFIC_CLASS: u32 = 0xc0;
/// Larger than an advert of 255 IPv6 addresses.
const LARGEST: usize = 8192;

/// What one socket serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The interface; empty: whichever the routes say.
    pub interface: String,
    /// Its number.
    pub ifindex: u32,
    pub ipv6: bool,
    /// Packets have an Authentication Header.
    pub authenticated: bool,
}

/// A socket, and the multicast groups that it has joined.
#[derive(Debug)]
struct Open {
    socket: AsyncFd<Socket>,
    groups: BTreeSet<IpAddr>,
}

/// The sockets of all virtual routers.
#[derive(Debug, Default)]
pub(crate) struct Sockets(BTreeMap<Key, Open>);

impl Sockets {
    /// Makes sure that a socket is there, and that it hears this group.
    pub fn open(&mut self, key: &Key, group: Option<IpAddr>) -> Result<(), Error> {
        if !self.0.contains_key(key) {
            let what = format!("open the VRRP socket on {}", key.interface);
            let open = open(key).map_err(Error::system(what))?;
            self.0.insert(key.clone(), open);
        }
        let Some((open, group)) = self.0.get_mut(key).zip(group) else {
            return Ok(());
        };
        if open.groups.insert(group) {
            join(open.socket.get_ref(), group, key.ifindex)
                .map_err(Error::system(format!("join {group} on {}", key.interface)))?;
        }
        Ok(())
    }

    /// Closes those that are not wanted any more.
    pub fn retain(&mut self, wanted: &BTreeSet<Key>) {
        self.0.retain(|key, _| wanted.contains(key));
    }

    /// Sends a packet.
    pub fn send(&self, key: &Key, datagram: &Datagram) -> io::Result<()> {
        let Some(open) = self.0.get(key) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let socket = open.socket.get_ref();
        match (datagram.source(), datagram.destination()) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let information = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: source.octets(),
                    },
                    ipi6_ifindex: key.ifindex,
                };
                let hop_limit = i32::from(datagram.hop_limit());
                let control = [
                    ControlMessage::Ipv6PacketInfo(&information),
                    ControlMessage::Ipv6HopLimit(&hop_limit),
                ];
                let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, key.ifindex));
                let bytes = [IoSlice::new(datagram.bytes())];
                sendmsg(
                    socket.as_raw_fd(),
                    &bytes,
                    &control,
                    MsgFlags::empty(),
                    Some(&to),
                )?;
            }
            (_, destination) => {
                let to = SocketAddr::new(destination, 0).into();
                socket.send_to(datagram.bytes(), &to)?;
            }
        }
        Ok(())
    }

    /// Waits until a packet may be there.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut ready = false;
        for open in self.0.values() {
            // Every socket's waker must be registered, so all are asked.
            ready |= open.socket.poll_read_ready(context).is_ready();
        }
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Takes every packet that is there, with the interface that it came through.
    pub fn receive_all(&self) -> Vec<(String, Datagram)> {
        let mut received = Vec::new();
        for (key, open) in &self.0 {
            let socket = open.socket.get_ref();
            loop {
                match receive(socket, key.ipv6) {
                    Ok(Some(datagram)) => received.push((key.interface.clone(), datagram)),
                    Ok(None) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // The interface went down: what it means, netlink tells.
                    Err(_) => break,
                }
            }
            // Nothing is left: wait for the next readiness.
            let _cleared = open.socket.try_io(Interest::READABLE, |_| {
                Err::<(), _>(io::ErrorKind::WouldBlock.into())
            });
        }
        received
    }
}

fn open(key: &Key) -> io::Result<Open> {
    let domain = if key.ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let protocol = if key.authenticated {
        PROTOCOL_AH
    } else {
        PROTOCOL_VRRP
    };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
    socket.set_nonblocking(true)?;
    let interface = NonZeroU32::new(key.ifindex);
    if key.ipv6 {
        socket.bind_device_by_index_v6(interface)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_all_v6(false)?;
        socket.set_tclass_v6(TRAFFIC_CLASS)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        socket.bind_device_by_index_v4(interface)?;
        socket.set_header_included_v4(true)?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_multicast_all_v4(false)?;
    }
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that do not own their descriptor, as Socket does"
    )]
    let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
    Ok(Open {
        socket,
        groups: BTreeSet::new(),
    })
}

fn join(socket: &Socket, group: IpAddr, ifindex: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(ifindex))
        }
        IpAddr::V6(group) => socket.join_multicast_v6(&group, ifindex),
    }
}

/// A packet; None: one that is not to be understood.
fn receive(socket: &Socket, ipv6: bool) -> io::Result<Option<Datagram>> {
    let mut bytes = [0; LARGEST];
    let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    let (mut hop_limit, mut destination) = (0, None);
    for told in message.cmsgs()? {
        match told {
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = limit as u8,
            ControlMessageOwned::Ipv6PacketInfo(information) => {
                destination = Some(IpAddr::from(information.ipi6_addr.s6_addr));
            }
            _ => {}
        }
    }
    let source = message.address.map(|address| IpAddr::from(address.ip()));
    let length = message.bytes;
    let bytes = &bytes[..length];
    if !ipv6 {
        return Ok(Datagram::from_ipv4(bytes).ok());
    }
    let ends = source.zip(destination);
    Ok(
        ends.map(|(source, destination)| {
            Datagram::from_ipv6(source, destination, hop_limit, bytes)
        }),
    )
}
