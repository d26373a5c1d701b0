//! `global_defs`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::Serialize;

use super::{Announcements, Pace, Script};

/// What holds for the whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Globals {
    /// What this machine calls itself.
    pub router_id: Option<String>,
    /// Every failed check is logged, not only those that change something.
    pub log_all_failures: bool,
    /// The interface of addresses that name none.
    pub default_interface: String,
    /// IPVS's timeouts, where they are to be changed.
    pub lvs_timeouts: LvsTimeouts,
    /// Services that the file does not name are removed at start.
    pub lvs_flush: bool,
    /// Pipe for all events.
    pub notify_fifo: Option<Fifo>,
    /// Pipe for the events of real and virtual servers.
    pub lvs_notify_fifo: Option<Fifo>,
    /// Pipe for VRRP's events.
    pub vrrp_notify_fifo: Option<Fifo>,
    /// Mail about virtual routers; None: there is nobody to send it to.
    pub mail: Option<Mail>,
    /// Mail is sent about virtual routers and sync groups that say nothing else.
    pub mail_alerts: bool,
    /// Real servers that start up are told of too.
    pub rs_init_notifies: bool,
    /// User and group of commands that name none.
    pub script_user: Option<(String, Option<String>)>,
    /// Where adverts go to (IPv4).
    pub vrrp_mcast_group4: Ipv4Addr,
    /// Where adverts go to (IPv6).
    pub vrrp_mcast_group6: Ipv6Addr,
    /// VRRP's version of instances that name none.
    pub vrrp_version: u8,
    /// How neighbours are told, in instances that say nothing else.
    pub announcements: Announcements,
    /// How fast, on interfaces of no `garp_group`.
    pub announcement_pace: Pace,
    /// After how many missed adverts a backup takes over.
    pub down_timer_adverts: u32,
    /// Adverts of lower priority are not answered.
    pub lower_prio_no_advert: bool,
    /// A last advert goes out when a higher priority is heard.
    pub higher_prio_send_advert: bool,
    /// Others than the peers are refused in unicast mode.
    pub check_unicast_src: bool,
    /// Addresses in a known master's adverts are not checked again.
    pub skip_check_adv_addr: bool,
    /// Owners of their addresses listen to nobody.
    pub owner_ignores_adverts: bool,
    /// Nothing beyond the RFCs is allowed.
    pub strict: bool,
    /// Changed priorities are written into the pipes.
    pub notify_priority_changes: bool,
    /// How long instances wait after the daemon's start.
    pub startup_delay: Duration,
    /// How long they wait after the system's start.
    pub delay_after_boot: Duration,
    /// The pipes are told of all states after a reload.
    pub states_on_reload: bool,
    /// Adverts of unknown virtual routers are logged.
    pub log_unknown_vrids: bool,
    /// What the names of macvlan interfaces begin with.
    pub vmac_prefix: String,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            router_id: None,
            log_all_failures: false,
            default_interface: "eth0".to_owned(),
            lvs_timeouts: LvsTimeouts::default(),
            lvs_flush: false,
            notify_fifo: None,
            lvs_notify_fifo: None,
            vrrp_notify_fifo: None,
            mail: None,
            mail_alerts: false,
            rs_init_notifies: false,
            script_user: None,
            vrrp_mcast_group4: Ipv4Addr::new(224, 0, 0, 18),
            vrrp_mcast_group6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            vrrp_version: 2,
            announcements: Announcements::default(),
            announcement_pace: Pace::default(),
            down_timer_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            check_unicast_src: false,
            skip_check_adv_addr: false,
            owner_ignores_adverts: false,
            strict: false,
            notify_priority_changes: false,
            startup_delay: Duration::ZERO,
            delay_after_boot: Duration::ZERO,
            states_on_reload: false,
            log_unknown_vrids: false,
            vmac_prefix: "vrrp".to_owned(),
        }
    }
}

/// `notification_email` and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// To whom.
    pub to: Vec<String>,
    /// From whom; None: from this process's user on this host.
    pub from: Option<String>,
    /// The mail server's name or address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// What this host calls itself to the server; None: by its name.
    pub helo_name: Option<String>,
    /// How long sending may take.
    pub timeout: Duration,
    /// It is sent about faults too.
    pub faults: bool,
}

/// `lvs_timeouts`, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LvsTimeouts {
    /// Of established TCP connections.
    pub tcp: Option<u32>,
    /// Of TCP connections that are ending.
    pub tcp_fin: Option<u32>,
    /// Of UDP's.
    pub udp: Option<u32>,
}

/// A pipe that events are written into, and what reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fifo {
    /// Its path.
    pub path: String,
    /// Its owner; None: this process's.
    pub user: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// What is started to read it; the path is added to its arguments.
    pub script: Option<Script>,
}
