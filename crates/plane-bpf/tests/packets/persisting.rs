//! Persistence, services for all ports, and one-packet scheduling: who gets a client's next
//! connection. What must come is what the kernel's IPVS does (`ip_vs_sched_persist`).

use std::net::Ipv4Addr;
use std::sync::{LazyLock, Mutex, MutexGuard};

use abi::Reason;
use forward::Action;
use model::{Command, Destination, Forwarding, Netmask, Persistence, ServiceRequest};

use crate::bed::Bed;
use crate::frames::{ACK, Packet, RST, SYN};
use crate::lan::{CLIENT, NARROW, SERVER, STRANGER, mac_of};

const SEND: Action = Action::Send;
/// A service with persistence, one of all ports (UDP), and one whose every datagram is scheduled.
const STICKY: u16 = 90;
const FTP: u16 = 21;
const LOOSE: u16 = 92;
/// Seconds that a template lasts.
const LASTS: u32 = 100;

fn service(key: &str, netmask: Option<[u8; 4]>) -> Command {
    let mut request = ServiceRequest::new(key.parse().unwrap(), "rr");
    request.persistence = netmask.map(|mask| Persistence {
        timeout: LASTS,
        netmask: Netmask::V4(Ipv4Addr::from(mask)),
    });
    request.one_packet = netmask.is_none();
    Command::AddService(request)
}

fn server(key: &str, server: &str) -> Command {
    Command::AddDestination {
        service: key.parse().unwrap(),
        destination: Destination::new(server.parse().unwrap(), Forwarding::Masq),
    }
}

fn weight(key: &str, of: &str, weight: i32) -> Command {
    let mut destination = Destination::new(of.parse().unwrap(), Forwarding::Masq);
    destination.weight = weight;
    Command::EditDestination {
        service: key.parse().unwrap(),
        destination,
    }
}

/// All directors, with two servers to each service.
fn bed() -> MutexGuard<'static, Bed> {
    static BED: LazyLock<Mutex<Bed>> = LazyLock::new(|| Mutex::new(made()));
    Bed::cleared(&BED)
}

fn made() -> Bed {
    let mut bed = Bed::new();
    for (key, netmask, port) in [
        ("TCP 10.0.0.1:90", Some([255; 4]), 8080),
        ("TCP 10.0.0.1:91", Some([255, 255, 255, 0]), 8080),
        ("UDP 10.0.0.1:0", Some([255; 4]), 0),
        ("TCP 10.0.0.1:21", Some([255; 4]), 21),
        ("UDP 10.0.0.1:92", None, 8080),
    ] {
        bed.apply(&[
            service(key, netmask),
            server(key, &format!("192.168.0.2:{port}")),
            server(key, &format!("192.168.0.5:{port}")),
        ]);
    }
    bed
}

fn syn(client: [u8; 4], client_port: u16, port: u16) -> Packet {
    Packet {
        from: (client, client_port),
        ..Packet::to_service(client_port, port, SYN)
    }
}

fn datagram(client: [u8; 4], client_port: u16, port: u16) -> Packet {
    Packet {
        flags: None,
        ..syn(client, client_port, port)
    }
}

/// The server and the port that a packet is sent to.
fn goes_to(bed: &Bed, packet: &Packet) -> ([u8; 4], u16) {
    let frame = bed.must(&packet.frame(), SEND, Reason::Forwarded);
    let address: [u8; 4] = frame[30..34].try_into().unwrap();
    let port = u16::from_be_bytes([frame[36], frame[37]]);
    let expected = packet.clone().sent_to(address, port);
    assert_eq!(frame, expected.frame());
    (address, port)
}

fn templates(bed: &Bed) -> u32 {
    let mut all = Vec::new();
    bed.each(|view| {
        all.push(view.loads.iter().map(|load| load.persistent.load()).sum());
    });
    assert!(
        all.windows(2).all(|two: &[u32]| two[0] == two[1]),
        "{all:?}"
    );
    all[0]
}

/// Connections scheduled, and clients' packets, of all destinations together.
fn counted(bed: &Bed) -> (u64, u64) {
    let mut all = Vec::new();
    bed.each(|view| {
        let sum = |of: fn(&abi::StatsCell) -> u64| view.stats.iter().map(of).sum();
        let made: u64 = sum(|stats| stats.connections.load());
        let packets: u64 = sum(|stats| stats.in_packets.load());
        all.push((made, packets));
    });
    assert!(all.windows(2).all(|two| two[0] == two[1]), "{all:?}");
    all[0]
}

#[test]
fn a_client_s_connections_go_where_its_first_went_as_long_as_its_template_lasts() {
    let bed = bed();
    let first = goes_to(&bed, &syn(CLIENT, 40001, STICKY));
    for port in 40002..40006 {
        assert_eq!(goes_to(&bed, &syn(CLIENT, port, STICKY)), first);
    }
    assert_eq!((templates(&bed), bed.connections()), (1, (5, 0)));
    let other = goes_to(&bed, &syn(STRANGER, 40001, STICKY));
    assert_ne!(other, first);
    assert_eq!(templates(&bed), 2);
    // SYN_RECV ends after 60 s, and nothing holds the templates when their time is over.
    for seconds in [61, LASTS - 60] {
        bed.advance(seconds);
        bed.sweep();
    }
    assert_eq!((templates(&bed), bed.connections()), (0, (0, 0)));
}

#[test]
fn a_template_outlives_its_time_while_connections_go_by_it() {
    let bed = bed();
    let first = goes_to(&bed, &syn(CLIENT, 40001, STICKY));
    bed.must(
        &Packet {
            flags: Some(ACK),
            ..syn(CLIENT, 40001, STICKY)
        }
        .frame(),
        SEND,
        Reason::Forwarded,
    );
    // ESTABLISHED only after the server's answer.
    let answer = Packet {
        from: first,
        from_mac: mac_of(first.0),
        ..Packet::from_server(40001, SYN | ACK)
    };
    bed.must(&answer.frame(), SEND, Reason::Replied);
    bed.must(
        &Packet {
            flags: Some(ACK),
            ..syn(CLIENT, 40001, STICKY)
        }
        .frame(),
        SEND,
        Reason::Forwarded,
    );
    bed.advance(500);
    bed.sweep();
    assert_eq!((templates(&bed), bed.connections()), (1, (1, 0)));
    assert_eq!(goes_to(&bed, &syn(CLIENT, 40002, STICKY)), first);
    for port in [40001, 40002] {
        let reset = Packet {
            flags: Some(RST),
            ..syn(CLIENT, port, STICKY)
        };
        bed.must(&reset.frame(), SEND, Reason::Forwarded);
    }
    bed.advance(130);
    bed.sweep();
    assert_eq!(bed.connections(), (0, 0));
    // A sweep that came to the template first has put its end off, as the kernel does.
    bed.advance(130);
    bed.sweep();
    assert_eq!(templates(&bed), 0);
}

#[test]
fn clients_of_one_network_are_one_where_the_mask_says_so() {
    let bed = bed();
    let first = goes_to(&bed, &syn(CLIENT, 40001, 91));
    assert_eq!(goes_to(&bed, &syn(STRANGER, 40001, 91)), first);
    assert_eq!(templates(&bed), 1);
}

#[test]
fn a_service_for_all_ports_keeps_the_port_and_the_server() {
    let bed = bed();
    let (address, port) = goes_to(&bed, &datagram(CLIENT, 40001, 7000));
    assert_eq!(port, 7000);
    for port in [7001, 7002] {
        assert_eq!(
            goes_to(&bed, &datagram(CLIENT, 40001, port)),
            (address, port)
        );
    }
    assert_eq!(templates(&bed), 1);
}

#[test]
fn ftp_s_data_connections_go_where_its_control_connection_went() {
    let bed = bed();
    let (address, _) = goes_to(&bed, &syn(CLIENT, 40001, FTP));
    assert_eq!(
        goes_to(&bed, &syn(CLIENT, 40002, 20_000)),
        (address, 20_000)
    );
    assert_eq!(goes_to(&bed, &syn(CLIENT, 40003, 20)), (address, 20));
    assert_eq!(templates(&bed), 1);
    // Not one of FTP's: below the ports that anybody may bind.
    let other = syn(CLIENT, 40004, 1000).frame();
    bed.must(&other, Action::Pass, Reason::NoService);
    // What comes from FTP's data port was opened by a server, and is never scheduled.
    let active = syn(CLIENT, 20, STICKY).frame();
    bed.must(&active, Action::Pass, Reason::NoService);
}

#[test]
fn a_quiescent_server_keeps_its_clients_unless_templates_shall_be_forgotten() {
    let mut bed = bed();
    let first = goes_to(&bed, &syn(CLIENT, 40001, STICKY));
    let name = format!("{}:8080", Ipv4Addr::from(first.0));
    bed.apply(&[weight("TCP 10.0.0.1:90", &name, 0)]);
    assert_eq!(goes_to(&bed, &syn(CLIENT, 40002, STICKY)), first);
    bed.change(|view| view.globals.expire_quiescent_template.store(1));
    let second = goes_to(&bed, &syn(CLIENT, 40003, STICKY));
    assert_ne!(second, first);
    assert_eq!(goes_to(&bed, &syn(CLIENT, 40004, STICKY)), second);
    assert_eq!(templates(&bed), 2, "the retired one ends in its time");
    bed.change(|view| view.globals.expire_quiescent_template.store(0));
    bed.apply(&[weight("TCP 10.0.0.1:90", &name, 1)]);
}

#[test]
fn every_datagram_is_scheduled_by_itself_and_leaves_nothing() {
    let bed = bed();
    let before = counted(&bed);
    let way: Vec<_> = (0..4)
        .map(|_| goes_to(&bed, &datagram(CLIENT, 40001, LOOSE)))
        .collect();
    assert_eq!((way[0], way[1]), (way[2], way[3]));
    assert_ne!(way[0], way[1]);
    assert!(
        way.iter()
            .all(|(address, _)| [SERVER, NARROW].contains(address))
    );
    assert_eq!(bed.connections(), (0, 0));
    let after = counted(&bed);
    assert_eq!((after.0 - before.0, after.1 - before.1), (4, 4));
}
