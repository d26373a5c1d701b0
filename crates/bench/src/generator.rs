//! Packets for a director under test, made by an XDP program and sent without the network stack
//! (BPF_PROG_TEST_RUN with live frames, Linux 5.18 and later).
//!
//! Nothing is attached to any interface, so that there is nothing to take back whenever this ends.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::ops::AddAssign;
use std::time::Instant;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use serde::Serialize;

use crate::error::{Error, refused};
use crate::object::Object;
use crate::pattern::{Clients, Kind, Pattern, Spread};

/// XDP's return code for a frame that leaves by the interface that it is said to have come in by.
const XDP_TX: u32 = 3;
/// Frames of one system call: some milliseconds.
const AT_ONCE: u32 = 1 << 14;

/// What is sent: the smallest TCP segments, whose TCP checksum is none. Directors do not look at it,
/// real servers drop what has a wrong one.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The interface that they leave by.
    pub interface: String,
    /// MAC of the director, or of the router towards it.
    pub mac: [u8; 6],
    /// The virtual service.
    pub service: SocketAddr,
    /// The network of the clients, of the service's family. Its last two bytes count.
    pub clients: IpAddr,
    /// Number of clients' addresses and ports, a power of two of at most 2^28; 4096 ports to an
    /// address.
    pub flows: u32,
}

/// Packets of a time.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Count {
    /// How long it was.
    pub seconds: f64,
    /// Frames that were made.
    pub made: u64,
    /// Packets that left by the interface, as it counts them, whoever sent them.
    pub left: u64,
    /// Packets that came by it.
    pub came: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.made += other.made;
        self.left += other.left;
        self.came += other.came;
    }
}

/// The sender.
pub struct Generator {
    object: Object,
    pattern: Pattern,
    interface: String,
    ifindex: u32,
}

impl Generator {
    /// Loads the program.
    ///
    /// # Errors
    /// When there is no such interface, it is none of Ethernet's, or the kernel refuses.
    pub fn new(stream: &Stream) -> Result<Self, Error> {
        let interface = stream.interface.clone();
        let ifindex = if_nametoindex(&*interface).map_err(|_| Error::NoInterface {
            interface: interface.clone(),
        })?;
        let pattern = Pattern {
            kind: Kind::FromClient { opens: true },
            clients: Clients::Of(stream.clients),
            address: stream.service.ip(),
            port: stream.service.port(),
            destination_mac: stream.mac,
            source_mac: own_mac(&interface)?,
            first: 0,
            flows: stream.flows,
            spread: Spread::CLIENTS,
            code: XDP_TX,
        };
        Ok(Self {
            object: Object::load_with(1)?,
            pattern,
            interface,
            ifindex,
        })
    }

    /// Sends SYNs, or else segments of connections that are open already, from now on; begins with
    /// the first flow.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn begin(&mut self, opens: bool) -> Result<(), Error> {
        self.pattern.kind = Kind::FromClient { opens };
        self.object.write(&self.pattern)
    }

    /// Sends as long as `goes_on` holds of what was counted; at least once.
    ///
    /// # Errors
    /// When the interface takes no frames of XDP's, or is no more.
    pub fn send(&mut self, goes_on: impl Fn(&Count) -> bool) -> Result<Count, Error> {
        let before = self.counted()?;
        let begin = Instant::now();
        let mut count = Count::default();
        loop {
            let sent = self.object.send(self.ifindex, AT_ONCE);
            sent.map_err(|error| Error::NotSent {
                interface: self.interface.clone(),
                cause: error.to_string(),
            })?;
            count.made += u64::from(AT_ONCE);
            count.seconds = begin.elapsed().as_secs_f64();
            if !goes_on(&count) {
                break;
            }
        }
        let (left, came) = self.counted()?;
        // An interface that was made anew counts anew.
        count.left = left.saturating_sub(before.0);
        count.came = came.saturating_sub(before.1);
        Ok(count)
    }

    /// Packets that have left by the interface, and that have come by it.
    fn counted(&self) -> Result<(u64, u64), Error> {
        // Unlike /sys, this is of the thread's own network namespace.
        const COUNTERS: &str = "/proc/thread-self/net/dev";
        let text = fs::read_to_string(COUNTERS).map_err(refused(COUNTERS))?;
        packets(&text, &self.interface).ok_or_else(|| Error::NoInterface {
            interface: self.interface.clone(),
        })
    }
}

/// An interface's packets sent and received, as the kernel lists them: eight numbers of what came,
/// and eight of what left, of which the second ones are packets.
fn packets(listed: &str, interface: &str) -> Option<(u64, u64)> {
    let mut lines = listed.lines();
    let numbers = lines.find_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        (name.trim() == interface).then_some(numbers)
    })?;
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    Some((numbers.get(9)?.parse().ok()?, numbers.get(1)?.parse().ok()?))
}

fn own_mac(interface: &str) -> Result<[u8; 6], Error> {
    let mut all = getifaddrs().map_err(refused("interfaces"))?;
    let mac = all.find_map(|entry| {
        let of_interface = entry.interface_name == interface;
        entry
            .address
            .filter(|_| of_interface)
            .and_then(|address| address.as_link_addr()?.addr())
    });
    mac.ok_or(Error::NoEthernet {
        interface: interface.to_owned(),
    })
}

/// A MAC address as people write it.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Result<Vec<u8>, _> = text
        .split(':')
        .map(|byte| match byte.len() {
            1 | 2 => u8::from_str_radix(byte, 16).map_err(drop),
            _ => Err(()),
        })
        .collect();
    bytes.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.1 prints it.
    const LISTED: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     840      10    0    0    0     0          0         0      840      10    0    0    0     0       0          0
  eth0: 1234567    4321    0    0    0     0          0         0  7654321    8765    0    0    0     0       0          0
";

    #[test]
    fn an_interfaces_packets_are_found_in_the_kernels_list() {
        assert_eq!(packets(LISTED, "eth0"), Some((8765, 4321)));
        assert_eq!(packets(LISTED, "eth"), None);
    }

    #[test]
    fn a_mac_address_is_six_bytes_between_colons() {
        assert_eq!(parse_mac("02:00:0a:ff:1:9"), Some([2, 0, 10, 255, 1, 9]));
        for wrong in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:001",
            "02:00:00:00:00:0g",
            "2-0-0-0-0-1",
        ] {
            assert_eq!(parse_mac(wrong), None, "{wrong}");
        }
    }
}
