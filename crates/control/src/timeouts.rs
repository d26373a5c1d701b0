//! How long connections live.

use abi::{View, timeout_index};
use model::{Protocol, Timeouts};

use crate::words;

/// Seconds by TCP state (`ip_vs_proto_tcp.c`): NONE, ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT,
/// TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, SYNACK, and one more without a name.
const TCP: [u32; 12] = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 2];
/// The states that `ipvsadm --set` changes.
const TCP_ESTABLISHED: usize = 1;
const TCP_FIN_WAIT: usize = 4;
/// UDP's only state.
const UDP_NORMAL: u8 = 0;

/// Writes the timeouts of connections. They count from a connection's next packet on.
pub(crate) fn write_timeouts(view: &View<'_>, timeouts: &Timeouts) {
    let mut tcp = TCP;
    tcp[TCP_ESTABLISHED] = timeouts.tcp;
    tcp[TCP_FIN_WAIT] = timeouts.tcp_fin;
    for (state, seconds) in (0..).zip(tcp) {
        write(view, Protocol::Tcp, state, seconds);
    }
    write(view, Protocol::Udp, UDP_NORMAL, timeouts.udp);
}

fn write(view: &View<'_>, protocol: Protocol, state: u8, seconds: u32) {
    let ticks = words::ticks(view, seconds);
    view.globals.timeouts.0[timeout_index(protocol.number(), state)].store(ticks);
}
