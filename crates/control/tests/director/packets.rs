//! Packets that come in, and what becomes of them. The forwarding function runs on the heap's
//! tables.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use abi::Reason;
use control::interfaces::Interface;
use control::{Director, Plane, connections};
use etherparse::PacketBuilder;
use model::ConnectionEntry;
use plane_user::{Frame, Memory};

use crate::common::{Do, IFINDEX, Lan, add, add_service, director};

const WEB: &str = "TCP 10.0.0.1:80";
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const CLIENT: [u8; 4] = [198, 51, 100, 7];

#[derive(Clone, Copy, PartialEq)]
pub enum Flag {
    Syn,
    SynAck,
    Ack,
    Fin,
    Rst,
}

/// A director whose virtual address is its own, and through whom everybody can be reached.
pub fn balancing(scheduler: &str, servers: &[&str]) -> Director<Memory> {
    let mut director = director();
    director.must(add_service(WEB, scheduler));
    for server in servers {
        director.must(add(WEB, server, 1));
    }
    serve(&mut director, &lan());
    director
}

/// Lets a director's interface take packets, in a network.
pub fn serve(director: &mut Director<Memory>, lan: &Lan) {
    director.follow(lan).unwrap();
    let interface = Interface {
        ifindex: IFINDEX,
        xdp: false,
        mac: Some(MAC),
        address: None,
        address_v6: None,
        mtu: 1500,
    };
    let left_out = control::interfaces::publish(&director.plane().view(), &[interface]);
    assert_eq!(left_out, 0);
}

/// The network around it.
pub fn lan() -> Lan {
    let mut lan = Lan::default();
    lan.local.insert("10.0.0.1".parse().unwrap());
    lan.routes
        .insert((Ipv4Addr::UNSPECIFIED.into(), 0), (IFINDEX, None));
    lan.neighbours.insert(IpAddr::from(CLIENT));
    lan
}

/// A TCP segment, as it comes in.
pub fn tcp(from: SocketAddr, to: SocketAddr, flag: Flag) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([9; 6], MAC);
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), 64),
        _ => panic!("a packet is of one family"),
    };
    let segment = ip.tcp(from.port(), to.port(), 1, 1000);
    let segment = match flag {
        Flag::Syn => segment.syn(),
        Flag::SynAck => segment.syn().ack(1),
        Flag::Ack => segment.ack(1),
        Flag::Fin => segment.fin().ack(1),
        Flag::Rst => segment.rst(),
    };
    let mut frame = Vec::new();
    segment.write(&mut frame, &[]).unwrap();
    frame
}

/// What becomes of a packet.
pub fn reason(director: &Director<Memory>, frame: &[u8]) -> Reason {
    Frame::<true>::new(director.plane(), IFINDEX, frame)
        .process()
        .verdict
        .reason()
}

/// A packet of the client's.
pub fn client(director: &Director<Memory>, port: u16, flag: Flag) -> Reason {
    let to = SocketAddr::from(([10, 0, 0, 1], 80));
    reason(director, &tcp((CLIENT, port).into(), to, flag))
}

/// A packet of a real server's.
pub fn server(director: &Director<Memory>, last: u8, port: u16, flag: Flag) -> Reason {
    let from = SocketAddr::from(([192, 168, 0, last], 80));
    reason(director, &tcp(from, (CLIENT, port).into(), flag))
}

/// All connections.
pub fn listed(director: &Director<Memory>) -> Vec<ConnectionEntry> {
    let parts = (0..).map_while(|part| connections::list(director.plane(), part * 16, 16));
    parts.flatten().collect()
}
