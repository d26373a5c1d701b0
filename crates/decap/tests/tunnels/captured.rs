//! What the kernel's director sent.

use std::fs::File;
use std::path::Path;

use decap::{Outcome, Settings};
use pcap_file::pcap::PcapReader;

use crate::memory::Memory;

const ETHERNET: usize = 14;

/// Each capture, the real server in it, what its tunnel counts as, and the bytes before the packet
/// inside: IPv4, and GRE or UDP and GUE, each without or with a checksum.
const CAPTURES: [(&str, &str, Outcome, usize); 6] = [
    ("ipip", "172.16.10.39", Outcome::Ipip, 20),
    ("gre", "172.16.10.31", Outcome::Gre, 24),
    ("gre-csum", "172.16.10.31", Outcome::Gre, 28),
    ("gue", "172.16.10.23", Outcome::Gue, 32),
    ("gue-csum", "172.16.10.23", Outcome::Gue, 32),
    ("gue-remcsum", "172.16.10.23", Outcome::Gue, 32),
];

/// The packets of a capture that the director sent, from their IP headers on.
pub fn from_director(name: &str) -> Vec<Vec<u8>> {
    let file = format!("tests/golden/29-tun-{name}.pcap");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let frame = packet.unwrap().data.into_owned();
        // The director's MAC address is the source.
        if frame[6..12] == [2, 0, 0, 0, 0, 0x17] {
            packets.push(frame[ETHERNET..].to_vec());
        }
    }
    packets
}

#[test]
fn every_packet_is_taken_out_as_it_was_put_in() {
    for (name, server, outcome, before) in CAPTURES {
        let packets = from_director(name);
        assert!(packets.len() >= 2, "{name}");
        for packet in packets {
            let mut host = Memory::new(packet.clone(), server, "172.16.10.21");
            assert_eq!(host.decapsulate(), outcome, "{name}");
            assert_eq!(host.packet, packet[before..], "{name}");
        }
    }
}

#[test]
fn a_frame_s_padding_is_no_part_of_the_packet() {
    for (name, server, outcome, _) in CAPTURES {
        let mut padded = from_director(name).remove(0);
        padded.extend([0xff; 7]);
        let mut host = Memory::new(padded, server, "172.16.10.21");
        assert_eq!(host.decapsulate(), outcome, "{name}");
    }
}

#[test]
fn a_byte_that_a_tunnel_s_checksum_covers_must_not_change() {
    for name in ["gre-csum", "gue-csum", "gue-remcsum"] {
        let (_, server, ..) = CAPTURES.iter().find(|it| it.0 == name).unwrap();
        let packet = from_director(name).remove(0);
        // The last byte of the inner TCP header's options.
        let mut altered = packet.clone();
        *altered.last_mut().unwrap() ^= 0x10;
        let mut host = Memory::new(altered, server, "172.16.10.21");
        assert_eq!(host.decapsulate(), Outcome::Checksum, "{name}");
    }
}

#[test]
fn a_tunnel_without_checksum_is_not_checked() {
    for name in ["ipip", "gre", "gue"] {
        let (_, server, outcome, _) = CAPTURES.iter().find(|it| it.0 == name).unwrap();
        let mut altered = from_director(name).remove(0);
        *altered.last_mut().unwrap() ^= 0x10;
        let mut host = Memory::new(altered, server, "172.16.10.21");
        assert_eq!(host.decapsulate(), *outcome, "{name}");
    }
}

#[test]
fn only_tunnels_that_are_switched_on_end_here() {
    let off = Settings {
        ipip: false,
        gre: false,
        gue_port: 0,
    };
    let on = [
        ("ipip", Settings { ipip: true, ..off }),
        ("gre", Settings { gre: true, ..off }),
        (
            "gue",
            Settings {
                gue_port: 6080,
                ..off
            },
        ),
    ];
    for (name, server, outcome, _) in CAPTURES {
        for (tunnel, settings) in on {
            let mut host = Memory::new(from_director(name).remove(0), server, "172.16.10.21");
            host.settings = settings;
            let expected = if name.starts_with(tunnel) {
                outcome
            } else {
                Outcome::Other
            };
            assert_eq!(host.decapsulate(), expected, "{name} {tunnel}");
        }
    }
}

#[test]
fn another_port_is_not_gue() {
    let mut host = Memory::new(
        from_director("gue").remove(0),
        "172.16.10.23",
        "172.16.10.21",
    );
    host.settings.gue_port = 6081;
    assert_eq!(host.decapsulate(), Outcome::Other);
}
