//! The walks through the TCP states that IPVS was seen to do, by real packets on every host.

use crate::bed::Bed;
use crate::frames::{ACK, FIN, Packet, RST, SYN};
use crate::lan::WEB;

const NORMAL: &str = include_str!("../../../forward/tests/golden/tcp-nat.csv");
const SECURE: &str = include_str!("../../../forward/tests/golden/tcp-nat-secure.csv");

const PSH: u8 = 0x08;
const URG: u8 = 0x20;
/// Where the flags are in an untagged frame without IP options.
const FLAGS: usize = 14 + 20 + 13;

/// A packet as the walks write it, such as `i:synack`.
fn packet(port: u16, event: &str) -> Vec<u8> {
    let (side, what) = event.split_once(':').unwrap();
    let flags = match what {
        "syn" => SYN,
        "synack" => SYN | ACK,
        "ack" => ACK,
        "data" => PSH | ACK,
        "fin" => FIN,
        "finack" => FIN | ACK,
        "rst" => RST,
        "rstack" => RST | ACK,
        "null" => 0,
        "urg" => URG,
        "psh" => PSH,
        "synfin" => SYN | FIN,
        "synrst" => SYN | RST,
        other => panic!("{other} is no event"),
    };
    let mut frame = match side {
        "i" => Packet::to_service(port, WEB, 0).frame(),
        _ => Packet::from_server(port, 0).frame(),
    };
    frame[FLAGS] = flags;
    frame
}

/// Walks every row from a port of its own.
fn walk(bed: &Bed, rows: &str) {
    for (row, port) in rows.lines().skip(1).zip(20_000..) {
        let fields: Vec<&str> = row.split(',').collect();
        let [_, path, from, last, to, _, active, inactive] = fields[..] else {
            panic!("a row of the walk has eight fields: {row}");
        };
        for event in path.split_whitespace() {
            bed.send(&packet(port, event));
        }
        assert_eq!(bed.state(port), from, "before {row}");
        bed.send(&packet(port, last));
        assert_eq!(bed.state(port), to, "after {row}");
        let count = |text: &str| text.parse::<u32>().unwrap();
        let expected = (count(active), count(inactive));
        assert_eq!(bed.connections(), expected, "after {row}");
        bed.clear();
    }
}

#[test]
fn every_host_walks_through_the_states_as_ipvs_does() {
    walk(&Bed::shared(), NORMAL);
}

#[test]
fn every_host_walks_through_the_states_of_secure_tcp_as_ipvs_does() {
    let bed = Bed::new();
    bed.change(|view| view.globals.tcp_table.store(1));
    walk(&bed, SECURE);
}
