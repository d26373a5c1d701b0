//! States of connections, how packets move them, and how long they last.

use abi::{Globals, Tick, timeout_index};
use cell::{blurred64, element};
use conntable::{Direction, Word};
use wire::ipv4;

/// States of TCP, with the kernel's numbers (`IP_VS_TCP_S_*`).
pub mod tcp {
    #![expect(missing_docs, reason = "the states' names are their documentation")]
    pub const NONE: u8 = 0;
    pub const ESTABLISHED: u8 = 1;
    pub const SYN_SENT: u8 = 2;
    pub const SYN_RECV: u8 = 3;
    pub const FIN_WAIT: u8 = 4;
    pub const TIME_WAIT: u8 = 5;
    pub const CLOSE: u8 = 6;
    pub const CLOSE_WAIT: u8 = 7;
    pub const LAST_ACK: u8 = 8;
    pub const LISTEN: u8 = 9;
    pub const SYNACK: u8 = 10;
}

/// Whether a state counts in ActiveConn rather than InActConn.
#[inline(always)]
pub const fn is_active(protocol: u8, state: u8) -> bool {
    const TCP_ACTIVE: u32 =
        1 << tcp::ESTABLISHED | 1 << tcp::SYN_SENT | 1 << tcp::SYN_RECV | 1 << tcp::SYNACK;
    protocol == ipv4::TCP && TCP_ACTIVE >> (state & 15) & 1 == 1
}

/// What a segment is to the state table; RST before SYN before FIN before ACK.
const RST: u8 = 3;
const SYN: u8 = 0;
const FIN: u8 = 1;
const ACK: u8 = 2;
/// One that has none of these flags.
const NOTHING: u8 = 4;

/// What a segment is by its flags, as far as they go up to ACK.
static EVENTS: [u8; 32] = events();

const fn events() -> [u8; 32] {
    let mut out = [NOTHING; 32];
    let mut index = 0;
    while index < out.len() {
        let flags = index as u8;
        out[index] = if flags & wire::tcp::RST != 0 {
            RST
        } else if flags & wire::tcp::SYN != 0 {
            SYN
        } else if flags & wire::tcp::FIN != 0 {
            FIN
        } else if flags & wire::tcp::ACK != 0 {
            ACK
        } else {
            NOTHING
        };
        index += 1;
    }
    out
}

/// Which rows of the state table count.
const INPUT: usize = 0;
const OUTPUT: usize = 1;
const INPUT_ONLY: usize = 2;

/// The next state by table (normal, secure_tcp), direction, event and state, 16 states a row.
static TRANSITIONS: [u8; 512] = table();

/// Rows as the kernel's documentation has them; columns NO ES SS SR FW TW CL CW LA LI SA.
const NORMAL: [[&[u8; 22]; 4]; 3] = [
    [
        b"SRESESSRSRSRSRSRSRSRSR",
        b"CLCWSSTWTWTWCLCWLALITW",
        b"ESESSSESFWTWCLCWCLLIES",
        b"CLCLCLSRCLCLCLCLLALISR",
    ],
    [
        b"SSESSSSRSSSSSSSSSSLISR",
        b"TWFWSSTWFWTWCLTWLALITW",
        b"ESESSSESFWTWCLCWLAESES",
        b"CLCLSSCLCLTWCLCLCLCLCL",
    ],
    [
        b"SRESESSRSRSRSRSRSRSRSR",
        b"CLFWSSTWFWTWCLCWLALITW",
        b"ESESSSESFWTWCLCWCLLIES",
        b"CLCLCLSRCLCLCLCLLALICL",
    ],
];

/// The rows under secure_tcp.
const SECURE: [[&[u8; 22]; 4]; 3] = [
    [
        b"SRESESSRSRSRSRSRSRSRSA",
        b"CLCWSSTWTWTWCLCWLALISA",
        b"ESESSSSRFWTWCLCWCLLISA",
        b"CLCLCLSRCLCLCLCLLALICL",
    ],
    [
        b"SSESSSSASSSSSSSSSSLISA",
        b"TWFWSSTWFWTWCLTWLALITW",
        b"ESESSSESFWTWCLCWLAESES",
        b"CLCLSSCLCLTWCLCLCLCLCL",
    ],
    [
        b"SAESESSRSASASASASASASA",
        b"CLFWSSTWFWTWCLCWLALITW",
        b"CLESSSESFWTWCLCWCLLIES",
        b"CLCLCLSRCLCLCLCLLALICL",
    ],
];

const fn table() -> [u8; 512] {
    let mut out = [tcp::CLOSE; 512];
    let mut index = 0;
    while index < 2 * 3 * 4 * 11 {
        let (state, event, direction, secure) =
            (index % 11, index / 11 % 4, index / 44 % 3, index / 132);
        let rows = if secure == 0 { &NORMAL } else { &SECURE };
        let row = rows[direction][event];
        out[at(secure, direction, event, state)] = by_name(row[state * 2], row[state * 2 + 1]);
        index += 1;
    }
    out
}

#[inline(always)]
const fn at(secure: usize, direction: usize, event: usize, state: usize) -> usize {
    ((secure & 1) << 8 | (direction & 3) << 6 | (event & 3) << 4 | state & 15) & 511
}

const fn by_name(first: u8, second: u8) -> u8 {
    match (first, second) {
        (b'E', b'S') => tcp::ESTABLISHED,
        (b'S', b'S') => tcp::SYN_SENT,
        (b'S', b'R') => tcp::SYN_RECV,
        (b'F', b'W') => tcp::FIN_WAIT,
        (b'T', b'W') => tcp::TIME_WAIT,
        (b'C', b'L') => tcp::CLOSE,
        (b'C', b'W') => tcp::CLOSE_WAIT,
        (b'L', b'A') => tcp::LAST_ACK,
        (b'L', b'I') => tcp::LISTEN,
        (b'S', b'A') => tcp::SYNACK,
        _ => panic!("a row of the state table has a name that is none"),
    }
}

/// The flags that count.
const COUNTED: u8 = wire::tcp::RST | wire::tcp::SYN | wire::tcp::FIN | wire::tcp::ACK;

/// A segment that only acknowledges leaves an established connection as it is, whichever way it goes, by
/// either table.
const _: () = {
    let mut rows = 0;
    while rows < 4 {
        let (secure, direction) = (rows / 2, [INPUT, OUTPUT][rows % 2]);
        let place = at(secure, direction, ACK as usize, tcp::ESTABLISHED as usize);
        assert!(TRANSITIONS[place] == tcp::ESTABLISHED);
        rows += 1;
    }
};

/// The connection's word after a packet: its state, and a full timeout from now on.
#[inline(always)]
pub(crate) fn after_packet(
    globals: &Globals,
    protocol: u8,
    flags: u8,
    direction: Direction,
    before: Word,
    now: Tick,
) -> Word {
    // Without the table, as nearly all packets are like that.
    let after = if flags & COUNTED == wire::tcp::ACK && before.is_seen_in(tcp::ESTABLISHED) {
        let timeout = &globals.timeouts.0[timeout_index(ipv4::TCP, tcp::ESTABLISHED)];
        before.put_off(now.wrapping_add(timeout.load()))
    } else {
        by_table(globals, protocol, flags, (direction, before), now)
    };
    // The kernel's verifier need not follow both ways any further.
    Word(blurred64(after.0, before.0))
}

#[inline(always)]
fn by_table(
    globals: &Globals,
    protocol: u8,
    flags: u8,
    (direction, before): (Direction, Word),
    now: Tick,
) -> Word {
    let (state, one_way) = if protocol == ipv4::TCP {
        let secure = globals.tcp_table.load() as usize;
        tcp_state(secure, flags, direction, before.state(), before.one_way())
    } else {
        (
            0,
            before.one_way() && matches!(direction, Direction::ToServer),
        )
    };
    let timeout = element(&globals.timeouts.0, timeout_index(protocol, state) as u32).load();
    before.moved(state, one_way, now.wrapping_add(timeout))
}

/// The next TCP state, and whether still only the client's packets have been seen.
#[inline(always)]
fn tcp_state(
    secure: usize,
    flags: u8,
    direction: Direction,
    state: u8,
    one_way: bool,
) -> (u8, bool) {
    let (rows, one_way) = match direction {
        Direction::ToClient => (OUTPUT, false),
        Direction::ToServer if one_way => (INPUT_ONLY, true),
        Direction::ToServer => (INPUT, false),
    };
    let event = *element(&EVENTS, flags as u32);
    if event == NOTHING {
        return (tcp::CLOSE, one_way);
    }
    let place = at(secure, rows, event as usize, state as usize);
    (*element(&TRANSITIONS, place as u32), one_way)
}

/// Whether a packet takes its connection past its handshake: to TCP's ESTABLISHED, or as an answer
/// to a UDP client.
#[inline(always)]
pub(crate) fn is_past_handshake(
    protocol: u8,
    direction: Direction,
    (old, new): (Word, Word),
) -> bool {
    if protocol == ipv4::TCP {
        new.state() == tcp::ESTABLISHED && old.state() != tcp::ESTABLISHED
    } else {
        direction == Direction::ToClient
    }
}

/// Whether a SYN on a connection in this state opens a new one (IPVS's conn_reuse_mode).
#[inline(always)]
pub(crate) const fn is_reusable(mode: u32, state: u8, one_way: bool) -> bool {
    match state {
        tcp::TIME_WAIT | tcp::CLOSE => mode & 1 != 0 || mode & 2 != 0,
        tcp::FIN_WAIT => mode & 2 != 0 && one_way,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
