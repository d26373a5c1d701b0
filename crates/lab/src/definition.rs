//! What a lab is: hosts on segments, and the steps that are walked through it.
//!
//! Plain data, already checked: every name that refers to something refers to something that is there.
//! [`crate::file`] makes it from a lab file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::icmp::Icmp;
use crate::notation::{Endpoint, LinePattern, Mac, Prefixed, Url, Words};
use crate::tunnel::Tunnel;

/// A lab: a small network of hosts, and what is to be seen in it, step by step.
#[derive(Debug, Clone)]
pub struct Lab {
    /// Name by which it is run, and part of its namespaces' names.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// What it shows, in a paragraph.
    pub about: String,
    /// Whether it takes minutes. Then it is not among all labs unless asked for, and nothing is
    /// captured.
    pub long: bool,
    /// Names of the Ethernet segments. Each becomes a bridge.
    pub segments: Vec<String>,
    /// The hosts, in the order of the file: that of output, too.
    pub hosts: Vec<Host>,
    /// The steps, in their order.
    pub steps: Vec<Step>,
}

/// A host: a network namespace with interfaces, addresses, routes and settings of its own.
#[derive(Debug, Clone)]
pub struct Host {
    /// Name, and part of its namespace's name.
    pub name: String,
    /// Whether the director's daemon runs here.
    pub director: bool,
    /// The keepalived.conf that the daemon runs; without one it waits for commands.
    pub configuration: Option<String>,
    /// Whether its kernel forwards packets between its interfaces.
    pub router: bool,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Addresses of its own that are on no wire: on `lo`.
    pub loopback: Vec<Prefixed>,
    /// Next hops of its default routes, at most one per address family.
    pub gateways: Vec<IpAddr>,
    /// Further routes, as `ip route add` takes them.
    pub routes: Vec<Words>,
    /// Settings below `/proc/sys`, by their dotted names.
    pub sysctls: BTreeMap<String, String>,
    /// The web server it runs.
    pub serve: Option<Serve>,
    /// Tunnels that end here, by `xvs realserver`.
    pub decapsulate: Vec<Tunnel>,
    /// Commands that make it ready, run once everything is up.
    pub setup: Vec<Words>,
}

/// One end of a virtual Ethernet cable; the other end is a port of the segment's bridge.
#[derive(Debug, Clone)]
pub struct Interface {
    /// Name within the host, for instance `eth0`.
    pub name: String,
    /// The segment it is plugged into.
    pub segment: String,
    /// Its fixed MAC address.
    pub mac: Mac,
    /// Its addresses.
    pub addresses: Vec<Prefixed>,
    /// Largest packet, in bytes, at both ends of the cable; the system's choice if not given.
    pub mtu: Option<u32>,
    /// `rp_filter` (0 none, 1 strict, 2 loose).
    pub rp_filter: u8,
    /// `arp_ignore` (0 to 8).
    pub arp_ignore: u8,
    /// `arp_announce` (0 to 2).
    pub arp_announce: u8,
}

/// A web server that says who it is.
#[derive(Debug, Clone)]
pub struct Serve {
    /// Its name, for instance `RS1`.
    pub name: String,
    /// The address it says it has.
    pub address: IpAddr,
    /// The TCP port it listens on, on all addresses of that family.
    pub port: u16,
    /// Whether it is told its clients by the PROXY protocol, and says whom.
    pub proxy: bool,
}

impl Serve {
    /// What its page says: `from RS1:192.168.100.39` without the `from`.
    pub fn identity(&self) -> String {
        format!("{}:{}", self.name, self.address)
    }
}

/// A step: things done in order, and why what is seen is seen.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is done or shown, in a few words.
    pub title: String,
    /// Why what is observed is observed, in one sentence.
    pub why: String,
    /// What is done.
    pub actions: Vec<Action>,
}

/// One thing done in a step.
#[derive(Debug, Clone)]
pub enum Action {
    /// A command that changes the lab. A later step run on its own still gets it.
    Change {
        /// Host it runs on.
        on: String,
        /// The command.
        command: Words,
    },
    /// A command whose output is looked at.
    Show {
        /// Host it runs on.
        on: String,
        /// The command.
        command: Words,
        /// How long its output may take to become what is expected.
        patience: Duration,
        /// What its output must have.
        expect: LinesExpected,
    },
    /// A command that runs beside the actions after it, until the step ends.
    Beside {
        /// Host it runs on.
        on: String,
        /// The command.
        command: Words,
        /// The step goes on once it has said this line.
        ready: Option<LinePattern>,
        /// What its output must have at the step's end, in this order.
        expect: LinesExpected,
    },
    /// HTTP requests.
    Get {
        /// Host that asks.
        on: String,
        /// What is asked, and how often.
        request: Request,
        /// How it must end.
        expect: Option<AnswersExpected>,
    },
    /// The end of requests that were left to themselves.
    Await {
        /// Their name, as `background` gave it.
        requests: String,
        /// How they must have ended.
        expect: Option<AnswersExpected>,
    },
    /// The end of a connection that a request left open.
    Close {
        /// The connection's name, as `hold` gave it.
        held: String,
    },
    /// A look at what was captured on a host's wire since the step began.
    Captured {
        /// The host.
        on: String,
        /// The packets counted.
        pattern: PacketPattern,
        /// How many there must be.
        expect: PacketsExpected,
    },
}

/// HTTP requests of one client.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked for.
    pub url: Url,
    /// What is transferred.
    pub transfer: Transfer,
    /// How many requests.
    pub times: u32,
    /// All over one connection, one after the other.
    pub keep_alive: bool,
    /// All at the same time, each over its own connection.
    pub concurrent: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// Leave the connections open under this name.
    pub hold: Option<String>,
    /// Go on with the step meanwhile; how they end is asked by this name.
    pub background: Option<String>,
}

/// What a request transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// The page at the URL.
    Page,
    /// So many bytes from the server, each of which is compared with what it must be.
    Download(u64),
    /// The same, and the server takes its time, for instance a minute of music to be heard.
    Stream(u64, Duration),
    /// So many bytes to the server, which compares them.
    Upload(u64),
}

/// How requests must end.
#[derive(Debug, Clone)]
pub enum AnswersExpected {
    /// This many answers from each server, by [`Serve::identity`], and this many requests that ran
    /// into their timeout.
    From(BTreeMap<String, u32>, usize),
    /// All are answered, by this many different servers.
    Servers(usize),
    /// None is answered: every request runs into its timeout.
    Hang,
    /// Every connection is refused.
    Refused,
    /// Every connection is made, and reset in its middle.
    Reset,
}

/// What the output of a command must have and must not have.
#[derive(Debug, Clone, Default)]
pub struct LinesExpected {
    /// Patterns that some line must match.
    pub present: Vec<LinePattern>,
    /// Patterns that no line may match.
    pub absent: Vec<LinePattern>,
}

/// How many captured packets there must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketsExpected {
    /// So many, no more and no less.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
}

/// Which way a packet went, seen from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the host.
    In,
    /// From the host.
    Out,
}

/// Which packets are meant. What is not given may be anything.
#[derive(Debug, Clone, Default)]
pub struct PacketPattern {
    /// On this interface of the host.
    pub interface: Option<String>,
    /// In this direction.
    pub direction: Option<Direction>,
    /// TCP packets with exactly these flags, written `SYN+ACK`; or `any`.
    pub tcp: Option<String>,
    /// ICMP or ICMPv6 messages of this meaning.
    pub icmp: Option<Icmp>,
    /// TCP packets that tell their receiver of this client.
    pub client: Option<IpAddr>,
    /// From this address, or this address and port.
    pub source: Option<Endpoint>,
    /// To this address, or this address and port.
    pub destination: Option<Endpoint>,
    /// From this interface's MAC address.
    pub source_mac: Option<Plug>,
    /// To this interface's MAC address.
    pub destination_mac: Option<Plug>,
    /// With this time to live, or hop limit.
    pub ttl: Option<u8>,
    /// In such a tunnel; what is said of addresses, ports, flags and TTL is said of the packet inside.
    pub tunnel: Option<Tunnel>,
    /// In a tunnel from this address.
    pub outer_source: Option<IpAddr>,
    /// In a tunnel to this address.
    pub outer_destination: Option<IpAddr>,
}

/// In words, for instance "SYN out by eth0 from 172.16.10.22".
impl fmt::Display for PacketPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.tcp.as_deref(), self.icmp) {
            (Some("any"), _) => f.write_str("TCP")?,
            (Some(flags), _) => f.write_str(flags)?,
            (None, Some(message)) => write!(f, "ICMP {message}")?,
            (None, None) => f.write_str("packets")?,
        }
        match self.direction {
            Some(Direction::In) => f.write_str(" in")?,
            Some(Direction::Out) => f.write_str(" out")?,
            None => {}
        }
        let mut say = |words: &str, what: Option<&dyn fmt::Display>| match what {
            Some(what) => write!(f, " {words}{what}"),
            None => Ok(()),
        };
        say("by ", self.interface.as_ref().map(|it| it as _))?;
        say("from ", self.source.as_ref().map(|it| it as _))?;
        say("to ", self.destination.as_ref().map(|it| it as _))?;
        say(
            "from the MAC of ",
            self.source_mac.as_ref().map(|it| &it.name as _),
        )?;
        say(
            "to the MAC of ",
            self.destination_mac.as_ref().map(|it| &it.name as _),
        )?;
        say("telling of ", self.client.as_ref().map(|it| it as _))?;
        say("with TTL ", self.ttl.as_ref().map(|it| it as _))?;
        say("in ", self.tunnel.as_ref().map(|it| it as _))?;
        say(
            "in a tunnel from ",
            self.outer_source.as_ref().map(|it| it as _),
        )?;
        say(
            "in a tunnel to ",
            self.outer_destination.as_ref().map(|it| it as _),
        )
    }
}

/// An interface of a host, by the names of both, and its MAC address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plug {
    /// For instance `rs1.eth0`.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
}

/// The address family that a part of a lab file is for; without one it is for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// The lab as it is written.
    Ipv4,
    /// Its twin.
    Ipv6,
}
