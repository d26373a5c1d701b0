//! Why a keyword has no effect, and what to do instead.

/// Why a keyword has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// Why.
    pub why: &'static str,
    /// What to do instead.
    pub remedy: &'static str,
}

const fn reason(why: &'static str, remedy: &'static str) -> Reason {
    Reason { why, remedy }
}

pub(super) const MAIL: Reason = reason(
    "mail is sent about virtual routers alone",
    "use the notify scripts, lvs_notify_fifo, or alerts on the metrics",
);
pub(super) const VMACS_OF_ADDRESSES: Reason = reason(
    "only the instance's own interface gets a virtual MAC address (`use_vmac')",
    "put such addresses into an instance of their interface and family",
);
pub(super) const VRF: Reason = reason(
    "interfaces are taken as they are, in a VRF or not",
    "make the interface a port of the VRF where the system's network is configured, then remove it",
);
pub(super) const NATIVE_IPV6: Reason = reason(
    "an instance is of the family of its first virtual address",
    "remove it",
);
pub(super) const DELETED: Reason = reason(
    "an instance that a reload finds no more ends as any other: notify_stop, and STOP in the pipes",
    "use notify_stop",
);
pub(super) const DEBOUNCE: Reason = reason(
    "an interface counts as down or up as soon as the kernel says so",
    "track the interface with a weight, or remove it",
);
pub(super) const IPVLAN: Reason = reason(
    "no ipvlan is made: the addresses are on the interface itself, whose MAC address an ipvlan has, too",
    "remove it, or write `use_vmac' for an interface with a MAC address of its own",
);
pub(super) const PROCESSES: Reason = reason(
    "there is one process, xvs, and the service manager looks after it",
    "set names, priorities, limits and affinity in the service's unit (Nice=, CPUAffinity=, LimitRTTIME=), then remove it",
);
pub(super) const NAMESPACE: Reason = reason(
    "a director works in the network namespace that it is started in",
    "start it with `ip netns exec NAME xvs serve', or NetworkNamespacePath= in the unit",
);
pub(super) const SNMP: Reason = reason(
    "there is no SNMP agent",
    "read the metrics (`xvs serve --metrics-listen'), or `xvs status --json'",
);
pub(super) const DBUS: Reason = reason(
    "there is no D-Bus service",
    "use the control socket: `xvs status --json', `xvs health --json'",
);
pub(super) const FIREWALL: Reason = reason(
    "no packet filter is needed: the data plane's own programs do this work",
    "remove it",
);
pub(super) const STATIC: Reason = reason(
    "static addresses, routes and rules are not set by xvs",
    "set them where the system's network is configured (systemd-networkd, ifupdown, NetworkManager)",
);
pub(super) const LINKBEAT: Reason = reason(
    "links are followed by netlink, which needs no polling",
    "remove it",
);
pub(super) const FULLNAT: Reason = reason(
    "a configuration file cannot choose FULLNAT, which alone has local addresses",
    "remove it, or make the service by `xvs adm ... --fullnat' and `xvs laddr'",
);
pub(super) const SYN_PROXY: Reason = reason(
    "there is no SYN proxy",
    "set net.ipv4.tcp_syncookies=1 on the real servers",
);
pub(super) const SOCKET_BUFFERS: Reason = reason(
    "the daemon resizes its sockets' buffers itself and starts over after an overrun",
    "remove it",
);
pub(super) const SAVED_FILES: Reason = reason(
    "the configuration is read once, whole, before anything of it is used",
    "remove it",
);
pub(super) const RELOAD_CHECKS: Reason = reason(
    "a reload always checks the whole file first, and changes nothing if it is wrong",
    "remove it",
);
pub(super) const RELOAD_TIME: Reason = reason(
    "reloads are not scheduled",
    "use a systemd timer or cron with `xvs reload'",
);
pub(super) const STARTUP_SCRIPT: Reason = reason(
    "scripts around the daemon's life belong to the service manager",
    "use ExecStartPre= and ExecStopPost= in the unit",
);
pub(super) const NAT_MASK: Reason =
    reason("IPVS has had no use for it since Linux 2.4", "remove it");
pub(super) const OLD_KERNEL: Reason = reason(
    "it works around kernels and versions that are long gone",
    "remove it",
);
pub(super) const DUMP_NAMES: Reason = reason(
    "what SIGUSR1 and SIGUSR2 write is always keepalived.data and keepalived.stats, beside the daemon's state",
    "look into the log for where they are; `xvs health --json' and `xvs vrrp --json' print JSON",
);
pub(super) const SNMP_NAME: Reason =
    reason("only SNMP shows it", "remove it, or keep it as a comment");
pub(super) const REGEX_STACK: Reason = reason(
    "regular expressions are matched in linear time, without a stack",
    "remove it",
);
pub(super) const DEBUG: Reason = reason(
    "the log's detail is set for the whole daemon",
    "set RUST_LOG=debug in the unit's environment",
);
pub(super) const SYNC_DAEMON: Reason = reason(
    "connections are not synchronised between directors yet",
    "nothing: after a failover clients connect anew",
);
pub(super) const STATE_KEPT: Reason = reason(
    "forwarding outlives the daemon on purpose",
    "end it with `xvs serve --stop-forwarding'",
);
pub(super) const USERS: Reason = reason(
    "checked when a command is run, not when it is configured",
    "nothing: commands run as the user named with them, or as script_user",
);
pub(super) const TLS_END: Reason = reason(
    "a page counts once it is whole, however the server ends TLS",
    "remove it",
);
pub(super) const HOST: Reason = reason(
    "all hosts of a checker are judged as one",
    "move it from `host' into SMTP_CHECK",
);
pub(super) const NO_TLS: Reason =
    reason("HTTP_GET does not use TLS", "remove it, or write SSL_GET");
