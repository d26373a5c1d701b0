//! What a host is to run.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use config::model::{ArgumentMatch, FOREVER, GarpGroup, Pace, VirtualRoute, VirtualRule};
use netlink_packet_route::address::AddressFlags;
use vrrp::{Group, Settings};

/// All virtual routers of a host.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The virtual routers.
    pub instances: Vec<Instance>,
    /// Their sync groups.
    pub groups: Vec<SyncGroup>,
    /// Scripts whose outcome instances track, by name.
    pub scripts: Vec<TrackScript>,
    /// Interfaces that instances track.
    pub interfaces: Vec<TrackInterface>,
    /// Files whose number instances track.
    pub files: Vec<TrackFile>,
    /// Processes that instances track.
    pub processes: Vec<TrackProcess>,
    /// Pipes that are told of every change.
    pub fifos: Vec<Fifo>,
    /// Where mail goes to.
    pub mail: Option<Mail>,
    /// How long after the start the virtual routers begin (`vrrp_startup_delay`).
    pub startup_delay: Duration,
    /// Whether the pipes are told of all states after a reload (`fifo_write_vrrp_states_on_reload`).
    pub states_on_reload: bool,
    /// Whether adverts of virtual routers that are not configured are logged (`log_unknown_vrids`).
    pub logs_unknown: bool,
    /// How fast neighbours are told.
    pub paces: Paces,
}

impl Plan {
    /// What the core is told of the instances.
    pub(crate) fn settings(&self) -> Vec<Settings> {
        let settings = self.instances.iter().map(|instance| Settings {
            interface: instance.speaks_on().to_owned(),
            ..instance.settings.clone()
        });
        settings.collect()
    }

    /// What the core is told of the sync groups.
    pub(crate) fn sync_groups(&self) -> Vec<Group> {
        self.groups
            .iter()
            .map(|group| group.group.clone())
            .collect()
    }
}

/// A virtual router on this host.
#[derive(Debug, Clone)]
pub struct Instance {
    /// What the protocol wants to know. `interface` is the one below a virtual MAC address.
    pub settings: Settings,
    /// What adverts are sent from (`mcast_src_ip`, `unicast_src_ip`); None: the interface's first
    /// address.
    pub source: Option<IpAddr>,
    /// Whether it fails while no interface has that address (`track_src_ip`).
    pub tracks_source: bool,
    /// Addresses held as master: those that adverts tell, and those that they do not.
    pub addresses: Vec<VirtualAddress>,
    /// Routes held as master.
    pub routes: Vec<VirtualRoute>,
    /// Rules held as master.
    pub rules: Vec<VirtualRule>,
    /// The interface of its own that holds the addresses (`use_vmac`).
    pub vmac: Option<Vmac>,
    /// Whether this host takes packets to the addresses itself (`accept`); if not, they are for what it
    /// forwards alone.
    pub accepts: bool,
    /// Whether the interface's state is of no account (`dont_track_primary`).
    pub ignores_link: bool,
    /// Whether neighbours are told again on all interfaces of its addresses that adverts do not go
    /// through, not only on those with a virtual MAC address (`garp_extra_if all`).
    pub announces_everywhere: bool,
    /// Whether addresses of its interface survive the first one of their subnet
    /// (`promote_secondaries`).
    pub promotes_secondaries: bool,
    /// What is run when its state changes.
    pub notify: Notify,
}

/// How fast neighbours are told: by groups of interfaces, and on each other interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paces {
    /// Interfaces that share a pace.
    pub groups: Vec<GarpGroup>,
    /// Of each other interface.
    pub usual: Pace,
}

/// A sync group with what is run when its state changes.
#[derive(Debug, Clone)]
pub struct SyncGroup {
    /// Its name and members.
    pub group: Group,
    /// What is run.
    pub notify: Notify,
}

/// An address to hold as master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// The length of its subnet's prefix.
    pub prefix: u8,
    /// The interface that holds it; None: the instance's, or its virtual MAC's.
    pub interface: Option<String>,
    /// An alias name, `eth0:1` (IPv4).
    pub label: Option<String>,
    /// Its broadcast address (IPv4).
    pub broadcast: Option<Ipv4Addr>,
    /// Its scope, as rtnetlink(7) counts: 0 global, 253 link.
    pub scope: u8,
    /// How long it is chosen as a source, in seconds; 0: never; [`FOREVER`].
    pub preferred_lifetime: u32,
    /// What the kernel is told of it beside.
    pub flags: AddressFlags,
    /// Who removes it has his way until the next take-over (`no_track`).
    pub no_track: bool,
}

impl VirtualAddress {
    /// An address as keepalived sets one of which nothing else is said: of its own subnet's length 32
    /// or 128, and a whole IPv6 address not for sources.
    pub fn new(address: IpAddr, prefix: Option<u8>) -> Self {
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(whole);
        Self {
            address,
            prefix,
            interface: None,
            label: None,
            broadcast: None,
            scope: 0,
            preferred_lifetime: match address.is_ipv6() && prefix == whole {
                true => 0,
                false => FOREVER,
            },
            // The master of before may still answer for it: searching for duplicates would find it.
            flags: match address.is_ipv6() {
                true => AddressFlags::Nodad,
                false => AddressFlags::empty(),
            },
            no_track: false,
        }
    }
}

/// A pipe, and what reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fifo {
    /// Where it is; it is made if it is not there.
    pub path: PathBuf,
    /// The user and group that it then belongs to; None: this process's.
    pub owner: Option<(u32, u32)>,
    /// Runs as long as the pipe is open.
    pub reader: Option<Command>,
}

/// An interface with the virtual router's own MAC address (RFC 9568, section 7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vmac {
    /// Its name.
    pub name: String,
    /// Its address; None: 00-00-5e-00-01 (IPv6: 02) and the virtual router's number.
    pub mac: Option<vrrp::neighbours::Mac>,
    /// Adverts go through the interface below it, with that one's MAC address.
    pub base_transmits: bool,
}

/// Commands by event, as keepalived's `notify_*`.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    /// Became master.
    pub master: Option<Command>,
    /// Became backup.
    pub backup: Option<Command>,
    /// Entered a fault.
    pub fault: Option<Command>,
    /// Ended.
    pub stop: Option<Command>,
    /// Any of them: four arguments are added, `INSTANCE` or `GROUP`, the name, the state and the
    /// priority.
    pub any: Option<Command>,
    /// As master heard a master of lower priority.
    pub heard_lower: Option<Command>,
    /// Whether pipes are told of changed priorities.
    pub priority_changes: bool,
    /// Whether mail is sent about master, backup and fault.
    pub mail: bool,
}

/// How mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: Vec<String>,
    /// From whom.
    pub from: String,
    /// The mail server's name or address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// What this host calls itself to the server.
    pub name: String,
    /// What subjects begin with.
    pub router: Option<String>,
    /// How long sending may take.
    pub timeout: Duration,
    /// Whether it is sent about faults too.
    pub faults: bool,
}

/// A command, without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The user and group that it runs as; None: as this process.
    pub user: Option<(u32, u32)>,
}

/// A script whose outcome counts (`vrrp_script`).
#[derive(Debug, Clone)]
pub struct TrackScript {
    /// What instances call it.
    pub name: String,
    /// What is run; its exit code 0 is success.
    pub command: Command,
    /// From one start to the next.
    pub interval: Duration,
    /// How long it may take; it is killed then, which is a failure.
    pub timeout: Duration,
    /// Successes in a row that make it up.
    pub rise: u32,
    /// Failures in a row that make it down.
    pub fall: u32,
    /// Whether it counts as down before its first outcome (`init_fail`); else one success is enough.
    pub initially_down: bool,
}

/// An interface that counts as up while it is up and has a carrier.
#[derive(Debug, Clone)]
pub struct TrackInterface {
    /// What instances call it.
    pub name: String,
    /// The interface.
    pub interface: String,
}

/// A file with a number; one that is missing or has none counts as 0.
#[derive(Debug, Clone)]
pub struct TrackFile {
    /// What instances call it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is written into it at first, and whether over what is there.
    pub initial: Option<(i64, bool)>,
}

/// Processes of which so many must run (`vrrp_track_process`).
#[derive(Debug, Clone)]
pub struct TrackProcess {
    /// What instances call it.
    pub name: String,
    /// The program's name or path, and its arguments.
    pub command: Vec<String>,
    /// How the arguments are compared, if they are.
    pub arguments: Option<ArgumentMatch>,
    /// Whether the program goes by its command line alone, not by the process' name.
    pub whole: bool,
    /// How many there must be.
    pub quorum: u32,
    /// How many there may be.
    pub most: Option<u32>,
    /// How long there must be enough of them until that counts.
    pub rise_delay: Duration,
    /// How long there may be too few until that counts.
    pub fall_delay: Duration,
}
