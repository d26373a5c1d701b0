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
