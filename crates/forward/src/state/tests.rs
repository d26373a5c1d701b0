//! The state table against what the kernel's IPVS did: every row of two walks through its states,
//! in which `ipvsadm -Lnc` told each state and the seconds left, a moment after the packet.

extern crate std;

use std::string::String;
use std::vec::Vec;

use abi::{Globals, timeout_index};
use conntable::{Direction, Word};
use wire::{ipv4, tcp as flag};

use super::{after_packet, is_active, is_reusable, tcp};

const NORMAL: &str = include_str!("../../tests/golden/tcp-nat.csv");
const SECURE: &str = include_str!("../../tests/golden/tcp-nat-secure.csv");

const URG: u8 = 0x20;
const PSH: u8 = 0x08;
const HZ: u32 = 100;
const NOW: u32 = u32::MAX - 1000;
/// The kernel's default of `conn_reuse_mode`.
const REUSE_MODE: u32 = 1;

/// Seconds by state, as `ip_vs_proto_tcp.c` has them.
const TIMEOUTS: [(u8, u32); 11] = [
    (tcp::NONE, 2),
    (tcp::ESTABLISHED, 900),
    (tcp::SYN_SENT, 120),
    (tcp::SYN_RECV, 60),
    (tcp::FIN_WAIT, 120),
    (tcp::TIME_WAIT, 120),
    (tcp::CLOSE, 10),
    (tcp::CLOSE_WAIT, 60),
    (tcp::LAST_ACK, 30),
    (tcp::LISTEN, 120),
    (tcp::SYNACK, 120),
];

fn globals(secure: u32) -> Globals {
    let globals = Globals::default();
    globals.tcp_table.store(secure);
    for (state, seconds) in TIMEOUTS {
        globals.timeouts.0[timeout_index(ipv4::TCP, state)].store(seconds * HZ);
    }
    globals
}

fn name(state: u8) -> &'static str {
    match state {
        tcp::NONE => "NONE",
        tcp::ESTABLISHED => "ESTABLISHED",
        tcp::SYN_SENT => "SYN_SENT",
        tcp::SYN_RECV => "SYN_RECV",
        tcp::FIN_WAIT => "FIN_WAIT",
        tcp::TIME_WAIT => "TIME_WAIT",
        tcp::CLOSE => "CLOSE",
        tcp::CLOSE_WAIT => "CLOSE_WAIT",
        tcp::LAST_ACK => "LAST_ACK",
        tcp::LISTEN => "LISTEN",
        tcp::SYNACK => "SYNACK",
        _ => "?",
    }
}

/// An event as the walks write it, such as `i:synack`.
fn event(text: &str) -> (Direction, u8) {
    let (side, what) = text.split_once(':').unwrap();
    let direction = if side == "i" {
        Direction::ToServer
    } else {
        Direction::ToClient
    };
    let flags = match what {
        "syn" => flag::SYN,
        "synack" => flag::SYN | flag::ACK,
        "ack" => flag::ACK,
        "data" => PSH | flag::ACK,
        "fin" => flag::FIN,
        "finack" => flag::FIN | flag::ACK,
        "rst" => flag::RST,
        "rstack" => flag::RST | flag::ACK,
        "null" => 0,
        "urg" => URG,
        "psh" => PSH,
        "synfin" => flag::SYN | flag::FIN,
        "synrst" => flag::SYN | flag::RST,
        other => panic!("{other} is no event"),
    };
    (direction, flags)
}

/// What a packet makes of a connection, or of there being none.
fn step(globals: &Globals, before: Option<Word>, text: &str) -> Option<Word> {
    let (direction, flags) = event(text);
    let to_server = direction == Direction::ToServer;
    let opens = to_server && flags & (flag::SYN | flag::RST) == flag::SYN;
    let kept = before.filter(|word| {
        let reused = is_reusable(REUSE_MODE, word.state(), word.one_way());
        !(to_server && flags & flag::SYN != 0 && reused)
    });
    let word = match kept {
        Some(word) => word,
        None if opens => Word::default(),
        None => return None,
    };
    Some(after_packet(
        globals,
        ipv4::TCP,
        flags,
        direction,
        word,
        NOW,
    ))
}

/// Seconds that a listing shows a moment after the packet.
fn seconds_shown(word: Word) -> u32 {
    (word.expiry().wrapping_sub(NOW) - 1) / HZ
}

/// A row's outcome as the walk writes it: state, seconds left, active, inactive.
fn shown(word: Option<Word>) -> String {
    let Some(word) = word else {
        return "-,,0,0".into();
    };
    let active = is_active(ipv4::TCP, word.state()) as u8;
    let (state, left) = (name(word.state()), seconds_shown(word));
    std::format!("{state},{left},{active},{}", 1 - active)
}

/// The rows in which the table does otherwise than IPVS did.
fn differing(walk: &str, secure: u32) -> (usize, Vec<String>) {
    let globals = globals(secure);
    let mut rows = 0;
    let mut wrong = Vec::new();
    for row in walk.lines().skip(1) {
        let fields: Vec<&str> = row.splitn(5, ',').collect();
        let [_, path, from, last, expected] = fields[..] else {
            panic!("a row of the walk has seven fields: {row}");
        };
        rows += 1;
        let before = path
            .split_whitespace()
            .fold(None, |word, text| step(&globals, word, text));
        let state = before.map_or("-", |word| name(word.state()));
        let after = shown(step(&globals, before, last));
        if state != from || after != expected {
            wrong.push(std::format!("{row}: was {state}, became {after}"));
        }
    }
    (rows, wrong)
}

#[test]
fn every_step_of_the_normal_walk_ends_as_in_ipvs() {
    assert_eq!(differing(NORMAL, 0), (195, Vec::new()));
}

#[test]
fn every_step_of_the_walk_under_secure_tcp_ends_as_in_ipvs() {
    assert_eq!(differing(SECURE, 1), (221, Vec::new()));
}

#[test]
fn udp_has_one_state_that_is_inactive_and_lasts_its_timeout_from_every_packet_on() {
    let globals = Globals::default();
    globals.timeouts.0[timeout_index(ipv4::UDP, 0)].store(300 * HZ);
    for direction in [Direction::ToServer, Direction::ToClient] {
        let word = after_packet(&globals, ipv4::UDP, 0, direction, Word::default(), NOW);
        assert_eq!((word.state(), seconds_shown(word)), (0, 299));
        assert!(!is_active(ipv4::UDP, word.state()));
    }
}

#[test]
fn a_syn_opens_anew_what_conn_reuse_mode_says() {
    let open = |mode, state, one_way| is_reusable(mode, state, one_way);
    assert!(open(1, tcp::TIME_WAIT, false) && open(1, tcp::CLOSE, false));
    assert!(open(2, tcp::TIME_WAIT, false) && open(2, tcp::FIN_WAIT, true));
    assert!(!open(0, tcp::TIME_WAIT, false) && !open(1, tcp::FIN_WAIT, true));
    assert!(!open(2, tcp::FIN_WAIT, false) && !open(3, tcp::ESTABLISHED, false));
}
