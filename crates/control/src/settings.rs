//! How the settings reach packets.

use abi::View;
use cell::Cell32;
use model::{Setting, Settings};

use crate::defence::Defence;
use crate::words;

/// ICMP errors that the director may send: the kernel's own limits (`icmp_msgs_per_sec`,
/// `icmp_msgs_burst`).
const ICMP_PER_SECOND: u32 = 1000;
const ICMP_BURST: u32 = 50;

/// Writes what packets go by.
pub(crate) fn write(view: &View<'_>, settings: &Settings, defence: Defence) {
    let globals = view.globals;
    let switches: [(&Cell32, Setting); 6] = [
        (&globals.expire_nodest_conn, Setting::ExpireNodestConn),
        (
            &globals.expire_quiescent_template,
            Setting::ExpireQuiescentTemplate,
        ),
        (&globals.nat_icmp_send, Setting::NatIcmpSend),
        (&globals.pmtu_disc, Setting::PmtuDisc),
        (&globals.schedule_icmp, Setting::ScheduleIcmp),
        (&globals.sloppy_tcp, Setting::SloppyTcp),
    ];
    for (cell, setting) in switches {
        cell.store(settings.is_on(setting).into());
    }
    // Its bits count.
    let reuse = settings.get(Setting::ConnReuseMode).cast_unsigned();
    globals.conn_reuse_mode.store(reuse);
    let seconds = settings.get(Setting::LblcrExpiration).unsigned_abs();
    let expiration = words::ticks(view, seconds);
    globals.lblcr_expiration.store(expiration);
    globals.icmp_per_second.store(ICMP_PER_SECOND);
    globals.icmp_burst.store(ICMP_BURST);
    write_defence(view, defence);
}

/// Writes what packets go by in defence.
pub(crate) fn write_defence(view: &View<'_>, defence: Defence) {
    let globals = view.globals;
    if globals.drop_packet.load() == 0 {
        view.runtime.drop_counter.store(0);
    }
    globals.drop_packet.store(defence.drop_rate);
    globals.tcp_table.store(defence.is_secure.into());
}
