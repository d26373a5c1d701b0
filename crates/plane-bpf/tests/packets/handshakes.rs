//! The largest segment that handshakes announce: left alone as by IPVS, or lowered for services that
//! ask for it, and where a tunnel needs it.

use std::net::IpAddr;
use std::sync::{LazyLock, Mutex};

use abi::Reason;
use etherparse::PacketBuilder;
use forward::Action;
use model::{Command, Destination, Forwarding, MaxSegment, ServiceRequest};

use crate::bed::Bed;
use crate::frames::{ACK, SYN};
use crate::kernel::site::{CLIENT_MAC, Links, SERVER_MAC};
use crate::lan::OWN_MAC;

/// Ports of the services: asked for nothing, for no limit, for 1400 bytes, and behind tunnels.
const DEFAULT: u16 = 80;
const OFF: u16 = 81;
const LIMITED: u16 = 82;
const TUNNELLED: u16 = 83;
const TUNNELLED_OFF: u16 = 84;

/// The addresses of a family.
#[derive(Clone, Copy)]
struct Family {
    client: &'static str,
    virtual_address: &'static str,
    server: &'static str,
    /// Bytes of its header.
    header: u16,
}

const FAMILIES: [Family; 2] = [
    Family {
        client: "172.16.10.40",
        virtual_address: "172.16.10.21",
        server: "192.168.100.39",
        header: 20,
    },
    Family {
        client: "fd00:10::40",
        virtual_address: "fd00:10::21",
        server: "fd00:100::39",
        header: 40,
    },
];

fn end(address: &str, port: u16) -> String {
    match address.parse().unwrap() {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

fn services() -> Vec<Command> {
    use Forwarding::{Masq, Tunnel};
    use MaxSegment::{Auto, Bytes, Off};
    let all = [
        (DEFAULT, Masq, Auto),
        (OFF, Masq, Off),
        (LIMITED, Masq, Bytes(1400)),
        (TUNNELLED, Tunnel, Auto),
        (TUNNELLED_OFF, Tunnel, Off),
    ];
    let mut commands = Vec::new();
    for family in FAMILIES {
        for (port, forwarding, max_segment) in all {
            let key = format!("TCP {}", end(family.virtual_address, port));
            let service = key.parse().unwrap();
            commands.push(Command::AddService(ServiceRequest {
                max_segment,
                ..ServiceRequest::new(service, "rr")
            }));
            let server = end(family.server, port).parse().unwrap();
            commands.push(Command::AddDestination {
                service,
                destination: Destination::new(server, forwarding),
            });
        }
    }
    commands
}

fn bed() -> std::sync::MutexGuard<'static, Bed> {
    static BED: LazyLock<Mutex<Bed>> = LazyLock::new(|| {
        let mut bed = Bed::at(&Links::new());
        bed.apply(&services());
        Mutex::new(bed)
    });
    Bed::cleared(&BED)
}

type Macs = ([u8; 6], [u8; 6]);

/// A handshake's segment, from an end to another.
fn segment(
    (from_mac, to_mac): Macs,
    (from, to): ((&str, u16), (&str, u16)),
    ttl: u8,
    flags: u8,
    options: &[u8],
) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(from_mac, to_mac);
    let builder = match (from.0.parse().unwrap(), to.0.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => builder.ipv4(from.octets(), to.octets(), ttl),
        (IpAddr::V6(from), IpAddr::V6(to)) => builder.ipv6(from.octets(), to.octets(), ttl),
        _ => panic!("both are of one family"),
    };
    let mut tcp = builder.tcp(from.1, to.1, 1000, 4096);
    if flags & SYN != 0 {
        tcp = tcp.syn();
    }
    if flags & ACK != 0 {
        tcp = tcp.ack(77);
    }
    let mut frame = Vec::new();
    let tcp = tcp.options_raw(options).unwrap();
    tcp.write(&mut frame, b"data").unwrap();
    frame
}

/// The option that announces a segment size, behind `before`.
fn announcing(before: &[u8], size: u16) -> Vec<u8> {
    let mut options = [before, &[2, 4], &size.to_be_bytes()].concat();
    options.resize(options.len().next_multiple_of(4), 1);
    options
}

/// What becomes of the segment sizes that a client and its real server announce through VS/NAT.
fn handshake(bed: &Bed, family: Family, port: u16, before: &[u8], announced: u16, left: u16) {
    let (client, service) = ((family.client, 40_000), (family.virtual_address, port));
    let server = (family.server, port);
    let (sent, expected) = (announcing(before, announced), announcing(before, left));
    let (to_us, to_server) = ((CLIENT_MAC, OWN_MAC), (OWN_MAC, SERVER_MAC));
    let syn = segment(to_us, (client, service), 64, SYN, &sent);
    let out = bed.must(&syn, Action::Send, Reason::Forwarded);
    let wanted = segment(to_server, (client, server), 63, SYN, &expected);
    assert_eq!(out, wanted, "a SYN that announces {announced}");

    let (to_us, to_client) = ((SERVER_MAC, OWN_MAC), (OWN_MAC, CLIENT_MAC));
    let answer = segment(to_us, (server, client), 64, SYN | ACK, &sent);
    let out = bed.must(&answer, Action::Send, Reason::Replied);
    let wanted = segment(to_client, (service, client), 63, SYN | ACK, &expected);
    assert_eq!(out, wanted, "a SYN+ACK that announces {announced}");
}

#[test]
fn handshakes_are_left_alone_unless_the_service_asks() {
    let bed = bed();
    for family in FAMILIES {
        handshake(&bed, family, DEFAULT, &[], 8960, 8960);
        handshake(&bed, family, OFF, &[], 8960, 8960);
    }
}

#[test]
fn both_ends_announce_no_larger_segments_than_the_service_says() {
    let bed = bed();
    for family in FAMILIES {
        for (announced, left) in [(1460, 1400), (1401, 1400), (1400, 1400), (536, 536)] {
            handshake(&bed, family, LIMITED, &[], announced, left);
        }
        // Behind others, at even and at odd places; and behind the end of the options.
        let window_scale = [3, 3, 7];
        handshake(&bed, family, LIMITED, &[1], 1460, 1400);
        handshake(&bed, family, LIMITED, &[1, 1], 1460, 1400);
        handshake(&bed, family, LIMITED, &window_scale, 1460, 1400);
        handshake(&bed, family, LIMITED, &[0], 1460, 1460);
    }
}

#[test]
fn only_handshakes_announce() {
    let bed = bed();
    for family in FAMILIES {
        handshake(&bed, family, LIMITED, &[], 1400, 1400);
        let ends = ((family.client, 40_000), (family.virtual_address, LIMITED));
        let options = announcing(&[], 1460);
        let later = segment((CLIENT_MAC, OWN_MAC), ends, 64, ACK, &options);
        let out = bed.must(&later, Action::Send, Reason::Forwarded);
        let ends = (ends.0, (family.server, LIMITED));
        let macs = (OWN_MAC, SERVER_MAC);
        assert_eq!(out, segment(macs, ends, 63, ACK, &options));
    }
}

#[test]
fn a_list_of_options_that_makes_no_sense_goes_on_as_it_is() {
    let bed = bed();
    let nonsense: [&[u8]; 3] = [&[2, 3, 9, 9], &[8, 0, 0, 0], &[9, 200, 2, 4]];
    for (port, options) in (41_000..).zip(nonsense) {
        let family = FAMILIES[0];
        let (client, service) = ((family.client, port), (family.virtual_address, LIMITED));
        let syn = segment((CLIENT_MAC, OWN_MAC), (client, service), 64, SYN, options);
        let out = bed.must(&syn, Action::Send, Reason::Forwarded);
        let ends = (client, (family.server, LIMITED));
        let macs = (OWN_MAC, SERVER_MAC);
        assert_eq!(out, segment(macs, ends, 63, SYN, options));
    }
}

/// A real server behind a tunnel learns the client's segment size as it is: replies go by no
/// tunnel. Its own, where it comes through the director, fits the tunnel.
#[test]
fn what_a_real_server_behind_a_tunnel_announces_fits_the_tunnel() {
    const LINK: u16 = 1500;
    let bed = bed();
    let options = announcing(&[], 1460);
    for (family, port) in FAMILIES
        .into_iter()
        .flat_map(|family| [(family, TUNNELLED), (family, TUNNELLED_OFF)])
    {
        let (client, service) = ((family.client, 40_000), (family.virtual_address, port));
        let syn = segment((CLIENT_MAC, OWN_MAC), (client, service), 64, SYN, &options);
        let out = bed.must(&syn, Action::Send, Reason::Tunnelled);
        let inner = segment((CLIENT_MAC, OWN_MAC), (client, service), 63, SYN, &options);
        assert_eq!(out[14 + usize::from(family.header)..], inner[14..]);

        let macs = (SERVER_MAC, OWN_MAC);
        let answer = segment(macs, (service, client), 64, SYN | ACK, &options);
        let out = bed.must(&answer, Action::Send, Reason::PassedThrough);
        let most = if port == TUNNELLED {
            LINK - 2 * family.header - 20
        } else {
            1460
        };
        let macs = (OWN_MAC, CLIENT_MAC);
        let fitting = announcing(&[], most.min(1460));
        let wanted = segment(macs, (service, client), 63, SYN | ACK, &fitting);
        assert_eq!(out, wanted);
    }
}
