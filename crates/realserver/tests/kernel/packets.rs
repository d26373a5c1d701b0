//! The program, run on frames, does what the same code does natively: to the byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use decap::{Fate, layout, mapped};
use pcap_file::pcap::PcapReader;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use realserver::{Program, Tunnels};

use crate::memory::Memory;

/// Bytes of the Ethernet header.
pub const ETHERNET: usize = 14;

/// TC's return codes: go on, and drop.
const GO_ON: i32 = -1;
const DROP: i32 = 2;

/// The addresses of the real servers in the captures.
const SERVERS: [[u8; 4]; 3] = [[172, 16, 10, 39], [172, 16, 10, 23], [172, 16, 10, 31]];
const SERVER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x39];
const VIRTUAL: [u8; 4] = [172, 16, 10, 21];
const VIRTUAL_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x21];

/// The program with all tunnels on.
fn program() -> Program {
    let tunnels = Tunnels {
        ipip: true,
        gre: true,
        gue: Some(6080),
    };
    let mut program = Program::load(&tunnels).unwrap_or_else(|error| panic!("{error}"));
    let v4 = |address| mapped(u32::from_ne_bytes(address));
    let v6 = |address: [u8; 16]| -> decap::Address {
        std::array::from_fn(|word| u32::from_ne_bytes(address[4 * word..][..4].try_into().unwrap()))
    };
    let mut addresses: BTreeMap<_, _> = SERVERS.map(|server| (v4(server), layout::OWN)).into();
    addresses.insert(v6(SERVER_V6), layout::OWN);
    addresses.insert(v4(VIRTUAL), layout::OWN | layout::VIRTUAL);
    addresses.insert(v6(VIRTUAL_V6), layout::OWN | layout::VIRTUAL);
    program.set_addresses(addresses).unwrap();
    program
}

/// The same host natively.
fn native(packet: &[u8]) -> Memory {
    let mut host = Memory::new(packet.to_vec(), "172.16.10.21", "172.16.10.21");
    host.own.extend(SERVERS.map(std::net::IpAddr::from));
    host.own
        .extend([SERVER_V6, VIRTUAL_V6].map(std::net::IpAddr::from));
    host.virtual_addresses.push(VIRTUAL_V6.into());
    host
}

/// As much of a frame as a message shows.
fn head(frame: &[u8]) -> &[u8] {
    &frame[..frame.len().min(120)]
}

/// Runs a frame on both, which must agree.
fn compare(program: &mut Program, frame: &[u8]) {
    let mut native = native(&frame[ETHERNET..]);
    let outcome = native.decapsulate();
    let ran = program
        .run(frame)
        .unwrap_or_else(|error| panic!("{error}: {:02x?}", head(frame)));
    let code = match outcome.fate() {
        Fate::Dropped => DROP,
        Fate::Decapsulated | Fate::Left => GO_ON,
    };
    assert_eq!(ran.code, code, "{outcome:?} {:02x?}", head(frame));
    if outcome.fate() != Fate::Dropped {
        assert_eq!(
            ran.frame[ETHERNET..],
            native.packet,
            "{outcome:?} {:02x?}",
            head(frame)
        );
        let kind = if native.packet[0] >> 4 == 6 {
            [0x86, 0xdd]
        } else {
            [8, 0]
        };
        assert_eq!(ran.frame[12..14], kind, "{outcome:?}");
    }
}

/// All frames of a capture.
pub fn captured(name: &str) -> Vec<Vec<u8>> {
    let file = format!("../decap/tests/golden/29-tun-{name}.pcap");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.unwrap().data.into_owned());
    }
    frames
}

const CAPTURES: [&str; 6] = ["ipip", "gre", "gre-csum", "gue", "gue-csum", "gue-remcsum"];

#[test]
fn what_the_kernel_s_director_sent_is_taken_out_as_it_was_put_in() {
    let mut program = program();
    let mut frames = 0;
    for name in CAPTURES {
        for frame in captured(name) {
            compare(&mut program, &frame);
            frames += 1;
        }
    }
    let counters = program.counters().unwrap();
    let counted: u64 = counters.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, frames);
    let taken_out = counters
        .iter()
        .filter(|(it, _)| it.fate() == Fate::Decapsulated);
    assert!(taken_out.map(|(_, count)| count).sum::<u64>() > 12);
}

/// Between the families, the kernel is told of it as of a translation of addresses.
#[test]
fn either_family_is_taken_out_of_either() {
    let mut program = program();
    let v4 = captured("ipip").remove(0)[ETHERNET + 20..].to_vec();
    let mut v6 = vec![0x60, 0, 0, 0, 0, 20, 6, 63];
    v6.extend([SERVER_V6, VIRTUAL_V6].concat());
    v6.extend([0; 20]);
    for inner in [&v4, &v6] {
        let protocol = if inner[0] >> 4 == 4 { 4 } else { 41 };
        let length = inner.len() as u16;
        let mut in_v6 = vec![0x60, 0, 0, 0];
        in_v6.extend(length.to_be_bytes());
        in_v6.extend([protocol, 63]);
        in_v6.extend([VIRTUAL_V6, SERVER_V6].concat());
        in_v6.extend(inner);
        let mut in_v4 = vec![0x45, 0];
        in_v4.extend((length + 20).to_be_bytes());
        in_v4.extend([0, 0, 0x40, 0, 63, protocol, 0, 0]);
        in_v4.extend([[172, 16, 10, 17], SERVERS[0]].concat());
        in_v4.extend(inner);
        for (outer, kind) in [(in_v4, [8, 0]), (in_v6, [0x86, 0xdd])] {
            let frame = [
                &[2, 0, 0, 0, 0, 0x39, 2, 0, 0, 0, 0, 0x17][..],
                &kind,
                &outer,
            ]
            .concat();
            compare(&mut program, &frame);
            let mut native = native(&outer);
            assert_eq!(native.decapsulate(), decap::Outcome::Ipip);
        }
    }
}

#[test]
fn a_checksum_over_every_length_of_packet_is_the_same() {
    let mut program = program();
    let header = captured("gre-csum").remove(0)[..ETHERNET + 28].to_vec();
    for length in [0, 1, 2, 3, 463, 464, 465, 476, 477, 978, 1400, 3000] {
        let mut frame = header.clone();
        let inner: u16 = 28 + length;
        frame[16..18].copy_from_slice(&(28 + inner).to_be_bytes());
        let mut ip = vec![0x45, 0];
        ip.extend(inner.to_be_bytes());
        ip.extend([0, 0, 0, 0, 63, 17, 0, 0, 172, 16, 10, 40]);
        ip.extend(VIRTUAL);
        frame.extend(ip);
        frame.extend((0..length + 8).map(|at| (at % 253) as u8));
        frame[38..40].fill(0);
        let right = wire::checksum::of(&frame[34..]);
        for sum in [right, !right] {
            frame[38..40].copy_from_slice(&sum.to_ne_bytes());
            compare(&mut program, &frame);
        }
    }
}

#[test]
fn packets_damaged_anyhow_are_the_same_to_both() {
    let mut program = program();
    let frames: Vec<Vec<u8>> = CAPTURES.iter().flat_map(|name| captured(name)).collect();
    let changes = prop::collection::vec((ETHERNET..66_usize, any::<u8>()), 0..4);
    let damaged =
        (0..frames.len(), changes, 34..160_usize).prop_map(move |(at, changes, length)| {
            let mut frame = frames[at].clone();
            for (at, byte) in changes {
                frame[at] = byte;
            }
            frame.truncate(length);
            frame
        });
    // The kernel takes no frame whose type and version disagree for what it says it is.
    let is_ip = |frame: &Vec<u8>| frame[14] >> 4 == 4;
    let mut runner = TestRunner::new(Config {
        cases: 4000,
        failure_persistence: None,
        ..Config::default()
    });
    let program = std::cell::RefCell::new(&mut program);
    let result = runner.run(&damaged.prop_filter("IPv4", is_ip), |frame| {
        compare(&mut program.borrow_mut(), &frame);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
