//! Packet sockets: frames out, and packets in before the kernel judges them.

use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, bind, send, socket,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::frame::{IPV4, IPV6, v6};

/// The longest answer that counts.
const LONGEST: usize = 256;

/// Packet sockets are closed elsewhere: the kernel waits then until no processor uses them any more,
/// for milliseconds in which no other check would go on.
fn close_aside(socket: impl Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(|| drop(socket))),
        Err(_) => drop(socket),
    }
}

/// A packet socket that hears.
pub(super) struct Listener(Option<AsyncFd<Socket>>);

impl Listener {
    /// One for packets from an address to another, whatever the kernel makes of them.
    pub fn open(from: IpAddr, to: IpAddr) -> io::Result<Self> {
        let (kind, filter) = match (from, to) {
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
        Ok(Self(Some(AsyncFd::new(socket)?)))
    }

    /// The next of them.
    pub async fn receive(&self) -> io::Result<Vec<u8>> {
        let socket = self.0.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut buffer = vec![0; LONGEST];
        loop {
            let mut ready = socket.readable().await?;
            let received = ready.try_io(|socket| socket.get_ref().read(&mut buffer));
            if let Ok(length) = received {
                buffer.truncate(length?);
                return Ok(buffer);
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            close_aside(socket.into_inner());
        }
    }
}

/// A packet socket that only sends.
pub(super) struct Speaker(Option<OwnedFd>);

impl Speaker {
    /// One for this interface.
    pub fn open(interface: u32) -> io::Result<Self> {
        let address = link_address(interface)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Bound to no protocol, it hears nothing.
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        bind(socket.as_raw_fd(), &address)?;
        Ok(Self(Some(socket)))
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let socket = self.0.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        send(socket.as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            close_aside(socket);
        }
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
