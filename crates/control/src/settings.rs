//! Settings that every packet reads and no command changes yet.

use abi::View;

/// ICMP errors that the director may send: the kernel's own limits (`icmp_msgs_per_sec`,
/// `icmp_msgs_burst`).
const ICMP_PER_SECOND: u32 = 1000;
const ICMP_BURST: u32 = 50;

/// Writes the settings at IPVS's defaults (`ip_vs_control_net_init_sysctl`).
pub(crate) fn write_defaults(view: &View<'_>) {
    let globals = view.globals;
    let on = [&globals.conn_reuse_mode, &globals.pmtu_disc];
    let off = [
        &globals.expire_nodest_conn,
        &globals.expire_quiescent_template,
        &globals.nat_icmp_send,
        &globals.schedule_icmp,
        &globals.sloppy_tcp,
        &globals.sloppy_sctp,
        &globals.ignore_tunneled,
        &globals.cache_bypass,
        &globals.drop_packet,
        &globals.tcp_table,
    ];
    on.into_iter().for_each(|setting| setting.store(1));
    off.into_iter().for_each(|setting| setting.store(0));
    globals.icmp_per_second.store(ICMP_PER_SECOND);
    globals.icmp_burst.store(ICMP_BURST);
}
