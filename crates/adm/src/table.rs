//! Every option of `ipvsadm`: the one definition of what the scanner takes, what shells complete, and
//! what the manual page says.

use model::{Scheduler, SyncRole, TunnelKind};

use crate::options::{CommandKind, OptionKind, Switch};

/// Whether an option takes an argument, and what the manual calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// It takes none.
    No,
    /// It takes one.
    Required(&'static str),
    /// It takes one, or none.
    Optional(&'static str),
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Its name after two dashes.
    pub long: &'static str,
    /// Its letter after one, if it has one.
    pub short: Option<char>,
    /// What follows it.
    pub argument: Argument,
    /// What it is for.
    pub about: &'static str,
    pub(crate) switch: Switch,
}

/// What an option belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// It says what to do: the first option on a command line.
    Commands,
    /// Virtual services.
    Services,
    /// Real servers.
    Servers,
    /// Lists.
    Lists,
    /// Sync daemons.
    SyncDaemons,
}

impl OptionSpec {
    /// What it belongs to.
    pub const fn topic(&self) -> Topic {
        use OptionKind as O;
        match self.switch {
            Switch::Command(_) | Switch::Help | Switch::Version => Topic::Commands,
            Switch::TcpService
            | Switch::UdpService
            | Switch::SctpService
            | Switch::MarkService
            | Switch::Ipv6 => Topic::Services,
            Switch::Masquerading | Switch::Ipip | Switch::Gatewaying | Switch::FullNat => {
                Topic::Servers
            }
            Switch::Sort => Topic::Lists,
            Switch::Option(kind) => match kind {
                O::ServiceAddress
                | O::Scheduler
                | O::Persistent
                | O::Netmask
                | O::OnePacket
                | O::Engine
                | O::SchedulerFlags
                | O::MaxSegment
                | O::ClientAddress
                | O::LocalAddress => Topic::Services,
                O::RealServer
                | O::ForwardingMethod
                | O::Weight
                | O::UpperThreshold
                | O::LowerThreshold
                | O::TunnelType
                | O::TunnelPort
                | O::TunnelNoChecksum
                | O::TunnelChecksum
                | O::TunnelRemoteChecksum => Topic::Servers,
                O::McastInterface
                | O::McastGroup
                | O::McastPort
                | O::McastTtl
                | O::SyncId
                | O::SyncMaxLength => Topic::SyncDaemons,
                O::Numeric
                | O::Connection
                | O::Timeout
                | O::Daemon
                | O::Stats
                | O::Rate
                | O::Thresholds
                | O::PersistentConn
                | O::NoSort
                | O::Exact
                | O::TunnelInfo => Topic::Lists,
            },
        }
    }

    /// The words that its argument is one of; empty where others make sense too.
    pub fn choices(&self) -> Vec<&'static str> {
        match self.switch {
            Switch::Command(CommandKind::StartDaemon | CommandKind::StopDaemon) => {
                SyncRole::ALL.iter().map(|role| role.as_str()).collect()
            }
            Switch::Option(OptionKind::Scheduler) => {
                Scheduler::ALL.iter().map(|name| name.as_str()).collect()
            }
            Switch::Option(OptionKind::TunnelType) => {
                TunnelKind::ALL.iter().map(|kind| kind.as_str()).collect()
            }
            Switch::Option(OptionKind::Engine) => vec!["sip"],
            _ => Vec::new(),
        }
    }
}

const fn flag(
    long: &'static str,
    short: Option<char>,
    switch: Switch,
    about: &'static str,
) -> OptionSpec {
    valued(long, short, switch, Argument::No, about)
}

const fn valued(
    long: &'static str,
    short: Option<char>,
    switch: Switch,
    argument: Argument,
    about: &'static str,
) -> OptionSpec {
    OptionSpec {
        long,
        short,
        argument,
        about,
        switch,
    }
}

/// Every option there is.
pub const OPTIONS: &[OptionSpec] = &[
    flag(
        "add-service",
        Some('A'),
        Switch::Command(CommandKind::AddService),
        "Add a virtual service",
    ),
    flag(
        "edit-service",
        Some('E'),
        Switch::Command(CommandKind::EditService),
        "Change the settings of a virtual service: those that are not named become the usual ones",
    ),
    flag(
        "delete-service",
        Some('D'),
        Switch::Command(CommandKind::DeleteService),
        "Remove a virtual service and its real servers",
    ),
    flag(
        "clear",
        Some('C'),
        Switch::Command(CommandKind::Flush),
        "Remove all virtual services",
    ),
    flag(
        "list",
        Some('L'),
        Switch::Command(CommandKind::List),
        "List virtual services with their real servers, connections, timeouts or sync daemons",
    ),
    flag(
        "list",
        Some('l'),
        Switch::Command(CommandKind::List),
        "List virtual services with their real servers, connections, timeouts or sync daemons",
    ),
    flag(
        "zero",
        Some('Z'),
        Switch::Command(CommandKind::Zero),
        "Set the counters of one virtual service, or of all, to zero",
    ),
    flag(
        "add-server",
        Some('a'),
        Switch::Command(CommandKind::AddServer),
        "Add a real server to a virtual service",
    ),
    flag(
        "edit-server",
        Some('e'),
        Switch::Command(CommandKind::EditServer),
        "Change the settings of a real server: those that are not named become the usual ones",
    ),
    flag(
        "delete-server",
        Some('d'),
        Switch::Command(CommandKind::DeleteServer),
        "Remove a real server from a virtual service",
    ),
    flag(
        "set",
        None,
        Switch::Command(CommandKind::Set),
        "Set the timeouts, in seconds, of TCP connections, of those after a FIN, and of UDP; 0 leaves one as it is. The three follow as words",
    ),
    flag(
        "restore",
        Some('R'),
        Switch::Command(CommandKind::Restore),
        "Carry out the command lines on standard input, as -S prints them; changes in a row are one transaction",
    ),
    flag(
        "save",
        Some('S'),
        Switch::Command(CommandKind::Save),
        "Print virtual services and real servers as the command lines that restore them",
    ),
    valued(
        "start-daemon",
        None,
        Switch::Command(CommandKind::StartDaemon),
        Argument::Required("ROLE"),
        "Start a connection sync daemon",
    ),
    valued(
        "stop-daemon",
        None,
        Switch::Command(CommandKind::StopDaemon),
        Argument::Required("ROLE"),
        "Stop a connection sync daemon",
    ),
    flag(
        "add-laddr",
        None,
        Switch::Command(CommandKind::AddLocalAddress),
        "Add a local address, which stands for clients under FULLNAT, to a virtual service",
    ),
    flag(
        "delete-laddr",
        None,
        Switch::Command(CommandKind::DeleteLocalAddress),
        "Take a local address from a virtual service",
    ),
    flag("help", Some('h'), Switch::Help, "Print a summary"),
    flag("version", Some('v'), Switch::Version, "Print the version"),
    valued(
        "tcp-service",
        Some('t'),
        Switch::TcpService,
        Argument::Required("ADDRESS[:PORT]"),
        "The virtual service, by its address and TCP port; an IPv6 address stands in brackets",
    ),
    valued(
        "udp-service",
        Some('u'),
        Switch::UdpService,
        Argument::Required("ADDRESS[:PORT]"),
        "The virtual service, by its address and UDP port",
    ),
    valued(
        "sctp-service",
        None,
        Switch::SctpService,
        Argument::Required("ADDRESS[:PORT]"),
        "The virtual service, by its address and SCTP port",
    ),
    valued(
        "fwmark-service",
        Some('f'),
        Switch::MarkService,
        Argument::Required("MARK"),
        "The virtual service, by the firewall mark of packets, 1 or more",
    ),
    flag(
        "ipv6",
        Some('6'),
        Switch::Ipv6,
        "The firewall mark, named before, is that of IPv6 packets",
    ),
    valued(
        "scheduler",
        Some('s'),
        Switch::Option(OptionKind::Scheduler),
        Argument::Required("SCHEDULER"),
        "Who gets the next connection; wlc where nothing is said",
    ),
    valued(
        "persistent",
        Some('p'),
        Switch::Option(OptionKind::Persistent),
        Argument::Optional("SECONDS"),
        "Keep a client at its real server for so long after its last connection, 1 to 2678400; 360 where no number follows",
    ),
    valued(
        "netmask",
        Some('M'),
        Switch::Option(OptionKind::Netmask),
        Argument::Required("MASK"),
        "Which clients persistence takes for one: an IPv4 mask, or an IPv6 prefix length",
    ),
    valued(
        "pe",
        None,
        Switch::Option(OptionKind::Engine),
        Argument::Required("ENGINE"),
        "Tell clients apart by what this persistence engine finds in packets",
    ),
    flag(
        "ops",
        Some('o'),
        Switch::Option(OptionKind::OnePacket),
        "Schedule every packet on its own; for UDP",
    ),
    valued(
        "sched-flags",
        Some('b'),
        Switch::Option(OptionKind::SchedulerFlags),
        Argument::Required("FLAGS"),
        "Flags of the scheduler, separated by commas",
    ),
    valued(
        "mss",
        None,
        Switch::Option(OptionKind::MaxSegment),
        Argument::Required("SIZE"),
        "The largest TCP segment that handshakes may announce. Not in the original",
    ),
    valued(
        "client-address",
        None,
        Switch::Option(OptionKind::ClientAddress),
        Argument::Required("HOW"),
        "How real servers under FULLNAT learn the address of the client. Not in the original",
    ),
    valued(
        "real-server",
        Some('r'),
        Switch::Option(OptionKind::RealServer),
        Argument::Required("ADDRESS[:PORT]"),
        "The real server; without a port, that of the service named before",
    ),
    flag(
        "masquerading",
        Some('m'),
        Switch::Masquerading,
        "Forward by masquerading (VS/NAT)",
    ),
    flag(
        "ipip",
        Some('i'),
        Switch::Ipip,
        "Forward through a tunnel (VS/TUN)",
    ),
    flag(
        "gatewaying",
        Some('g'),
        Switch::Gatewaying,
        "Forward on the same segment (VS/DR), as where nothing is said",
    ),
    flag(
        "fullnat",
        None,
        Switch::FullNat,
        "Forward with both addresses of packets changed (FULLNAT). Not in the original",
    ),
    valued(
        "laddr",
        None,
        Switch::Option(OptionKind::LocalAddress),
        Argument::Required("ADDRESS"),
        "The local address. Not in the original",
    ),
    valued(
        "weight",
        Some('w'),
        Switch::Option(OptionKind::Weight),
        Argument::Required("WEIGHT"),
        "Capacity of the real server beside others, 1 where nothing is said; 0 for no new connections",
    ),
    valued(
        "u-threshold",
        Some('x'),
        Switch::Option(OptionKind::UpperThreshold),
        Argument::Required("CONNECTIONS"),
        "So many connections are too many: no new ones then; 0 for no limit",
    ),
    valued(
        "l-threshold",
        Some('y'),
        Switch::Option(OptionKind::LowerThreshold),
        Argument::Required("CONNECTIONS"),
        "With fewer connections than this, new ones again; 0 for three quarters of the upper threshold",
    ),
    valued(
        "tun-type",
        None,
        Switch::Option(OptionKind::TunnelType),
        Argument::Required("TYPE"),
        "The kind of tunnel; ipip where nothing is said",
    ),
    valued(
        "tun-port",
        None,
        Switch::Option(OptionKind::TunnelPort),
        Argument::Required("PORT"),
        "UDP port of the tunnel; for gue",
    ),
    flag(
        "tun-nocsum",
        None,
        Switch::Option(OptionKind::TunnelNoChecksum),
        "No checksum around the packet, as where nothing is said; for gue and gre",
    ),
    flag(
        "tun-csum",
        None,
        Switch::Option(OptionKind::TunnelChecksum),
        "A checksum around the packet; for gue and gre",
    ),
    flag(
        "tun-remcsum",
        None,
        Switch::Option(OptionKind::TunnelRemoteChecksum),
        "Remote checksum offload; for gue",
    ),
    flag(
        "numeric",
        Some('n'),
        Switch::Option(OptionKind::Numeric),
        "Print addresses and ports as numbers",
    ),
    flag(
        "connection",
        Some('c'),
        Switch::Option(OptionKind::Connection),
        "List connections",
    ),
    flag(
        "timeout",
        None,
        Switch::Option(OptionKind::Timeout),
        "List the timeouts",
    ),
    flag(
        "daemon",
        None,
        Switch::Option(OptionKind::Daemon),
        "List the sync daemons",
    ),
    flag(
        "stats",
        None,
        Switch::Option(OptionKind::Stats),
        "List what was counted",
    ),
    flag(
        "rate",
        None,
        Switch::Option(OptionKind::Rate),
        "List what is counted per second",
    ),
    flag(
        "thresholds",
        None,
        Switch::Option(OptionKind::Thresholds),
        "List thresholds",
    ),
    flag(
        "persistent-conn",
        None,
        Switch::Option(OptionKind::PersistentConn),
        "List persistence templates; of connections, what persistence engines found",
    ),
    flag(
        "tun-info",
        None,
        Switch::Option(OptionKind::TunnelInfo),
        "List the tunnels of real servers",
    ),
    flag(
        "nosort",
        None,
        Switch::Option(OptionKind::NoSort),
        "List in the director's own order",
    ),
    flag(
        "sort",
        None,
        Switch::Sort,
        "Do nothing: lists are sorted anyway",
    ),
    flag(
        "exact",
        Some('X'),
        Switch::Option(OptionKind::Exact),
        "Print counters in full, however large",
    ),
    valued(
        "mcast-interface",
        None,
        Switch::Option(OptionKind::McastInterface),
        Argument::Required("INTERFACE"),
        "Interface of the sync messages; eth0 where nothing is said",
    ),
    valued(
        "mcast-group",
        None,
        Switch::Option(OptionKind::McastGroup),
        Argument::Required("ADDRESS"),
        "Multicast group of the sync messages; 224.0.0.81 where nothing is said",
    ),
    valued(
        "mcast-port",
        None,
        Switch::Option(OptionKind::McastPort),
        Argument::Required("PORT"),
        "UDP port of the sync messages; 8848 where nothing is said",
    ),
    valued(
        "mcast-ttl",
        None,
        Switch::Option(OptionKind::McastTtl),
        Argument::Required("TTL"),
        "How many routers sync messages may pass, 1 where nothing is said",
    ),
    valued(
        "syncid",
        None,
        Switch::Option(OptionKind::SyncId),
        Argument::Required("ID"),
        "Which sync daemons understand each other, 0 to 255",
    ),
    valued(
        "sync-maxlen",
        None,
        Switch::Option(OptionKind::SyncMaxLength),
        Argument::Required("LENGTH"),
        "Bytes in a sync message; what fits the interface where nothing is said",
    ),
];
