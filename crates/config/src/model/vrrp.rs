//! VRRP's blocks.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::{Announcements, Script};

/// `vrrp_instance`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VrrpInstance {
    /// Its name.
    pub name: String,
    /// It begins as master (`state MASTER`).
    pub begins_as_master: bool,
    /// Its interface; instances with unicast peers may do without.
    pub interface: Option<String>,
    /// 1 to 255.
    pub virtual_router_id: u8,
    /// 1 to 255.
    pub priority: u8,
    /// VRRP's version.
    pub version: u8,
    /// Between adverts.
    pub advert_interval: Duration,
    /// Addresses that adverts tell.
    pub addresses: Vec<VirtualAddress>,
    /// Addresses that go along, and are not told.
    pub excluded_addresses: Vec<VirtualAddress>,
    /// Routes held as master.
    pub routes: Vec<VirtualRoute>,
    /// Rules held as master.
    pub rules: Vec<VirtualRule>,
    /// Version 2's authentication.
    pub authentication: Option<Authentication>,
    /// HMAC trailers.
    pub hmacs: Option<Hmacs>,
    /// A master of lower priority is left in place.
    pub no_preempt: bool,
    /// How long it is left otherwise.
    pub preempt_delay: Duration,
    /// Packets to the addresses are taken by others than their owner.
    pub accept: bool,
    /// What adverts are sent from (`mcast_src_ip`, `unicast_src_ip`).
    pub source: Option<IpAddr>,
    /// It fails while the source is not there.
    pub track_source: bool,
    /// Where adverts go to, without peers.
    pub multicast_group: Option<IpAddr>,
    /// To whom adverts go; empty: multicast.
    pub unicast_peers: Vec<UnicastPeer>,
    /// The time to live of adverts to them.
    pub unicast_ttl: Option<u8>,
    /// It fails without peers, instead of using multicast.
    pub unicast_fault_no_peer: bool,
    /// Others than the peers are refused.
    pub check_unicast_src: bool,
    /// An interface of its own, with the virtual MAC address.
    pub vmac: Option<Vmac>,
    /// The state of its interface is of no account.
    pub dont_track_primary: bool,
    /// Secondary addresses survive their primary one.
    pub promote_secondaries: bool,
    /// How neighbours are told.
    pub announcements: Announcements,
    /// After how many missed adverts a backup takes over.
    pub down_timer_adverts: u32,
    /// Adverts of lower priority are not answered.
    pub lower_prio_no_advert: bool,
    /// A last advert goes out when a higher priority is heard.
    pub higher_prio_send_advert: bool,
    /// Addresses in a known master's adverts are not checked again.
    pub skip_check_adv_addr: bool,
    /// As the owner of its addresses it listens to nobody.
    pub owner_ignores_adverts: bool,
    /// Nothing beyond the RFCs is allowed.
    pub strict: bool,
    /// Interfaces that it depends on.
    pub track_interfaces: Vec<TrackedBy>,
    /// Scripts that it depends on.
    pub track_scripts: Vec<TrackedBy>,
    /// Files that it depends on.
    pub track_files: Vec<TrackedBy>,
    /// Processes that it depends on.
    pub track_processes: Vec<TrackedBy>,
    /// BFD sessions that it depends on.
    pub track_bfds: Vec<TrackedBy>,
    /// What is run when its state changes.
    pub notify: Notify,
}

/// A lifetime without an end, as the kernel counts.
pub const FOREVER: u32 = u32::MAX;

/// `virtual_ipaddress`'s lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix, if it is said.
    pub prefix: Option<u8>,
    /// Its interface; None: the instance's.
    pub interface: Option<String>,
    /// An alias name, `eth0:1`.
    pub label: Option<String>,
    /// `brd`: an address, `+` or `-`.
    pub broadcast: Option<String>,
    /// Its scope, as rtnetlink(7) counts: 0 global, 253 link.
    pub scope: u8,
    /// Its loss does not matter.
    pub no_track: bool,
    /// `preferred_lft`, in seconds; [`FOREVER`]; None where nothing is said.
    pub preferred_lifetime: Option<u32>,
    /// `home`, `-nodad`, `mngtmpaddr`, `noprefixroute`, `autojoin`.
    pub flags: Vec<String>,
}

/// `virtual_routes`' lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VirtualRoute {
    /// Where it leads.
    pub destination: (IpAddr, u8),
    /// What becomes of packets.
    pub kind: RouteKind,
    /// The router.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub interface: Option<String>,
    /// The source address that it suggests.
    pub source: Option<IpAddr>,
    /// Its table; None: main.
    pub table: Option<u32>,
    /// Its metric.
    pub metric: Option<u32>,
    /// Its scope, as rtnetlink(7) counts: 0 global, 253 link.
    pub scope: Option<u8>,
    /// The largest packet that takes it, in bytes.
    pub mtu: Option<u32>,
    /// The router is on the link, though no address there says so.
    pub onlink: bool,
    /// Its loss does not matter.
    pub no_track: bool,
}

impl VirtualRoute {
    /// A route of which nothing else is said.
    pub fn new(destination: (IpAddr, u8)) -> Self {
        Self {
            destination,
            kind: RouteKind::Unicast,
            gateway: None,
            interface: None,
            source: None,
            table: None,
            metric: None,
            scope: None,
            mtu: None,
            onlink: false,
            no_track: false,
        }
    }
}

/// What becomes of packets to a route's destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteKind {
    /// They are forwarded.
    Unicast,
    /// They are dropped in silence.
    Blackhole,
    /// They are refused: host unreachable.
    Unreachable,
    /// They are refused: administratively prohibited.
    Prohibit,
    /// Another table decides.
    Throw,
}

impl RouteKind {
    /// The word for it; none for the usual one.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Unicast => None,
            Self::Blackhole => Some("blackhole"),
            Self::Unreachable => Some("unreachable"),
            Self::Prohibit => Some("prohibit"),
            Self::Throw => Some("throw"),
        }
    }
}

/// `virtual_rules`' lines, in the words of `ip rule add`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VirtualRule {
    /// The line.
    pub text: String,
    /// IPv6, by its prefixes or `inet6`.
    pub is_ipv6: bool,
    /// Where packets come from; None: anywhere.
    pub from: Option<(IpAddr, u8)>,
    /// Where they go to; None: anywhere.
    pub to: Option<(IpAddr, u8)>,
    /// The interface that they come by.
    pub input: Option<String>,
    /// The interface that a socket is bound to.
    pub output: Option<String>,
    /// Their mark, and its mask.
    pub mark: Option<(u32, Option<u32>)>,
    /// Their type of service; 0: any.
    pub tos: u8,
    /// It is for all packets but these.
    pub inverted: bool,
    /// What becomes of them.
    pub action: RuleAction,
    /// Its place among the rules. keepalived gives one where none is said.
    pub preference: Option<u32>,
    /// Routes of the table with a prefix as long as this or shorter do not count.
    pub suppress_prefix_length: Option<u32>,
    /// Its loss does not matter.
    pub no_track: bool,
}

/// What becomes of packets that a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// They are routed by this table.
    Table(u32),
    /// They are dropped in silence.
    Blackhole,
    /// They are refused: host unreachable.
    Unreachable,
    /// They are refused: administratively prohibited.
    Prohibit,
}

impl Default for RuleAction {
    /// The main table, as `ip rule add` has it.
    fn default() -> Self {
        Self::Table(254)
    }
}

/// `authentication`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Authentication {
    /// A password in clear.
    Pass {
        /// Up to eight characters.
        #[serde(skip)]
        password: String,
    },
    /// An Authentication Header.
    Ah {
        /// The key.
        #[serde(skip)]
        password: String,
    },
}

impl std::fmt::Debug for Authentication {
    /// Without the secret, which has no business in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pass { .. } => "Pass",
            Self::Ah { .. } => "Ah",
        })
    }
}

/// `auth_hmac`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hmacs {
    /// The keys.
    pub keys: Vec<HmacKey>,
    /// The number of the key that adverts are sent with.
    pub active_key: u8,
    /// Adverts that were heard before are refused.
    pub anti_replay: bool,
    /// By how much a sender's clock may differ (`time_window`); None: by three intervals, or 5 s.
    pub window: Option<Duration>,
    /// Adverts without a trailer are taken, too (`mode permissive`): until all routers send them.
    pub permissive: bool,
}

/// `key NUMBER TEXT`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct HmacKey {
    /// Its number.
    pub number: u8,
    /// The secret.
    #[serde(skip)]
    pub secret: String,
}

impl std::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HmacKey({})", self.number)
    }
}

/// `unicast_peer`'s lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnicastPeer {
    /// The other router.
    pub address: IpAddr,
    /// The least time to live of its packets.
    pub min_ttl: Option<u8>,
    /// The most.
    pub max_ttl: Option<u8>,
}

/// `use_vmac`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vmac {
    /// Its name; None: the prefix, a dot and the virtual router's number.
    pub name: Option<String>,
    /// Its MAC address, if it is not RFC 9568's.
    pub mac: Option<String>,
    /// Adverts go through the interface below it.
    pub xmit_base: bool,
}

/// Something that an instance or group depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackedBy {
    /// Its name.
    pub name: String,
    /// What it does to the priority; None: its own default. 0: its failure is a fault.
    pub weight: Option<Weight>,
}

/// What something that is tracked does to the priority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Weight {
    /// Added while it is well if positive, while it is not if negative. 0: a failure is a fault.
    pub weight: i32,
    /// The other way round.
    pub reverse: bool,
}

/// Commands by event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Notify {
    /// Became master.
    pub master: Option<Script>,
    /// Became backup.
    pub backup: Option<Script>,
    /// Entered a fault.
    pub fault: Option<Script>,
    /// Ended.
    pub stop: Option<Script>,
    /// Any of them.
    pub any: Option<Script>,
    /// As master heard a master of lower priority.
    pub heard_lower: Option<Script>,
    /// Changed priorities are written into the pipes.
    pub priority_changes: bool,
    /// Mail is sent about changes of state.
    pub mail: bool,
}

/// `vrrp_sync_group`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// Its instances.
    pub members: Vec<String>,
    /// Interfaces that it depends on.
    pub track_interfaces: Vec<TrackedBy>,
    /// Scripts that it depends on.
    pub track_scripts: Vec<TrackedBy>,
    /// Files that it depends on.
    pub track_files: Vec<TrackedBy>,
    /// Processes that it depends on.
    pub track_processes: Vec<TrackedBy>,
    /// BFD sessions that it depends on.
    pub track_bfds: Vec<TrackedBy>,
    /// Members keep their own weights.
    pub tracking_weight: bool,
    /// What is run when its state changes.
    pub notify: Notify,
}

/// `vrrp_script`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VrrpScript {
    /// Its name.
    pub name: String,
    /// What is run.
    pub script: Script,
    /// Between two runs.
    pub interval: Duration,
    /// How long one may take; None: as long as the interval.
    pub timeout: Option<Duration>,
    /// What it does to the priority.
    pub weight: Weight,
    /// Successes until it is well.
    pub rise: u32,
    /// Failures until it is not.
    pub fall: u32,
    /// It is not, at first.
    pub init_fail: bool,
}

/// `track_file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackFile {
    /// Its name.
    pub name: String,
    /// The file.
    pub path: String,
    /// What the number in it is multiplied by.
    pub weight: Weight,
    /// What is written into it at first, and whether over what is there.
    pub init: Option<(i64, bool)>,
}

/// `vrrp_track_process`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackProcess {
    /// Its name.
    pub name: String,
    /// The command that is looked for.
    pub command: Vec<String>,
    /// What it does to the priority.
    pub weight: Weight,
    /// How many there must be.
    pub quorum: u32,
    /// How many there may be.
    pub quorum_max: Option<u32>,
    /// How long enough of them must be there.
    pub fork_delay: Duration,
    /// How long too few of them are borne.
    pub terminate_delay: Duration,
    /// How arguments are compared, where they are.
    pub arguments: Option<ArgumentMatch>,
    /// The whole command line is compared.
    pub full_command: bool,
}

/// How a process' arguments are compared with those that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentMatch {
    /// They are equal.
    Exact,
    /// They begin with these (`param_match partial`).
    First,
    /// The same, and the last of these may be only the beginning of one (`param_match initial`).
    Beginning,
}
