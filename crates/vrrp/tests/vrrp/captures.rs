//! Beside what keepalived put on the wire.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use vrrp::{Authentication, Datagram, Input, Output, Peers, Settings, State, Version, neighbours};

use crate::world::{Bench, INTERFACE, address, ms, sent};

const MAC: neighbours::Mac = [2, 0, 0, 0, 0, 0x0a];
const ETHERNET: usize = 14;
const IPV6: usize = 40;

fn captured() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = include_str!("../golden/keepalived-2.2.7.txt").lines();
    let bytes = |hex: &str| {
        let pairs = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    };
    lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, hex)| (name, bytes(hex)))
        .collect()
}

/// A captured frame as the raw socket hands it out.
fn datagram(frame: &[u8]) -> Datagram {
    let packet = &frame[ETHERNET..];
    if packet[0] >> 4 == 4 {
        return Datagram::from_ipv4(packet).unwrap();
    }
    let at =
        |at: usize| -> IpAddr { Ipv6Addr::from(*packet[at..].first_chunk::<16>().unwrap()).into() };
    Datagram::from_ipv6(at(8), at(24), packet[7], &packet[IPV6..])
}

fn unicast(peer: &str, hop_limit: u8) -> Peers {
    let peers = vec![address(peer)];
    let hop_limits = BTreeMap::new();
    Peers::Unicast {
        peers,
        hop_limit,
        only: true,
        hop_limits,
    }
}

/// The settings and the source address of the captured instances.
fn instance(name: &str) -> (Settings, &'static str) {
    let basic = |number, priority, addresses: &[&str]| {
        let addresses = addresses.iter().map(|text| address(text)).collect();
        Settings {
            priority,
            ..Settings::new(name, INTERFACE, number, addresses)
        }
    };
    let v3 = Version::V3;
    match name {
        "pass" => (
            Settings {
                authentication: Authentication::Password(*b"1111\0\0\0\0"),
                ..basic(51, 100, &["10.9.0.100", "10.9.0.101"])
            },
            "10.9.0.1",
        ),
        "plain" => (
            Settings {
                interval: ms(2000),
                ..basic(52, 150, &["10.9.0.102"])
            },
            "10.9.0.1",
        ),
        "ah" => (
            Settings {
                authentication: Authentication::AuthenticationHeader(*b"secretah"),
                ..basic(53, 100, &["10.9.0.103"])
            },
            "10.9.0.1",
        ),
        "v3" => (
            Settings {
                version: v3,
                interval: ms(250),
                ..basic(54, 200, &["10.9.0.104"])
            },
            "10.9.0.1",
        ),
        "v3-unicast" => (
            Settings {
                version: v3,
                peers: unicast("10.9.0.2", 255),
                ..basic(55, 100, &["10.9.0.105"])
            },
            "10.9.0.1",
        ),
        "v2-unicast" => (
            Settings {
                authentication: Authentication::Password(*b"12345678"),
                peers: unicast("10.9.0.2", 255),
                ..basic(56, 100, &["10.9.0.106"])
            },
            "10.9.0.1",
        ),
        "v6" => (basic(57, 100, &["fe80::100", "2001:db8::100"]), "fe80::a"),
        "v6-unicast" => (
            Settings {
                peers: unicast("2001:db8::2", 64),
                ..basic(58, 100, &["fe80::101", "2001:db8::101"])
            },
            "2001:db8::1",
        ),
        other => panic!("there is no capture of {other}"),
    }
}

const INSTANCES: [&str; 8] = [
    "pass",
    "plain",
    "ah",
    "v3",
    "v3-unicast",
    "v2-unicast",
    "v6",
    "v6-unicast",
];

/// The capture of an instance's first advert.
fn first(name: &str) -> &str {
    if name == "ah" { "ah-1" } else { name }
}

#[test]
fn the_first_advert_is_keepaliveds_byte_for_byte() {
    for name in INSTANCES {
        let (settings, source) = instance(name);
        let mut bench = Bench::start(vec![settings], vec![], source);
        let adverts = sent(&bench.pass(Duration::from_secs(8)));
        let theirs = datagram(&captured()[first(name)]);
        assert_eq!(adverts[0].bytes(), theirs.bytes(), "{name}");
        assert_eq!(adverts[0].destination(), theirs.destination(), "{name}");
        assert_eq!(adverts[0].hop_limit(), theirs.hop_limit(), "{name}");
    }
}

#[test]
fn an_authentication_header_counts_on() {
    let (settings, source) = instance("ah");
    let mut bench = Bench::start(vec![settings], vec![], source);
    let adverts = sent(&bench.pass(ms(4800)));
    assert_eq!(adverts[1].bytes(), datagram(&captured()["ah-2"]).bytes());
}

#[test]
fn keepaliveds_adverts_are_heard() {
    for name in INSTANCES {
        let (mut settings, _) = instance(name);
        let theirs = datagram(&captured()[first(name)]);
        if let Peers::Unicast { peers, .. } = &mut settings.peers {
            *peers = vec![theirs.source()];
        }
        let priority = settings.priority;
        let source = if theirs.source().is_ipv4() {
            "10.9.0.2"
        } else {
            "fe80::b"
        };
        let mut bench = Bench::start(vec![settings], vec![], source);
        bench.hear(&theirs);
        let peers = bench.status().peers;
        assert_eq!(peers.len(), 1, "{name}: {:?}", bench.status().last_refusal);
        assert_eq!(
            (peers[0].address, peers[0].priority),
            (theirs.source(), priority),
            "{name}"
        );
    }
}

#[test]
fn keepaliveds_last_word_is_understood() {
    for name in INSTANCES {
        let (mut settings, _) = instance(name);
        let theirs = datagram(&captured()[format!("{name}-0").as_str()]);
        if let Peers::Unicast { peers, .. } = &mut settings.peers {
            *peers = vec![theirs.source()];
        }
        let source = if theirs.source().is_ipv4() {
            "10.9.0.2"
        } else {
            "fe80::b"
        };
        let skew = match settings.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => settings.interval,
        } * (256 - u32::from(settings.priority))
            / 256;
        let mut bench = Bench::start(vec![settings], vec![], source);
        bench.hear(&theirs);
        bench.pass(skew - ms(1));
        assert_eq!(bench.state(), State::Backup, "{name}");
        bench.pass(ms(1));
        assert_eq!(bench.state(), State::Master, "{name}");
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    for name in INSTANCES {
        let (settings, _) = instance(name);
        let frame = &captured()[first(name)];
        let start = if frame[12] == 0x86 {
            ETHERNET + IPV6
        } else {
            ETHERNET + 20
        };
        for at in start..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 0x04;
            let mut bench = Bench::start(vec![settings.clone()], vec![], "10.9.0.2");
            bench.hear(&datagram(&changed));
            assert_eq!(bench.status().peers, [], "{name}, byte {at}");
        }
    }
}

#[test]
fn neighbours_are_told_as_keepalived_tells_them() {
    let arp = neighbours::gratuitous_arp(MAC, [10, 9, 0, 100].into());
    assert_eq!(arp, captured()["arp"]);
    let vip = "2001:db8::100".parse().unwrap();
    let advertisement = neighbours::unsolicited_advertisement(MAC, vip, false);
    assert_eq!(advertisement, captured()["na"]);
}

#[test]
fn a_last_word_has_priority_0_and_our_addresses() {
    let (settings, source) = instance("v3");
    let mut bench = Bench::start(vec![settings], vec![], source);
    bench.pass(Duration::from_secs(2));
    let last = sent(&bench.tell(Input::Stop)).remove(0);
    // The identification differs: keepalived had sent more before.
    assert_eq!(
        last.bytes()[20..],
        datagram(&captured()["v3-0"]).bytes()[20..]
    );
}

#[test]
fn what_is_no_packet_is_refused_without_harm() {
    let frame = &captured()["pass"];
    for end in ETHERNET..frame.len() {
        let packet = &frame[ETHERNET..end];
        assert!(Datagram::from_ipv4(packet).is_err(), "{end} bytes");
    }
    let (settings, _) = instance("v6");
    let mut bench = Bench::start(vec![settings], vec![], "fe80::b");
    let frame = &captured()["v6"];
    for end in ETHERNET + IPV6..frame.len() {
        let outputs = bench.hear(&datagram(&frame[..end]));
        let refused = |output: &Output| matches!(output, Output::Refused { .. });
        assert!(outputs.iter().all(refused));
        assert_eq!(bench.status().peers, []);
    }
}

proptest::proptest! {
    #[test]
    fn no_packet_makes_it_panic(bytes: Vec<u8>, name in proptest::sample::select(&INSTANCES[..])) {
        let (settings, source) = instance(name);
        let mut bench = Bench::start(vec![settings], vec![], source);
        // Behind the addresses and lengths that let it in.
        let mut packet = captured()[first(name)][ETHERNET..].to_vec();
        let header = if packet[0] >> 4 == 4 { 20 } else { IPV6 };
        packet.truncate(header + 2);
        packet.extend(bytes);
        if header == IPV6 {
            bench.hear(&Datagram::from_ipv6(address("fe80::b"), address("ff02::12"), 255, &packet[header..]));
        } else {
            let length = (packet.len() as u16).to_be_bytes();
            packet[2..4].copy_from_slice(&length);
            bench.hear(&Datagram::from_ipv4(&packet).unwrap());
        }
    }
}
