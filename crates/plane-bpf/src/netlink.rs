//! A netlink socket for a few questions about TC, each answered before the next.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Length of `struct nlmsghdr`: length, kind, flags, sequence number, port.
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// More than the kernel puts in one datagram of a dump.
const BUFFER: usize = 1 << 16;

/// A connection to the kernel.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one to this network namespace.
    pub fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        let flags = SockFlag::SOCK_CLOEXEC;
        let file = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        Ok(Self(file))
    }

    /// Asks for a change. `kind` is the message's number, `flags` are further ones.
    pub fn change(&self, kind: u16, flags: u16, message: &impl Emitable) -> io::Result<()> {
        self.send(kind, NLM_F_REQUEST | NLM_F_ACK | flags, message)?;
        self.receive(|_| {})
    }

    /// Asks for everything that a message is about. Returns the answers without their headers.
    pub fn dump(&self, kind: u16, message: &impl Emitable) -> io::Result<Vec<Vec<u8>>> {
        self.send(kind, NLM_F_REQUEST | NLM_F_DUMP, message)?;
        let mut answers = Vec::new();
        self.receive(|answer| answers.push(answer.to_vec()))?;
        Ok(answers)
    }

    fn send(&self, kind: u16, flags: u16, message: &impl Emitable) -> io::Result<()> {
        let mut bytes = vec![0; HEADER + message.buffer_len()];
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        message.emit(&mut bytes[HEADER..]);
        send(self.0.as_raw_fd(), &bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// Receives until the kernel says that it is done, or why it is not.
    fn receive(&self, mut answer: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some((kind, payload)) = take_message(&mut rest) {
                match kind {
                    NLMSG_DONE | NLMSG_ERROR => return outcome(payload),
                    _ => answer(payload),
                }
            }
        }
    }
}

/// Takes the first message off: its number and what follows its header.
fn take_message<'a>(bytes: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let payload = bytes.get(HEADER..length)?;
    *bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, payload))
}

/// The result that an answer begins with: 0, or an error's number below it.
fn outcome(payload: &[u8]) -> io::Result<()> {
    let code = payload.first_chunk().copied().map_or(0, i32::from_ne_bytes);
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
    }
}
