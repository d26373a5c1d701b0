//! What each setting means, and what it takes: `Documentation/networking/ipvs-sysctl.rst`, and the
//! handlers' own limits in the kernel (Linux 6.1).

use super::{About, Setting, Takes};

/// Why the settings of connection sync stay as they are.
const NO_SYNC: &str = "connection sync is not built yet, so it would have no effect";
/// What to do about that.
const NO_SYNC_REMEDY: &str = "leave it; connections do not outlive their director";
/// Why the sizes of tables are no settings.
const SIZED: &str = "the tables are made once, with the sizes that the daemon is started with";
/// What to do about that.
const SIZED_REMEDY: &str = "`xvs serve --connections NUMBER', `--max-services NUMBER'";

/// A setting that the kernel takes any number for.
const fn any(default: i32) -> Takes {
    within(default, i32::MIN, i32::MAX)
}

const fn within(default: i32, least: i32, greatest: i32) -> Takes {
    Takes::Number {
        default,
        least,
        greatest,
    }
}

/// Seconds, as many as the kernel's ticks can count at 1000 in a second.
const fn seconds(default: i32) -> Takes {
    within(default, 0, i32::MAX / 1000)
}

const fn fixed(default: &'static str, reason: &'static str, remedy: &'static str) -> Takes {
    Takes::Fixed {
        default,
        reason,
        remedy,
    }
}

impl Setting {
    /// What is known of it.
    pub const fn about(self) -> About {
        let (takes, meaning) = match self {
            Self::ConnReuseMode
            | Self::ExpireNodestConn
            | Self::ExpireQuiescentTemplate
            | Self::LblcrExpiration
            | Self::NatIcmpSend
            | Self::PmtuDisc
            | Self::ScheduleIcmp
            | Self::SloppyTcp => connections(self),
            Self::AmDroprate
            | Self::Amemthresh
            | Self::DropEntry
            | Self::DropPacket
            | Self::SecureTcp
            | Self::RunEstimation => defence(self),
            Self::SyncPersistMode
            | Self::SyncPorts
            | Self::SyncQlenMax
            | Self::SyncRefreshPeriod
            | Self::SyncRetries
            | Self::SyncSockSize
            | Self::SyncThreshold
            | Self::SyncVersion
            | Self::BackupOnly => sync(self),
            _ => others(self),
        };
        About { takes, meaning }
    }
}

/// How connections are made and forgotten.
const fn connections(setting: Setting) -> (Takes, &'static str) {
    match setting {
        Setting::ConnReuseMode => (
            any(1),
            "A SYN from the port of a connection in TIME_WAIT or CLOSE (1), or also in FIN_WAIT (2), opens a new one; 0: it goes where the old one went",
        ),
        Setting::ExpireNodestConn => (
            any(0),
            "1: connections of a removed destination end, and their clients get another; 0: their packets are dropped until it comes back",
        ),
        Setting::ExpireQuiescentTemplate => (
            any(0),
            "1: persistent clients of a destination with weight 0 get another",
        ),
        Setting::LblcrExpiration => (
            seconds(86_400),
            "Seconds after which an unchanged set of lblcr loses its most loaded destination",
        ),
        Setting::NatIcmpSend => (
            any(0),
            "1: a packet from a real server's port under VS/NAT that belongs to no connection is dropped, and the real server is told so; 0: it is left to the kernel",
        ),
        Setting::PmtuDisc => (
            any(1),
            "1: who sends what is too large for a tunnel, and must not be fragmented, is told; 0: it is fragmented",
        ),
        Setting::ScheduleIcmp => (
            any(0),
            "1: an ICMP error about a connection that is not known goes where the scheduler would send the connection, and makes it for three seconds",
        ),
        _ => (
            any(0),
            "1: any TCP segment but a reset opens a connection, not only a SYN",
        ),
    }
}

/// What is done when there is too much.
const fn defence(setting: Setting) -> (Takes, &'static str) {
    match setting {
        Setting::AmDroprate => (
            any(10),
            "With drop_packet=3, one of so many packets that would open a connection is dropped",
        ),
        Setting::Amemthresh => (
            any(1024),
            "Memory is short when fewer pages than this are free",
        ),
        Setting::DropEntry => (
            within(0, 0, 3),
            "Forget half-open connections, 1/32 of the table a second: 0 never, 1 and 2 while memory is short, 3 always",
        ),
        Setting::DropPacket => (
            within(0, 0, 3),
            "Drop some of the packets that would open a connection: 0 never, 1 and 2 while memory is short, 3 at the rate of am_droprate",
        ),
        Setting::SecureTcp => (
            within(0, 0, 3),
            "Follow TCP by the table that holds out against floods of SYNs: 0 never, 1 and 2 while memory is short, 3 always",
        ),
        _ => (any(1), "1: rates are estimated; 0: they stay as they are"),
    }
}

/// Connection sync.
const fn sync(setting: Setting) -> (Takes, &'static str) {
    let (default, meaning) = match setting {
        Setting::BackupOnly => ("0", "1: a backup director forwards nothing"),
        Setting::SyncPersistMode => (
            "0",
            "1: of persistent services only the templates are copied",
        ),
        Setting::SyncPorts => ("1", "Over how many UDP ports connections are copied"),
        Setting::SyncQlenMax => ("", "How many messages wait to be sent at most"),
        Setting::SyncRefreshPeriod => (
            "0",
            "Seconds by which the timer must differ for a connection to be copied again",
        ),
        Setting::SyncRetries => ("0", "How often a copy is repeated"),
        Setting::SyncSockSize => ("0", "The socket's buffer in bytes; 0: the system's default"),
        Setting::SyncThreshold => (
            "3 50",
            "With which packet a connection is copied first, and after how many again",
        ),
        _ => ("1", "The version of the sync protocol"),
    };
    (fixed(default, NO_SYNC, NO_SYNC_REMEDY), meaning)
}

/// What xvs has not, or has elsewhere.
const fn others(setting: Setting) -> (Takes, &'static str) {
    match setting {
        Setting::CacheBypass => (
            fixed(
                "0",
                "packets are not sent on to where they were going when a service has no destination",
                "give the service a destination of last resort, with the scheduler `fo'",
            ),
            "1: what no destination takes goes on to its original address",
        ),
        Setting::ConnLfactor => (
            fixed("-4", SIZED, SIZED_REMEDY),
            "The load at which the connection table grows",
        ),
        Setting::ConnMax => (
            fixed("", SIZED, SIZED_REMEDY),
            "How many connections there may be",
        ),
        Setting::SvcLfactor => (
            fixed("-3", SIZED, SIZED_REMEDY),
            "The load at which the table of services grows",
        ),
        Setting::Conntrack => (
            fixed(
                "0",
                "packets are forwarded before netfilter's connection tracking could see them",
                "filter on the real servers, or on the routers before the director",
            ),
            "1: netfilter tracks the connections too",
        ),
        Setting::DebugLevel => (
            fixed(
                "0",
                "the daemon's log has levels of its own",
                "start it with RUST_LOG=debug in its environment",
            ),
            "How much is logged",
        ),
        Setting::EstCpulist => (
            fixed(
                "",
                "rates are estimated by the daemon",
                "choose the daemon's processors, as with CPUAffinity= in its unit",
            ),
            "The processors that estimate rates",
        ),
        Setting::EstNice => (
            fixed(
                "0",
                "rates are estimated by the daemon",
                "choose the daemon's niceness, as with Nice= in its unit",
            ),
            "The niceness of what estimates rates",
        ),
        Setting::IgnoreTunneled => (
            fixed(
                "0",
                "packets out of a tunnel are like others to xvs",
                "keep it off the tunnel's interface: name the others with `xvs serve --interface'",
            ),
            "1: packets that came by a tunnel are not scheduled again",
        ),
        Setting::LblcExpiration => (
            fixed(
                "86400",
                "an address's destination is forgotten when its place is needed, the one that was not asked for the longest first",
                "leave it",
            ),
            "Seconds after which lblc forgets an address's destination that was not asked for",
        ),
        Setting::SloppySctp => (
            fixed(
                "0",
                "SCTP is not built yet",
                "leave it; its packets are left to the kernel",
            ),
            "1: any SCTP packet opens a connection, not only an INIT",
        ),
        _ => (
            fixed(
                "1",
                "replies are always routed by what stands in them when they leave",
                "leave it",
            ),
            "1: replies are routed after they were translated",
        ),
    }
}
