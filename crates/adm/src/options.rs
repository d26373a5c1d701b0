//! The options of `ipvsadm`: how each is spelled, and what it is called in messages.

/// What is to be done: the first option on every command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandKind {
    AddService,
    EditService,
    DeleteService,
    Flush,
    List,
    AddServer,
    DeleteServer,
    EditServer,
    Set,
    StartDaemon,
    StopDaemon,
    Restore,
    Save,
    Zero,
    AddLocalAddress,
    DeleteLocalAddress,
}

impl CommandKind {
    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AddService => "add-service",
            Self::EditService => "edit-service",
            Self::DeleteService => "delete-service",
            Self::Flush => "flush",
            Self::List => "list",
            Self::AddServer => "add-server",
            Self::DeleteServer => "delete-server",
            Self::EditServer => "edit-server",
            Self::Set => "set",
            Self::StartDaemon => "start-daemon",
            Self::StopDaemon => "stop-daemon",
            Self::Restore => "restore",
            Self::Save => "save",
            Self::Zero => "zero",
            Self::AddLocalAddress => "add-laddr",
            Self::DeleteLocalAddress => "delete-laddr",
        }
    }
}

/// A kind of option: several spellings that exclude each other, such as `-t` and `-u`, are one.
///
/// The order is that in which options are checked against the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OptionKind {
    Numeric,
    Connection,
    ServiceAddress,
    Scheduler,
    Persistent,
    Netmask,
    RealServer,
    ForwardingMethod,
    Weight,
    UpperThreshold,
    LowerThreshold,
    McastInterface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    NoSort,
    SyncId,
    Exact,
    OnePacket,
    Engine,
    SchedulerFlags,
    McastGroup,
    McastPort,
    McastTtl,
    SyncMaxLength,
    TunnelInfo,
    TunnelType,
    TunnelPort,
    TunnelNoChecksum,
    TunnelChecksum,
    TunnelRemoteChecksum,
    MaxSegment,
    ClientAddress,
    LocalAddress,
}

impl OptionKind {
    /// All kinds with their names in messages, in the order in which they are checked.
    pub(crate) const ALL: [(Self, &'static str); 37] = [
        (Self::Numeric, "numeric"),
        (Self::Connection, "connection"),
        (Self::ServiceAddress, "service-address"),
        (Self::Scheduler, "scheduler"),
        (Self::Persistent, "persistent"),
        (Self::Netmask, "netmask"),
        (Self::RealServer, "real-server"),
        (Self::ForwardingMethod, "forwarding-method"),
        (Self::Weight, "weight"),
        (Self::UpperThreshold, "u-threshold"),
        (Self::LowerThreshold, "l-threshold"),
        (Self::McastInterface, "mcast-interface"),
        (Self::Timeout, "timeout"),
        (Self::Daemon, "daemon"),
        (Self::Stats, "stats"),
        (Self::Rate, "rate"),
        (Self::Thresholds, "thresholds"),
        (Self::PersistentConn, "persistent-conn"),
        (Self::NoSort, "nosort"),
        (Self::SyncId, "syncid"),
        (Self::Exact, "exact"),
        (Self::OnePacket, "ops"),
        (Self::Engine, "pe"),
        (Self::SchedulerFlags, "sched-flags"),
        (Self::McastGroup, "mcast-group"),
        (Self::McastPort, "mcast-port"),
        (Self::McastTtl, "mcast-ttl"),
        (Self::SyncMaxLength, "sync-maxlen"),
        (Self::TunnelInfo, "tun-info"),
        (Self::TunnelType, "tun-type"),
        (Self::TunnelPort, "tun-port"),
        (Self::TunnelNoChecksum, "tun-nocsum"),
        (Self::TunnelChecksum, "tun-csum"),
        (Self::TunnelRemoteChecksum, "tun-remcsum"),
        (Self::MaxSegment, "mss"),
        (Self::ClientAddress, "client-address"),
        (Self::LocalAddress, "laddr"),
    ];

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// The kinds of options on a command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OptionSet(u64);

impl OptionSet {
    /// Adds a kind; false if it was there.
    pub(crate) fn insert(&mut self, kind: OptionKind) -> bool {
        let new = !self.has(kind);
        self.0 |= 1 << kind as u32;
        new
    }

    pub(crate) fn has(self, kind: OptionKind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }

    pub(crate) fn has_any(self, kinds: &[OptionKind]) -> bool {
        kinds.iter().any(|&kind| self.has(kind))
    }
}

/// What an option on the command line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// What to do.
    Command(CommandKind),
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
    /// The virtual service, by a TCP address.
    TcpService,
    /// The virtual service, by a UDP address.
    UdpService,
    /// The virtual service, by an SCTP address.
    SctpService,
    /// The virtual service, by a firewall mark.
    MarkService,
    /// The firewall mark is for IPv6 packets.
    Ipv6,
    /// VS/NAT.
    Masquerading,
    /// VS/TUN.
    Ipip,
    /// VS/DR.
    Gatewaying,
    /// FULLNAT.
    FullNat,
    /// Does nothing.
    Sort,
    /// An option with one spelling.
    Option(OptionKind),
}

/// Whether an option takes an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    No,
    Required,
    Optional,
}

/// One option's spellings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionSpec {
    pub long: &'static str,
    pub short: Option<char>,
    pub argument: Argument,
    pub switch: Switch,
}

const fn flag(long: &'static str, short: Option<char>, switch: Switch) -> OptionSpec {
    OptionSpec {
        long,
        short,
        argument: Argument::No,
        switch,
    }
}

const fn valued(long: &'static str, short: Option<char>, switch: Switch) -> OptionSpec {
    OptionSpec {
        long,
        short,
        argument: Argument::Required,
        switch,
    }
}

/// Every option there is.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    flag(
        "add-service",
        Some('A'),
        Switch::Command(CommandKind::AddService),
    ),
    flag(
        "edit-service",
        Some('E'),
        Switch::Command(CommandKind::EditService),
    ),
    flag(
        "delete-service",
        Some('D'),
        Switch::Command(CommandKind::DeleteService),
    ),
    flag("clear", Some('C'), Switch::Command(CommandKind::Flush)),
    flag("list", Some('L'), Switch::Command(CommandKind::List)),
    flag("list", Some('l'), Switch::Command(CommandKind::List)),
    flag("zero", Some('Z'), Switch::Command(CommandKind::Zero)),
    flag(
        "add-server",
        Some('a'),
        Switch::Command(CommandKind::AddServer),
    ),
    flag(
        "edit-server",
        Some('e'),
        Switch::Command(CommandKind::EditServer),
    ),
    flag(
        "delete-server",
        Some('d'),
        Switch::Command(CommandKind::DeleteServer),
    ),
    flag("set", None, Switch::Command(CommandKind::Set)),
    flag("restore", Some('R'), Switch::Command(CommandKind::Restore)),
    flag("save", Some('S'), Switch::Command(CommandKind::Save)),
    valued(
        "start-daemon",
        None,
        Switch::Command(CommandKind::StartDaemon),
    ),
    valued(
        "stop-daemon",
        None,
        Switch::Command(CommandKind::StopDaemon),
    ),
    flag(
        "add-laddr",
        None,
        Switch::Command(CommandKind::AddLocalAddress),
    ),
    flag(
        "delete-laddr",
        None,
        Switch::Command(CommandKind::DeleteLocalAddress),
    ),
    flag("help", Some('h'), Switch::Help),
    flag("version", Some('v'), Switch::Version),
    valued("tcp-service", Some('t'), Switch::TcpService),
    valued("udp-service", Some('u'), Switch::UdpService),
    valued("sctp-service", None, Switch::SctpService),
    valued("fwmark-service", Some('f'), Switch::MarkService),
    flag("ipv6", Some('6'), Switch::Ipv6),
    valued(
        "scheduler",
        Some('s'),
        Switch::Option(OptionKind::Scheduler),
    ),
    OptionSpec {
        long: "persistent",
        short: Some('p'),
        argument: Argument::Optional,
        switch: Switch::Option(OptionKind::Persistent),
    },
    valued("netmask", Some('M'), Switch::Option(OptionKind::Netmask)),
    valued("pe", None, Switch::Option(OptionKind::Engine)),
    flag("ops", Some('o'), Switch::Option(OptionKind::OnePacket)),
    valued(
        "sched-flags",
        Some('b'),
        Switch::Option(OptionKind::SchedulerFlags),
    ),
    valued("mss", None, Switch::Option(OptionKind::MaxSegment)),
    valued(
        "client-address",
        None,
        Switch::Option(OptionKind::ClientAddress),
    ),
    valued(
        "real-server",
        Some('r'),
        Switch::Option(OptionKind::RealServer),
    ),
    flag("masquerading", Some('m'), Switch::Masquerading),
    flag("ipip", Some('i'), Switch::Ipip),
    flag("gatewaying", Some('g'), Switch::Gatewaying),
    flag("fullnat", None, Switch::FullNat),
    valued("laddr", None, Switch::Option(OptionKind::LocalAddress)),
    valued("weight", Some('w'), Switch::Option(OptionKind::Weight)),
    valued(
        "u-threshold",
        Some('x'),
        Switch::Option(OptionKind::UpperThreshold),
    ),
    valued(
        "l-threshold",
        Some('y'),
        Switch::Option(OptionKind::LowerThreshold),
    ),
    valued("tun-type", None, Switch::Option(OptionKind::TunnelType)),
    valued("tun-port", None, Switch::Option(OptionKind::TunnelPort)),
    flag(
        "tun-nocsum",
        None,
        Switch::Option(OptionKind::TunnelNoChecksum),
    ),
    flag("tun-csum", None, Switch::Option(OptionKind::TunnelChecksum)),
    flag(
        "tun-remcsum",
        None,
        Switch::Option(OptionKind::TunnelRemoteChecksum),
    ),
    flag("numeric", Some('n'), Switch::Option(OptionKind::Numeric)),
    flag(
        "connection",
        Some('c'),
        Switch::Option(OptionKind::Connection),
    ),
    flag("timeout", None, Switch::Option(OptionKind::Timeout)),
    flag("daemon", None, Switch::Option(OptionKind::Daemon)),
    flag("stats", None, Switch::Option(OptionKind::Stats)),
    flag("rate", None, Switch::Option(OptionKind::Rate)),
    flag("thresholds", None, Switch::Option(OptionKind::Thresholds)),
    flag(
        "persistent-conn",
        None,
        Switch::Option(OptionKind::PersistentConn),
    ),
    flag("tun-info", None, Switch::Option(OptionKind::TunnelInfo)),
    flag("nosort", None, Switch::Option(OptionKind::NoSort)),
    flag("sort", None, Switch::Sort),
    flag("exact", Some('X'), Switch::Option(OptionKind::Exact)),
    valued(
        "mcast-interface",
        None,
        Switch::Option(OptionKind::McastInterface),
    ),
    valued("mcast-group", None, Switch::Option(OptionKind::McastGroup)),
    valued("mcast-port", None, Switch::Option(OptionKind::McastPort)),
    valued("mcast-ttl", None, Switch::Option(OptionKind::McastTtl)),
    valued("syncid", None, Switch::Option(OptionKind::SyncId)),
    valued(
        "sync-maxlen",
        None,
        Switch::Option(OptionKind::SyncMaxLength),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_own_place_in_the_table() {
        for (place, (kind, _)) in OptionKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, place);
        }
    }
}
