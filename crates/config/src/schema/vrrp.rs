//! VRRP's blocks and what instances track.

use super::Shape::{
    Address, Choice, Command, Flag, Integer, Lines, OptionalInteger, Seconds, Switch, Word, Words,
};
use super::{ANY, Block, Keyword, LONGEST, MOST, Shape, keyword, reasons};

const TRACK_INTERFACE: Keyword = keyword("track_interface", Lines(0, 0));
const TRACK_SCRIPT: Keyword = keyword("track_script", Lines(0, 0));
const TRACK_FILES: Keyword = keyword("track_file", Lines(0, 0));
const TRACK_PROCESSES: Keyword = keyword("track_process", Lines(0, 0));
const TRACK_BFD: Keyword = keyword("track_bfd", Lines(0, 0));
const NOTIFY_MASTER: Keyword = keyword("notify_master", Command);
const NOTIFY_BACKUP: Keyword = keyword("notify_backup", Command);
const NOTIFY_FAULT: Keyword = keyword("notify_fault", Command);
const NOTIFY_STOP: Keyword = keyword("notify_stop", Command);
const NOTIFY_DELETED: Keyword = keyword("notify_deleted", Words(0, 3)).without(reasons::DELETED);
const NOTIFY: Keyword = keyword("notify", Command);
const NOTIFY_PRIORITY: Keyword = keyword("notify_priority_changes", Switch);
const SMTP_ALERT: Keyword = keyword("smtp_alert", Switch);

pub(super) static INSTANCE: Block = Block {
    name: "vrrp_instance",
    takes_names: false,
    keywords: &[
        keyword("state", Choice(&["MASTER", "BACKUP"])),
        keyword("interface", Word),
        keyword("vrf", Word).without(reasons::VRF),
        keyword("virtual_router_id", Integer(1, 255)),
        keyword("priority", Integer(1, 255)),
        keyword("advert_int", Seconds(0.01, 255.0)),
        keyword("version", Integer(2, 3)),
        keyword("native_ipv6", Flag).without(reasons::NATIVE_IPV6),
        keyword("virtual_ipaddress", Lines(0, 0)),
        keyword("virtual_ipaddress_excluded", Lines(0, 0)),
        keyword("virtual_routes", Lines(0, 0)),
        keyword("virtual_rules", Lines(0, 0)),
        keyword("promote_secondaries", Flag),
        keyword("authentication", Shape::Block(&AUTHENTICATION, 0, 0)),
        keyword("auth_hmac", Shape::Block(&AUTH_HMAC, 0, 0)),
        keyword("nopreempt", Flag),
        keyword("preempt", Flag),
        keyword("preempt_delay", Seconds(0.0, 1000.0)),
        keyword("accept", Flag),
        keyword("no_accept", Flag),
        keyword("mcast_src_ip", Address),
        keyword("mcast_dst_ip", Address),
        keyword("unicast_src_ip", Address),
        keyword("track_src_ip", Flag),
        keyword("unicast_peer", Lines(0, 0)),
        keyword("unicast_ttl", Integer(0, 255)),
        keyword("unicast_fault_no_peer", Flag),
        keyword("check_unicast_src", Flag),
        keyword("old_unicast_checksum", Words(0, 1)).without(reasons::OLD_KERNEL),
        keyword("use_vmac", Words(0, 3)),
        keyword("use_vmac_addr", Flag).without(reasons::VMACS_OF_ADDRESSES),
        keyword("vmac_xmit_base", Flag),
        keyword("use_ipvlan", Words(0, 3)).without(reasons::IPVLAN),
        keyword("dont_track_primary", Flag),
        keyword("garp_master_delay", Integer(0, 86_400)),
        keyword("garp_master_repeat", Integer(0, MOST)),
        keyword("garp_master_refresh", Integer(0, 86_400)),
        keyword("garp_master_refresh_repeat", Integer(0, MOST)),
        keyword("garp_lower_prio_delay", Integer(0, 86_400)),
        keyword("garp_lower_prio_repeat", Integer(0, MOST)),
        keyword("garp_extra_if", Words(1, 2)).also(&["vmac_garp_intvl"]),
        keyword("down_timer_adverts", Integer(1, 100)),
        keyword("lower_prio_no_advert", Switch),
        keyword("higher_prio_send_advert", Switch),
        keyword("skip_check_adv_addr", Switch),
        keyword("strict_mode", Switch),
        TRACK_INTERFACE,
        TRACK_SCRIPT,
        TRACK_FILES,
        TRACK_PROCESSES,
        TRACK_BFD,
        NOTIFY_MASTER,
        NOTIFY_BACKUP,
        NOTIFY_FAULT,
        NOTIFY_STOP,
        NOTIFY_DELETED,
        NOTIFY,
        NOTIFY_PRIORITY,
        keyword("notify_master_rx_lower_pri", Command),
        SMTP_ALERT,
        keyword("debug", OptionalInteger(0, 4)).without(reasons::DEBUG),
        keyword("kernel_rx_buf_size", Integer(1, MOST)).without(reasons::SOCKET_BUFFERS),
        keyword("linkbeat_use_polling", Flag).without(reasons::LINKBEAT),
        // Of keepalived 1.x, where the instance began the sync daemon.
        keyword("lvs_sync_daemon_interface", Word).without(reasons::SYNC_DAEMON),
        keyword("lvs_sync_daemon_inteface", Word).without(reasons::SYNC_DAEMON),
        keyword("owner_ignore_adverts", Switch),
    ],
};

static AUTHENTICATION: Block = Block {
    name: "authentication",
    takes_names: false,
    keywords: &[
        keyword("auth_type", Choice(&["PASS", "AH", "SIMPLE_PASSWORD"])),
        keyword("auth_pass", Word),
    ],
};

static AUTH_HMAC: Block = Block {
    name: "auth_hmac",
    takes_names: false,
    keywords: &[
        keyword("key", Words(2, 3)),
        keyword("active_key", Integer(0, 255)),
        keyword("anti_replay", Switch),
        keyword("time_window", Seconds(0.0, LONGEST)),
        keyword("mode", Word),
    ],
};

pub(crate) static SYNC_GROUP: Block = Block {
    name: "vrrp_sync_group",
    takes_names: true,
    keywords: &[
        keyword("group", Lines(0, 0)),
        TRACK_INTERFACE,
        TRACK_SCRIPT,
        TRACK_FILES,
        TRACK_PROCESSES,
        TRACK_BFD,
        NOTIFY_MASTER,
        NOTIFY_BACKUP,
        NOTIFY_FAULT,
        NOTIFY_STOP,
        NOTIFY_DELETED,
        NOTIFY,
        NOTIFY_PRIORITY,
        SMTP_ALERT,
        keyword("global_tracking", Flag),
        keyword("sync_group_tracking_weight", Flag),
    ],
};

pub(super) static SCRIPT: Block = Block {
    name: "vrrp_script",
    takes_names: false,
    keywords: &[
        keyword("script", Command),
        keyword("interval", Seconds(0.000_001, LONGEST)),
        keyword("timeout", Seconds(0.000_001, LONGEST)),
        keyword("weight", Words(1, 2)),
        keyword("rise", Integer(1, MOST)),
        keyword("fall", Integer(1, MOST)),
        keyword("user", Words(1, 2)),
        keyword("init_fail", Flag),
    ],
};

pub(super) static TRACK_FILE: Block = Block {
    name: "track_file",
    takes_names: false,
    keywords: &[
        keyword("file", Word),
        keyword("weight", Words(1, 2)),
        keyword("init_file", Words(0, 2)),
    ],
};

pub(super) static TRACK_PROCESS: Block = Block {
    name: "vrrp_track_process",
    takes_names: false,
    keywords: &[
        keyword("process", Words(1, ANY)),
        keyword("param_match", Choice(&["initial", "partial", "exact"])),
        keyword("weight", Words(1, 2)),
        keyword("quorum", Integer(1, 65_535)),
        keyword("quorum_max", Integer(0, 65_535)),
        keyword("fork_delay", Seconds(0.0, LONGEST)),
        keyword("terminate_delay", Seconds(0.0, LONGEST)),
        keyword("delay", Seconds(0.0, LONGEST)),
        keyword("full_command", Flag),
    ],
};

pub(super) static TRACK_GROUP: Block = Block {
    name: "track_group",
    takes_names: false,
    keywords: &[keyword("group", Lines(0, 0))],
};

pub(super) static GARP_GROUP: Block = Block {
    name: "garp_group",
    takes_names: false,
    keywords: &[
        keyword("garp_interval", Seconds(0.0, LONGEST)),
        keyword("gna_interval", Seconds(0.0, LONGEST)),
        keyword("interface", Word),
        keyword("interfaces", Lines(0, 0)),
    ],
};
