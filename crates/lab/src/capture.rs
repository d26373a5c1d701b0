//! Captures: what was on every host's wire, seen at the bridges.
//!
//! All cables end in one namespace, that of the bridges, so one packet socket there sees every host's wire,
//! on one clock and in order. It also sees what a tap on the director's own interface would not: XDP takes
//! packets before taps and sends them behind.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike};
use serde::{Serialize, Serializer};

use crate::check::{SEGMENTS, port_name};
use crate::definition::{Direction, Lab, PacketPattern};
use crate::error::LabError;
use crate::netns::Namespace;
use crate::notation::Mac;
use crate::packet::Packet;

/// Frames kept, at most. What comes after is counted.
const MOST_FRAMES: usize = 200_000;

/// The kernel's buffer, in bytes.
const KERNEL_BUFFER: usize = 16 << 20;

/// Longest frame: a GSO packet of 64 KiB with its headers, in bytes.
const LONGEST_FRAME: usize = (64 << 10) + 256;

/// How long the reader sleeps at most before it looks whether it is to stop, in milliseconds.
const READ_TIMEOUT: i64 = 20;

/// `sll_pkttype` of a packet that the machine itself sent (`PACKET_OUTGOING`, linux/if_packet.h).
const OUTGOING: u8 = 4;

/// A packet on a host's wire.
#[derive(Debug, Clone, Serialize)]
pub struct Sighting {
    /// When, as the kernel stamped it, since 1970.
    pub at: Duration,
    /// The host.
    #[serde(serialize_with = "as_text")]
    pub host: Arc<str>,
    /// The host's interface.
    #[serde(serialize_with = "as_text")]
    pub interface: Arc<str>,
    /// Whether the host got or sent it.
    pub direction: Direction,
    /// The packet.
    pub packet: Packet,
}

fn as_text<S: Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

impl Sighting {
    /// Whether it is one of those that are meant.
    pub fn matches(&self, pattern: &PacketPattern) -> bool {
        pattern
            .interface
            .as_deref()
            .is_none_or(|wanted| wanted == &*self.interface)
            && pattern
                .direction
                .is_none_or(|wanted| wanted == self.direction)
            && self.packet.matches(pattern)
    }
}

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

/// What the reader has collected.
#[derive(Debug, Default)]
struct Seen {
    sightings: Vec<Sighting>,
    left_out: usize,
    failure: Option<Errno>,
}

impl Capture {
    /// Begins to capture on all wires of a lab that is up.
    pub fn start(lab: &Lab) -> Result<Self, LabError> {
        let bridges = Namespace::of(&lab.name, SEGMENTS);
        let (socket, plugs) = bridges.within(|| open(lab))?.map_err(LabError::Capture)?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let reader = {
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            std::thread::spawn(move || read(&socket, &plugs, &seen, &stop))
        };
        Ok(Self {
            seen,
            stop,
            reader: Some(reader),
        })
    }

    /// All that was seen so far.
    pub fn so_far(&self) -> Result<Vec<Sighting>, LabError> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = seen.failure {
            return Err(LabError::Capture(failure.into()));
        }
        if seen.left_out > 0 {
            let message = format!(
                "{} packets came after the first {MOST_FRAMES} and were left out",
                seen.left_out
            );
            return Err(LabError::Capture(io::Error::other(message)));
        }
        Ok(seen.sightings.clone())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has nothing more to say.
            let _ = reader.join();
        }
    }
}

/// A bridge port, by whose cable it ends.
#[derive(Debug)]
struct Plug {
    host: Arc<str>,
    interface: Arc<str>,
    mac: Mac,
}

impl Plug {
    /// Whether the host takes a frame from its wire. A bridge also floods what is for others.
    fn takes(&self, destination: Mac) -> bool {
        destination.is_group() || destination == self.mac
    }
}

/// The wires of a lab that is up, frame by frame.
#[derive(Debug)]
pub struct Wires {
    socket: OwnedFd,
    plugs: HashMap<usize, Plug>,
    frame: Vec<u8>,
}

impl Wires {
    /// Begins to look at all wires.
    pub fn open(lab: &Lab) -> Result<Self, LabError> {
        let bridges = Namespace::of(&lab.name, SEGMENTS);
        let (socket, plugs) = bridges.within(|| open(lab))?.map_err(LabError::Capture)?;
        let frame = vec![0; LONGEST_FRAME];
        Ok(Self {
            socket,
            plugs,
            frame,
        })
    }

    /// The next frame, as a packet and as bytes; none after a moment without one.
    pub fn next_frame(&mut self) -> Result<Option<(Sighting, &[u8])>, LabError> {
        match read_one(&self.socket, &mut self.frame, &self.plugs) {
            Ok(seen) => Ok(seen.map(|(sighting, length)| (sighting, &self.frame[..length]))),
            Err(errno) if is_nothing(errno) => Ok(None),
            Err(errno) => Err(LabError::Capture(errno.into())),
        }
    }
}

/// Whether an error says only that there is no frame. ENETDOWN is told once for each interface that
/// goes down while its lab is removed.
fn is_nothing(errno: Errno) -> bool {
    matches!(errno, Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN)
}

fn open(lab: &Lab) -> io::Result<(OwnedFd, HashMap<usize, Plug>)> {
    let mut plugs = HashMap::new();
    for host in &lab.hosts {
        for interface in &host.interfaces {
            let index = if_nametoindex(port_name(&host.name, &interface.name).as_str())?;
            let plug = Plug {
                host: host.name.as_str().into(),
                interface: interface.name.as_str().into(),
                mac: interface.mac,
            };
            plugs.insert(usize::try_from(index).map_err(io::Error::other)?, plug);
        }
    }
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )?;
    setsockopt(&socket, sockopt::RcvBufForce, &KERNEL_BUFFER)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(
        &socket,
        sockopt::ReceiveTimeout,
        &TimeVal::milliseconds(READ_TIMEOUT),
    )?;
    Ok((socket, plugs))
}

fn read(socket: &OwnedFd, plugs: &HashMap<usize, Plug>, seen: &Mutex<Seen>, stop: &AtomicBool) {
    let mut frame = vec![0; LONGEST_FRAME];
    while !stop.load(Ordering::Relaxed) {
        let result = read_one(socket, &mut frame, plugs);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(Some(_)) if seen.sightings.len() >= MOST_FRAMES => seen.left_out += 1,
            Ok(Some((sighting, _))) => seen.sightings.push(sighting),
            Ok(None) => {}
            Err(failure) if is_nothing(failure) => {}
            Err(failure) => {
                seen.failure = Some(failure);
                return;
            }
        }
    }
}

/// The next frame as a packet, and how many bytes it has.
fn read_one(
    socket: &OwnedFd,
    frame: &mut [u8],
    plugs: &HashMap<usize, Plug>,
) -> Result<Option<(Sighting, usize)>, Errno> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut pieces = [IoSliceMut::new(frame)];
    let message = recvmsg::<LinkAddr>(
        socket.as_raw_fd(),
        &mut pieces,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let at = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    });
    let (length, address) = (message.bytes, message.address);
    let Some((plug, address)) =
        address.and_then(|address| Some((plugs.get(&address.ifindex())?, address)))
    else {
        return Ok(None);
    };
    // What the port sends, the host gets.
    let direction = if address.pkttype() == OUTGOING {
        Direction::In
    } else {
        Direction::Out
    };
    let packet = Packet::parse(&frame[..length])
        .filter(|packet| direction == Direction::Out || plug.takes(packet.destination_mac));
    Ok(packet.map(|packet| {
        let sighting = Sighting {
            at: at.unwrap_or_default(),
            host: Arc::clone(&plug.host),
            interface: Arc::clone(&plug.interface),
            direction,
            packet,
        };
        (sighting, length)
    }))
}
